import { describe, expect, it } from 'vitest'
import { type ClientHost, ClientSession } from './client-session.ts'
import type { TestParameters } from './parameters.ts'
import { readParameters, wireParameters } from './parameters.ts'
import {
  ACCESS_DENIED,
  COOKIE_BYTES,
  CREATE_STREAMS,
  jsonBytes,
  makeCookie,
  PARAM_EXCHANGE,
  SERVER_TERMINATE,
  serverErrorBytes,
  streamNumber,
} from './protocol.ts'
import type { SideResults } from './results.ts'
import { ServerSession, type SessionOutcome } from './server-session.ts'
import {
  BOTH_RECORDED,
  BYTES_RECORDED,
  FORWARD_RECORDED,
  INTERRUPTED_RECORDED,
  REVERSE_RECORDED,
  type Step,
} from './testing/recordings.ts'

const latin1 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1')
const bytesOf = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'latin1'))

const OWN: SideResults = {
  cpu: { total: 12.5, user: 2.5, system: 10 },
  tellsRetransmits: true,
  congestion: 'cubic',
  streams: [{ number: 1, bytes: 1_000, retransmits: 2, seconds: 1, jitter: 0, errors: 0, packets: 0 }],
}

class Host implements ClientHost {
  sent = ''
  begun: TestParameters | null = null
  opened = 0
  measured = 0
  outcome: SessionOutcome | null = null
  results: SideResults = OWN

  send(bytes: Uint8Array): void {
    this.sent += latin1(bytes)
  }

  begin(parameters: TestParameters): void {
    this.begun = parameters
  }

  openStreams(): void {
    this.opened++
  }

  measure(): SideResults {
    this.measured++
    return this.results
  }

  over(outcome: SessionOutcome): void {
    expect(this.outcome).toBeNull()
    this.outcome = outcome
  }
}

/** What one side said in a recording, states and documents in one text. */
function said(steps: readonly Step[], who: Step[0]): string {
  return steps
    .filter(([from]) => from === who)
    .map(([, text]) => text)
    .join('')
}

/** Results differ from test to test: each document, with its length in front, becomes `{}`. */
function statesOf(text: string): string {
  const at = text.indexOf('{"cpu')
  if (at < 0) return text
  const end = text.indexOf(']}', at) + 2
  return statesOf(`${text.slice(0, at - 4)}{}${text.slice(end)}`)
}

/** Plays the server against a recorded client, its bytes cut into pieces of `cut`. */
function serveRecorded(
  steps: readonly Step[],
  cut: number,
): { host: Host; session: ServerSession; roles: boolean[] } {
  const host = new Host()
  const cookie = bytesOf(steps[0]![1])
  const session = new ServerSession(host, cookie)
  const roles: boolean[] = []
  session.begin()
  for (const [from, text] of steps.slice(1)) {
    if (from === 'client')
      for (let at = 0; at < text.length; at += cut) session.controlIn(bytesOf(text.slice(at, at + cut)))
    else if (from === 'stream') {
      const plan = session.join(bytesOf(text))
      expect(plan?.number).toBe(streamNumber(roles.length))
      roles.push(plan!.sending)
      session.joined()
    }
  }
  return { host, session, roles }
}

const RECORDINGS = [
  ['forward', FORWARD_RECORDED, [false]],
  ['reverse, two streams', REVERSE_RECORDED, [true, true]],
  ['both directions, two streams each', BOTH_RECORDED, [false, false, true, true]],
  ['a number of bytes', BYTES_RECORDED, [false]],
] as const

