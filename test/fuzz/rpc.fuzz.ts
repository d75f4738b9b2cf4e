import { assert } from '../../src/base/assert.ts'
import type { Random } from '../../src/base/prng.ts'
import { shortAuth, sysAuth } from '../../src/rpc/auth.ts'
import {
  CallHeader,
  ReplyHeader,
  readCall,
  readReply,
  writeAccepted,
  writeAuthError,
  writeCall,
  writeProgramMismatch,
  writeRpcMismatch,
} from '../../src/rpc/message.ts'
import { RecordSplitter } from '../../src/rpc/record-mark.ts'
import { MSG_ACCEPTED, PROG_MISMATCH, RPC_MISMATCH } from '../../src/rpc/status.ts'
import {
  decodeMessage,
  encodeMessage,
  XdrDecoder,
  XdrEncoder,
  XdrError,
  XdrOpaque,
} from '../../src/rpc/xdr/index.ts'
import { Color, type Everything, everythingXdr } from '../../src/rpc/xdr/testing/example.ts'
import { freemsg } from '../../src/streams/mblk/alloc.ts'
import { Arena } from '../../src/streams/mblk/arena.ts'
import type { Mblk } from '../../src/streams/mblk/mblk.ts'
import { chainOf, flat } from '../../src/streams/testing/messages.ts'
import type { FuzzTarget } from './target.ts'

const arena = new Arena({ sizeBytes: 4 * 1024 * 1024 })
const encoder = new XdrEncoder(arena)
const LIMITS = { maxDepth: 12, maxElements: 1_000 }
const decoder = new XdrDecoder(LIMITS)

function checkWhole(): void {
  const { blocksInUse, viewsInUse, foreignInUse } = arena.state()
  assert(blocksInUse + viewsInUse + foreignInUse === 0, 'something was not freed')
}

function same(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, at) => byte === b[at])
}

/** The bytes in blocks divided at a few places. */
function divided(bytes: Uint8Array, random: Random): Mblk {
  const places = Array.from({ length: random.below(8) }, () => random.below(bytes.length + 1))
  return chainOf(
    arena,
    bytes,
    places.sort((a, b) => a - b),
  )
}

function bytesOf(mp: Mblk): Uint8Array {
  const bytes = flat(mp)
  freemsg(mp)
  return bytes
}

// ---- values

const EVERYTHING: Everything = {
  a: -1,
  b: 2 ** 31,
  c: -5n,
  size: 2 ** 40,
  f: 1.5,
  d: -0.1,
  flag: true,
  paint: Color.RED,
  title: 'aé€😀',
  where: new Uint8Array(32),
  cookie: Uint8Array.of(1, 2, 3),
  data: XdrOpaque.of(new Uint8Array(1_100)),
  triple: [1, 2, 3],
  tags: ['a', 'bcdef'],
  root: { value: 1, left: { value: 2, left: null, right: null }, right: null },
  entries: [{ item: 'x' }, { item: 'yz' }],
  outcome: { paint: Color.RED, why: 'because' },
}

const SMALL: Everything = {
  ...EVERYTHING,
  data: XdrOpaque.of(Uint8Array.of(7)),
  root: null,
  entries: [],
  outcome: { paint: Color.BLUE },
}

function decode(mp: Mblk): Everything | XdrError {
  try {
    return decodeMessage(decoder, everythingXdr, mp, 'args')
  } catch (error) {
    if (error instanceof XdrError) return error
    throw error
  } finally {
    freemsg(mp)
  }
}

/** What is decoded is encoded as the same bytes: there is only one way to say anything, but for what is no number. */
function checkSame(value: Everything, input: Uint8Array): void {
  const again = bytesOf(encodeMessage(encoder, everythingXdr, value))
  const hasNan = Number.isNaN(value.f) || Number.isNaN(value.d)
  assert(hasNan ? again.length === input.length : same(again, input), 'encoded otherwise than it came')
}

const xdrTarget: FuzzTarget = {
  name: 'xdr-decode',
  seeds: [EVERYTHING, SMALL].map(value => bytesOf(encodeMessage(encoder, everythingXdr, value))),
  run(input, random) {
    const got = decode(divided(input, random))
    const whole = decode(chainOf(arena, input))
    if (got instanceof XdrError) {
      assert(whole instanceof XdrError && whole.message === got.message, 'the division changes the fault')
      assert(got.code === 'ERR_PROTOCOL' && got.path.startsWith('args'), `odd fault: ${got.message}`)
      checkWhole()
      return `${got.fault} ${got.path.replace(/\d+/g, '')}`
    }
    assert(!(whole instanceof XdrError), 'the division makes it good')
    checkSame(got, input)
    got.data.free()
    whole.data.free()
    checkWhole()
    return `${got.tags.length} ${got.entries.length} ${got.root === null}`
  },
}

// ---- headers

function header(write: () => void): Uint8Array {
  encoder.start()
  write()
  return bytesOf(encoder.finish())
}

const SYS = sysAuth({ stamp: 1, machineName: 'host', uid: 1, gid: 2, gids: [3] })

