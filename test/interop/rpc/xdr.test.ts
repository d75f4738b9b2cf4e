/** XDR, headers and records, with what rpcgen and libtirpc make of the same. */
import fc from 'fast-check'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { titled } from '../../../src/host/testing/requirements.ts'
import { type SysCredentials, shortAuth, sysAuth } from '../../../src/rpc/auth.ts'
import {
  writeAccepted,
  writeAuthError,
  writeCall,
  writeProgramMismatch,
  writeRpcMismatch,
} from '../../../src/rpc/message.ts'
import { markFragments, RecordSplitter } from '../../../src/rpc/record-mark.ts'
import {
  decodeMessage,
  encodeMessage,
  XdrDecoder,
  XdrEncoder,
  XdrOpaque,
} from '../../../src/rpc/xdr/index.ts'
import { Color, type Everything, everythingXdr } from '../../../src/rpc/xdr/testing/example.ts'
import { anything, patterned, toHex, withOpaque } from '../../../src/rpc/xdr/testing/values.ts'
import { freemsg } from '../../../src/streams/mblk/alloc.ts'
import { Arena } from '../../../src/streams/mblk/arena.ts'
import type { Mblk } from '../../../src/streams/mblk/mblk.ts'
import { chainOf, flat } from '../../../src/streams/testing/messages.ts'
import { framed, lackingXdrPeer, unframed, XdrPeer } from './xdr-peer.ts'

const arena = new Arena({ sizeBytes: 16 * 1024 * 1024, poison: true })
const encoder = new XdrEncoder(arena)
const decoder = new XdrDecoder()

afterEach(() => arena.assertWhole())

function bytesOf(mp: Mblk): Uint8Array {
  const bytes = flat(mp)
  freemsg(mp)
  return bytes
}

const encoded = (value: Everything): Uint8Array => bytesOf(encodeMessage(encoder, everythingXdr, value))

function decoded(bytes: Uint8Array): Everything {
  const mp = chainOf(arena, bytes)
  try {
    return decodeMessage(decoder, everythingXdr, mp)
  } finally {
    freemsg(mp)
  }
}

/** What xdr-peer.c calls `fixed`. */
const FIXED: Everything = {
  a: -(2 ** 31),
  b: 2 ** 32 - 1,
  c: -(2n ** 63n),
  size: Number.MAX_SAFE_INTEGER,
  f: -0.5,
  d: Math.PI,
  flag: true,
  paint: Color.BLUE,
  title: 'grüß',
  where: Uint8Array.from({ length: 32 }, (_, at) => at * 8),
  cookie: new Uint8Array(0),
  data: XdrOpaque.of(Uint8Array.of(1, 2, 3, 4, 5)),
  triple: [-1, 0, 1],
  tags: ['', 'a', 'abcd'],
  root: { value: 7, left: null, right: { value: -7, left: null, right: null } },
  entries: [{ item: 'first' }, { item: 'second' }],
  outcome: { paint: Color.RED, why: 'why not' },
}

const SYS: SysCredentials = {
  stamp: 5,
  machineName: 'host.example',
  uid: 1_000,
  gid: 100,
  gids: [4, 24, 2 ** 32 - 2],
}

function header(write: () => void): Uint8Array {
  encoder.start()
  write()
  return bytesOf(encoder.finish())
}

/** No block has room for the largest record. */
const halves = (record: Uint8Array): number[] => [record.length >> 1]

const reason = lackingXdrPeer()