describe('node/iperf: the server with a recorded client', () => {
  it.each(RECORDINGS)('%s: answers as iperf3 does, however the bytes are cut', (_what, steps, wanted) => {
    for (const cut of [1, 3, 10_000]) {
      const { host, roles } = serveRecorded(steps, cut)
      expect(roles).toEqual(wanted)
      expect(statesOf(host.sent)).toBe(statesOf(said(steps, 'server')))
      expect(host.outcome).toMatchObject({ kind: 'done', own: OWN })
      expect(host.measured).toBe(1)
    }
  })

  it('reads the parameters that are on the wire', () => {
    expect(serveRecorded(BOTH_RECORDED, 10_000).host.begun).toEqual({
      protocol: 'tcp',
      direction: 'both',
      parallel: 2,
      seconds: 1,
      bytes: 0,
      blocks: 0,
      omitSeconds: 1,
      blockBytes: 131_072,
      bitsPerSecond: 0,
      noDelay: false,
      maxSegment: 0,
      windowBytes: 0,
      wideCounters: false,
    })
    expect(serveRecorded(BYTES_RECORDED, 10_000).host.begun).toMatchObject({
      bytes: 1_048_576,
      blockBytes: 16_384,
    })
  })

  it('takes over what the client measured; 2^64 - 1 retransmissions are none that it knows of', () => {
    const { outcome } = serveRecorded(REVERSE_RECORDED, 10_000).host
    expect(outcome).toMatchObject({
      remote: {
        congestion: 'bbr',
        tellsRetransmits: false,
        streams: [{ number: 1, retransmits: -1 }, { number: 3 }],
      },
    })
  })

  it('a client that is interrupted says so', () => {
    const { host } = serveRecorded(INTERRUPTED_RECORDED, 1)
    expect(host.outcome).toEqual({ kind: 'failed', reason: 'the client ended the test' })
  })

  it('connections with another cookie, too early or too many, have no part in it', () => {
    const host = new Host()
    const cookie = bytesOf(FORWARD_RECORDED[0]![1])
    const session = new ServerSession(host, cookie)
    session.begin()
    expect(session.join(cookie)).toBeNull()
    session.controlIn(bytesOf(FORWARD_RECORDED[2]![1]))
    expect(session.join(makeCookie(new Uint8Array(64)))).toBeNull()
    expect(session.join(cookie)).toEqual({ number: 1, sending: false })
    session.joined()
    expect(session.join(cookie)).toBeNull()
    expect(host.begun).not.toBeNull()
  })

  it.each([
    ['a datagram of 70,000 bytes', { udp: true, len: 70_000 }, 'len', 114],
    ['a datagram of 8 bytes', { udp: true, len: 8 }, 'len', 114],
    ['SCTP', { sctp: true }, 'SCTP is not implemented', 13],
    ['129 streams', { tcp: true, parallel: 129 }, 'parallel', 114],
    ['a block of 2 MiB', { tcp: true, len: 2 ** 21 }, 'len', 114],
    ['a negative time', { tcp: true, time: -1 }, 'time', 114],
    ['no object', [1], '', 114],
    ['a string for a number', { tcp: true, num: '1' }, 'num', 114],
  ])('%s is refused with an error of iperf3', (_what, parameters, reason, number) => {
    const host = new Host()
    const session = new ServerSession(host, new Uint8Array(COOKIE_BYTES))
    session.begin()
    session.controlIn(jsonBytes(parameters))
    expect(host.sent).toBe(`\t${latin1(serverErrorBytes(number))}`)
    expect(host.outcome).toMatchObject({ kind: 'failed', reason: expect.stringContaining(reason) as string })
  })

  it.each([
    ['no JSON', '\0\0\0\x03abc'],
    ['a length of 4 GiB', '\xff\xff\xff\xff'],
  ])('%s is refused', (_what, text) => {
    const host = new Host()
    const session = new ServerSession(host, new Uint8Array(COOKIE_BYTES))
    session.begin()
    session.controlIn(bytesOf(text))
    expect(host.outcome?.kind).toBe('failed')
  })

  it('states that have no place, and an end at any time, end the test and nothing else', () => {
    for (let length = 1; length < BOTH_RECORDED.length; length++) {
      for (const last of ['\x02', '\x7f', null]) {
        const { host, session } = serveRecorded(BOTH_RECORDED.slice(0, length), 10_000)
        const before = host.outcome
        if (last === null) session.controlEnded()
        else session.controlIn(bytesOf(last.repeat(6)))
        if (before === null && session.state !== 'results' && session.state !== 'parameters')
          expect(host.outcome).not.toBeNull()
        session.controlEnded()
        expect(host.outcome).not.toBeNull()
      }
    }
  })

  it('UDP: the client goes on when the port is ready, or is told that it cannot be', async () => {
    for (const reason of [null, 'the port is taken']) {
      const host = Object.assign(new Host(), { prepare: async () => reason })
      const session = new ServerSession(host, new Uint8Array(COOKIE_BYTES))
      session.begin()
      session.controlIn(jsonBytes({ udp: true, len: 1_448, parallel: 2 }))
      expect(host.sent).toBe('\t')
      expect(session.joinDatagrams()).toBeNull()
      await Promise.resolve()
      await Promise.resolve()
      if (reason === null) {
        expect(host.sent).toBe('\t\n')
        expect([session.joinDatagrams(), session.joinDatagrams(), session.joinDatagrams()]).toEqual([
          { number: 1, sending: false },
          { number: 3, sending: false },
          null,
        ])
      } else expect(host.outcome).toEqual({ kind: 'failed', reason })
    }
  })

  it('the end of the server is told to the client', () => {
    const { host, session } = serveRecorded(FORWARD_RECORDED.slice(0, 6), 1)
    session.terminate('enough')
    expect(host.sent.endsWith(String.fromCharCode(SERVER_TERMINATE))).toBe(true)
    expect(host.outcome).toEqual({ kind: 'failed', reason: 'enough' })
  })
})

