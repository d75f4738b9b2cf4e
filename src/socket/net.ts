/// <reference types="node" preserve="true" />
/**
 * `putnext/net`: stream sockets of our stack in the place of node:net's. {@link netOn} makes the module for one stack, to
 * be handed to a library; the functions here take the stack first.
 */
import { channel } from 'node:diagnostics_channel'
import net from 'node:net'
import type { SocketHost } from './host.ts'
import { readCall } from './net-arguments.ts'
import { Server } from './net-server.ts'
import { Socket } from './net-socket.ts'
import { checkStack } from './net-stack.ts'
import type { ServerOptions, SocketOptions } from './net-types.ts'

export type { CodedError, SystemCallError } from './errors.ts'
export * from './host.ts'
export * from './net-agent.ts'
export * from './net-serve.ts'
export { Server } from './net-server.ts'
export { Socket } from './net-socket.ts'
export type { ServerOptions, SocketOptions } from './net-types.ts'
export * from './tcp-endpoint.ts'

const clientSockets = channel('net.client.socket')

/** Arguments of node:net's `connect`, with the options of {@link Socket}. */
export type ConnectArguments =
  | [options: net.NetConnectOpts & SocketOptions, listener?: () => void]
  | [port: number, host?: string, listener?: () => void]
  | [port: number, listener?: () => void]
  | [path: string, listener?: () => void]

/**
 * A socket on a stack that connects at once, as `net.connect`.
 * @throws TypeError `ERR_INVALID_ARG_TYPE` if the first argument is no stack, and for wrong options as Node does
 */
export function connect(host: SocketHost, ...args: ConnectArguments): Socket {
  checkStack(host, 'connect')
  const { options } = readCall<net.NetConnectOpts & SocketOptions>(args)
  const socket = new Socket(host, options)
  if (clientSockets.hasSubscribers) clientSockets.publish({ socket })
  if (options.timeout) socket.setTimeout(options.timeout)
  return (socket.connect as (...all: readonly unknown[]) => Socket)(...args)
}

/** The same, by its other name. */
export const createConnection = connect

/** A server on a stack, as `net.createServer`. @throws TypeError as {@link connect} */
export function createServer(
  host: SocketHost,
  options?: ServerOptions | ((socket: Socket) => void),
  listener?: (socket: Socket) => void,
): Server {
  return new Server(checkStack(host, 'createServer'), options, listener)
}

/** node:net for one stack. */
export interface Net
  extends Omit<typeof net, 'Socket' | 'Server' | 'connect' | 'createConnection' | 'createServer'> {
  readonly Socket: new (options?: SocketOptions) => Socket
  /** The old name of `Socket`. */
  readonly Stream: Net['Socket']
  readonly Server: new (
    options?: ServerOptions | ((socket: Socket) => void),
    listener?: (socket: Socket) => void,
  ) => Server
  connect(...args: ConnectArguments): Socket
  createConnection(...args: ConnectArguments): Socket
  createServer(
    options?: ServerOptions | ((socket: Socket) => void),
    listener?: (socket: Socket) => void,
  ): Server
}

/**
 * The module for one stack. Its `Socket` and `Server` are classes to be extended, and to be called without `new`, as Node's.
 * @throws TypeError as {@link connect}
 */
export function netOn(host: SocketHost): Net {
  checkStack(host, 'netOn')
  const BoundSocket = bind(Socket, host)
  return {
    ...net,
    BlockList: net.BlockList,
    SocketAddress: net.SocketAddress,
    Socket: BoundSocket,
    Stream: BoundSocket,
    Server: bind(Server, host),
    connect: (...args) => connect(host, ...args),
    createConnection: (...args) => connect(host, ...args),
    createServer: (options, listener) => new Server(host, options, listener),
  }
}

/** A class whose first argument is known. */
function bind<A extends unknown[], T>(
  Class: new (host: SocketHost, ...args: A) => T,
  host: SocketHost,
): new (
  ...args: A
) => T {
  function Bound(this: unknown, ...args: A): T {
    return Reflect.construct(Class, [host, ...args], new.target ?? Bound) as T
  }
  Object.setPrototypeOf(Bound, Class)
  Bound.prototype = Class.prototype
  return Bound as unknown as new (
    ...args: A
  ) => T
}
