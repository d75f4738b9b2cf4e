import { Duplex } from 'node:stream'
import { assert } from '../../src/base/assert.ts'
import { BridgedStream } from '../../src/node/bridged-stream.ts'
import { readRange } from '../../src/node/files/ranges.ts'
import { directoryLocation, readRequestPath } from '../../src/node/files/request-path.ts'
import { type ClientHost, ClientSession } from '../../src/node/iperf/client-session.ts'
import { readParameters, type TestParameters } from '../../src/node/iperf/parameters.ts'
import { COOKIE_BYTES } from '../../src/node/iperf/protocol.ts'
import type { SideResults } from '../../src/node/iperf/results.ts'
import { ServerSession, type SessionOutcome } from '../../src/node/iperf/server-session.ts'
import {
  BOTH_RECORDED,
  FORWARD_RECORDED,
  REVERSE_RECORDED,
  type Step,
} from '../../src/node/iperf/testing/recordings.ts'
import type { FuzzTarget } from './target.ts'

const bytes = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'latin1'))
const RECORDINGS = [FORWARD_RECORDED, REVERSE_RECORDED, BOTH_RECORDED]
const COOKIE = new Uint8Array(COOKIE_BYTES)
const RESULTS: SideResults = {
  cpu: { total: 0, user: 0, system: 0 },
  tellsRetransmits: false,
  congestion: '',
  streams: [],
}

/** What one side of a recording said, from the first step behind the cookie on. */
function said(steps: readonly Step[], who: Step[0]): Uint8Array {
  return bytes(
    steps
      .slice(1)
      .filter(([from]) => from === who)
      .map(([, text]) => text)
      .join(''),
  )
}

class Host implements ClientHost {
  outcome: SessionOutcome | null = null
  begun = 0
  measured = 0

  send(): void {
    assert(this.outcome === null || this.outcome.kind === 'done', 'it speaks when it is over')
  }

  begin(): void {
    this.begun++
  }

  openStreams(): void {}

  measure(): SideResults {
    this.measured++
    return RESULTS
  }

  over(outcome: SessionOutcome): void {
    assert(this.outcome === null, 'it is over twice')
    this.outcome = outcome
  }
}

const outcomeOf = ({ outcome }: Host): string =>
  outcome === null
    ? 'open'
    : outcome.kind === 'done'
      ? 'done'
      : outcome.reason.replace(/\d+/g, 'N').slice(0, 60)

/** What a client may send on its control connection; connections come as soon as they are asked for. */
function server(input: Uint8Array): string {
  const host = new Host()
  const session = new ServerSession(host, COOKIE)
  session.begin()
  for (let at = 0; at < input.length; at++) {
    session.controlIn(input.subarray(at, at + 1))
    while (session.state === 'streams') {
      assert(session.join(COOKIE) !== null, 'a connection that is wanted is refused')
      session.joined()
    }
    assert(host.begun <= 1 && host.measured <= 1, 'a test begins and ends once')
  }
  const state = session.state
  session.controlEnded()
  assert(host.outcome !== null, 'the end of the connection is the end of the test')
  return `${state}: ${outcomeOf(host)}`
}

function client(input: Uint8Array): string {
  const host = new Host()
  const parameters = (readParameters({ tcp: true }) as { parameters: TestParameters }).parameters
  const session = new ClientSession(host, COOKIE, parameters)
  session.begin()
  for (let at = 0; at < input.length; at++) {
    session.controlIn(input.subarray(at, at + 1))
    session.connected()
    if (session.state === 'running') session.testOver()
    assert(host.begun <= 1 && host.measured <= 1, 'a test begins and ends once')
  }
  const state = session.state
  session.controlEnded()
  assert(host.outcome !== null, 'the end of the connection is the end of the test')
  return `${state}: ${outcomeOf(host)}`
}

/** Frames of a byte stream on the control port, cut as the first byte says. */
function frames(input: Uint8Array): string {
  const carrier = new Duplex({ read: () => {}, write: (_chunk, _encoding, done) => done() })
  const stream = new BridgedStream(carrier)
  stream.on('error', () => {})
  const step = 1 + (input[0] ?? 0)
  for (let at = 1; at < input.length; at += step)
    carrier.emit('data', Buffer.from(input.subarray(at, at + step)))
  const held = stream.readableLength
  assert(held <= input.length, 'more bytes than came')
  const state = stream.destroyed ? 'destroyed' : stream.readableEnded ? 'ended' : 'open'
  const failed = (stream.errored as NodeJS.ErrnoException | null)?.code
  stream.destroy()
  return `${state} ${failed?.slice(0, 10)}`
}

/** The target of a request line, and a Range header. */
function request(input: Uint8Array): string {
  const text = Buffer.from(input).toString('latin1')
  const [target = '', range] = text.split('\n')
  const path = readRequestPath(target)
  if (path.kind === 'path') {
    for (const name of path.names)
      assert(
        name !== '' && name !== '.' && name !== '..' && !/[/\0]/.test(name),
        `${JSON.stringify(name)} is no name`,
      )
    assert(!directoryLocation(path.names).startsWith('//'), 'a location on another host')
  }
  const size = 1_000
  const answer = readRange(range, size)
  if (answer.kind === 'parts') {
    let sum = 0
    for (const { first, last } of answer.ranges) {
      assert(first >= 0 && first <= last && last < size, 'a range outside the file')
      sum += last - first + 1
    }
    assert(sum <= size, 'more than the file')
  }
  return `${path.kind === 'path' ? 'path' : path.reason} ${answer.kind}`
}

export const targets: readonly FuzzTarget[] = [
  { name: 'iperf-server', seeds: RECORDINGS.map(steps => said(steps, 'client')), run: server },
  { name: 'iperf-client', seeds: RECORDINGS.map(steps => said(steps, 'server')), run: client },
  {
    name: 'stream-frames',
    seeds: [
      '\x03\0\0\0\0\x05hello\x01\0\0\0\0',
      '\x00\x02\0\0\0\x2f{"code":"ECONNRESET","message":"the peer reset"}',
      '\xff\0\0\0\0\0\0\0\0\0\x01x',
    ].map(bytes),
    run: frames,
  },
  {
    name: 'http-request',
    seeds: ['/a%20b/../c?x\nbytes=0-1,5-', 'http://h/%2e%2e%2f//x/.\nbytes=-5', '/\nbytes = 1-2 , -0'].map(
      bytes,
    ),
    run: request,
  },
]
