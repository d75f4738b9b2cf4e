/**
 * The control port of a node: HTTP and JSON on a Unix socket. Answers are JSON documents, errors are
 * `{"error": {"code", "message", "hint"}}` with a status that fits; see docs/reference/control-port.md.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import type { GenericSchema } from 'valibot'
import { type ErrorCode, StackError } from '../base/errors.ts'
import { Captures } from './captures.ts'
import { checkRequest } from './control-requests.ts'
import { type ControlRoute, ROUTES, UPGRADES } from './control-routes.ts'
import { listenOnSocket } from './control-socket.ts'
import { didYouMean } from './did-you-mean.ts'
import type { Node } from './node.ts'

const BODY_BYTES_MAX = 1024 * 1024
const HEADER_TIMEOUT_MS = 10_000
const CONNECTIONS_MAX = 64

const STATUS: Partial<Record<ErrorCode, number>> = {
  ERR_ACCESS: 403,
  ERR_ADDR_IN_USE: 409,
  ERR_ADDR_NOT_AVAILABLE: 409,
  ERR_ALREADY: 409,
  ERR_BAD_ADDRESS: 400,
  ERR_BAD_ARGUMENT: 400,
  ERR_BAD_CONFIG: 422,
  ERR_BUSY: 409,
  ERR_CONN_REFUSED: 502,
  ERR_HOST_UNREACHABLE: 502,
  ERR_NETWORK_UNREACHABLE: 502,
  ERR_DEVICE_GONE: 410,
  ERR_IOCTL: 422,
  ERR_MSG_TOO_LONG: 413,
  ERR_NOT_FOUND: 404,
  ERR_NOT_SUPPORTED: 501,
  ERR_NO_BUFFERS: 503,
  ERR_PERMISSION: 403,
  ERR_PLUMBING: 409,
  ERR_TIMED_OUT: 504,
}

export interface ControlOptions {
  /** Where to listen. */
  readonly path: string
  /** Called when somebody asked the node to end; it should close the control port and the node. */
  readonly onShutdown?: () => void
}

/** What a route gets to see. */
export interface ControlContext {
  readonly node: Node
  readonly captures: Captures
  readonly url: URL
  /** Checked against the route's schema; undefined if it has none. */
  readonly body: unknown
  readonly response: ServerResponse
  /** Aborted when the asker is gone or the port closes. */
  readonly signal: AbortSignal
  readonly shutdown: () => void
}

export class ControlPort {
  readonly path: string
  private readonly node: Node
  private readonly captures: Captures
  private readonly server: Server
  private readonly onShutdown: () => void
  private readonly closing = new AbortController()
  private readonly upgraded = new Set<Duplex>()

  private constructor(node: Node, options: ControlOptions) {
    this.node = node
    this.captures = new Captures(node)
    this.path = options.path
    this.onShutdown = options.onShutdown ?? (() => {})
    this.server = createServer({ headersTimeout: HEADER_TIMEOUT_MS, requestTimeout: 0 })
    this.server.maxConnections = CONNECTIONS_MAX
    this.server.on('request', (request, response) => void this.answer(request, response))
    this.server.on('upgrade', (request, socket, head) => {
      // What came together with the request belongs to what follows it.
      if (head.length > 0) socket.unshift(head)
      this.upgrade(request, socket)
    })
    this.server.on('clientError', (_error, socket) => socket.destroy())
  }

  /**
   * Opens the control port of a node.
   * @throws StackError `ERR_ADDR_IN_USE` if a node listens there already; see {@link listenOnSocket}
   */
  static async open(node: Node, options: ControlOptions): Promise<ControlPort> {
    const port = new ControlPort(node, options)
    await listenOnSocket(port.server, options.path)
    return port
  }

  /** Stops listening, ends what is in progress, and removes the socket file. */
  async close(): Promise<void> {
    this.closing.abort()
    this.captures.close()
    for (const socket of this.upgraded) socket.destroy()
    const closed = new Promise<void>(resolve => this.server.close(() => resolve()))
    // The answer to a request for shutdown is on its way: idle connections go at once, the others when they are done.
    this.server.closeIdleConnections()
    const late = setTimeout(() => this.server.closeAllConnections(), 1_000)
    await closed
    clearTimeout(late)
  }

