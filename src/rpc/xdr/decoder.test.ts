import { afterEach, describe, expect, it } from 'vitest'
import { freemsg } from '../../streams/mblk/alloc.ts'
import { Arena } from '../../streams/mblk/arena.ts'
import type { BorrowedMblk } from '../../streams/mblk/mblk.ts'
import { chainOf, flat } from '../../streams/testing/messages.ts'
import {
  decodeMessage,
  type XdrCodec,
  XdrDecoder,
  type XdrDecoderOptions,
  XdrEncoder,
  type XdrError,
  XdrOpaque,
  xdrArray,
  xdrArrayFixed,
  xdrBool,
  xdrDouble,
  xdrEnum,
  xdrFloat,
  xdrHyper,
  xdrHyperNumber,
  xdrInt,
  xdrLatin1,
  xdrList,
  xdrOpaque,
  xdrOpaqueFixed,
  xdrOpaqueView,
  xdrOptional,
  xdrQuadruple,
  xdrString,
  xdrUhyper,
  xdrUhyperNumber,
  xdrUint,
  xdrVoid,
} from './index.ts'
import { Color, lookupXdr, resultXdr, treeXdr } from './testing/example.ts'
import { hex, patterned } from './testing/values.ts'

const arena = new Arena({ sizeBytes: 8 * 1024 * 1024, poison: true })

afterEach(() => arena.assertWhole())

/** Decodes, from one block and from blocks of three bytes; both have to say the same. */
function decoded<T>(of: XdrCodec<T>, digits: string, options: XdrDecoderOptions = {}): T | XdrError {
  const bytes = hex(digits)
  const places = Array.from({ length: Math.min(200, Math.ceil(bytes.length / 3)) }, (_, at) => at * 3)
  const [whole, divided] = [[], places].map(cuts => {
    const mp = chainOf(arena, bytes, cuts)
    try {
      return decodeMessage(new XdrDecoder(options), of, mp, 'args')
    } catch (error) {
      return error as XdrError
    } finally {
      freemsg(mp)
    }
  })
  expect(divided).toEqual(whole)
  return whole!
}

describe('rpc/xdr/decoder: RFC 4506 §4, bytes by hand', () => {
  it.each<[string, XdrCodec<never>, string, unknown]>([
    ['§4.1 int', xdrInt as never, 'fffffffe', -2],
    ['§4.2 unsigned int', xdrUint as never, '80000001', 0x8000_0001],
    ['§4.3 enum', xdrEnum(Color) as never, '00000005', 5],
    ['§4.4 bool', xdrBool as never, '00000001', true],
    ['§4.5 hyper', xdrHyper as never, '8000000000000000', -(2n ** 63n)],
    ['§4.5 unsigned hyper', xdrUhyper as never, '8000000000000000', 2n ** 63n],
    ['hyper as a number', xdrHyperNumber as never, 'ffe0000000000001', -(2 ** 53 - 1)],
    ['unsigned hyper as a number', xdrUhyperNumber as never, '001fffffffffffff', 2 ** 53 - 1],
    ['§4.6 float', xdrFloat as never, 'bfc00000', -1.5],
    ['§4.7 double', xdrDouble as never, '8000000000000000', -0],
    ['§4.9 fixed opaque', xdrOpaqueFixed(5) as never, '0102030405000000', Uint8Array.of(1, 2, 3, 4, 5)],
    ['§4.10 opaque', xdrOpaque() as never, '00000001ff000000', Uint8Array.of(255)],
    ['§4.11 string', xdrString() as never, '0000000a61c3a9e282acf09f98800000', 'aé€😀'],
    ['string with a byte order mark', xdrString() as never, '00000003efbbbf00', '\ufeff'],
    ['string with a zero', xdrString() as never, '0000000361006200', 'a\0b'],
    ['string of Latin-1', xdrLatin1() as never, '00000002e9ff0000', 'éÿ'],
    ['§4.12 fixed array', xdrArrayFixed(xdrInt, 2) as never, '0000000100000002', [1, 2]],
    ['§4.13 array', xdrArray(xdrInt, 1) as never, '0000000100000007', [7]],
    ['§4.19 optional, none', xdrOptional(xdrInt) as never, '00000000', null],
    ['§4.19 a list', xdrList(xdrInt, 2) as never, '0000000100000007000000010000000800000000', [7, 8]],
    ['§4.15 union', resultXdr as never, '00000002000000026e6f0000', { paint: 2, why: 'no' }],
    ['§4.15 union, default arm', lookupXdr as never, 'ffffffff', { status: -1 }],
    ['§4.16 void', xdrVoid as never, '', undefined],
  ])('%s', (_, of, digits, value) => {
    expect(decoded(of, digits)).toEqual(value)
  })
})

