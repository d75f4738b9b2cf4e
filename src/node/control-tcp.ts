/**
 * Byte streams of the node's own stack for other processes. GET /tcp with `Upgrade: putnext-stream` connects, and both
 * directions then carry the frames of `bridged-stream.ts`; POST /tcp/listen tells of connections as lines of JSON, each to be
 * taken by GET /tcp?accept=ID within a while.
 */
import type { Duplex } from 'node:stream'
import { StackError } from '../base/errors.ts'
import { BridgedStream, joinStreams, STREAM_PROTOCOL, type StreamSocket } from './bridged-stream.ts'
import type { ControlContext } from './control.ts'
import { checkRequest, type TcpListenRequest, type TcpRequest, tcpRequest } from './control-requests.ts'
import type { Node } from './node.ts'
import { portInUse } from './port-in-use.ts'

/** A connection that was announced and that nobody takes is reset after this time. */
const UNTAKEN_MS = 10_000
/** Announced connections of one node that wait to be taken; what comes beyond is reset. */
const UNTAKEN_MAX = 64

/** A line of POST /tcp/listen. */
export type ListenLine =
  | { readonly kind: 'listening'; readonly address: string; readonly port: number }
  | { readonly kind: 'connection'; readonly id: number; readonly address: string; readonly port: number }

interface Untaken {
  readonly socket: StreamSocket
  readonly timer: NodeJS.Timeout
}

/** Connections that were announced and wait to be taken, by their id. */
const untaken = new WeakMap<Node, Map<number, Untaken>>()
let lastId = 0

export async function upgradeToStream(node: Node, url: URL, carrier: Duplex): Promise<void> {
  const request = tcpQuery(url)
  const socket = 'accept' in request ? take(node, request.accept) : await connect(node, request, carrier)
  if (carrier.destroyed) return void socket.resetAndDestroy()
  const { localAddress = '', localPort = 0, remoteAddress = '', remotePort = 0 } = socket
  carrier.write(
    `HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: ${STREAM_PROTOCOL}\r\n` +
      `putnext-local: ${localAddress} ${localPort}\r\nputnext-remote: ${remoteAddress} ${remotePort}\r\n\r\n`,
  )
  joinStreams(socket, new BridgedStream(carrier))
}

function tcpQuery(url: URL): TcpRequest {
  const query = Object.fromEntries(url.searchParams)
  const numbers = ['port', 'toPort', 'accept', 'timeoutMs'].filter(key => key in query)
  return checkRequest(tcpRequest, {
    ...query,
    ...Object.fromEntries(numbers.map(key => [key, Number(query[key])])),
  }) as TcpRequest
}

async function connect(
  node: Node,
  request: Exclude<TcpRequest, { accept: number }>,
  carrier: Duplex,
): Promise<StreamSocket> {
  const { to, toPort, port, address, timeoutMs } = request
  const gone = new AbortController()
  const hangUp = (): void => gone.abort()
  // Only who reads hears that the asker has gone. It has nothing to say before it is answered; if it does, that waits.
  const early: Buffer[] = []
  const hear = (chunk: Buffer): void => {
    early.push(chunk)
    carrier.pause()
  }
  carrier.on('close', hangUp).on('end', hangUp).on('data', hear)
  const late = timeoutMs === undefined ? null : AbortSignal.timeout(timeoutMs)
  const signal = late === null ? gone.signal : AbortSignal.any([gone.signal, late])
  try {
    return await node.network.openStream(
      {
        address: to,
        port: toPort,
        localPort: port,
        ...(address === undefined ? {} : { localAddress: address }),
      },
      signal,
    )
  } catch (error) {
    if (late?.aborted !== true) throw error
    throw new StackError('ERR_TIMED_OUT', `${to} port ${toPort} did not answer in ${timeoutMs} ms`, {
      cause: error,
    })
  } finally {
    carrier.off('close', hangUp).off('end', hangUp).off('data', hear).pause()
    for (const chunk of early) carrier.unshift(chunk)
  }
}

function take(node: Node, id: number): StreamSocket {
  const waiting = untaken.get(node)
  const found = waiting?.get(id)
  if (found === undefined)
    throw new StackError('ERR_NOT_FOUND', `connection ${id} does not wait: it was taken, or has gone`)
  waiting!.delete(id)
  clearTimeout(found.timer)
  return found.socket
}

/** Announces a connection. @returns its id, null if too many wait */
function announce(node: Node, socket: StreamSocket): number | null {
  const waiting = untaken.get(node) ?? new Map<number, Untaken>()
  untaken.set(node, waiting)
  if (waiting.size >= UNTAKEN_MAX) return null
  const id = ++lastId
  const forget = (): void => {
    if (waiting.delete(id)) socket.resetAndDestroy()
  }
  const timer = setTimeout(forget, UNTAKEN_MS)
  waiting.set(id, { socket, timer })
  // Before it is taken nobody else listens for its errors.
  socket.on('error', () => {})
  return id
}

export async function postListen({ node, body, response, signal }: ControlContext): Promise<void> {
  const { port, address, count = Number.POSITIVE_INFINITY } = body as TcpListenRequest
  const place = { port, ...(address === undefined ? {} : { address }) }
  const listener = await node.network.listenStreams(place).catch(error => {
    throw portInUse(error, 'tcp', port, node.config.services)
  })
  let left = count
  const tell = (line: ListenLine): void => {
    if (!response.destroyed) response.write(`${JSON.stringify(line)}\n`)
  }
  try {
    response.writeHead(200, { 'content-type': 'application/x-ndjson' })
    tell({ kind: 'listening', address: listener.address, port: listener.port })
    await new Promise<void>(resolve => {
      signal.addEventListener('abort', () => resolve(), { once: true })
      if (signal.aborted) resolve()
      listener.onConnection = socket => {
        const id = left <= 0 ? null : announce(node, socket)
        if (id === null) return void socket.resetAndDestroy()
        tell({ kind: 'connection', id, address: socket.remoteAddress ?? '', port: socket.remotePort ?? 0 })
        if (--left === 0) resolve()
      }
    })
  } finally {
    listener.close()
  }
}
