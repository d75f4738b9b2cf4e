import { readFileSync } from 'node:fs'
import { afterEach, describe, expect, it } from 'vitest'
import { freemsg } from '../../streams/mblk/alloc.ts'
import { Arena } from '../../streams/mblk/arena.ts'
import { flat } from '../../streams/testing/messages.ts'
import { decodeMessage, encodeMessage, XdrDecoder, XdrEncoder } from '../xdr/index.ts'
import { everythingXdr } from '../xdr/testing/example.ts'
import { analyze } from './analyze.ts'
import { DynamicCodecs } from './dynamic-codec.ts'
import { argumentFromJson, valueFromJson, valueToJson } from './json-values.ts'
import type { Interface, WireType } from './model.ts'

const arena = new Arena({ sizeBytes: 4 * 1024 * 1024, poison: true })
const encoder = new XdrEncoder(arena)
const decoder = new XdrDecoder()

afterEach(() => arena.assertWhole())

function read(text: string): Interface {
  const { interface: found, problems } = analyze([{ name: 'test.x', text }])
  expect(problems).toEqual([])
  return found!
}

function typeNamed(from: Interface, name: string): WireType {
  return { kind: 'named', type: from.types.find(type => type.name === name)! }
}

/** JSON to bytes to JSON. */
function roundTrip(type: WireType, json: unknown): { bytes: Uint8Array; json: unknown } {
  const codec = new DynamicCodecs().of(type)
  const mp = encodeMessage(encoder, codec, valueFromJson(type, json, 'value'))
  const bytes = flat(mp)
  const back = valueToJson(type, decodeMessage(decoder, codec, mp))
  freemsg(mp)
  return { bytes, json: back }
}

const EVERYTHING_X = new URL('../../../test/interop/rpc/everything.x', import.meta.url)
const EVERYTHING = {
  a: -1,
  b: 4_294_967_295,
  c: '-9223372036854775808',
  size: '9007199254740991',
  f: 1.5,
  d: 'NaN',
  flag: true,
  paint: 'BLUE',
  title: 'Grüße',
  where: `hex:${'0f'.repeat(32)}`,
  cookie: 'hex:',
  data: `base64:${btoa('x'.repeat(65))}`,
  triple: [1, 2, 3],
  tags: ['a', ''],
  // To the compiler a struct that ends with a pointer to its like is an entry of a list.
  root: [
    { value: 1, left: [] },
    { value: 2, left: [{ value: 3, left: [] }] },
  ],
  entries: [{ item: 'one' }, { item: 'two' }],
  outcome: { paint: 'RED', why: 'because' },
}

