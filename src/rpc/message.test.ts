import { afterEach, describe, expect, it } from 'vitest'
import { freemsg } from '../streams/mblk/alloc.ts'
import { Arena } from '../streams/mblk/arena.ts'
import { blockCount, messageBytes } from '../streams/mblk/message.ts'
import { chainOf, flat } from '../streams/testing/messages.ts'
import { AUTH_SHORT, AUTH_SYS, NO_AUTH, readSysAuth, shortAuth, sysAuth } from './auth.ts'
import {
  CALL_HEADER_BYTES,
  CallHeader,
  REPLY_HEADER_BYTES,
  ReplyHeader,
  readCall,
  readReply,
  writeAccepted,
  writeAuthError,
  writeCall,
  writeProgramMismatch,
  writeRpcMismatch,
} from './message.ts'
import { acceptName, authName } from './status.ts'
import { XdrDecoder, XdrEncoder } from './xdr/index.ts'
import { hex, toHex } from './xdr/testing/values.ts'

const arena = new Arena({ sizeBytes: 4 * 1024 * 1024, poison: true })
const encoder = new XdrEncoder(arena)
const decoder = new XdrDecoder()

afterEach(() => arena.assertWhole())

function written(write: () => void): string {
  encoder.start()
  write()
  const mp = encoder.finish()
  const bytes = flat(mp)
  freemsg(mp)
  return toHex(bytes)
}

/** Reads a header from one block and from blocks of five bytes, which have to say the same; what is left goes with it. */
function read<H>(digits: string, header: () => H, reader: (xdr: XdrDecoder, into: H) => string | null) {
  const bytes = hex(digits)
  const fives = Array.from({ length: Math.floor(bytes.length / 5) }, (_, at) => at * 5)
  const [whole, divided] = [[], fives].map(places => {
    const mp = chainOf(arena, bytes, places)
    const into = header()
    decoder.start(mp)
    const fault = reader(decoder, into)
    const left = decoder.left
    decoder.abort()
    freemsg(mp)
    return { fault, left, ...into }
  })
  expect(divided).toEqual(whole)
  return whole!
}

const readCallOf = (digits: string) => read(digits, () => new CallHeader(), readCall)
const readReplyOf = (digits: string) => read(digits, () => new ReplyHeader(), readReply)

const words = (...numbers: number[]) =>
  numbers.map(number => (number >>> 0).toString(16).padStart(8, '0')).join('')

/** Program 100000 version 2 procedure 3, xid 0xfedcba98. */
const NULL_CALL = words(0xfedcba98, 0, 2, 100_000, 2, 3, 0, 0, 0, 0)
const SYS = { stamp: 1, machineName: 'abc', uid: 1_000, gid: 0xffff_fffe, gids: [4, 24] }
const SYS_BODY = `${words(1, 3)}61626300${words(1_000, 0xffff_fffe, 2, 4, 24)}`

