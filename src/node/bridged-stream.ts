/**
 * A connection of a node's stack as another process has it: a `Duplex` over the control port's socket. Frames carry what
 * a bare socket could not tell apart: the end of one direction, and a reset with its reason.
 *
 * A frame is a kind (1 byte), a length (4 bytes, big-endian) and as many bytes: data, nothing for the end of the sender's data, or
 * `{"code", "message"}` for a reset, after which nothing follows. Backpressure is the carrier's.
 */
import { Duplex } from 'node:stream'
import { StackError } from '../base/errors.ts'

/** The name in the `Upgrade` header. */
export const STREAM_PROTOCOL = 'putnext-stream'

const KIND_DATA = 0
const KIND_END = 1
const KIND_RESET = 2
const HEADER_BYTES = 5
/** A frame longer than this is none of ours. */
const DATA_BYTES_MAX = 16 * 1024 * 1024
const RESET_BYTES_MAX = 4_096
const HIGH_WATER_BYTES = 256 * 1024
/** How often a carrier that is not read is asked whether the other side is still there. */
const PROBE_MS = 1_000

/** An error with the code that programs of Node look for: `ECONNRESET`. */
export interface CodedError extends Error {
  code?: string
}

function header(kind: number, length: number): Buffer {
  const bytes = Buffer.alloc(HEADER_BYTES)
  bytes[0] = kind
  bytes.writeUInt32BE(length, 1)
  return bytes
}

export class BridgedStream extends Duplex {
  private readonly carrier: Duplex
  private readonly head = Buffer.alloc(HEADER_BYTES)
  private headBytes = 0
  /** Bytes of the current frame that are still to come. */
  private left = 0
  private reset: Buffer[] | null = null
  private ended = false
  private probe: NodeJS.Timeout | null = null

  /**
   * @param carrier - from now on this stream's own
   * @param brokeOff - what it means, in words, if the carrier ends early
   */
  constructor(carrier: Duplex, brokeOff = 'the other side broke off') {
    super({ allowHalfOpen: true, highWaterMark: HIGH_WATER_BYTES })
    this.carrier = carrier
    carrier.on('data', (chunk: Buffer) => this.receive(chunk))
    carrier.on('error', error => this.destroy(error))
    const broken = (): void => {
      if (!this.ended || !this.writableFinished) this.destroy(coded('ECONNRESET', brokeOff))
    }
    carrier.on('end', () => {
      // Who has sent its end is there until it has ours.
      if (!this.ended || !this.writableEnded) this.destroy(coded('ECONNRESET', brokeOff))
    })
    carrier.on('close', broken)
    carrier.pause()
  }

  override _read(): void {
    this.carrier.resume()
  }

  override _write(chunk: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    this.carrier.cork()
    this.carrier.write(header(KIND_DATA, chunk.length))
    this.carrier.write(chunk, done)
    this.carrier.uncork()
  }

  override _final(done: (error?: Error | null) => void): void {
    this.carrier.write(header(KIND_END, 0), done)
  }

  override _destroy(error: CodedError | null, done: (error: Error | null) => void): void {
    const { carrier } = this
    if (this.probe !== null) clearInterval(this.probe)
    if (!carrier.destroyed) {
      if (error !== null || !this.writableFinished || !this.ended) {
        const { code = 'ECONNRESET', message } = error ?? { message: 'closed' }
        const text = Buffer.from(JSON.stringify({ code, message: message.slice(0, 1_000) }))
        carrier.write(header(KIND_RESET, text.length))
        carrier.write(text)
      }
      // What is on its way goes out; what comes is thrown away.
      carrier.end()
      carrier.resume()
    }
    done(error)
  }

  private receive(chunk: Buffer): void {
    let at = 0
    while (at < chunk.length && !this.destroyed) {
      if (this.left === 0 && this.headBytes < HEADER_BYTES) {
        const size = Math.min(HEADER_BYTES - this.headBytes, chunk.length - at)
        chunk.copy(this.head, this.headBytes, at, at + size)
        this.headBytes += size
        at += size
        if (this.headBytes === HEADER_BYTES) this.begin()
        continue
      }
      const size = Math.min(this.left, chunk.length - at)
      this.body(chunk.subarray(at, at + size))
      at += size
    }
  }

  /** A header is complete. */
  private begin(): void {
    const kind = this.head[0]!
    this.left = this.head.readUInt32BE(1)
    if (kind === KIND_DATA && this.left === 0) this.headBytes = 0
    else if (kind === KIND_DATA && this.left <= DATA_BYTES_MAX && !this.ended) {
      // Its body follows.
    } else if (kind === KIND_END && this.left === 0 && !this.ended) {
      this.headBytes = 0
      this.ended = true
      this.push(null)
    } else if (kind === KIND_RESET && this.left <= RESET_BYTES_MAX) {
      this.reset = []
      this.ended = true
      if (this.left === 0) this.fail('')
    } else this.destroy(coded('EPROTO', 'a frame that is none'))
  }

  private body(bytes: Buffer): void {
    this.left -= bytes.length
    if (this.reset !== null) {
      this.reset.push(bytes)
      if (this.left === 0) this.fail(Buffer.concat(this.reset).toString())
      return
    }
    if (this.left === 0) this.headBytes = 0
    if (!this.push(bytes)) this.hold()
  }

  /** Nobody takes what came. Who does not read does not hear of an end, but an empty frame to nobody fails. */
  private hold(): void {
    const { carrier } = this
    carrier.pause()
    this.probe ??= setInterval(() => {
      if (carrier.isPaused() && carrier.writable && carrier.writableLength === 0)
        carrier.write(header(KIND_DATA, 0))
    }, PROBE_MS).unref()
  }

  private fail(text: string): void {
    const { code, message } = readReset(text)
    // The other side has hung up already: nothing is to be told to it.
    this.carrier.destroy()
    this.destroy(coded(code, message))
  }
}

function readReset(text: string): { code: string; message: string } {
  try {
    const { code, message } = JSON.parse(text) as { code?: unknown; message?: unknown }
    if (typeof code === 'string' && typeof message === 'string') return { code, message }
  } catch {
    // Below.
  }
  return { code: 'ECONNRESET', message: 'reset' }
}

function coded(code: string, message: string): CodedError {
  return Object.assign(new Error(message), { code })
}

/** What joining needs of a socket of the stack; those of `node:net` have it, too. */
export interface StreamSocket extends Duplex {
  readonly localAddress?: string | undefined
  readonly localPort?: number | undefined
  readonly remoteAddress?: string | undefined
  readonly remotePort?: number | undefined
  resetAndDestroy(): unknown
}

/** Lets two streams be one: data, ends and resets of each go to the other. */
export function joinStreams(socket: StreamSocket, bridged: BridgedStream): void {
  socket.pipe(bridged)
  bridged.pipe(socket)
  socket.on('error', error => bridged.destroy(error))
  socket.on('close', () => {
    if (!bridged.readableEnded) bridged.destroy()
  })
  bridged.on('error', () => socket.resetAndDestroy())
  bridged.on('close', () => {
    if (!socket.destroyed && !bridged.readableEnded) socket.resetAndDestroy()
  })
}

/** What a socket failed with, as the control port tells errors. */
export function asStackError(error: CodedError, codes: Readonly<Record<string, string>>): StackError {
  if (error instanceof StackError) return error
  const code = Object.entries(codes).find(([, errno]) => errno === error.code)?.[0] ?? 'ERR_HOST'
  return new StackError(code as StackError['code'], error.message, { cause: error })
}