describe('rpc/idl/json-values', () => {
  it('every kind of type, there and back, with the bytes of the generated codec', () => {
    const type = typeNamed(read(readFileSync(EVERYTHING_X, 'utf8')), 'everything')
    const { bytes, json } = roundTrip(type, EVERYTHING)
    expect(json).toEqual(EVERYTHING)
    const mp = encodeMessage(encoder, new DynamicCodecs().of(type), valueFromJson(type, EVERYTHING, ''))
    const generated = decodeMessage(decoder, everythingXdr, mp)
    freemsg(mp)
    expect(generated).toMatchObject({
      a: -1,
      c: -(2n ** 63n),
      paint: 5,
      entries: [{ item: 'one' }, { item: 'two' }],
      root: { right: { value: 2 } },
    })
    const again = encodeMessage(encoder, everythingXdr, generated)
    expect(flat(again)).toEqual(bytes)
    freemsg(again)
    generated.data.free()
  })

  it('an arm without a field, a number for a member, null for nothing', () => {
    const found = read(readFileSync(EVERYTHING_X, 'utf8'))
    const outcome = roundTrip(typeNamed(found, 'result'), { paint: 3 })
    expect(outcome).toEqual({ bytes: Uint8Array.of(0, 0, 0, 3), json: { paint: 'GREEN' } })
    expect(roundTrip({ kind: 'optional', of: typeNamed(found, 'result') }, null).json).toBeNull()
  })

  it('several arguments are an array, one is itself, none is nothing', () => {
    const found = read(
      'program P { version V { hyper ADD(int, int) = 1; int ONE(bool) = 2; void NONE(void) = 3; } = 1; } = 0x20000001;',
    )
    const [add, one, none] = found.programs[0]!.versions[0]!.procedures
    const mp = encodeMessage(
      encoder,
      new DynamicCodecs().argument(add!.parameters),
      argumentFromJson(add!.parameters, [1, 2]),
    )
    expect(flat(mp)).toEqual(Uint8Array.of(0, 0, 0, 1, 0, 0, 0, 2))
    expect(decodeMessage(decoder, new DynamicCodecs().argument(add!.parameters), mp)).toEqual([1, 2])
    freemsg(mp)
    expect(argumentFromJson(one!.parameters, true)).toBe(true)
    expect(argumentFromJson(none!.parameters, undefined)).toBeUndefined()
    expect(() => argumentFromJson(none!.parameters, 1)).toThrow('takes no arguments')
    expect(() => argumentFromJson(add!.parameters, [1])).toThrow(
      'args: this procedure takes an array of 2 arguments, not of 1',
    )
    expect(() => argumentFromJson(add!.parameters, 5)).toThrow('takes an array of 2 arguments')
  })

  it('opaque: hex, base64 and text are taken; hex comes out, base64 from 65 bytes on', () => {
    const type: WireType = {
      kind: 'opaque',
      isFixed: false,
      size: null,
      style: { hyper: 'bigint', string: 'utf8', opaque: 'bytes' },
    }
    for (const text of ['hex:c3A4', 'base64:w6Q=', 'text:ä'])
      expect(valueFromJson(type, text, '')).toEqual(Uint8Array.of(0xc3, 0xa4))
    expect(valueToJson(type, Uint8Array.of(0, 255))).toBe('hex:00ff')
    expect(valueToJson(type, new Uint8Array(64))).toBe(`hex:${'00'.repeat(64)}`)
    expect(valueToJson(type, new Uint8Array(65))).toBe(`base64:${btoa('\0'.repeat(65))}`)
    for (const text of ['00', 'hex:0', 'hex:xx', 'base64:!', 'base64:A', 'base64:AB=', 5, null])
      expect(() => valueFromJson(type, text, 'cookie')).toThrow(/^cookie: .* is not bytes, as "hex:00ff"/)
  })

  it.each([
    ['a', { a: 1.5 }, 'value.a: 1.5 is not a whole number'],
    ['c', { c: 'ten' }, 'value.c: "ten" is not a string of decimal digits'],
    ['c', { c: 2 ** 53 }, 'value.c: 9007199254740992 is not a string of decimal digits'],
    ['flag', { flag: 1 }, 'value.flag: 1 is not true or false'],
    ['paint', { paint: 'PINK' }, 'value.paint: "PINK" is not one of RED, GREEN, BLUE'],
    ['title', { title: 5 }, 'value.title: 5 is not a string'],
    ['where', { where: 'hex:00' }, 'value.where: 1 bytes, must be 32'],
    ['triple', { triple: [1, 2] }, 'value.triple: 2 elements, must be 3'],
    ['tags', { tags: ['a', 1] }, 'value.tags[1]: 1 is not a string'],
    ['entries', { entries: [{}] }, 'value.entries[0].item: missing, must be a string'],
    ['root', { root: 5 }, 'value.root: 5 is not an array'],
    ['outcome', { outcome: { paint: 'GREEN', why: '' } }, 'value.outcome.why: there is no such field'],
    ['more', { more: 1 }, 'value.more: there is no such field'],
  ])('what does not fit is told with its place: %s', (_, change, message) => {
    const type = typeNamed(read(readFileSync(EVERYTHING_X, 'utf8')), 'everything')
    expect(() => valueFromJson(type, { ...EVERYTHING, ...change }, 'value')).toThrow(message)
  })

  it('a discriminant without an arm, and nesting without end', () => {
    const found = read('union u switch (int kind) { case 1: int x; }; struct t { t *a; int b; };')
    expect(() => valueFromJson(typeNamed(found, 'u'), { kind: 2 }, 'u')).toThrow('u.kind: 2 is not one of 1')
    let json: unknown = null
    for (let i = 0; i < 200; i++) json = { a: json, b: 0 }
    expect(() => valueFromJson(typeNamed(found, 't'), json, 't')).toThrow('nested deeper than 100')
  })
})
