/** The program of the experiment, over whatever gives it connections as `TcpConnection` has them. */
import { StackError } from '../base/errors.ts'
import type { TcpConnection } from '../socket/tcp-endpoint.ts'
import type { Arena } from '../streams/mblk/arena.ts'
import { allocb, dupb, freemsg, type Mblk } from '../streams/mblk/index.ts'
import { CHECK_ROUNDS, CHECK_SIZES, Digest, MessagePool, patternBytes } from './copies-pattern.ts'
import type { CopiesCheck } from './copies-result.ts'
import { PORT_DIGEST, PORT_DISCARD, PORT_ECHO } from './tcp-ports.ts'

/** What the program needs of a connection. */
export type ProgramConnection = Pick<
  TcpConnection,
  | 'putmsg'
  | 'getmsg'
  | 'write'
  | 'sendOwned'
  | 'shutdown'
  | 'close'
  | 'bytesWritten'
  | 'onConnect'
  | 'onWritable'
  | 'onReadable'
  | 'onEnd'
  | 'onClosed'
>

/** How the program gives its bytes away: as messages, by a call that copies them, or as its own memory. */
export type Way = 'messages' | 'write' | 'owned'

/** What the experiment asks of a program. */
export interface Program {
  /** Sends messages of one size until it is stopped. @returns bytes taken over so far, and an end */
  send(bytes: number, way: Way): Promise<{ readonly bytes: () => number; readonly stop: () => void }>
  /** Moves known bytes and has the other end tell their digest. */
  check(): Promise<CopiesCheck>
  /** One byte at a time, there and back. @returns microseconds, ascending */
  pingpong(startAt: number, seconds: number): Promise<Float64Array>
}

/** In front of the first measurement; an arm that is stuck says so. */
const CHECK_TIMEOUT_MS = 20_000
/** Round trips of one measurement that are kept. */
const SAMPLES_MAX = 1_000_000
/** Bytes of the program's own memory that are sent in turn. */
const PATTERN_BYTES = 4 * 1024 * 1024
const MICROSECONDS = 1_000

export class MessageProgram implements Program {
  private readonly arena: Arena
  private readonly connect: (port: number) => ProgramConnection
  private readonly partBytes: number | undefined
  private readonly pattern = patternBytes(PATTERN_BYTES)
  private bulk: ProgramConnection | null = null

  /**
   * @param connect - opens a connection to a port of the other end; what is written before it is there waits
   * @param partBytes - of each block of a message at most
   */
  constructor(arena: Arena, connect: (port: number) => ProgramConnection, partBytes?: number) {
    this.arena = arena
    this.connect = connect
    this.partBytes = partBytes
  }

  async send(bytes: number, way: Way): Promise<{ bytes: () => number; stop: () => void }> {
    this.bulk ??= await this.open(PORT_DISCARD)
    const connection = this.bulk
    const source =
      way === 'messages' ? await this.messages(connection, bytes) : this.memory(connection, bytes, way)
    connection.onWritable = source.more
    source.more()
    const stop = (): void => {
      connection.onWritable = null
      source.close()
    }
    return { bytes: () => connection.bytesWritten, stop }
  }

  private async messages(
    connection: ProgramConnection,
    bytes: number,
  ): Promise<{ more: () => void; close: () => void }> {
    const pool = await this.pool(bytes)
    let held: Mblk | null = null
    const more = (): void => {
      for (;;) {
        held ??= pool.message()
        if (held === null || !connection.putmsg(held)) return
        held = null
      }
    }
    const close = (): void => {
      if (held !== null) freemsg(held)
      pool.close()
    }
    return { more, close }
  }

  /** Waits for blocks that are still on their way with what was sent before. */
  private async pool(bytes: number): Promise<MessagePool> {
    for (const end = performance.now() + CHECK_TIMEOUT_MS; ; ) {
      const pool = MessagePool.fill(this.arena, bytes, this.pattern, this.partBytes)
      if (pool !== null) return pool
      if (performance.now() > end) throw new StackError('ERR_NO_BUFFERS', `no blocks for ${bytes} bytes`)
      await new Promise(resolve => setTimeout(resolve, 1))
    }
  }

