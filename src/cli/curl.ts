/** `putnext curl`: fetches a URL by a node's own stack. */
import { type FileHandle, open } from 'node:fs/promises'
import { STATUS_CODES } from 'node:http'
import { basename, dirname } from 'node:path'
import { type Duplex, Readable, Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { connect as connectTls } from 'node:tls'
import { StackError } from '../base/errors.ts'
import type { ControlClient } from '../node/control-client.ts'
import type { CommandRun, Invocation } from './command.ts'
import {
  checkMethod,
  type HeaderLine,
  readCertificates,
  readHeaders,
  readResolves,
  readUrl,
  requestBody,
} from './curl-arguments.ts'
import { DownloadProgress } from './curl-progress.ts'
import {
  EXIT_BAD_CERTIFICATE,
  EXIT_DONE,
  EXIT_REFUSED_BY_SERVER,
  ExitError,
  UsageError,
} from './exit-codes.ts'
import { addressOf } from './host-port.ts'
import { nodeClient } from './node-target.ts'
import { type Connector, type HttpAgent, type HttpAnswer, makeAgent } from './undici.ts'

const REDIRECTS_MAX = 20
/** With --json and without a file, a body up to this size is in the document. */
const BODY_SHOWN_BYTES = 64 * 1024
const CONNECT_TIMEOUT_MS = 30_000

/** One request of possibly several, when redirections are followed. */
interface Step {
  readonly url: URL
  readonly method: string
  readonly headers: readonly HeaderLine[]
  readonly body: Uint8Array | null
}

export const curl: CommandRun = async invocation => {
  const { args, out, signal } = invocation
  const url = readUrl(args.required('URL'))
  const target = outputFile(invocation, url)
  const late = args.number('max-time')
  const limit = late === undefined ? signal : AbortSignal.any([signal, AbortSignal.timeout(late)])
  const network = new NodeConnections(invocation, nodeClient(invocation))
  const agent = await makeAgent(network.connector)
  const first: Step = {
    url,
    method: checkMethod(args.string('request') ?? defaultMethod(invocation)),
    headers: readHeaders(args.strings('header'), args.string('user')),
    body: requestBody(args.strings('data')),
  }
  try {
    return await fetchAll(invocation, agent, network, first, target, limit)
  } catch (error) {
    if (signal.aborted) throw signal.reason
    if (limit.aborted)
      throw new StackError('ERR_TIMED_OUT', `${url.href}: not done in ${late} ms`, { cause: error })
    throw asFailure(error, url, network)
  } finally {
    await agent.destroy().catch(() => {})
    out.progressDone()
  }
}

function defaultMethod({ args }: Invocation): string {
  if (args.flag('head')) return 'HEAD'
  return args.strings('data').length > 0 ? 'POST' : 'GET'
}

/** @returns null for stdout */
function outputFile({ args }: Invocation, url: URL): string | null {
  const file = args.string('output')
  if (args.flag('remote-name')) {
    if (file !== undefined) throw new UsageError('one of -o and -O')
    const name = basename(decodeURIComponent(url.pathname))
    if (name === '' || name === '/')
      throw new UsageError(`${url.href} ends with no file name`, 'say one with -o')
    return name
  }
  return file === undefined || file === '-' ? null : file
}

async function fetchAll(
  invocation: Invocation,
  agent: HttpAgent,
  network: NodeConnections,
  first: Step,
  target: string | null,
  signal: AbortSignal,
): Promise<number> {
  const { args, out } = invocation
  const began = performance.now()
  const since = (): number => Math.round((performance.now() - began) * 1_000) / 1_000_000
  let step = first
  let answer = await ask(invocation, agent, step, signal)
  let redirects = 0
  for (; args.flag('location') && isRedirect(answer); redirects++) {
    if (redirects === REDIRECTS_MAX)
      throw new StackError('ERR_PROTOCOL', `${first.url.href}: more than ${REDIRECTS_MAX} redirections`)
    await drained(answer.body)
    step = nextStep(step, answer)
    answer = await ask(invocation, agent, step, signal)
  }
  const firstByte = since()
  const refused = args.flag('fail') && answer.statusCode >= 400
  const { bytes, text } = refused ? passOver(answer) : await deliver(invocation, step, answer, target)
  const seconds = { connect: network.connectSeconds, firstByte, total: since() }
  out.report({
    url: first.url.href,
    effectiveUrl: step.url.href,
    method: step.method,
    status: answer.statusCode,
    headers: answer.headers,
    redirects,
    bytes,
    file: refused ? null : target,
    ...(text === null ? {} : { body: text }),
    remote: network.remote,
    seconds,
    bytesPerSecond: seconds.total === 0 ? 0 : Math.round(bytes / seconds.total),
  })
  if (!refused) return EXIT_DONE
  const message =
    `the server answered with ${answer.statusCode} ${STATUS_CODES[answer.statusCode] ?? ''}`.trim()
  out.failed({ code: 'ERR_HTTP_STATUS', message })
  if (!out.json) out.warn(message)
  return EXIT_REFUSED_BY_SERVER
}

/** With -f the page of an error is not what was asked for: nobody takes it for the file. */
function passOver({ body }: HttpAnswer): { bytes: number; text: null } {
  body.on('error', () => {})
  body.destroy()
  return { bytes: 0, text: null }
}

async function ask(
  { out }: Invocation,
  agent: HttpAgent,
  step: Step,
  signal: AbortSignal,
): Promise<HttpAnswer> {
  const { url, method, headers, body } = step
  const path = `${url.pathname}${url.search}`
  out.detail(
    `> ${method} ${path} HTTP/1.1\n${headers.map(([name, value]) => `> ${name}: ${value}`).join('\n')}`,
  )
  const answer = await agent.request({
    origin: url.origin,
    path,
    method,
    headers: headers.flat(),
    body,
    signal,
  })
  out.detail(headText(answer, '< '))
  return answer
}

function headText({ statusCode, headers }: HttpAnswer, prefix: string): string {
  const lines = [`HTTP/1.1 ${statusCode} ${STATUS_CODES[statusCode] ?? ''}`]
  for (const [name, value] of Object.entries(headers))
    for (const one of Array.isArray(value) ? value : [value]) lines.push(`${name}: ${one}`)
  return lines.map(line => `${prefix}${line}`).join('\n')
}

function isRedirect({ statusCode, headers }: HttpAnswer): boolean {
  return [301, 302, 303, 307, 308].includes(statusCode) && typeof headers['location'] === 'string'
}

/** RFC 9110 §15.4: where a redirection leads, and with what method. */
function nextStep(step: Step, { statusCode, headers }: HttpAnswer): Step {
  const url = readUrl(new URL(headers['location'] as string, step.url).href)
  const becomesGet = statusCode === 303 ? step.method !== 'HEAD' : statusCode < 303 && step.method === 'POST'
  // Credentials are for whom they were meant.
  const kept = step.headers.filter(
    ([name]) => url.origin === step.url.origin || !/^(authorization|cookie)$/i.test(name),
  )
  return becomesGet ? { url, method: 'GET', headers: kept, body: null } : { ...step, url, headers: kept }
}

async function drained(body: Readable): Promise<void> {
  body.resume()
  await new Promise(resolve => body.on('close', resolve))
}

/** Brings the body where it is to go. */
async function deliver(
  { args, out, host }: Invocation,
  step: Step,
  answer: HttpAnswer,
  target: string | null,
): Promise<{ bytes: number; text: string | null }> {
  const withHead = args.flag('include') || args.flag('head')
  const head = withHead ? `${headText(answer, '')}\n\n` : ''
  const kept: Buffer[] = []
  let bytes = 0
  const shows =
    !out.quiet && !out.json && host.stderr.isTTY === true && (target !== null || host.stdout.isTTY !== true)
  const progress = shows ? new DownloadProgress(Number(answer.headers['content-length'] ?? Number.NaN)) : null
  const count = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      bytes += chunk.length
      if (out.json && target === null && bytes <= BODY_SHOWN_BYTES) kept.push(chunk)
      const line = progress?.take(bytes, performance.now()) ?? null
      if (line !== null) out.progress(line)
      done(null, chunk)
    },
  })
  if (target !== null) {
    const source = head === '' ? count : Readable.from(prefixed(head, count))
    const file = await openFile(target)
    await Promise.all([
      pipeline(answer.body, count),
      pipeline(source, file).catch(error => {
        throw error.syscall === 'write' ? fileError(target, error) : error
      }),
    ])
  } else {
    if (head !== '' && !out.json) await out.bytes(Buffer.from(head))
    answer.body.pipe(count)
    answer.body.on('error', error => count.destroy(error))
    for await (const chunk of count as AsyncIterable<Buffer>) if (!out.json) await out.bytes(chunk)
  }
  if (target !== null)
    out.progressDone(out.verbose || shows ? `${step.url.href}: ${bytes} bytes in ${target}` : undefined)
  const complete = out.json && target === null && bytes <= BODY_SHOWN_BYTES
  return { bytes, text: complete ? Buffer.concat(kept).toString() : null }
}

