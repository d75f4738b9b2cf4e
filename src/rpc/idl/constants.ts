/** The values of constants, of members of enums, and of the expressions over them. */
import type { Definition, EnumMember, Expression, Name } from './ast.ts'
import type { Member } from './model.ts'
import type { Place, Problems } from './source.ts'

export type ConstDefinition = Extract<Definition, { kind: 'const' }>

type Value = bigint | string

interface Entry {
  readonly name: Name
  readonly compute: () => Value | null
  /** `undefined` before it was asked for, `computing` while it is. */
  value: Value | null | undefined | 'computing'
  readonly passedThrough: boolean
}

/** Beyond this no number of XDR is, and big numbers take time. */
const LIMIT = 1n << 70n
/** Chains of constants by other constants, which evaluation follows by recursion. */
const MAX_CHAIN = 1_000

/** All names with a value; each is computed when it is first asked for, so the order in the file does not matter. */
export class Constants {
  readonly #problems: Problems
  readonly #entries = new Map<string, Entry>()
  readonly #members: string[] = []
  #chain = 0

  constructor(problems: Problems) {
    this.#problems = problems
    for (const [text, value] of [
      ['FALSE', 0n],
      ['TRUE', 1n],
    ] as const) {
      const place = { file: { name: '', text: '', marks: [] }, offset: 0, length: 1 }
      this.#entries.set(text, { name: { text, place }, compute: () => value, value, passedThrough: true })
    }
  }

  /** @returns false if the name is taken, which is told unless one of the two is C's */
  declare(name: Name, expression: Expression, passedThrough: boolean): boolean {
    return this.#add(name, passedThrough, () => this.#evaluate(expression))
  }

