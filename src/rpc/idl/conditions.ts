/** The expressions of `#if`: numbers, names of `#define`, `defined`, and the operators of C but for assignment and `?:`. */

export type Macros = ReadonlyMap<string, string>

/** Deeper nesting is refused: the evaluation is recursive. */
const MAX_NESTING = 50

const TOKEN = /\s*(?:(0[xX][0-9a-fA-F]+|\d+)[uUlL]*|([A-Za-z_]\w*)|(\|\||&&|[=!<>]=|<<|>>|[-+*/%<>!~&|^()]))/y

const LEVELS: readonly (readonly string[])[] = [
  ['||'],
  ['&&'],
  ['|'],
  ['^'],
  ['&'],
  ['==', '!='],
  ['<', '>', '<=', '>='],
  ['<<', '>>'],
  ['+', '-'],
  ['*', '/', '%'],
]

const BINARY: Readonly<Record<string, (a: number, b: number) => number>> = {
  '||': (a, b) => Number(a !== 0 || b !== 0),
  '&&': (a, b) => Number(a !== 0 && b !== 0),
  '|': (a, b) => a | b,
  '^': (a, b) => a ^ b,
  '&': (a, b) => a & b,
  '==': (a, b) => Number(a === b),
  '!=': (a, b) => Number(a !== b),
  '<': (a, b) => Number(a < b),
  '>': (a, b) => Number(a > b),
  '<=': (a, b) => Number(a <= b),
  '>=': (a, b) => Number(a >= b),
  '<<': (a, b) => a << b,
  '>>': (a, b) => a >> b,
  '+': (a, b) => a + b,
  '-': (a, b) => a - b,
  '*': (a, b) => a * b,
  '/': (a, b) => Math.trunc(a / b),
  '%': (a, b) => a % b,
}

const UNARY: Readonly<Record<string, (a: number) => number>> = {
  '!': a => Number(a === 0),
  '-': a => -a,
  '+': a => a,
  '~': a => ~a,
}

/**
 * @param macros - names with the text of their definition
 * @returns the value, or `null` if this is no expression that is known here
 */
export function evaluateCondition(text: string, macros: Macros): number | null {
  const words = wordsOf(text)
  if (words === null || words.length === 0) return null
  const reader = new ConditionReader(words, macros)
  const value = reader.binary(0, 0)
  return reader.isAtEnd && Number.isFinite(value) ? value : null
}

function wordsOf(text: string): string[] | null {
  const words: string[] = []
  TOKEN.lastIndex = 0
  for (let at = 0; text.slice(at).trim() !== ''; at = TOKEN.lastIndex) {
    TOKEN.lastIndex = at
    const match = TOKEN.exec(text)
    if (match === null) return null
    words.push(match[1] ?? match[2] ?? match[3]!)
  }
  return words
}

/** Recursive descent; what cannot be read becomes NaN, which no operator takes away. */
class ConditionReader {
  readonly #words: readonly string[]
  readonly #macros: Macros
  #at = 0

  constructor(words: readonly string[], macros: Macros) {
    this.#words = words
    this.#macros = macros
  }

  get isAtEnd(): boolean {
    return this.#at === this.#words.length
  }

  binary(level: number, nesting: number): number {
    const operators = LEVELS[level]
    if (operators === undefined) return this.unary(nesting)
    let left = this.binary(level + 1, nesting)
    for (let word = this.#words[this.#at]; operators.includes(word ?? ''); word = this.#words[this.#at]) {
      this.#at++
      const right = this.binary(level + 1, nesting)
      left = Number.isNaN(left + right) ? Number.NaN : BINARY[word!]!(left, right)
    }
    return left
  }

  unary(nesting: number): number {
    const word = this.#words[this.#at++]
    if (word === undefined || nesting > MAX_NESTING) return Number.NaN
    if (word === '(') {
      const value = this.binary(0, nesting + 1)
      return this.#words[this.#at++] === ')' ? value : Number.NaN
    }
    if (word === 'defined') return this.#defined()
    if (Object.hasOwn(UNARY, word)) {
      const value = this.unary(nesting + 1)
      return Number.isNaN(value) ? value : UNARY[word]!(value)
    }
    if (/^\d/.test(word)) return numberOf(word)
    return this.#macro(word)
  }

  #defined(): number {
    const bracket = this.#words[this.#at] === '('
    if (bracket) this.#at++
    const name = this.#words[this.#at++] ?? ''
    if (bracket && this.#words[this.#at++] !== ')') return Number.NaN
    return /^[A-Za-z_]/.test(name) ? Number(this.#macros.has(name)) : Number.NaN
  }

  /** A name that is not defined is 0, as in C; one that is, is its number or the number of what it names. */
  #macro(name: string): number {
    for (let hops = 0; hops < MAX_NESTING; hops++) {
      const text = this.#macros.get(name)?.trim()
      if (text === undefined) return /^[A-Za-z_]/.test(name) ? 0 : Number.NaN
      if (/^(0[xX][0-9a-fA-F]+|\d+)$/.test(text)) return numberOf(text)
      name = text
    }
    return Number.NaN
  }
}

function numberOf(word: string): number {
  return /^0\d/.test(word) ? Number.parseInt(word, 8) : Number(word)
}
