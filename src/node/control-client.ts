/** Talks to the control port of a node. */
import { type IncomingHttpHeaders, type IncomingMessage, request } from 'node:http'
import type { Duplex } from 'node:stream'
import { ERROR_CODES, type ErrorCode, StackError } from '../base/errors.ts'
import type { CaptureTotals } from '../driver/capture-recording.ts'
import { BridgedStream, STREAM_PROTOCOL } from './bridged-stream.ts'
import type {
  CaptureRequest,
  IperfOptions,
  PingOptions,
  PlumbingRequest,
  RpcOptions,
  ServeOptions,
  TcpListenOptions,
} from './control-requests.ts'
import type { ServeLine } from './control-serve.ts'
import type { ListenLine } from './control-tcp.ts'
import { DATAGRAMS_PROTOCOL } from './datagram-frames.ts'
import type { NodeEvent } from './event-log.ts'
import type { IperfLine } from './iperf/lines.ts'
import type { EchoResult } from './network.ts'
import type { NodeStatus } from './node.ts'
import type { PartCounters } from './node-metrics.ts'
import type { PingSummary } from './ping-statistics.ts'
import type { StreamView } from './plumbing.ts'
import type { RpcCallLine } from './rpc-calls.ts'

/** A node answers at once, unless it is stopped or hangs. */
const ANSWER_MS = 5_000

export interface PlumbingView {
  readonly streams: readonly StreamView[]
  /** Names of what can be pushed. */
  readonly modules: readonly string[]
}

/** One end of a connection. */
export interface PeerName {
  readonly address: string
  readonly port: number
}

export class ControlClient {
  /** The socket's path. */
  readonly path: string

  private readonly answerMs: number

  /** @param answerMs - how long a node may take to answer */
  constructor(path: string, answerMs: number = ANSWER_MS) {
    this.path = path
    this.answerMs = answerMs
  }

  status(): Promise<NodeStatus> {
    return this.json('GET', '/status')
  }

  plumbing(): Promise<PlumbingView> {
    return this.json('GET', '/plumbing')
  }

  counters(): Promise<PartCounters> {
    return this.json('GET', '/counters')
  }

  async events(after = 0): Promise<readonly NodeEvent[]> {
    return (await this.json<{ events: NodeEvent[] }>('GET', `/events?after=${after}`)).events
  }

  async metrics(): Promise<string> {
    return textOf(await this.send('GET', '/metrics'))
  }

  /** Changes the plumbing. @returns the stream as it is then; for an ioctl, `{answer}`; for a load, `{loaded}` */
  change(change: PlumbingRequest): Promise<{ stream?: StreamView; answer?: unknown; loaded?: string[] }> {
    return this.json('POST', '/plumbing', change)
  }

  /** @param impair - options of the module `impair`; null mends the link */
  impair(link: string, impair: Readonly<Record<string, unknown>> | null): Promise<{ stream: StreamView }> {
    return this.json('POST', '/faults', { link, impair })
  }

  async *ping(options: PingOptions, signal?: AbortSignal): AsyncGenerator<EchoResult | PingSummary> {
    await this.status()
    yield* lines<EchoResult | PingSummary>(
      this.path,
      await this.send('POST', '/ping', options, signal),
      signal,
    )
  }

  async *followEvents(after = 0, signal?: AbortSignal): AsyncGenerator<NodeEvent> {
    await this.status()
    yield* lines<NodeEvent>(
      this.path,
      await this.send('GET', `/events?follow=1&after=${after}`, undefined, signal),
      signal,
    )
  }

  /** A capture as it is made: the stream is a pcapng file. */
  async capture(options: Partial<CaptureRequest>, signal?: AbortSignal): Promise<IncomingMessage> {
    await this.status()
    return this.send('POST', '/capture', options, signal)
  }

  /** A capture to a file that the node writes. */
  startCapture(options: Partial<CaptureRequest>): Promise<{ id: string; at: string }> {
    return this.json('POST', '/capture/start', options)
  }