  private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const gone = new AbortController()
    response.on('close', () => gone.abort())
    response.on('error', () => gone.abort())
    try {
      const url = urlOf(request)
      const route = findRoute(request.method ?? 'GET', url.pathname, response)
      const body = await readBody(request, route)
      const signal = AbortSignal.any([gone.signal, this.closing.signal])
      const shutdown = (): void => void response.on('finish', () => setImmediate(this.onShutdown))
      const result = await route.run({
        node: this.node,
        captures: this.captures,
        url,
        body,
        response,
        signal,
        shutdown,
      })
      if (!response.headersSent) sendJson(response, 200, result ?? {})
      else if (!response.writableEnded) response.end()
    } catch (error) {
      this.refuse(response, error)
    }
  }

  private refuse(response: ServerResponse, error: unknown): void {
    const { status, document } = errorAnswer(error)
    if (status === 500)
      this.node.events.add('error', 'control.fault', String((error as Error).stack ?? error))
    if (response.destroyed) return
    // A stream that has begun can only be cut off, or be told in its own last line.
    if (response.headersSent) response.end(`${JSON.stringify(document)}\n`)
    else sendJson(response, status, document)
  }

  private upgrade(request: IncomingMessage, socket: Duplex): void {
    socket.on('error', () => socket.destroy())
    this.upgraded.add(socket)
    socket.on('close', () => this.upgraded.delete(socket))
    // Nobody is above this function: what throws outside `begin` would end the node.
    const begin = async (): Promise<void> => {
      const url = urlOf(request)
      const run = UPGRADES.get(url.pathname)
      if (run === undefined)
        throw new StackError('ERR_NOT_FOUND', `there is nothing to upgrade to at ${url.pathname}`)
      await run(this.node, url, socket)
    }
    begin().catch(error => {
      const { status, document } = errorAnswer(error)
      const text = JSON.stringify(document)
      socket.end(
        `HTTP/1.1 ${status} Refused\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(text)}\r\nconnection: close\r\n\r\n${text}`,
      )
    })
  }
}

/** The path is there, with other methods. */
class WrongMethod extends StackError {}

function errorAnswer(error: unknown): { status: number; document: unknown } {
  if (!(error instanceof StackError)) {
    const message = error instanceof Error ? error.message : String(error)
    return { status: 500, document: { error: { code: 'ERR_INTERNAL', message } } }
  }
  const { code, message, hint } = error
  return {
    status: error instanceof WrongMethod ? 405 : (STATUS[code] ?? 500),
    document: { error: { code, message, ...(hint === undefined ? {} : { hint }) } },
  }
}

/** @throws StackError for a request target such as `//`, which no URL has */
function urlOf(request: IncomingMessage): URL {
  const target = request.url ?? '/'
  try {
    return new URL(target, 'http://node')
  } catch {
    throw new StackError('ERR_BAD_ARGUMENT', `"${target.slice(0, 80)}" is no path`)
  }
}

/** A refusal that HTTP has a status of its own for. */
function findRoute(method: string, path: string, response: ServerResponse): ControlRoute {
  const here = ROUTES.filter(route => route.path === path)
  const found = here.find(route => route.method === method)
  if (found !== undefined) return found
  if (here.length > 0) {
    response.setHeader('allow', here.map(route => route.method).join(', '))
    throw new WrongMethod(
      'ERR_NOT_SUPPORTED',
      `${path} takes ${here.map(route => route.method).join(', ')}, not ${method}`,
    )
  }
  const known = ROUTES.map(route => route.path)
  throw new StackError('ERR_NOT_FOUND', `there is nothing at ${path}`, { hint: didYouMean(path, known) })
}

async function readBody(request: IncomingMessage, route: ControlRoute): Promise<unknown> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length
    if (length > BODY_BYTES_MAX)
      throw new StackError('ERR_MSG_TOO_LONG', `the body is longer than ${BODY_BYTES_MAX} bytes`)
    chunks.push(chunk)
  }
  if (route.schema === undefined) return undefined
  return checkBody(route.schema, Buffer.concat(chunks).toString('utf8'))
}

function checkBody(schema: GenericSchema, text: string): unknown {
  let value: unknown
  try {
    value = text === '' ? {} : JSON.parse(text)
  } catch {
    throw new StackError('ERR_BAD_ARGUMENT', 'the body is no JSON')
  }
  return checkRequest(schema, value)
}

export function sendJson(response: ServerResponse, status: number, document: unknown): void {
  const text = `${JSON.stringify(document)}\n`
  response.writeHead(status, {
    'content-type': 'application/json; charset=utf-8',
    'content-length': Buffer.byteLength(text),
  })
  response.end(text)
}