/** Plays the client against a recorded server. */
function askRecorded(steps: readonly Step[], parameters: TestParameters, cut: number): Host {
  const host = new Host()
  const session = new ClientSession(host, bytesOf(steps[0]![1]), parameters)
  session.begin()
  for (const [from, text] of steps.slice(1)) {
    if (host.opened > 0 && session.state === 'streams') session.connected()
    if (host.begun !== null && session.state === 'running') session.testOver()
    if (from === 'server')
      for (let at = 0; at < text.length; at += cut) session.controlIn(bytesOf(text.slice(at, at + cut)))
  }
  return host
}

describe('node/iperf: the client with a recorded server', () => {
  it.each(RECORDINGS)('%s: says what iperf3 says, to the byte but for its results', (_what, steps) => {
    const read = readParameters(JSON.parse(steps[2]![1].slice(4)))
    if (read.kind !== 'parameters') throw new Error(read.reason)
    for (const cut of [1, 3, 10_000]) {
      const host = askRecorded(steps, read.parameters, cut)
      expect(statesOf(host.sent)).toBe(statesOf(said(steps, 'client')))
      expect(host.outcome).toMatchObject({ kind: 'done' })
      expect([host.opened, host.measured]).toEqual([1, 1])
    }
  })

  const parameters = {
    ...(readParameters({ tcp: true, time: 1 }) as { parameters: TestParameters }).parameters,
  }

  it.each([
    ['a server that is busy', [ACCESS_DENIED], 'busy'],
    ['a server that ends', [PARAM_EXCHANGE, CREATE_STREAMS, SERVER_TERMINATE], 'the server ended the test'],
    ['a server that refuses', [...serverErrorBytes(13)], 'error 13 of iperf3'],
    ['streams before parameters are fine, results are not', [CREATE_STREAMS, 13], 'state 13'],
    ['a state that is none', [99], 'state 99'],
  ])('%s', (_what, bytes, reason) => {
    const host = new Host()
    const session = new ClientSession(host, new Uint8Array(COOKIE_BYTES), parameters)
    session.begin()
    session.controlIn(Uint8Array.from(bytes))
    expect(host.outcome).toMatchObject({ kind: 'failed', reason: expect.stringContaining(reason) as string })
  })

  it('an interruption is told to the server', () => {
    const host = new Host()
    const session = new ClientSession(host, new Uint8Array(COOKIE_BYTES), parameters)
    session.begin()
    session.terminate('interrupted')
    expect(host.sent.endsWith('\f')).toBe(true)
  })

  it('parameters survive the wire', () => {
    const all: TestParameters = {
      protocol: 'tcp',
      direction: 'reverse',
      parallel: 7,
      seconds: 3,
      bytes: 0,
      blocks: 12,
      omitSeconds: 2,
      blockBytes: 1_000,
      bitsPerSecond: 10_000_000,
      noDelay: true,
      maxSegment: 1_400,
      windowBytes: 65_536,
      wideCounters: false,
    }
    expect(readParameters(JSON.parse(JSON.stringify(wireParameters(all))))).toEqual({
      kind: 'parameters',
      parameters: all,
    })
  })
})