describe('rpc/xdr/decoder: what a peer may send, and must not', () => {
  it.each<[string, XdrCodec<never>, string, string, string]>([
    ['xdr-truncated', xdrInt as never, '000000', 'args', '3 bytes left of 4'],
    ['xdr-truncated', xdrHyper as never, '0000000000', 'args', '1 bytes left of 4'],
    ['xdr-truncated', xdrOpaque() as never, '00000001ff0000', 'args', 'the padding is missing'],
    ['xdr-trailing', xdrInt as never, '000000010000', 'args', '2 bytes are left'],
    ['xdr-length', xdrString(3) as never, '0000000461626364', 'args', 'a length of 4, at most 3'],
    ['xdr-length', xdrArray(xdrInt, 1) as never, '000000020000000100000002', 'args', '2 elements, at most 1'],
    ['xdr-length', xdrList(xdrInt, 1) as never, '000000010000000700000001', 'args[0]', 'more than 1 entries'],
    ['xdr-length-beyond', xdrOpaque() as never, 'ffffffff01', 'args', 'a length of 4294967295 with 1 bytes'],
    ['xdr-length-beyond', xdrOpaqueView() as never, '7fffffff', 'args', 'a length of 2147483647 with 0'],
    ['xdr-length-beyond', xdrArray(xdrInt) as never, '4000000000000001', 'args', 'a length of 1073741824'],
    ['xdr-length-beyond', xdrOpaqueFixed(8) as never, '00000000', 'args', 'a length of 8 with 4 bytes left'],
    ['xdr-padding', xdrString() as never, '0000000161000100', 'args', 'padding that is not zero'],
    ['xdr-bool', xdrBool as never, '00000002', 'args', '2 is not a boolean'],
    ['xdr-bool', xdrBool as never, 'ffffffff', 'args', '-1 is not a boolean'],
    ['xdr-bool', xdrOptional(xdrInt) as never, '80000000', 'args', '-2147483648 is not a boolean'],
    ['xdr-enum', xdrEnum(Color) as never, '00000004', 'args', '4 is not in the enumeration'],
    ['xdr-enum', resultXdr as never, '00000001', 'args.paint', '1 is not in the enumeration'],
    ['xdr-utf8', xdrString() as never, '00000002c3280000', 'args', '2 bytes that are not UTF-8'],
    ['xdr-utf8', xdrString() as never, '00000003eda08000', 'args', '3 bytes that are not UTF-8'],
    ['xdr-unsafe-integer', xdrHyperNumber as never, '0020000000000000', 'args', 'beyond 2^53-1'],
    ['xdr-unsafe-integer', xdrHyperNumber as never, 'ffe0000000000000', 'args', 'beyond 2^53-1'],
    ['xdr-unsafe-integer', xdrUhyperNumber as never, 'ffffffffffffffff', 'args', 'beyond 2^53-1'],
    ['xdr-not-supported', xdrQuadruple as never, '00'.repeat(16), 'args', 'a quadruple has no JavaScript'],
  ])('%s: %o of %s at %s', (fault, of, digits, path, detail) => {
    const error = decoded(of, digits) as XdrError
    expect(error).toMatchObject({ name: 'XdrError', fault, path })
    expect(error.message).toContain(detail)
    expect(error.code).toBe(fault === 'xdr-not-supported' ? 'ERR_NOT_SUPPORTED' : 'ERR_PROTOCOL')
  })

  it('an error about a peer has no stack, which a flood would make us pay for; others have one', () => {
    const error = decoded(xdrBool, '00000002') as XdrError
    expect(error.stack).toBe('XdrError: args: 2 is not a boolean')
    expect(new Error('other').stack).toContain('decoder.test.ts')
  })

  it('padding may be anything where the decoder was told so', () => {
    expect(decoded(xdrString(), '0000000161fffefd', { padding: 'any' })).toBe('a')
  })

  it('says the place within nested values', () => {
    const inner: XdrCodec<string> = { encode() {}, decode: xdr => xdr.string('name', 2) }
    const outer: XdrCodec<unknown> = {
      encode() {},
      decode: xdr => xdr.nested('deep', { encode() {}, decode: to => to.array('list', inner) }),
    }
    const error = decoded(outer, '00000002 00000001 61000000 00000003 61616100') as XdrError
    expect(error.message).toBe('args.deep.list[1].name: a length of 3, at most 2')
    const behind: XdrCodec<unknown> = {
      encode() {},
      decode: xdr => [xdr.nested('deep', xdrArray(xdrInt)), xdr.list('all', xdrInt), xdr.bool('flag')],
    }
    expect(decoded(behind, '00000001 00000007 00000000 00000002')).toMatchObject({ path: 'args.flag' })
  })

  it('bounds nesting, by its limit', () => {
    const tree = (depth: number) =>
      `${'00000001'.repeat(2 * depth)}000000010000000000000000${'00000000'.repeat(depth)}`
    expect(decoded(treeXdr, tree(100))).not.toBeInstanceOf(Error)
    expect(decoded(treeXdr, tree(101))).toMatchObject({ fault: 'xdr-depth' })
    expect(decoded(treeXdr, tree(3), { maxDepth: 2 })).toMatchObject({ path: 'args.left.left.left' })
  })

  it('does not nest a list, and bounds the elements of a message', () => {
    const list = `${'0000000100000007'.repeat(5_000)}00000000`
    expect(decoded(xdrList(xdrInt), list)).toHaveLength(5_000)
    expect(decoded(xdrList(xdrInt), list, { maxElements: 4_999 })).toMatchObject({ fault: 'xdr-elements' })
    const array = `00000003${'00000000'.repeat(3)}`
    expect(decoded(xdrArray(xdrInt), array, { maxElements: 2 })).toMatchObject({ fault: 'xdr-elements' })
  })
})