  stopCapture(id: string): Promise<CaptureTotals> {
    return this.json('POST', '/capture/stop', { id })
  }

  shutdown(): Promise<{ ending: boolean }> {
    return this.json('POST', '/shutdown')
  }

  /** A UDP endpoint of the node's stack; the socket carries frames, see `datagram-frames.ts`. */
  async datagrams(
    query: Readonly<Record<string, string | number>>,
  ): Promise<{ socket: Duplex; port: number }> {
    await this.status()
    const { socket, headers } = await this.upgrade('/udp', query, DATAGRAMS_PROTOCOL)
    return { socket, port: Number(headers['putnext-port'] ?? 0) }
  }

  /**
   * A TCP connection of the node's stack: `{to, toPort}` connects, `{accept}` takes one that {@link listenStreams} told of.
   * @throws StackError `ERR_CONN_REFUSED`, `ERR_TIMED_OUT`, … as the node found it
   */
  async openStream(
    query: Readonly<Record<string, string | number>>,
    signal?: AbortSignal,
  ): Promise<{ socket: BridgedStream; local: PeerName; remote: PeerName }> {
    await this.status()
    const { socket, headers } = await this.upgrade('/tcp', query, STREAM_PROTOCOL, signal)
    const [local, remote] = ['putnext-local', 'putnext-remote'].map(name => peerName(headers[name]))
    return {
      socket: new BridgedStream(socket, `the node at ${this.path} has gone`),
      local: local!,
      remote: remote!,
    }
  }

  async *listenStreams(options: TcpListenOptions, signal?: AbortSignal): AsyncGenerator<ListenLine> {
    await this.status()
    yield* lines<ListenLine>(this.path, await this.send('POST', '/tcp/listen', options, signal), signal)
  }

  /** Serves a directory over HTTP until `signal` is aborted; tells where, then each request. */
  async *serve(options: ServeOptions, signal?: AbortSignal): AsyncGenerator<ServeLine> {
    await this.status()
    yield* lines<ServeLine>(this.path, await this.send('POST', '/serve', options, signal), signal)
  }

  /** Remote calls, one after the other; a call that failed is told, not thrown. */
  async *rpc(options: RpcOptions, signal?: AbortSignal): AsyncGenerator<RpcCallLine> {
    await this.status()
    yield* lines<RpcCallLine>(this.path, await this.send('POST', '/rpc', options, signal), signal)
  }

  /** A throughput test, or a server for them until `signal` is aborted. */
  async *iperf(options: IperfOptions, signal?: AbortSignal): AsyncGenerator<IperfLine> {
    await this.status()
    yield* lines<IperfLine>(this.path, await this.send('POST', '/iperf', options, signal), signal)
  }

  private upgrade(
    path: string,
    query: Readonly<Record<string, string | number>>,
    protocol: string,
    signal?: AbortSignal,
  ): Promise<{ socket: Duplex; headers: IncomingHttpHeaders }> {
    const search = new URLSearchParams()
    for (const [key, value] of Object.entries(query)) search.set(key, String(value))
    return new Promise((resolve, reject) => {
      const asked = request({
        socketPath: this.path,
        path: `${path}?${search}`,
        headers: { connection: 'upgrade', upgrade: protocol },
        ...(signal === undefined ? {} : { signal }),
      })
      asked.on('upgrade', (response, socket, head) => {
        if (head.length > 0) socket.unshift(head)
        resolve({ socket, headers: response.headers })
      })
      asked.on('response', response => {
        textOf(response).then(text => reject(remoteError(response.statusCode ?? 500, text)), reject)
      })
      asked.on('error', error => reject(connectError(this.path, error)))
      asked.end()
    })
  }

