import { inspect } from 'node:util'
import { afterEach, describe, expect, it } from 'vitest'
import { freemsg } from '../../streams/mblk/alloc.ts'
import { Arena } from '../../streams/mblk/arena.ts'
import { blockCount } from '../../streams/mblk/message.ts'
import { flat } from '../../streams/testing/messages.ts'
import {
  encodeMessage,
  type XdrCodec,
  XdrEncoder,
  type XdrError,
  XdrOpaque,
  xdrInt,
  xdrOptional,
  xdrVoid,
} from './index.ts'
import { type Lookup, lookupXdr, type Result, resultXdr, type Tree, treeXdr } from './testing/example.ts'
import { patterned, toHex } from './testing/values.ts'

const arena = new Arena({ sizeBytes: 8 * 1024 * 1024, poison: true })
const xdr = new XdrEncoder(arena)

afterEach(() => arena.assertWhole())

function encoded(put: () => void): string {
  xdr.start('args')
  put()
  const mp = xdr.finish()
  const bytes = flat(mp)
  freemsg(mp)
  return toHex(bytes)
}

function refused(put: () => void): XdrError {
  xdr.start('args')
  try {
    put()
  } catch (error) {
    return error as XdrError
  }
  throw new Error('not refused')
}

describe('rpc/xdr/encoder: RFC 4506 §4, bytes by hand', () => {
  it.each<[string, () => void, string]>([
    ['§4.1 int', () => xdr.putInt('', -2), 'fffffffe'],
    ['§4.2 unsigned int', () => xdr.putUint('', 0x8000_0001), '80000001'],
    ['§4.3 enum', () => xdr.putEnum('', 5, new Set([2, 5])), '00000005'],
    ['§4.4 bool', () => xdr.putBool('', true), '00000001'],
    ['§4.5 hyper', () => xdr.putHyper('', -2n), 'fffffffffffffffe'],
    ['§4.5 unsigned hyper', () => xdr.putUhyper('', 2n ** 64n - 1n), 'ffffffffffffffff'],
    ['hyper from a number', () => xdr.putHyperNumber('', -(2 ** 53 - 1)), 'ffe0000000000001'],
    ['unsigned hyper from a number', () => xdr.putUhyperNumber('', 2 ** 32 + 1), '0000000100000001'],
    ['§4.6 float', () => xdr.putFloat('', -1.5), 'bfc00000'],
    ['§4.7 double', () => xdr.putDouble('', Number.POSITIVE_INFINITY), '7ff0000000000000'],
    ['§4.9 fixed opaque', () => xdr.putOpaqueFixed('', Uint8Array.of(1, 2, 3, 4, 5), 5), '0102030405000000'],
    ['§4.10 opaque', () => xdr.putOpaque('', Uint8Array.of(255)), '00000001ff000000'],
    ['§4.10 opaque of nothing', () => xdr.putOpaque('', new Uint8Array(0), 0), '00000000'],
    ['§4.11 string', () => xdr.putString('', 'aé€😀'), '0000000a61c3a9e282acf09f98800000'],
    ['string of Latin-1', () => xdr.putLatin1('', 'é'), '00000001e9000000'],
    ['§4.12 fixed array', () => xdr.putArrayFixed('', [1, 2], xdrInt, 2), '0000000100000002'],
    ['§4.13 array', () => xdr.putArray('', [7], xdrInt), '0000000100000007'],
    ['§4.19 optional, none', () => xdr.putOptional('', null, xdrInt), '00000000'],
    ['§4.19 optional', () => xdr.putOptional('', 7, xdrInt), '0000000100000007'],
    ['§4.19 a list', () => xdr.putList('', [7, 8], xdrInt), '0000000100000007000000010000000800000000'],
    ['§4.15 union', () => resultXdr.encode(xdr, { paint: 2, why: 'no' }), '00000002000000026e6f0000'],
    ['§4.15 union, void arm', () => resultXdr.encode(xdr, { paint: 5 }), '00000005'],
    ['§4.15 union, default arm', () => lookupXdr.encode(xdr, { status: -1 } as Lookup), 'ffffffff'],
    ['§4.16 void', () => {}, ''],
  ])('%s', (_, put, digits) => {
    expect(encoded(put)).toBe(digits)
  })
})

/** A field behind one that nests. */
function twoFields({ flag }: { flag: boolean }): void {
  xdr.putNested('deep', { value: 1, left: null, right: null }, treeXdr)
  xdr.putArray('list', [1], xdrInt)
  xdr.putBool('flag', flag)
}