  /** Declares the members of an enum, each with a value of its own or one more than the one before. */
  declareMembers(members: readonly EnumMember[]): void {
    members.forEach((member, at) => {
      const before = members[at - 1]
      this.#members.push(member.name.text)
      this.#add(member.name, false, () => {
        if (member.value !== null) return this.#evaluate(member.value)
        if (before === undefined) return 0n
        const value = this.valueOf(before.name.text)
        return typeof value === 'bigint' ? value + 1n : null
      })
    })
  }

  /** Computes all values; the members of enums first and in order, since each may stand on the one before. */
  settle(): void {
    for (const name of this.#members) this.valueOf(name)
    for (const name of this.#entries.keys()) this.valueOf(name)
  }

  #add(name: Name, passedThrough: boolean, compute: () => Value | null): boolean {
    const there = this.#entries.get(name.text)
    if (there !== undefined && !there.passedThrough) {
      if (!passedThrough)
        this.#problems.error(
          name.place,
          `"${name.text}" is declared already`,
          'all constants and members of enums share one space of names',
        )
      return false
    }
    this.#entries.set(name.text, { name, compute, value: undefined, passedThrough })
    return true
  }

  /** @returns `null` if there is none, or what it is made of is wrong, which was told */
  valueOf(name: string): Value | null {
    const entry = this.#entries.get(name)
    if (entry === undefined) return null
    if (entry.value === 'computing') {
      if (entry.name.place.file.text !== '')
        this.#problems.error(entry.name.place, `the value of "${name}" is made of itself`)
      entry.value = null
    }
    if (entry.value === undefined) {
      entry.value = 'computing'
      const value = ++this.#chain > MAX_CHAIN ? this.#tooLong(entry.name.place) : entry.compute()
      this.#chain--
      entry.value = value
    }
    return entry.value === 'computing' ? null : entry.value
  }

  #tooLong(place: Place): null {
    this.#problems.error(place, `more than ${MAX_CHAIN} constants are made of each other`)
    return null
  }

  /** @returns a whole number within the bounds, or `null`, which was told */
  number(expression: Expression, what: string, min: bigint, max: bigint): number | null {
    const value = this.#evaluate(expression)
    if (value === null) return null
    if (typeof value === 'string') {
      this.#problems.error(expression.place, `${what} is a number, not a string`)
      return null
    }
    if (value >= min && value <= max) return Number(value)
    this.#problems.error(expression.place, `${what} cannot be ${value}`, `it is from ${min} to ${max}`)
    return null
  }

  /** The members of an enum with their numbers; those that are wrong are left out. */
  members(members: readonly EnumMember[]): Member[] {
    return members.flatMap(({ name, doc }) => {
      const value = this.valueOf(name.text)
      if (value === null) return []
      if (typeof value === 'bigint' && BigInt.asIntN(32, value) === value)
        return [{ name: name.text, value: Number(value), doc }]
      const shown = typeof value === 'string' ? 'a string' : `${value}`
      this.#problems.error(
        name.place,
        `"${name.text}" is ${shown}, out of the range of an enum`,
        `it is from ${-(2 ** 31)} to ${2 ** 31 - 1}`,
      )
      return []
    })
  }

  #evaluate(expression: Expression): Value | null {
    switch (expression.kind) {
      case 'number':
      case 'string':
        return expression.value
      case 'name':
        return this.#named(expression.name, expression.place)
      case 'unary':
        return this.#unary(expression)
      case 'binary':
        return this.#binary(expression)
    }
  }

  #named(name: string, place: Place): Value | null {
    if (this.#entries.has(name)) return this.valueOf(name)
    const near = nearest(name, [...this.#entries.keys()])
    const hint =
      near === null ? 'declare it by const, enum or #define, or read its file by --with' : `"${near}" is one`
    this.#problems.error(place, `there is no constant "${name}"`, hint)
    return null
  }

  #unary({ operator, operand, place }: Extract<Expression, { kind: 'unary' }>): Value | null {
    const value = this.#evaluate(operand)
    if (typeof value === 'bigint') return operator === '-' ? -value : operator === '~' ? ~value : value
    if (value !== null) this.#problems.error(place, `a string has no ${operator}`)
    return null
  }

  #binary({ operator, left, right, place }: Extract<Expression, { kind: 'binary' }>): Value | null {
    const [a, b] = [this.#evaluate(left), this.#evaluate(right)]
    if (a === null || b === null) return null
    if (typeof a === 'string' || typeof b === 'string') {
      this.#problems.error(place, 'strings cannot be computed with')
      return null
    }
    const value = operate(operator, a, b)
    if (value !== null && value < LIMIT && value > -LIMIT) return value
    this.#problems.error(
      place,
      value === null ? 'this cannot be computed' : 'this number is beyond all that XDR has',
    )
    return null
  }
}

function operate(operator: string, a: bigint, b: bigint): bigint | null {
  switch (operator) {
    case '|':
      return a | b
    case '&':
      return a & b
    case '+':
      return a + b
    case '-':
      return a - b
    case '*':
      return a * b
    case '/':
      return b === 0n ? null : a / b
    default:
      if (b < 0n || b > 64n) return null
      return operator === '<<' ? a << b : a >> b
  }
}

/** Names that are looked through for one that was meant. */
const MAX_CANDIDATES = 2_000

/** A name that differs by case, by one character or by two that changed places, so that it was probably meant. */
export function nearest(name: string, candidates: readonly string[]): string | null {
  const few = candidates.slice(0, MAX_CANDIDATES)
  const lower = name.toLowerCase()
  return (
    few.find(one => one.toLowerCase() === lower) ??
    few.find(one => name.length > 2 && one.length > 2 && differByOne(one, name)) ??
    null
  )
}

function differByOne(a: string, b: string): boolean {
  if (Math.abs(a.length - b.length) > 1) return false
  let at = 0
  while (at < a.length && a[at] === b[at]) at++
  const [x, y] = [a.slice(at), b.slice(at)]
  const changedPlaces = x.slice(2) === y.slice(2) && x[0] === y[1] && x[1] === y[0]
  return changedPlaces || x.slice(1) === y.slice(1) || x.slice(1) === y || x === y.slice(1)
}