describe.skipIf(reason !== '')(titled('XDR with libtirpc', reason), () => {
  let peer: XdrPeer
  beforeAll(() => {
    peer = new XdrPeer()
  })
  afterAll(() => peer?.close())

  it('a value written down twice, in C and here, is the same bytes', () => {
    const [theirs] = peer.exchange([], 'fixed')
    expect(toHex(encoded(FIXED))).toBe(toHex(theirs!))
    const value = decoded(theirs!)
    expect({ ...value, data: value.data.toBytes() }).toEqual({ ...FIXED, data: FIXED.data.toBytes() })
  })

  it('C decodes any value of ours, and encodes the same bytes', () => {
    // A string of C ends with its first zero.
    const withoutZeros = (text: string) => text.replaceAll('\0', '0')
    const values = fc.sample(anything, { numRuns: 400, seed: 4506 }).map(plain => ({
      ...plain,
      title: withoutZeros(plain.title),
      tags: plain.tags.map(withoutZeros),
      entries: plain.entries.map(({ item }) => ({ item: withoutZeros(item) })),
      outcome:
        plain.outcome.paint === Color.RED
          ? { paint: Color.RED, why: withoutZeros(plain.outcome.why) }
          : plain.outcome,
    }))
    const ours = values.map(value => encoded(withOpaque(value)))
    const theirs = peer.exchange(ours, 'everything')
    expect(theirs.map(bytes => bytes && toHex(bytes))).toEqual(ours.map(toHex))
  })

  it('what C refuses, a message that is cut off anywhere, is refused here', () => {
    const whole = encoded(FIXED)
    const parts = Array.from({ length: whole.length / 4 }, (_, at) => whole.subarray(0, at * 4))
    expect(peer.exchange(parts, 'everything').every(answer => answer === null)).toBe(true)
    for (const part of parts) expect(() => decoded(part)).toThrow()
  })

  it('RFC 5531 §9: C reads calls and replies of ours, and writes the same', () => {
    const calls = [
      header(() => writeCall(encoder, 0xfedcba98, 100_000, 2, 0)),
      header(() => writeCall(encoder, 1, 100_003, 3, 1, sysAuth(SYS), shortAuth(Uint8Array.of(1, 2, 3)))),
      header(() => writeCall(encoder, 1, 1, 1, 1, { flavor: 77, body: patterned(400) })),
    ]
    expect(peer.exchange(calls, 'call').map(bytes => bytes && toHex(bytes))).toEqual(calls.map(toHex))
    const replies = [
      ...[0, 1, 3, 4, 5].map(status => header(() => writeAccepted(encoder, 7, status))),
      header(() => writeAccepted(encoder, 7, 0, shortAuth(patterned(399)))),
      header(() => writeProgramMismatch(encoder, 7, 2, 4)),
      header(() => writeRpcMismatch(encoder, 7)),
      ...[1, 2, 3, 4, 5, 6, 7].map(status => header(() => writeAuthError(encoder, 7, status))),
    ]
    expect(peer.exchange(replies, 'reply').map(bytes => bytes && toHex(bytes))).toEqual(replies.map(toHex))
  })

  it('RFC 5531 appendix A: C reads the credentials of a user, and writes the same', () => {
    const least = { stamp: 0, machineName: '', uid: 0, gid: 0, gids: [] }
    const most = { ...SYS, machineName: 'h'.repeat(255), gids: Array.from({ length: 16 }, (_, at) => at) }
    const bodies = [SYS, least, most].map(one => sysAuth(one).body)
    expect(peer.exchange(bodies, 'credentials').map(bytes => bytes && toHex(bytes))).toEqual(
      bodies.map(toHex),
    )
  })

  const RECORDS = [4, 96, 100, 104, 1_000, 4_096, 70_000].map(patterned)

  it.each([100, 4_000, 65_536])('RFC 5531 §11: records of C in fragments of %d bytes', size => {
    const bytes = peer.run(framed(RECORDS), 'records', String(size))
    const splitter = new RecordSplitter()
    const got: string[] = []
    for (let at = 0; at < bytes.length; at += 1_448) {
      splitter.push(chainOf(arena, bytes.subarray(at, at + 1_448)))
      for (let mp = splitter.next(); mp !== null; mp = splitter.next()) got.push(toHex(bytesOf(mp)))
    }
    expect(splitter.fault).toBe(null)
    expect(got).toEqual(RECORDS.map(toHex))
    if (size < 65_536) expect(splitter.fragments).toBeGreaterThan(20)
  })

  it.each([100, 4_000, 65_536])('RFC 5531 §11: C reads records in fragments of %d bytes', size => {
    const stream = RECORDS.map(record =>
      bytesOf(markFragments(chainOf(arena, record, halves(record), 128), size)!),
    )
    const got = unframed(peer.run(Buffer.concat(stream), 'unrecords', '4000'))
    expect(got.map(record => record && toHex(record))).toEqual(RECORDS.map(toHex))
  })
})