describe('rpc/xdr/encoder: what has not the declared type is refused, with its place', () => {
  const ints = 'x' as unknown as number[]
  it.each<[string, () => void, string]>([
    ['fractions', () => xdr.putInt('n', 1.5), 'args.n: 1.5 is not an int (-2^31 to 2^31-1)'],
    ['not a number', () => xdr.putUint('n', Number.NaN), 'args.n: NaN is not an unsigned int (0 to 2^32-1)'],
    ['negative', () => xdr.putUint('n', -1), 'args.n: -1 is not an unsigned int (0 to 2^32-1)'],
    ['a number for a hyper', () => xdr.putHyper('n', 1 as never), 'args.n: 1 is not a hyper'],
    ['a hyper too large', () => xdr.putHyper('n', 2n ** 63n), 'args.n: 9223372036854775808n is not a hyper'],
    ['a negative unsigned hyper', () => xdr.putUhyper('n', -1n), 'args.n: -1n is not an unsigned hyper'],
    ['an unsafe number', () => xdr.putHyperNumber('n', 2 ** 53), 'args.n: 9007199254740992 is not a whole'],
    ['a truth', () => xdr.putBool('n', 1 as never), 'args.n: 1 is not a boolean'],
    ['an enum', () => xdr.putEnum('n', 4, new Set([2])), 'args.n: 4 is not a number of this enumeration'],
    ['a long string', () => xdr.putString('n', 'éé', 3), 'args.n: a length of 4, at most 3'],
    ['half a pair', () => xdr.putString('n', 'a\ud800b'), 'args.n: a string with half of a surrogate pair'],
    [
      'half at the end',
      () => xdr.putString('n', 'a\ud800'),
      'args.n: a string with half of a surrogate pair',
    ],
    ['no Latin-1', () => xdr.putLatin1('n', '€'), 'args.n: "€" is not a string of characters up to U+00FF'],
    ['no bytes', () => xdr.putOpaque('n', 'a' as never), 'args.n: "a" is not a Uint8Array or an XdrOpaque'],
    ['fixed length', () => xdr.putOpaqueFixed('n', new Uint8Array(3), 4), 'args.n: 3 bytes, must be 4'],
    ['no array', () => xdr.putArray('n', ints, xdrInt), 'args.n: "x" is not an array'],
    ['a long array', () => xdr.putArray('n', [1, 2], xdrInt, 1), 'args.n: a length of 2, at most 1'],
    ['a fixed array', () => xdr.putArrayFixed('n', [1], xdrInt, 2), 'args.n: 1 elements, must be 2'],
    ['an element', () => xdr.putArray('n', [1, 'a' as never], xdrInt), 'args.n[1]: "a" is not an int'],
    [
      'a missing element',
      () => xdr.putArray('n', [1, undefined as never], treeXdr as never),
      'args.n[0].value: ',
    ],
    ['a hole', () => xdr.putList('n', new Array(1), treeXdr), 'args.n[0]: undefined is not a value'],
    ['a field behind', () => twoFields({ flag: 1 as never }), 'args.flag: 1 is not a boolean'],
    ['a missing value', () => xdr.putNested('n', undefined as never, treeXdr), 'args.n: undefined is not a'],
    ['null for a struct', () => xdr.putNested('n', null as never, treeXdr), 'args.n: null is not a value'],
    [
      'null for an element',
      () => xdr.putArray('n', [{ value: 1, left: null, right: null }, null as never], treeXdr),
      'args.n[1]: null is not a value',
    ],
    ['null for an entry', () => xdr.putList('n', [null as never], treeXdr), 'args.n[0]: null is not a value'],
    ['null for a union', () => xdr.putNested('n', null as never, resultXdr), 'args.n: null is not a value'],
    ['null for all of it', () => xdr.put(null as never, treeXdr), 'args: null is not a value'],
    ['nothing for all of it', () => xdr.put(undefined as never, treeXdr), 'args: undefined is not a value'],
    ['a union', () => resultXdr.encode(xdr, { paint: 9 } as never as Result), 'args.paint: 9 is not a disc'],
    ['a quadruple', () => xdr.refuseQuadruple('q'), 'args.q: a quadruple has no JavaScript value'],
  ])('%s', (_, put, message) => {
    const error = refused(put)
    expect(error.message.slice(0, message.length)).toBe(message)
    expect(error.code).toBe(message.includes('quadruple') ? 'ERR_NOT_SUPPORTED' : 'ERR_BAD_ARGUMENT')
  })

  it('null is a value of an optional type, and nothing is one of void, under whatever name', () => {
    expect(encoded(() => xdr.putNested('n', null, xdrOptional(treeXdr)))).toBe('00000000')
    expect(encoded(() => xdr.put(null, xdrOptional(treeXdr)))).toBe('00000000')
    expect(encoded(() => xdr.put(undefined, xdrVoid))).toBe('')
  })

  it('ends in a value that contains itself', () => {
    const tree: { value: number; left: Tree | null; right: null } = { value: 1, left: null, right: null }
    tree.left = tree
    const error = refused(() => treeXdr.encode(xdr, tree))
    expect(error.fault).toBe('xdr-depth')
    expect(error.path).toBe(`args${'.left'.repeat(101)}`)
  })

  it('frees the message also when a codec throws something else', () => {
    const broken: XdrCodec<number> = {
      encode(to) {
        to.putInt('', 1)
        throw new TypeError('of the program')
      },
      decode: () => 0,
    }
    expect(() => encodeMessage(xdr, broken, 1)).toThrow('of the program')
    expect(arena.state().blocksInUse).toBe(0)
  })
})