describe('rpc/message: RFC 5531 §9, calls', () => {
  it('a call without credentials is ten words in one block, and read back', () => {
    expect(NULL_CALL).toHaveLength(2 * CALL_HEADER_BYTES)
    expect(written(() => writeCall(encoder, 0xfedcba98, 100_000, 2, 3))).toBe(NULL_CALL)
    const call = readCallOf(`${NULL_CALL}00000007`)
    expect(call).toEqual({
      fault: null,
      left: 4,
      xid: 0xfedcba98 | 0,
      hasXid: true,
      program: 100_000,
      version: 2,
      procedure: 3,
      credentials: NO_AUTH,
      verifier: NO_AUTH,
    })
    encoder.start()
    writeCall(encoder, 1, 2, 3, 4)
    const mp = encoder.finish()
    expect([blockCount(mp), messageBytes(mp)]).toEqual([1, CALL_HEADER_BYTES])
    freemsg(mp)
  })

  it('§8: credentials and verifier of any flavor go and come as they are', () => {
    const short = shortAuth(Uint8Array.of(1, 2, 3, 4, 5))
    const digits = written(() => writeCall(encoder, 7, 1, 1, 0, sysAuth(SYS), short))
    expect(digits).toBe(
      `${words(7, 0, 2, 1, 1, 0, AUTH_SYS, 32)}${SYS_BODY}${words(AUTH_SHORT, 5)}0102030405000000`,
    )
    const call = readCallOf(digits)
    expect(call).toMatchObject({ fault: null, left: 0, verifier: short })
    expect(readSysAuth((call as unknown as CallHeader).credentials.body)).toEqual(SYS)
    expect(readCallOf(words(7, 0, 2, 1, 1, 0, 99, 0, 0, 0))).toMatchObject({
      fault: null,
      credentials: { flavor: 99 },
    })
  })

  it('§8.2: 400 bytes of credentials are the most, both ways', () => {
    const body = new Uint8Array(400).fill(9)
    const digits = written(() => writeCall(encoder, 7, 1, 1, 0, { flavor: 77, body }))
    expect(readCallOf(digits)).toMatchObject({ fault: null, credentials: { flavor: 77, body } })
    encoder.start()
    expect(() => writeCall(encoder, 7, 1, 1, 0, { flavor: 77, body: new Uint8Array(401) })).toThrow(
      'auth: a length of 401, at most 400',
    )
    const long = `${words(7, 0, 2, 1, 1, 0, 77, 404)}${'00'.repeat(404)}${words(0, 0)}`
    expect(readCallOf(long)).toMatchObject({ fault: 'call-credentials', xid: 7 })
  })

  it.each([
    ['call-truncated', '', null],
    ['call-truncated', '000000', null],
    ['call-truncated', words(7), 7],
    ['call-truncated', words(7, 0), 7],
    ['call-truncated', words(7, 0, 2, 1, 1), 7],
    ['call-not-a-call', words(7, 1, 0, 0, 0, 0), 7],
    ['call-not-a-call', words(7, 2, 2, 1, 1, 0, 0, 0, 0, 0), 7],
    ['call-rpc-version', words(7, 0, 3), 7],
    ['call-credentials', words(7, 0, 2, 1, 1, 0, 0), 7],
    ['call-credentials', words(7, 0, 2, 1, 1, 0, 1, 0xffff_fffc, 0, 0), 7],
    ['call-credentials', words(7, 0, 2, 1, 1, 0, 1, 4), 7],
    ['call-credentials', words(7, 0, 2, 1, 1, 0, 1, 3, 0x010203ff, 0, 0), 7],
    ['call-verifier', words(7, 0, 2, 1, 1, 0, 0, 0), 7],
    ['call-verifier', words(7, 0, 2, 1, 1, 0, 0, 0, 0, 401), 7],
  ])('%s: %s', (fault, digits, xid) => {
    expect(readCallOf(digits)).toMatchObject({ fault, hasXid: xid !== null, xid: xid ?? 0 })
  })
})

