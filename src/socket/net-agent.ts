/** What makes the HTTP clients of the ecosystem run on our stack: agents for node:http and node:https, a connector for undici. */
import http from 'node:http'
import https from 'node:https'
import net from 'node:net'
import tls from 'node:tls'
import { coded } from './errors.ts'
import type { SocketHost } from './host.ts'
import { nameAs } from './net-secure.ts'
import { Socket } from './net-socket.ts'
import { checkStack } from './net-stack.ts'

/** What an agent knows of a connection to be made; more than a socket may be told: `path` is that of the URL. */
interface AgentRequest {
  readonly host?: string | null | undefined
  readonly hostname?: string | null | undefined
  readonly port?: number | string | null | undefined
  readonly socketPath?: string | null | undefined
}

const SOCKET_FIELDS = [
  ...['localAddress', 'localPort', 'family', 'hints', 'lookup', 'autoSelectFamily'],
  ...['autoSelectFamilyAttemptTimeout', 'noDelay', 'keepAlive', 'keepAliveInitialDelay', 'timeout'],
] as const

/** A socket on its way to where a request goes. */
function open(host: SocketHost, request: AgentRequest): Socket {
  const all = request as Record<string, unknown>
  const options: Record<string, unknown> = {}
  for (const field of SOCKET_FIELDS) if (all[field] != null) options[field] = all[field]
  if (request.socketPath) options['path'] = request.socketPath
  else {
    options['host'] = request.hostname || request.host || 'localhost'
    options['port'] = request.port
  }
  const socket = new Socket(host, options)
  if (typeof options['timeout'] === 'number') socket.setTimeout(options['timeout'])
  return socket.connect(options as unknown as net.SocketConnectOpts)
}

class StackAgent extends http.Agent {
  readonly #host: SocketHost

  constructor(host: SocketHost, options?: http.AgentOptions) {
    super(options)
    this.#host = host
  }

  override createConnection(request: AgentRequest): Socket {
    return open(this.#host, request)
  }
}

class SecureStackAgent extends https.Agent {
  readonly #host: SocketHost

  constructor(host: SocketHost, options?: https.AgentOptions) {
    super(options)
    this.#host = host
  }

