/** Answers HTTP requests for files: GET and HEAD, index pages, conditions, ranges. RFC 9110. */

import type { FileHandle } from 'node:fs/promises'
import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { checkConditions, rangeStillHolds, type Validators, validatorsOf } from './conditions.ts'
import { contentTypeOf } from './content-type.ts'
import { listingPage, readListing } from './listing.ts'
import { type ByteRange, contentRange, readRange } from './ranges.ts'
import { directoryLocation, isHidden, readRequestPath } from './request-path.ts'
import type { Opened, ServedDirectory } from './served-directory.ts'

export interface FileHandlerOptions {
  /** Show a directory that has no index page. */
  readonly listings: boolean
  /** Serve and show names that begin with a dot. */
  readonly hidden: boolean
}

const METHODS = 'GET, HEAD, OPTIONS'
const INDEX = 'index.html'
const READ_BYTES = 256 * 1024
/** Of a part's separator; the rest is random, see RFC 2046 §5.1.1. */
const BOUNDARY = 'putnext-'

const REASONS: Readonly<Record<number, string>> = {
  400: 'bad request',
  403: 'forbidden',
  404: 'not found',
  405: 'only GET and HEAD',
  412: 'precondition failed',
  416: 'range not satisfiable',
  500: 'internal error',
}

export class FileHandler {
  private readonly served: ServedDirectory
  private readonly options: FileHandlerOptions

  constructor(served: ServedDirectory, options: FileHandlerOptions) {
    this.served = served
    this.options = options
  }

  /** Answers one request; never throws. */
  async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      await this.route(request, response)
    } catch {
      // The peer went away, or the file could not be read to its end: what was promised cannot be had.
      if (response.headersSent) response.destroy()
      else refuse(request, response, 500)
    }
  }

  private async route(request: IncomingMessage, response: ServerResponse): Promise<void> {
    response.setHeader('x-content-type-options', 'nosniff')
    // A body that nobody reads would block the next request of the connection.
    request.resume()
    if (request.method === 'OPTIONS') return void response.writeHead(204, { allow: METHODS }).end()
    if (request.method !== 'GET' && request.method !== 'HEAD')
      return refuse(request, response, 405, { allow: METHODS })
    const path = readRequestPath(request.url ?? '/')
    if (path.kind === 'refused') return refuse(request, response, 400)
    if (!this.options.hidden && isHidden(path.names)) return refuse(request, response, 404)
    const opened = await this.served.open(path.names)
    if (opened.kind === 'directory') return this.sendDirectory(request, response, path, opened)
    if (opened.kind === 'file' && !path.directory)
      return sendFile(request, response, path.names.at(-1)!, opened)
    if (opened.kind === 'file') await opened.handle.close()
    refuse(request, response, opened.kind === 'refused' ? 403 : 404)
  }

  private async sendDirectory(
    request: IncomingMessage,
    response: ServerResponse,
    path: { readonly names: readonly string[]; readonly directory: boolean },
    opened: Extract<Opened, { kind: 'directory' }>,
  ): Promise<void> {
    const { names } = path
    try {
      // RFC 3986 §5.2.4: links on the page are relative to the last slash.
      if (!path.directory) return refuse(request, response, 301, { location: directoryLocation(names) })
      const index = await this.served.open([...names, INDEX])
      if (index.kind === 'file') return await sendFile(request, response, INDEX, index)
      if (index.kind === 'directory') await index.directory.close()
      if (!this.options.listings) return refuse(request, response, 403)
      const { entries, cut } = await readListing(opened.directory, opened.path, this.options.hidden)
      const kept = await Promise.all(
        entries.map(({ name }) => this.served.wouldServe(join(opened.path, name), [...names, name])),
      )
      const page = listingPage(
        names,
        entries.filter((_, i) => kept[i]),
        cut,
      )
      sendText(request, response, 200, page, {
        'content-type': 'text/html; charset=utf-8',
        'cache-control': 'no-cache',
      })
    } finally {
      // Reading it to its end has closed it already.
      await opened.directory.close().catch(() => {})
    }
  }
}

