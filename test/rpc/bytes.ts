/** Writes XDR by hand, with whatever lies are wanted. */
const CAPACITY = 256 * 1024
const ENCODER = new TextEncoder()

export class ByteBuilder {
  size = 0
  private readonly bytes = new Uint8Array(CAPACITY)
  private readonly view = new DataView(this.bytes.buffer)

  start(): this {
    this.size = 0
    return this
  }

  word(value: number): this {
    this.view.setInt32(this.size, value)
    this.size += 4
    return this
  }

  words(...values: readonly number[]): this {
    for (const value of values) this.word(value)
    return this
  }

  raw(bytes: Uint8Array): this {
    this.bytes.set(bytes, this.size)
    this.size += bytes.length
    return this
  }

  /** @param length - what is announced, whatever there is */
  opaque(bytes: Uint8Array, length = bytes.length): this {
    this.word(length).raw(bytes)
    while (this.size % 4 !== 0) this.bytes[this.size++] = 0
    return this
  }

  text(text: string): this {
    return this.opaque(ENCODER.encode(text))
  }

  /** @returns a copy */
  take(): Uint8Array {
    return this.bytes.slice(0, this.size)
  }
}