function rewriteReply(reply: ReplyHeader): void {
  const { xid, status } = reply
  if (reply.reply !== MSG_ACCEPTED) {
    if (status === RPC_MISMATCH) writeRpcMismatch(encoder, xid)
    else writeAuthError(encoder, xid, reply.authStatus)
  } else if (status === PROG_MISMATCH) {
    writeProgramMismatch(encoder, xid, reply.low, reply.high, reply.verifier)
  } else {
    writeAccepted(encoder, xid, status, reply.verifier)
  }
}

/** What was read is written as what was read. */
function runHeader(mp: Mblk, input: Uint8Array): string {
  const call = new CallHeader()
  const reply = new ReplyHeader()
  decoder.start(mp)
  const callFault = readCall(decoder, call)
  let left = decoder.left
  decoder.start(mp)
  const replyFault = readReply(decoder, reply)
  if (replyFault === null) left = decoder.left
  decoder.abort()
  freemsg(mp)
  assert(callFault !== null || replyFault !== null, 'both a call and a reply')
  const read = input.subarray(0, input.length - left)
  if (callFault === null) {
    const { xid, program, version, procedure, credentials, verifier } = call
    const again = header(() => writeCall(encoder, xid, program, version, procedure, credentials, verifier))
    assert(same(again, read), 'a call is written otherwise than it was read')
  }
  const own = reply.reply !== MSG_ACCEPTED && reply.status === RPC_MISMATCH
  if (replyFault === null && !own) {
    assert(
      same(
        header(() => rewriteReply(reply)),
        read,
      ),
      'a reply is written otherwise than it was read',
    )
  }
  return `${callFault} ${replyFault} ${reply.reply} ${reply.status}`
}

const messageTarget: FuzzTarget = {
  name: 'rpc-message',
  seeds: [
    header(() => writeCall(encoder, 7, 100_000, 2, 3)),
    header(() => writeCall(encoder, 7, 100_003, 3, 1, SYS, shortAuth(Uint8Array.of(1)))),
    header(() => writeAccepted(encoder, 7, 0, SYS)),
    header(() => writeProgramMismatch(encoder, 7, 2, 3)),
    header(() => writeRpcMismatch(encoder, 7)),
    header(() => writeAuthError(encoder, 7, 5)),
  ],
  run(input, random) {
    const outcome = runHeader(divided(input, random), input)
    checkWhole()
    return outcome
  },
}

// ---- records

const RECORD_LIMITS = { maxRecordBytes: 2_000, maxFragments: 5 }

/** The same, on flat bytes: records, and why it ends. */
function expected(input: Uint8Array): { records: number[][]; fault: string | null } {
  const records: number[][] = []
  let record: number[] = []
  let fragments = 0
  for (let at = 0; at + 4 <= input.length; ) {
    const length =
      ((input[at]! & 0x7f) << 24) | (input[at + 1]! << 16) | (input[at + 2]! << 8) | input[at + 3]!
    const last = input[at]! >= 0x80
    at += 4
    if (++fragments > RECORD_LIMITS.maxFragments) return { records, fault: 'record-fragments' }
    if (record.length + length > RECORD_LIMITS.maxRecordBytes) return { records, fault: 'record-long' }
    if (length === 0 && (!last || record.length === 0)) return { records, fault: 'record-empty' }
    if (at + length > input.length) break
    record.push(...input.subarray(at, at + length))
    at += length
    if (!last) continue
    records.push(record)
    record = []
    fragments = 0
  }
  return { records, fault: null }
}

const recordTarget: FuzzTarget = {
  name: 'record-mark',
  seeds: [
    Uint8Array.of(0x80, 0, 0, 2, 1, 2, 0, 0, 0, 1, 3, 0x80, 0, 0, 1, 4),
    Uint8Array.of(0, 0, 0, 3, 1, 2, 3, 0x80, 0, 0, 0, 0x80, 0, 0, 1, 9),
    Uint8Array.of(0x80, 0, 4, 0, ...new Uint8Array(1_024), 0x80, 0, 0, 1, 9),
  ],
  run(input, random) {
    const splitter = new RecordSplitter(RECORD_LIMITS)
    const records: Uint8Array[] = []
    for (let at = 0; at < input.length; ) {
      const part = Math.min(input.length - at, 1 + random.below(random.below(2) === 0 ? 6 : 600))
      splitter.push(divided(input.subarray(at, at + part), random))
      at += part
      for (let mp = splitter.next(); mp !== null; mp = splitter.next()) records.push(bytesOf(mp))
    }
    const want = expected(input)
    assert(splitter.fault === want.fault, `fault ${splitter.fault}, not ${want.fault}`)
    assert(records.length === want.records.length, `${records.length} records, not ${want.records.length}`)
    assert(
      records.every((record, at) => same(record, Uint8Array.from(want.records[at]!))),
      'a record was changed',
    )
    splitter.close()
    checkWhole()
    return `${splitter.fault} ${Math.min(3, records.length)} ${Math.min(5, splitter.fragments)}`
  },
}

export const targets: readonly FuzzTarget[] = [xdrTarget, messageTarget, recordTarget]