describe('rpc/message: RFC 5531 §9, replies', () => {
  it.each<[string, () => void, string, object]>([
    ['SUCCESS', () => writeAccepted(encoder, 7, 0), words(7, 1, 0, 0, 0, 0), { isSuccess: true }],
    ['PROG_UNAVAIL', () => writeAccepted(encoder, 7, 1), words(7, 1, 0, 0, 0, 1), { status: 1 }],
    [
      'PROG_MISMATCH',
      () => writeProgramMismatch(encoder, 7, 2, 4),
      words(7, 1, 0, 0, 0, 2, 2, 4),
      { status: 2, low: 2, high: 4 },
    ],
    ['PROC_UNAVAIL', () => writeAccepted(encoder, 7, 3), words(7, 1, 0, 0, 0, 3), { status: 3 }],
    ['GARBAGE_ARGS', () => writeAccepted(encoder, 7, 4), words(7, 1, 0, 0, 0, 4), { status: 4 }],
    ['SYSTEM_ERR', () => writeAccepted(encoder, 7, 5), words(7, 1, 0, 0, 0, 5), { status: 5 }],
    [
      'a verifier',
      () => writeAccepted(encoder, 7, 0, shortAuth(Uint8Array.of(9))),
      `${words(7, 1, 0, 2, 1)}09000000${words(0)}`,
      { verifier: { flavor: 2, body: Uint8Array.of(9) } },
    ],
    [
      'RPC_MISMATCH',
      () => writeRpcMismatch(encoder, 7),
      words(7, 1, 1, 0, 2, 2),
      { reply: 1, status: 0, low: 2, high: 2 },
    ],
    ...Array.from(
      { length: 14 },
      (_, at) =>
        [
          authName(at + 1),
          () => writeAuthError(encoder, 7, at + 1),
          words(7, 1, 1, 1, at + 1),
          { reply: 1, status: 1, authStatus: at + 1 },
        ] as [string, () => void, string, object],
    ),
  ])('%s', (_, write, digits, fields) => {
    expect(written(write)).toBe(digits)
    const header = new ReplyHeader()
    const mp = chainOf(arena, hex(digits))
    decoder.start(mp)
    expect([readReply(decoder, header), decoder.left]).toEqual([null, 0])
    freemsg(mp)
    expect(header).toMatchObject({ xid: 7, ...fields })
    expect(header.isSuccess).toBe(digits.endsWith(words(0)))
  })

  it('a header is filled anew each time', () => {
    const header = new ReplyHeader()
    for (const digits of [`${words(7, 1, 0, 2, 4, 1, 0)}`, words(8, 1, 1, 1, 5)]) {
      const mp = chainOf(arena, hex(digits))
      decoder.start(mp)
      readReply(decoder, header)
      freemsg(mp)
    }
    expect(header).toMatchObject({ xid: 8, reply: 1, verifier: NO_AUTH, authStatus: 5 })
    expect(words(7, 1, 0, 0, 0, 0)).toHaveLength(2 * REPLY_HEADER_BYTES)
  })

  it.each([
    ['reply-truncated', '', null],
    ['reply-truncated', words(7), 7],
    ['reply-truncated', words(7, 1), 7],
    ['reply-truncated', words(7, 1, 0, 0, 0), 7],
    ['reply-truncated', words(7, 1, 0, 0, 0, 2, 1), 7],
    ['reply-truncated', words(7, 1, 1, 0, 2), 7],
    ['reply-truncated', words(7, 1, 1, 1), 7],
    ['reply-not-a-reply', words(7, 0, 2), 7],
    ['reply-verifier', words(7, 1, 0, 0), 7],
    ['reply-verifier', words(7, 1, 0, 0, 404), 7],
    ['reply-status', words(7, 1, 2, 0, 0, 0), 7],
    ['reply-status', words(7, 1, 0, 0, 0, 6), 7],
    ['reply-status', words(7, 1, 0, 0, 0, -1), 7],
    ['reply-status', words(7, 1, 1, 2, 0, 0), 7],
    ['reply-status', words(7, 1, 1, 1, 15), 7],
  ])('%s: %s', (fault, digits, xid) => {
    expect(readReplyOf(digits)).toMatchObject({ fault, hasXid: xid !== null, xid: xid ?? 0 })
  })

  it('names statuses as the RFC does, and says the number of others', () => {
    expect([acceptName(4), acceptName(6), authName(5), authName(-1)]).toEqual([
      'GARBAGE_ARGS',
      'accept_stat 6',
      'AUTH_TOOWEAK',
      'auth_stat -1',
    ])
  })
})

describe('rpc/auth: RFC 5531 appendix A, AUTH_SYS', () => {
  it('is written and read as there, with the most and the least it may have', () => {
    expect(toHex(sysAuth(SYS).body)).toBe(SYS_BODY)
    const largest = { ...SYS, machineName: 'é'.repeat(127), gids: Array.from({ length: 16 }, (_, at) => at) }
    expect(sysAuth(largest).body.length).toBeLessThanOrEqual(400)
    expect(readSysAuth(sysAuth(largest).body)).toEqual(largest)
    const least = { stamp: 0, machineName: '', uid: 0, gid: 0, gids: [] }
    expect(readSysAuth(sysAuth(least).body)).toEqual(least)
  })

  it('takes a name in Latin-1', () => {
    expect(readSysAuth(hex(`${words(0, 1)}e9000000${words(0, 0, 0)}`))).toMatchObject({ machineName: 'é' })
  })

  it.each([
    ['a name of 256 bytes', { machineName: 'a'.repeat(256) }],
    ['half a character', { machineName: '\ud800' }],
    ['17 groups', { gids: new Array(17).fill(1) }],
    ['a negative user', { uid: -1 }],
    ['a group that is no number', { gids: [Number.NaN] }],
  ])('refuses %s', (_, wrong) => {
    expect(() => sysAuth({ ...SYS, ...wrong })).toThrow('AUTH_SYS takes')
  })

  it('refuses a body that is anything else', () => {
    const good = hex(SYS_BODY)
    for (let length = 0; length < good.length; length++)
      expect(readSysAuth(good.subarray(0, length))).toBe(null)
    expect(readSysAuth(hex(`${SYS_BODY}00000000`))).toBe(null)
    expect(readSysAuth(hex(`${words(0, 256, 0, 0, 0)}${'00'.repeat(300)}`))).toBe(null)
    expect(readSysAuth(hex(`${words(0, 0xffff_fffd, 0, 0, 0)}`))).toBe(null)
    expect(readSysAuth(hex(`${words(0, 0, 0, 0, 17)}${'00'.repeat(68)}`))).toBe(null)
    expect(() => shortAuth(new Uint8Array(401))).toThrow('at most 400 bytes')
  })
})