async function* prefixed(head: string, body: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  yield Buffer.from(head)
  yield* body
}

/** @throws StackError that names what is wrong with the file, not with the URL */
async function openFile(path: string): Promise<ReturnType<FileHandle['createWriteStream']>> {
  try {
    return (await open(path, 'w')).createWriteStream()
  } catch (error) {
    throw fileError(path, error as NodeJS.ErrnoException)
  }
}

function fileError(path: string, cause: NodeJS.ErrnoException): StackError {
  const { code = '' } = cause
  if (code === 'ENOENT' || code === 'ENOTDIR')
    return new StackError('ERR_NOT_FOUND', `${path}: there is no folder ${dirname(path)}`, { cause })
  if (code === 'EISDIR') return new StackError('ERR_ALREADY', `${path} is a folder`, { cause })
  const kind = code === 'EACCES' || code === 'EPERM' ? 'ERR_ACCESS' : 'ERR_HOST'
  return new StackError(kind, `cannot write ${path} (${code})`, { cause })
}

/** Connections of the node, as undici asks for them. */
class NodeConnections {
  /** Of the last connection. */
  connectSeconds = 0
  remote: { address: string; port: number } | null = null
  /** What the last attempt failed with. */
  failure: Error | null = null
  private readonly invocation: Invocation
  private readonly client: ControlClient
  private readonly resolves: ReadonlyMap<string, string>
  private readonly trusted: Buffer | null