describe('rpc/xdr/decoder: views', () => {
  const data = patterned(65_536)
  const message = (padding = 0) => {
    const bytes = new Uint8Array(4 + data.length + 4)
    new DataView(bytes.buffer).setUint32(0, data.length - 1)
    bytes.set(data, 4)
    bytes[4 + data.length - 1] = padding
    return chainOf(arena, bytes, [5, 9_000, 9_000, 30_000])
  }
  const viewAndInt: XdrCodec<XdrOpaque> = {
    encode() {},
    decode(xdr) {
      const view = xdr.opaqueView('data')
      xdr.int('rest')
      return view
    },
  }

  it('hands out 64 KiB where they lie; they live on when the message is freed', () => {
    const decoder = new XdrDecoder()
    const before = { ...arena.copies.edge }
    const mp = message()
    const view = decodeMessage(decoder, viewAndInt, mp)
    freemsg(mp)
    expect(arena.copies.edge).toEqual(before)
    expect(decoder.madeViews).toEqual([view])
    expect(Buffer.compare(Buffer.concat([...view.chunks()]), data.subarray(0, -1))).toBe(0)
    expect(Buffer.compare(view.toBytes(), data.subarray(0, -1))).toBe(0)
    expect(arena.copies.edge.bytes - before.bytes).toBe(65_535)
    view.free()
    view.free()
    expect(() => view.toBytes()).toThrow('the view was freed')
    expect(view.isFreed).toBe(true)
  })

  it('frees the views it made when what follows is wrong', () => {
    const mp = message(1)
    expect(() => decodeMessage(new XdrDecoder(), viewAndInt, mp)).toThrow('padding that is not zero')
    freemsg(mp)
    expect(arena.state().viewsInUse).toBe(0)
  })

  it('encodes a view into the next message without a copy, while its owner keeps it', () => {
    const mp = message()
    const view = decodeMessage(new XdrDecoder(), viewAndInt, mp)
    freemsg(mp)
    const before = arena.copies.edge.bytes
    const encoder = new XdrEncoder(arena)
    encoder.start()
    encoder.putOpaque('data', view)
    const out = encoder.finish()
    // Only what is shorter than a block of its own is worth is copied: one byte in front.
    expect(arena.copies.edge.bytes - before).toBe(1)
    const again = view.dup()
    view.free()
    expect(Buffer.compare(flat(out).subarray(4, -1), data.subarray(0, -1))).toBe(0)
    freemsg(out)
    expect(Buffer.compare(again.toBytes(), data.subarray(0, -1))).toBe(0)
    const taken = again.takeMessage(arena)!
    expect(again.isFreed).toBe(true)
    expect(Buffer.compare(flat(taken), data.subarray(0, -1))).toBe(0)
    freemsg(taken)
  })

  it('a view is plain data, without the offload fields of the packet that it came in', () => {
    const mp = message()
    mp.offload = 0x12
    mp.gsoSize = 1_448
    const view = decodeMessage(new XdrDecoder(), viewAndInt, mp)
    freemsg(mp)
    for (let bp: BorrowedMblk | null = view.message; bp !== null; bp = bp.cont) {
      expect([bp.offload, bp.gsoSize, bp.type]).toEqual([0, 0, 0])
    }
    view.free()
  })

  it('copies what is too short to hold a block for', () => {
    const mp = chainOf(arena, hex('00000003 61626300'))
    const view = decodeMessage(new XdrDecoder(), xdrOpaqueView(3), mp)
    freemsg(mp)
    expect(view.toBytes()).toEqual(hex('616263'))
    view.free()
    expect(() => XdrOpaque.of(new Uint8Array(4)).copyTo(new Uint8Array(3), 0)).toThrow('do not fit')
  })
})