  private memory(
    connection: ProgramConnection,
    bytes: number,
    way: Way,
  ): { more: () => void; close: () => void } {
    const parts = Math.max(1, Math.min(1_024, Math.floor(PATTERN_BYTES / bytes)))
    const all = Array.from({ length: parts }, (_, i) => this.pattern.subarray(i * bytes, (i + 1) * bytes))
    const released = (): void => {}
    let next = 0
    let rest: Uint8Array | null = null
    const own = (): void => {
      while (connection.sendOwned(all[next]!, released)) if (++next === parts) next = 0
    }
    const copy = (): void => {
      for (;;) {
        const data: Uint8Array = rest ?? all[next]!
        const done = connection.write(data)
        if (done < data.length) {
          rest = done === 0 ? data : data.subarray(done)
          return
        }
        rest = null
        if (++next === parts) next = 0
      }
    }
    return { more: way === 'owned' ? own : copy, close: () => {} }
  }

  async check(): Promise<CopiesCheck> {
    const connection = await this.open(PORT_DIGEST)
    const digest = new Digest()
    const sizes = Array.from({ length: CHECK_ROUNDS }, () => CHECK_SIZES).flat()
    const answer: number[] = []
    const arrived = new Promise<string>(resolve => {
      connection.onReadable = () => {
        for (let mp = connection.getmsg(); mp !== null; mp = connection.getmsg()) {
          for (let bp: Mblk | null = mp; bp !== null; bp = bp.cont)
            for (let i = bp.rptr; i < bp.wptr; i++) answer.push(bp.bytes[i]!)
          freemsg(mp)
        }
      }
      connection.onEnd = () => resolve(String.fromCharCode(...answer))
      connection.onClosed = () => resolve(String.fromCharCode(...answer))
    })
    let held: Mblk | null = null
    const more = (): void => {
      while (sizes.length > 0) {
        held ??= this.checkedMessage(sizes, digest)
        if (held === null) setTimeout(more, 1)
        if (held === null || !connection.putmsg(held)) return
        held = null
        sizes.shift()
      }
      connection.onWritable = null
      connection.shutdown()
    }
    connection.onWritable = more
    more()
    const text = await inTime(arrived, 'the digest of the checked transfer does not come')
    connection.close()
    return { bytes: digest.bytes, sent: digest.text(), arrived: text }
  }

  /** A message of the first of `sizes`, counted in. @returns null if there are no blocks for it now */
  private checkedMessage(sizes: readonly number[], digest: Digest): Mblk | null {
    // Each begins elsewhere, so that one in the place of another is seen.
    const from = this.pattern.subarray((sizes.length * 997) & ~3)
    const pool = MessagePool.fill(this.arena, sizes[0]!, from, this.partBytes, 1)
    if (pool === null) return null
    const mp = pool.message()
    pool.close()
    for (let bp = mp; bp !== null; bp = bp.cont) digest.add(bp.bytes, bp.rptr, bp.wptr)
    return mp
  }

  async pingpong(startAt: number, seconds: number): Promise<Float64Array> {
    const connection = await this.open(PORT_ECHO)
    const byte = allocb(this.arena, 1)!
    byte.dblk.bytes[byte.wptr++] = 0x78
    const samples = new Float64Array(SAMPLES_MAX)
    let count = 0
    let sentAt = 0
    const begin = startAt - performance.timeOrigin
    const end = begin + seconds * 1_000
    await new Promise<void>((resolve, reject) => {
      const ask = (): void => {
        sentAt = performance.now()
        connection.putmsg(dupb(byte)!)
      }
      connection.onReadable = () => {
        for (let mp = connection.getmsg(); mp !== null; mp = connection.getmsg()) freemsg(mp)
        const now = performance.now()
        if (sentAt >= begin && count < SAMPLES_MAX) samples[count++] = (now - sentAt) * MICROSECONDS
        if (now < end) ask()
        else resolve()
      }
      connection.onClosed = () => reject(new StackError('ERR_HOST', 'the echo connection ended'))
      ask()
    })
    connection.close()
    freemsg(byte)
    return samples.subarray(0, count).sort()
  }

  private async open(port: number): Promise<ProgramConnection> {
    const connection = this.connect(port)
    const open = new Promise<void>((resolve, reject) => {
      connection.onConnect = resolve
      connection.onClosed = (reason, error) =>
        reject(error ?? new StackError('ERR_HOST', `the connection to port ${port} ended: ${reason}`))
    })
    await inTime(open, `no connection to port ${port}`)
    connection.onClosed = null
    return connection
  }
}

async function inTime<T>(wanted: Promise<T>, otherwise: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new StackError('ERR_TIMED_OUT', otherwise)), CHECK_TIMEOUT_MS)
  })
  try {
    return await Promise.race([wanted, late])
  } finally {
    clearTimeout(timer)
  }
}