  constructor(invocation: Invocation, client: ControlClient) {
    this.invocation = invocation
    this.client = client
    this.resolves = readResolves(invocation.args.strings('resolve'))
    const file = invocation.args.string('cacert')
    this.trusted = file === undefined ? null : readCertificates(file)
  }

  readonly connector: Connector = (target, done) => {
    this.connect(
      target.hostname,
      Number(target.port) || (target.protocol === 'https:' ? 443 : 80),
      target.protocol,
    ).then(
      socket => done(null, socket),
      (error: Error) => {
        this.failure = error
        done(error, null)
      },
    )
  }

  private async connect(hostname: string, port: number, protocol: string): Promise<Duplex> {
    const { args, out, signal } = this.invocation
    const began = performance.now()
    const address = this.resolves.get(`${hostname}:${port}`) ?? (await addressOf(hostname))
    const timeoutMs = args.number('connect-timeout') ?? CONNECT_TIMEOUT_MS
    const { socket, local, remote } = await this.client.openStream(
      { to: address, toPort: port, timeoutMs },
      signal,
    )
    out.detail(
      `* connected from ${local.address} port ${local.port} to ${remote.address} port ${remote.port}`,
    )
    this.remote = remote
    const secured = protocol === 'https:' ? await this.secure(socket, hostname) : socket
    this.connectSeconds = Math.round((performance.now() - began) * 1_000) / 1_000_000
    return secured
  }

  private secure(socket: Duplex, hostname: string): Promise<Duplex> {
    const { args, out } = this.invocation
    return new Promise((resolve, reject) => {
      const bare = hostname.replace(/^\[(.*)\]$/, '$1')
      const secured = connectTls({
        socket,
        ...(/^[\d.]+$|:/.test(bare) ? { host: bare } : { servername: bare }),
        ALPNProtocols: ['http/1.1'],
        rejectUnauthorized: !args.flag('insecure'),
        ...(this.trusted === null ? {} : { ca: this.trusted }),
      })
      secured.once('error', reject)
      secured.once('secureConnect', () => {
        secured.off('error', reject)
        out.detail(`* ${secured.getProtocol()}, ${secured.getCipher().name}`)
        resolve(secured)
      })
    })
  }
}

/** What undici says of a failure is wrapped in its own words: the cause is what a person wants to read. */
function asFailure(error: unknown, url: URL, { failure }: NodeConnections): Error {
  const cause = failure ?? (error as Error)
  if (cause instanceof StackError || cause instanceof UsageError) return cause
  const { code = '' } = cause as NodeJS.ErrnoException
  if (code === 'ERR_SSL_WRONG_VERSION_NUMBER')
    return new StackError('ERR_PROTOCOL', `${url.href}: the server does not speak TLS there`, {
      cause,
      hint: 'is it http://?',
    })
  const message = `${url.href}: ${cause.message}`
  if (/CERT|SIGNATURE|SELF_SIGNED|ALTNAME/.test(code))
    return new ExitError(EXIT_BAD_CERTIFICATE, 'ERR_PROTOCOL', message, {
      cause,
      hint: certificateHint(code),
    })
  // A server of TLS that is spoken to plainly answers with an alert, or hangs up.
  const isPuzzled = code.startsWith('HPE_') || code === 'UND_ERR_SOCKET' || code === 'ECONNRESET'
  const hint = url.protocol === 'http:' && isPuzzled ? { hint: 'is it https://?' } : {}
  return new StackError('ERR_HOST', message, { cause, ...hint })
}

/** More trust does not mend a name or a date. */
function certificateHint(code: string): string {
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID')
    return 'use a name that the certificate has, with --resolve NAME:PORT:ADDRESS where it leads elsewhere; -k goes on all the same'
  if (code === 'CERT_HAS_EXPIRED' || code === 'CERT_NOT_YET_VALID')
    return 'look at its dates and at the clock; -k goes on all the same'
  return 'say -k to go on all the same, or --cacert FILE to trust who signed it'
}