describe('rpc/xdr/opaque: as console.log shows it', () => {
  it('its length and what it is, not the blocks of memory', () => {
    const lent = XdrOpaque.of(patterned(5))
    xdr.start()
    xdr.putInt('', 1)
    const view = XdrOpaque.fromMessage(xdr.finish(), 4)
    expect(inspect([lent, view])).toBe('[ XdrOpaque { 5 bytes, lent }, XdrOpaque { 4 bytes, a view } ]')
    view.free()
    expect(inspect(view)).toBe('XdrOpaque { 4 bytes, freed }')
  })
})

describe('rpc/xdr/encoder: blocks', () => {
  it('a null call needs one small block, and leaves headroom in front', () => {
    xdr.start()
    for (let i = 0; i < 10; i++) xdr.putInt('', i)
    const mp = xdr.finish()
    expect([blockCount(mp), mp.rptr - mp.dblk.base, mp.dblk.lim - mp.dblk.base]).toEqual([1, 128, 256])
    freemsg(mp)
  })

  it('links 64 KiB of the program in without a copy, with the padding behind, and says when it is released', () => {
    const data = patterned(65_537)
    const before = { ...arena.copies.edge }
    let released = 0
    xdr.start()
    xdr.putOpaque(
      'data',
      XdrOpaque.of(data, bytes => {
        released++
        expect(bytes).toBe(data)
      }),
    )
    expect(xdr.size).toBe(4 + 65_540)
    xdr.putInt('', 1)
    const mp = xdr.finish()
    expect(arena.copies.edge).toEqual(before)
    expect(blockCount(mp)).toBe(3)
    expect(mp.cont!.bytes).toBe(data)
    expect(toHex(flat(mp).subarray(-8))).toBe('8000000000000001'.replace('80', toHex(data.subarray(-1))))
    expect(released).toBe(0)
    freemsg(mp)
    expect(released).toBe(1)
    // What is too short for a block of its own is copied, and released at once.
    xdr.start()
    xdr.putOpaque(
      'data',
      XdrOpaque.of(Uint8Array.of(1), () => released++),
    )
    expect(released).toBe(2)
    xdr.abort()
  })

  it('copies a Uint8Array of any size at once, counted at the edge', () => {
    const data = patterned(200_001)
    const before = arena.copies.edge.bytes
    xdr.start()
    xdr.putOpaque('', data)
    const mp = xdr.finish()
    expect(arena.copies.edge.bytes - before).toBe(200_001)
    const copy = data.slice()
    data.fill(0)
    expect(Buffer.compare(flat(mp).subarray(4, -3), copy)).toBe(0)
    freemsg(mp)
  })

  it('encodes long strings as short ones', () => {
    const text = 'aé€😀'.repeat(2_000)
    const bytes = new TextEncoder().encode(text)
    expect(encoded(() => xdr.putString('', text))).toBe(
      `${(20_000).toString(16).padStart(8, '0')}${toHex(bytes)}`,
    )
    expect(encoded(() => xdr.putLatin1('', 'é'.repeat(5_000)))).toBe(`00001388${'e9'.repeat(5_000)}`)
  })

  it('refuses when the arena has no block to spare, and gives back what it had', () => {
    const small = new Arena({ sizeBytes: 4 * 1024 * 1024 })
    const own = new XdrEncoder(small)
    own.start('args')
    const put = () => own.putOpaque('data', new Uint8Array(8 * 1024 * 1024))
    expect(put).toThrow(expect.objectContaining({ code: 'ERR_NO_BUFFERS', fault: 'xdr-no-buffers' }))
    small.assertWhole()
    // An eighth is left for those who make room.
    const { peak, blockBytes, limit, base } = small.classes[2]!
    expect(8 * (peak - 1) * blockBytes).toBeLessThan(7 * (limit - base))
    expect(peak).toBeLessThan(Math.floor((limit - base) / blockBytes))
  })
})