  override createConnection(request: AgentRequest): net.Socket {
    const socket = open(this.#host, request)
    // Node's own does the rest, sessions included, over a socket that it is given.
    const { createConnection } = https.Agent.prototype as unknown as {
      createConnection(request: AgentRequest): net.Socket
    }
    const secure = createConnection.call(this, { ...request, socket } as AgentRequest)
    nameAs(secure as tls.TLSSocket, socket)
    socket.allowHalfOpen = true
    return secure
  }
}

/** An agent for `http.request` whose connections are on a stack. Its options are Node's. */
export function createAgent(host: SocketHost, options?: http.AgentOptions): http.Agent {
  return new StackAgent(checkStack(host, 'createAgent'), options)
}

/** The same for `https.request`. */
export function createSecureAgent(host: SocketHost, options?: https.AgentOptions): https.Agent {
  return new SecureStackAgent(checkStack(host, 'createSecureAgent'), options)
}

/**
 * `tls.connect` over a connection on a stack: to `options.host` and `options.port`, or over `options.socket`.
 * @returns Node's own socket of TLS
 */
export function connectTls(
  host: SocketHost,
  options: tls.ConnectionOptions,
  listener?: () => void,
): tls.TLSSocket {
  checkStack(host, 'connectTls')
  const { host: name = '', socket = open(host, options as AgentRequest) } = options
  const named = net.isIP(name) === 0 && name !== '' ? { servername: name } : {}
  const secure = tls.connect({ ...named, ...options, socket }, listener)
  // TLS has its own end, and may still have to write when the connection's has come. It asks only when it is made.
  if (socket instanceof Socket) {
    nameAs(secure, socket)
    socket.allowHalfOpen = true
  }
  return secure
}

/** What undici asks of a connector; structurally `buildConnector.Options`. */
export interface UndiciConnectOptions {
  readonly hostname: string
  readonly host?: string
  readonly protocol: string
  readonly port: string
  readonly servername?: string
  readonly localAddress?: string | null
  /** A socket that is there already, through a proxy: TLS goes on top of it. */
  readonly httpSocket?: net.Socket
}

export type UndiciCallback = (
  ...args: [error: null, socket: net.Socket] | [error: Error, socket: null]
) => void

export interface UndiciConnectorOptions extends tls.SecureContextOptions {
  /** Milliseconds until a connection must be there, TLS included; 10,000 by default, 0 for ever. */
  readonly timeout?: number
  readonly allowH2?: boolean
  readonly rejectUnauthorized?: boolean
  readonly servername?: string
  readonly checkServerIdentity?: tls.ConnectionOptions['checkServerIdentity']
  readonly lookup?: net.LookupFunction
  readonly localAddress?: string
  readonly autoSelectFamily?: boolean
  readonly autoSelectFamilyAttemptTimeout?: number
}

const CONNECT_MS = 10_000
const KEEPALIVE_MS = 60_000
/** TLS sessions that are kept, one for each name. */
const SESSIONS_MAX = 100

/**
 * A connector for undici: `new Agent({ connect: createUndiciConnector(stack) })`, for `Client` and `Pool` too, and with that
 * agent for the global `fetch`.
 */
export function createUndiciConnector(
  host: SocketHost,
  options: UndiciConnectorOptions = {},
): (request: UndiciConnectOptions, callback: UndiciCallback) => void {
  checkStack(host, 'createUndiciConnector')
  const { timeout = CONNECT_MS, ...settings } = options
  const sessions = new Map<string, Buffer>()
  return (request, callback) => {
    const isSecure = request.protocol === 'https:'
    const socket = isSecure
      ? secure(host, request, settings, sessions)
      : open(host, { ...settings, ...request, port: request.port || 80 } as AgentRequest)
    socket.setKeepAlive(true, KEEPALIVE_MS).setNoDelay(true)
    settle(socket, isSecure ? 'secureConnect' : 'connect', timeout, callback)
  }
}

function secure(
  host: SocketHost,
  request: UndiciConnectOptions,
  { allowH2 = false, ...settings }: UndiciConnectorOptions,
  sessions: Map<string, Buffer>,
): tls.TLSSocket {
  const { hostname, httpSocket } = request
  const servername = settings.servername ?? request.servername ?? (net.isIP(hostname) === 0 ? hostname : '')
  const key = servername || hostname
  const session = sessions.get(key)
  const socket = connectTls(host, {
    ...settings,
    servername,
    ALPNProtocols: allowH2 ? ['http/1.1', 'h2'] : ['http/1.1'],
    ...(session === undefined ? {} : { session }),
    socket: httpSocket ?? open(host, { ...settings, ...request, port: request.port || 443 } as AgentRequest),
  })
  return socket.on('session', one => {
    sessions.delete(key)
    sessions.set(key, one)
    if (sessions.size > SESSIONS_MAX) sessions.delete(sessions.keys().next().value!)
  })
}

/** Tells how it went, once; never within the call, which undici does not expect. */
function settle(socket: net.Socket, event: string, timeout: number, callback: UndiciCallback): void {
  const tell = (...args: Parameters<UndiciCallback>): void => {
    clearTimeout(timer)
    socket.off('error', failed).off(event, done)
    callback(...args)
  }
  const done = (): void => tell(null, socket)
  const failed = (error: Error): void => tell(error, null)
  const late = (): void => {
    const error = coded(Error, 'UND_ERR_CONNECT_TIMEOUT', `Connect Timeout Error (timeout: ${timeout}ms)`)
    error.name = 'ConnectTimeoutError'
    // From here on nobody else listens.
    socket.on('error', () => {}).destroy()
    tell(error, null)
  }
  const timer = timeout > 0 ? setTimeout(late, timeout) : undefined
  socket.once(event, done).once('error', failed)
}
