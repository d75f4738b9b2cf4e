/**
 * The same scenario on node:net over the kernel's loopback and on our sockets over ours: what the program sees is the same,
 * events, arguments, errors, properties and their order. What two ends do at the same time has no order, so each has its
 * own log.
 */
import { once } from 'node:events'
import net from 'node:net'
import { type Net, netOn } from '../net.ts'
import { makeNetHost } from './net-host.ts'

export type Module = typeof net
export type Socket = net.Socket
export type Server = net.Server

/** What a program saw, by who saw it. */
export class Log {
  readonly seen: Record<string, unknown[]> = Object.create(null)
  /** Where servers listen: it differs from run to run. */
  private readonly ports = new Set<number>()

  add(who: string, ...what: unknown[]): void {
    const list = this.seen[who] ?? []
    this.seen[who] = list
    list.push(what.map(each => this.plain(each)))
  }

  port(port: number): number {
    this.ports.add(port)
    return port
  }

  private plain(value: unknown): unknown {
    if (typeof value === 'number') return this.ports.has(value) ? 'PORT' : value
    if (typeof value === 'string') return this.text(value)
    if (typeof value !== 'object' || value === null || Buffer.isBuffer(value)) return value
    if (Array.isArray(value)) return value.map(each => this.plain(each))
    if (value instanceof Error) return this.plain(seen(value))
    const entries = Object.entries(value).map(([key, each]) => {
      const isPort = /port$/i.test(key) && typeof each === 'number' && each > 0
      return [key, isPort ? 'PORT' : this.plain(each)]
    })
    return Object.fromEntries(entries)
  }

  private text(value: string): string {
    return [...this.ports]
      .reduce((text, port) => text.replaceAll(String(port), 'PORT'), value)
      .replace(/:\d{4,5}\b/g, ':PORT')
  }
}

export type Scenario = (module: Module, log: Log) => Promise<void>
/** Scenarios by name. */
export type Scenarios = Record<string, Scenario>

/** Some rounds of the event loop. */
export async function turn(ms = 2): Promise<void> {
  for (let i = 0; i < 6; i++) {
    await new Promise(resolve => setTimeout(resolve, ms))
    await new Promise(resolve => setImmediate(resolve))
  }
}

/** What matters of an error to a program. */
export function seen(error: unknown): unknown {
  if (!(error instanceof Error)) return error
  const { name, message } = error
  const isAggregate = error instanceof AggregateError
  const own = Object.fromEntries(Object.entries(error).filter(([, value]) => typeof value !== 'object'))
  return {
    name,
    message,
    kind: error.constructor.name,
    ...own,
    ...(isAggregate ? { errors: error.errors.map(seen) } : {}),
  }
}

export function thrown(action: () => unknown): unknown {
  try {
    return ['returned', typeof action()]
  } catch (error) {
    return seen(error)
  }
}

const SOCKET_EVENTS = [
  ...['lookup', 'connect', 'ready', 'end', 'finish', 'drain', 'timeout', 'close'],
  ...['connectionAttempt', 'connectionAttemptFailed', 'connectionAttemptTimeout'],
]

/** Logs the events of a socket; data as text, joined, since its pieces are nobody's business. */
export function watch(log: Log, who: string, socket: Socket, without: readonly string[] = []): Socket {
  for (const name of SOCKET_EVENTS)
    if (!without.includes(name)) socket.on(name, (...args: unknown[]) => log.add(who, name, ...args))
  socket.on('error', error => log.add(who, 'error', error))
  return socket
}

/** Logs what comes in, once it has all come. */
export function collect(log: Log, who: string, socket: Socket): Socket {
  let text = ''
  socket.setEncoding('latin1')
  socket.on('data', data => {
    text += data
  })
  socket.once('end', () => log.add(who, 'data', text.length > 64 ? `${text.length} bytes` : text))
  return socket
}

/** What can be asked of a socket. */
export function state(socket: Socket): unknown {
  const { connecting, pending, destroyed, readyState, bytesRead, bytesWritten, bufferSize, timeout } = socket
  const { readable, writable, readableEnded, writableEnded, writableFinished, allowHalfOpen } = socket
  const { localAddress, localFamily, localPort, remoteAddress, remoteFamily, remotePort } = socket
  return {
    ...{ connecting, pending, destroyed, readyState, bytesRead, bytesWritten, bufferSize, timeout },
    ...{ readable, writable, readableEnded, writableEnded, writableFinished, allowHalfOpen },
    ...{ localAddress, localFamily, localPort, remoteAddress, remoteFamily, remotePort },
    address: socket.address(),
  }
}

export async function listen(log: Log, server: Server, host = '127.0.0.1'): Promise<number> {
  server.listen(0, host)
  await once(server, 'listening')
  return log.port((server.address() as net.AddressInfo).port)
}

export const closed = (socket: Socket): Promise<unknown> =>
  new Promise(resolve => socket.once('close', resolve))

export async function close(...servers: Server[]): Promise<void> {
  for (const server of servers) if (server.listening) await new Promise(resolve => server.close(resolve))
}

/** Both ends of a connection, unwatched, and the server, which takes no more. */
export async function pair(
  module: Module,
  options: net.ServerOpts = {},
  clientOptions: Partial<net.NetConnectOpts> & Record<string, unknown> = {},
): Promise<{ client: Socket; peer: Socket; server: Server }> {
  const server = module.createServer(options)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as net.AddressInfo
  const accepted = once(server, 'connection')
  const client = module.connect({ host: '127.0.0.1', port, ...clientOptions } as net.NetConnectOpts)
  await once(client, 'connect')
  const [peer] = (await accepted) as [Socket]
  server.close()
  return { client, peer, server }
}

/** What a program logged on node:net and on ours, and how many sockets of ours still keep it running. */
export interface Comparison {
  readonly theirs: unknown
  readonly ours: unknown
  readonly refs: number
}

async function run(module: Module, scenario: Scenario): Promise<unknown> {
  const log = new Log()
  await scenario(module, log)
  return log.seen
}

export async function runOnBoth(scenario: Scenario): Promise<Comparison> {
  const theirs = await run(net, scenario)
  const host = makeNetHost()
  const module: Net = netOn(host)
  const ours = await run(module as unknown as Module, scenario)
  await host.finish()
  return { theirs, ours, refs: host.refs() }
}
