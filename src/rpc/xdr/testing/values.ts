/** For tests: arbitrary values of the example's types, and XDR from words and hexadecimal digits. */
import fc from 'fast-check'
import { XdrOpaque } from '../index.ts'
import { Color, type Entry, type Everything, MAX_NAME, type Result, type Tree } from './example.ts'

/** What an {@link Everything} is, with the opaque as plain bytes. */
export type PlainEverything = Omit<Everything, 'data'> & { readonly data: Uint8Array }

const int = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 })
const text = fc.string({ unit: 'grapheme', maxLength: 40 }).filter(one => Buffer.byteLength(one) <= MAX_NAME)
const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length })

const { tree } = fc.letrec<{ tree: Tree }>(tie => ({
  tree: fc.record({
    value: int,
    left: fc.option(tie('tree'), { maxDepth: 6 }),
    right: fc.option(tie('tree'), { maxDepth: 6 }),
  }),
}))

const result: fc.Arbitrary<Result> = fc.oneof(
  fc.record({ paint: fc.constant(Color.RED), why: text }),
  fc.record({ paint: fc.constantFrom(Color.GREEN, Color.BLUE) }),
)

const entry: fc.Arbitrary<Entry> = fc.record({ item: text })

export const anything: fc.Arbitrary<PlainEverything> = fc.record({
  a: int,
  b: fc.nat(2 ** 32 - 1),
  c: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  size: fc.maxSafeNat(),
  f: fc.float(),
  d: fc.double(),
  flag: fc.boolean(),
  paint: fc.constantFrom(...Object.values(Color)),
  title: text,
  where: bytes(32),
  cookie: fc.uint8Array({ maxLength: 64 }),
  data: fc.oneof(fc.uint8Array({ maxLength: 40 }), fc.nat(5_000).map(patterned)),
  triple: fc.array(int, { minLength: 3, maxLength: 3 }),
  tags: fc.array(text, { maxLength: 5 }),
  root: fc.option(tree),
  entries: fc.array(entry, { maxLength: 5 }),
  outcome: result,
})

export function withOpaque(plain: PlainEverything): Everything {
  return { ...plain, data: XdrOpaque.of(plain.data) }
}

export function patterned(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, at) => (at * 7 + (at >> 8)) & 0xff)
}

/** `'00000009 73696c6c'` as bytes; blanks count for nothing. */
export function hex(digits: string): Uint8Array {
  return Uint8Array.from(Buffer.from(digits.replace(/\s/g, ''), 'hex'))
}

export function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}