  /** @throws StackError `ERR_TIMED_OUT` if no answer comes in time */
  private async json<T>(method: string, path: string, body?: unknown): Promise<T> {
    const late = AbortSignal.timeout(this.answerMs)
    try {
      return JSON.parse(await textOf(await this.send(method, path, body, late))) as T
    } catch (error) {
      if (!late.aborted) throw error
      throw new StackError('ERR_TIMED_OUT', `the node at ${this.path} does not answer`, {
        cause: error,
        hint: 'is it paused? "putnext lab status" tells, "putnext lab fault continue NODE" lets it go on',
      })
    }
  }

  /** @throws StackError what the node refused with; `ERR_NOT_FOUND` if no node listens */
  private send(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const text = body === undefined ? '' : JSON.stringify(body)
      const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }
      const options = { socketPath: this.path, method, path, headers, agent: false }
      const asked = request(signal === undefined ? options : { ...options, signal })
      asked.on('error', error => reject(connectError(this.path, error)))
      asked.on('response', response => {
        const status = response.statusCode ?? 500
        if (status < 400) resolve(response)
        else textOf(response).then(told => reject(remoteError(status, told)), reject)
      })
      asked.end(text)
    })
  }
}

function peerName(header: string | string[] | undefined): PeerName {
  const [address = '', port = '0'] = String(header ?? '').split(' ')
  return { address, port: Number(port) }
}

function connectError(path: string, error: NodeJS.ErrnoException): Error {
  if (error.name === 'AbortError') return error
  if (error.code === 'ENOENT' || error.code === 'ECONNREFUSED')
    return new StackError('ERR_NOT_FOUND', `no node listens on ${path}`, {
      cause: error,
      hint: 'start it with "putnext node run", "putnext lab up", or in a lab that is up "putnext lab fault start"',
    })
  if (error.code === 'EACCES')
    return new StackError('ERR_ACCESS', `the socket ${path} is another user's`, {
      cause: error,
      hint: 'run as the user who started the node',
    })
  if (error.code === 'ECONNRESET' || error.code === 'EPIPE') return gone(path, error)
  return new StackError('ERR_HOST', `the node at ${path} broke off (${error.code ?? error.message})`, {
    cause: error,
  })
}

function remoteError(status: number, text: string): StackError {
  try {
    const { error } = JSON.parse(text) as { error: { code: string; message: string; hint?: string } }
    const code = error.code in ERROR_CODES ? (error.code as ErrorCode) : 'ERR_HOST'
    return new StackError(code, error.message, error.hint === undefined ? {} : { hint: error.hint })
  } catch {
    return new StackError('ERR_PROTOCOL', `the node answered with status ${status} and no reason`)
  }
}

async function textOf(response: IncomingMessage): Promise<string> {
  response.setEncoding('utf8')
  let text = ''
  for await (const chunk of response) text += chunk as string
  return text
}

/** @throws StackError `ERR_HANGUP` if the node ends in the middle of its answer */
async function* chunks(
  path: string,
  response: IncomingMessage,
  signal?: AbortSignal,
): AsyncGenerator<string> {
  try {
    for await (const chunk of response) yield chunk as string
  } catch (error) {
    // Of an abort, too, the answer knows only that it was cut off.
    signal?.throwIfAborted()
    throw (error as NodeJS.ErrnoException).code === 'ECONNRESET' ? gone(path, error) : error
  }
}

function gone(path: string, cause: unknown): StackError {
  return new StackError('ERR_HANGUP', `the node at ${path} has gone: it was ended, or it crashed`, {
    cause,
    hint: 'start it again with "putnext node run", or in a lab with "putnext lab fault start"; its own output tells why it ended',
  })
}

/** Lines of JSON as they come; one that is an error is thrown. */
async function* lines<T>(path: string, response: IncomingMessage, signal?: AbortSignal): AsyncGenerator<T> {
  response.setEncoding('utf8')
  let rest = ''
  for await (const chunk of chunks(path, response, signal)) {
    const parts = (rest + chunk).split('\n')
    rest = parts.pop() ?? ''
    for (const line of parts) {
      if (line.startsWith('{"error":')) throw remoteError(500, line)
      yield JSON.parse(line) as T
    }
  }
}
