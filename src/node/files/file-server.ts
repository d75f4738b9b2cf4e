/** An HTTP server for the files of a directory, as `node:http` has servers: it may listen on any stack. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { FileHandler } from './file-handler.ts'
import { ServedDirectory, type SymlinkPolicy } from './served-directory.ts'

export interface FileServerOptions {
  readonly directory: string
  readonly symlinks?: SymlinkPolicy
  /** Show directories that have no index page; true by default. */
  readonly listings?: boolean
  /** Names that begin with a dot; false by default. */
  readonly hidden?: boolean
  /** Told of each request when it is over. */
  readonly onRequest?: (entry: RequestEntry) => void
}

/** One request, as a line of a log. */
export interface RequestEntry {
  readonly remote: string
  readonly method: string
  readonly target: string
  readonly status: number
  /** Of the body; of a response that broke off, what had gone out. */
  readonly bytes: number
  readonly milliseconds: number
  /** False if the peer went away before the end. */
  readonly complete: boolean
}

/** A client that says nothing is not waited for. */
const HEADERS_TIMEOUT_MS = 20_000
const KEEP_ALIVE_MS = 15_000
const TARGET_SHOWN_MAX = 500
/** What is answered to what is no request; everything else gets 400. */
const CLIENT_FAULTS: Readonly<Record<string, string>> = {
  ERR_HTTP_REQUEST_TIMEOUT: '408 Request Timeout',
  HPE_HEADER_OVERFLOW: '431 Request Header Fields Too Large',
}
const MAPPED = /^::ffff:(?=\d+\.)/

/**
 * Makes a server; it does not listen yet.
 * @throws StackError `ERR_NOT_FOUND`, `ERR_ACCESS` for the directory
 */
export function createFileServer(options: FileServerOptions): Server {
  const { directory, symlinks = 'inside', listings = true, hidden = false, onRequest } = options
  const handler = new FileHandler(new ServedDirectory(directory, symlinks, hidden), { listings, hidden })
  const server = createServer({
    headersTimeout: HEADERS_TIMEOUT_MS,
    requestTimeout: HEADERS_TIMEOUT_MS,
    keepAliveTimeout: KEEP_ALIVE_MS,
  })
  server.on('request', (request, response) => {
    if (onRequest !== undefined) logRequest(request, response, onRequest)
    void handler.answer(request, response)
  })
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    const status = CLIENT_FAULTS[error.code ?? ''] ?? '400 Bad Request'
    if (socket.writable) socket.end(`HTTP/1.1 ${status}\r\nconnection: close\r\n\r\n`)
    else socket.destroy()
  })
  return server
}

function logRequest(
  request: IncomingMessage,
  response: ServerResponse,
  tell: (entry: RequestEntry) => void,
): void {
  const { socket, method = '', url = '' } = request
  const began = performance.now()
  const before = socket.bytesWritten
  // A server of both families sees IPv4 v4-mapped; people read the address that it is.
  const address = (socket.remoteAddress ?? '').replace(MAPPED, '')
  const remote = socket.remotePort === undefined ? address : `${address}#${socket.remotePort}`
  response.on('close', () =>
    tell({
      remote,
      method,
      target: url.slice(0, TARGET_SHOWN_MAX),
      status: response.statusCode,
      bytes: response.writableFinished ? bodyBytes(method, response) : socket.bytesWritten - before,
      milliseconds: Math.round((performance.now() - began) * 1_000) / 1_000,
      complete: response.writableFinished,
    }),
  )
}

function bodyBytes(method: string, response: ServerResponse): number {
  return method === 'HEAD' || response.statusCode === 304
    ? 0
    : Number(response.getHeader('content-length') ?? 0)
}
