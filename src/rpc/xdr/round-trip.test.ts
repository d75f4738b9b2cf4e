import fc from 'fast-check'
import { afterEach, describe, expect, it } from 'vitest'
import { freemsg } from '../../streams/mblk/alloc.ts'
import { Arena } from '../../streams/mblk/arena.ts'
import { chainOf, flat } from '../../streams/testing/messages.ts'
import { decodeMessage, encodeMessage, type XdrCodec, XdrDecoder, XdrEncoder, XdrError } from './index.ts'
import { everythingXdr } from './testing/example.ts'
import { anything, hex, patterned, toHex, withOpaque } from './testing/values.ts'

const arena = new Arena({ sizeBytes: 8 * 1024 * 1024, poison: true })
const encoder = new XdrEncoder(arena)
const decoder = new XdrDecoder()

afterEach(() => arena.assertWhole())

/** A value as bytes, and what the bytes are when they lie in blocks divided at `places`. */
function there<T>(of: XdrCodec<T>, value: T): Uint8Array {
  const mp = encodeMessage(encoder, of, value)
  const bytes = flat(mp)
  freemsg(mp)
  return bytes
}

function back<T>(of: XdrCodec<T>, bytes: Uint8Array, places: readonly number[] = []): T {
  const mp = chainOf(arena, bytes, places)
  try {
    return decodeMessage(decoder, of, mp)
  } finally {
    freemsg(mp)
  }
}

describe('rpc/xdr: any value of any type', () => {
  it('comes back the same, however the message is divided into blocks', () => {
    const cuts = fc.array(fc.nat(), { maxLength: 12 })
    fc.assert(
      fc.property(anything, cuts, (plain, numbers) => {
        const bytes = there(everythingXdr, withOpaque(plain))
        expect(bytes.length % 4).toBe(0)
        const places = numbers.map(number => number % (bytes.length + 1)).sort((a, b) => a - b)
        const value = back(everythingXdr, bytes, places)
        const data = value.data.toBytes()
        value.data.free()
        expect({ ...value, data }).toEqual({ ...plain, f: Math.fround(plain.f) })
      }),
      { numRuns: 300 },
    )
  })

  it('is refused when any end of it is missing, or one word more is there', () => {
    const [plain] = fc.sample(anything, { numRuns: 1, seed: 5 })
    const bytes = there(everythingXdr, withOpaque({ ...plain!, data: patterned(1_500) }))
    for (let length = 0; length < bytes.length; length++) {
      expect(() => back(everythingXdr, bytes.subarray(0, length), [length >> 1])).toThrow(XdrError)
    }
    const longer = new Uint8Array(bytes.length + 4)
    longer.set(bytes)
    expect(() => back(everythingXdr, longer)).toThrow('4 bytes are left')
  })
})

/** RFC 4506 §7: the structure of a file, and its encoding in hexadecimal. */
interface File {
  readonly filename: string
  readonly type: { readonly kind: number; readonly interpretor: string }
  readonly owner: string
  readonly data: Uint8Array
}

const KINDS: ReadonlySet<number> = new Set([0, 1, 2])

const fileXdr: XdrCodec<File> = {
  encode(xdr, value) {
    xdr.putString('filename', value.filename, 255)
    xdr.putEnum('kind', value.type.kind, KINDS)
    xdr.putString('interpretor', value.type.interpretor, 255)
    xdr.putString('owner', value.owner, 32)
    xdr.putOpaque('data', value.data, 65_535)
  },
  decode(xdr) {
    return {
      filename: xdr.string('filename', 255),
      type: { kind: xdr.enum('kind', KINDS), interpretor: xdr.string('interpretor', 255) },
      owner: xdr.string('owner', 32),
      data: xdr.opaque('data', 65_535),
    }
  },
}

describe('rpc/xdr: RFC 4506 §7, the example', () => {
  const bytes = hex(`00000009 73696c6c 7970726f 67000000 00000002 00000004 6c697370
    00000004 6a6f686e 00000006 28717569 74290000`)
  const file: File = {
    filename: 'sillyprog',
    type: { kind: 2, interpretor: 'lisp' },
    owner: 'john',
    data: new TextEncoder().encode('(quit)'),
  }

  it('is encoded as there', () => {
    expect(toHex(there(fileXdr, file))).toBe(toHex(bytes))
  })

  it('is decoded as there, also from blocks of one byte', () => {
    expect(back(fileXdr, bytes)).toEqual(file)
    const places = Array.from(bytes, (_, at) => at)
    expect(back(fileXdr, bytes, places)).toEqual(file)
  })
})