function refuse(
  request: IncomingMessage,
  response: ServerResponse,
  status: number,
  headers: OutgoingHttpHeaders = {},
): void {
  const type = { 'content-type': 'text/plain; charset=utf-8' }
  sendText(request, response, status, `${REASONS[status] ?? 'see Location'}\n`, { ...type, ...headers })
}

function sendText(
  request: IncomingMessage,
  response: ServerResponse,
  status: number,
  text: string,
  headers: OutgoingHttpHeaders,
): void {
  response.writeHead(status, { ...headers, 'content-length': Buffer.byteLength(text) })
  response.end(request.method === 'HEAD' ? undefined : text)
}

async function sendFile(
  request: IncomingMessage,
  response: ServerResponse,
  name: string,
  { handle, stats }: Extract<Opened, { kind: 'file' }>,
): Promise<void> {
  try {
    const own = validatorsOf(stats.size, stats.mtimeMs)
    const validators = { etag: own.etag, 'last-modified': new Date(own.lastModifiedMs).toUTCString() }
    const condition = checkConditions(request.headers, own)
    if (condition === 304) return void response.writeHead(304, validators).end()
    if (condition === 412) return refuse(request, response, 412)
    const type = contentTypeOf(name)
    const headers = { ...validators, 'accept-ranges': 'bytes', 'content-type': type }
    const answer = rangeOf(request, own, stats.size)
    if (answer.kind === 'unsatisfiable')
      return refuse(request, response, 416, { 'content-range': `bytes */${stats.size}` })
    if (answer.kind === 'parts' && answer.ranges.length > 1)
      return await sendParts(response, handle, answer.ranges, stats.size, { ...validators, type })
    const range = answer.kind === 'parts' ? answer.ranges[0]! : { first: 0, last: stats.size - 1 }
    const part = answer.kind === 'parts' ? { 'content-range': contentRange(range, stats.size) } : {}
    response.writeHead(answer.kind === 'parts' ? 206 : 200, {
      ...headers,
      ...part,
      'content-length': range.last - range.first + 1,
    })
    if (request.method !== 'HEAD') await sendRange(response, handle, range)
    response.end()
  } finally {
    await handle.close()
  }
}

/** RFC 9110 §14.2: only a GET has ranges. */
function rangeOf(request: IncomingMessage, own: Validators, size: number): ReturnType<typeof readRange> {
  const { range, 'if-range': ifRange } = request.headers
  if (request.method !== 'GET' || Array.isArray(ifRange)) return { kind: 'whole' }
  return readRange(rangeStillHolds(ifRange, own) ? range : undefined, size)
}

/** Several ranges: multipart/byteranges, RFC 9110 §14.6. */
async function sendParts(
  response: ServerResponse,
  handle: FileHandle,
  ranges: readonly ByteRange[],
  size: number,
  { type, ...validators }: { readonly type: string; readonly etag: string },
): Promise<void> {
  const boundary = `${BOUNDARY}${Math.random().toString(36).slice(2)}`
  const heads = ranges.map(
    range =>
      `\r\n--${boundary}\r\ncontent-type: ${type}\r\ncontent-range: ${contentRange(range, size)}\r\n\r\n`,
  )
  const end = `\r\n--${boundary}--\r\n`
  const bytes = ranges.reduce(
    (sum, { first, last }, i) => sum + heads[i]!.length + last - first + 1,
    end.length,
  )
  response.writeHead(206, {
    ...validators,
    'accept-ranges': 'bytes',
    'content-type': `multipart/byteranges; boundary=${boundary}`,
    'content-length': bytes,
  })
  for (const [i, range] of ranges.entries()) {
    response.write(heads[i]!)
    await sendRange(response, handle, range)
  }
  response.end(end)
}

/** @throws if the file has become shorter, or the peer has gone */
async function sendRange(response: ServerResponse, handle: FileHandle, range: ByteRange): Promise<void> {
  const { first, last } = range
  if (last < first) return
  const source = handle.createReadStream({
    start: first,
    end: last,
    highWaterMark: READ_BYTES,
    autoClose: false,
  })
  await pipeline(source, response, { end: false })
  if (source.bytesRead < last - first + 1) throw new Error('the file has become shorter')
}
