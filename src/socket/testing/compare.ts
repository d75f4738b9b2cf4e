/**
 * The same scenario on node:dgram over the kernel's loopback and on our sockets over ours: what the program sees is
 * the same, events, arguments, errors and their order.
 */
import dgram from 'node:dgram'
import { dgramOn } from '../dgram.ts'
import { makeTestHost } from './host.ts'

export type Module = typeof dgram
export type Socket = dgram.Socket
export type Log = (...what: unknown[]) => void
/** Scenarios by name. */
export type Scenarios = Record<string, (module: Module, log: Log) => Promise<void>>

/** Some rounds of the event loop: on both loopbacks delivery takes rounds, not time. */
export async function turn(): Promise<void> {
  for (let i = 0; i < 6; i++) {
    await new Promise(resolve => setTimeout(resolve, 2))
    await new Promise(resolve => setImmediate(resolve))
  }
}
export const event = (socket: Socket, name: string): Promise<unknown> =>
  new Promise(resolve => socket.once(name, (...args: unknown[]) => resolve(args[0])))

/** What matters of an error to a program. */
export function seen(error: unknown): unknown {
  if (!(error instanceof Error)) return error
  const { name, message } = error
  const { code, errno, syscall, address, port } = error as NodeJS.ErrnoException & {
    address?: string
    port?: number
  }
  return { name, message, code, errno, syscall, address, port }
}

export function thrown(action: () => unknown): unknown {
  try {
    return ['returned', typeof action()]
  } catch (error) {
    return seen(error)
  }
}

/** A bound socket that logs its events. */
export async function bound(
  module: Module,
  log: Log,
  name: string,
  type: dgram.SocketType = 'udp4',
): Promise<Socket> {
  const socket = module.createSocket(type)
  for (const each of ['listening', 'connect', 'close'])
    socket.on(each, (...args: unknown[]) => log(name, each, args.length))
  socket.on('message', (data, { address, family, size }) =>
    log(name, 'message', data.toString(), address, family, size),
  )
  socket.on('error', error => log(name, 'error', seen(error)))
  socket.bind(0, type === 'udp4' ? '127.0.0.1' : '::1')
  await event(socket, 'listening')
  return socket
}

export const close = async (...sockets: Socket[]): Promise<void> => {
  for (const socket of sockets) await new Promise<void>(resolve => socket.close(() => resolve()))
}

async function run(
  module: Module,
  scenario: (module: Module, log: Log) => Promise<void>,
): Promise<unknown[]> {
  const logged: unknown[] = []
  await scenario(module, (...what) => logged.push(what))
  return logged
}

/** What a program logged on node:dgram and on ours, and how many sockets of ours still keep it running. */
export interface Comparison {
  readonly theirs: unknown[]
  readonly ours: unknown[]
  readonly refs: number
}

export async function runOnBoth(scenario: Scenarios[string]): Promise<Comparison> {
  const theirs = await run(dgram, scenario)
  const host = makeTestHost()
  const ours = await run(dgramOn(host) as unknown as Module, scenario)
  await host.finish()
  return { theirs, ours, refs: host.refs() }
}
