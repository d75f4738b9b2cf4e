/**
 * Where an encoder or a decoder is within a value: names and indices in preallocated places, so that a value
 * without a fault pays a store for each level and nothing for a field. Its depth is what bounds recursion.
 */
export class XdrPath {
  readonly maxDepth: number
  depth = 0
  private root = ''
  private readonly names: string[]
  private readonly indices: Int32Array

  constructor(maxDepth: number) {
    this.maxDepth = maxDepth
    this.names = new Array<string>(maxDepth).fill('')
    this.indices = new Int32Array(maxDepth)
  }

  start(root: string): void {
    this.root = root
    this.depth = 0
  }

  /** @returns false if it is too deep */
  enter(name: string): boolean {
    const depth = this.depth
    if (depth >= this.maxDepth) return false
    this.names[depth] = name
    this.indices[depth] = -1
    this.depth = depth + 1
    return true
  }

  /** Of the array that was entered last: which element is next. */
  element(index: number): void {
    this.indices[this.depth - 1] = index
  }

  leave(): void {
    this.depth--
  }

  /** @param field - the name of a field there; empty for the place itself */
  describe(field: string): string {
    let text = this.root
    for (let i = 0; i < this.depth; i++) {
      text = joined(text, this.names[i]!)
      if (this.indices[i]! >= 0) text += `[${this.indices[i]}]`
    }
    return joined(text, field)
  }
}

function joined(text: string, name: string): string {
  return text === '' || name === '' ? text + name : `${text}.${name}`
}
