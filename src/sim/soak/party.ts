/** A program at one end of a connection: writes its bytes, reads the other's, pauses at both, and ends in order. */

import type { StackError } from '../../base/errors.ts'
import type { Random } from '../../base/prng.ts'
import { after, milliseconds } from '../../base/time.ts'
import type { TcpConnection } from '../../socket/tcp-endpoint.ts'
import { type Runtime, Timer } from '../../streams/index.ts'
import { patternByte } from '../script/packet-encode.ts'
import type { Part } from './scenario.ts'

/** One after the other of these is what an end does; the last one it stays in. */
export type Stage = 'working' | 'closed' | 'failed'

export class Party {
  readonly name: string
  sent = 0
  received = 0
  /** The other side's data ended. */
  ended = false
  stage: Stage = 'working'
  problem = ''
  private readonly part: Part
  private readonly expects: number
  private readonly connection: TcpConnection
  private readonly runtime: Runtime
  private readonly random: Random
  private readonly readTimer: Timer
  private readonly writeTimer: Timer
  private shut = false
  private readonly offset: number

  /**
   * @param expects - bytes that the other side sends
   * @param offset - of this direction's data in the stream of test data; the other's is another
   */
  constructor(
    name: string,
    runtime: Runtime,
    connection: TcpConnection,
    part: Part,
    expects: number,
    offsets: readonly [own: number, other: number],
    random: Random,
  ) {
    this.name = name
    this.runtime = runtime
    this.connection = connection
    this.part = part
    this.expects = expects
    this.offset = offsets[0]
    this.random = random
    this.readTimer = new Timer(() => this.read(offsets[1]))
    this.writeTimer = new Timer(() => this.write())
    connection.onReadable = () => {
      if (!this.readTimer.armed) this.read(offsets[1])
    }
    connection.onWritable = () => {
      if (!this.writeTimer.armed) this.write()
    }
    connection.onEnd = () => this.end()
    connection.onClosed = (reason, error) => this.closed(reason, error)
    // The first write comes from the run queue, as that of any program.
    this.pause(this.writeTimer, 0)
  }

  private pause(timer: Timer, ms: number): void {
    this.runtime.timers.arm(timer, after(this.runtime.clock.now(), milliseconds(ms)))
  }

  private get pausesNow(): boolean {
    return this.part.pauses > 0 && this.random.below(1_000) < this.part.pauses
  }

  private write(): void {
    const { part, connection } = this
    if (this.stage !== 'working' || this.shut || (part.answers && !this.ended)) return
    while (this.sent < part.bytes) {
      const size = Math.min(part.bytes - this.sent, 1 + this.random.below(part.chunk))
      const bytes = new Uint8Array(size)
      for (let i = 0; i < size; i++) bytes[i] = patternByte(this.offset + this.sent + i)
      const taken = this.attempt(() => connection.write(bytes))
      this.sent += taken
      if (taken < size) return
      if (this.pausesNow) return this.pause(this.writeTimer, this.random.below(part.pauseMs))
    }
    this.shut = true
    this.attempt(() => connection.shutdown())
    this.finishIfDone()
  }

  private attempt<T>(call: () => T): T | 0 {
    try {
      return call()
    } catch (error) {
      this.fail(`a call failed: ${(error as Error).message}`)
      return 0
    }
  }

  private read(offset: number): void {
    const { part, connection } = this
    const into = new Uint8Array(part.take)
    for (;;) {
      const count = connection.fill(into, 0, into.length)
      if (count === 0) return
      for (let i = 0; i < count; i++) {
        if (into[i] === patternByte(offset + this.received + i)) continue
        return this.fail(`byte ${this.received + i} is wrong`)
      }
      this.received += count
      if (this.pausesNow) return this.pause(this.readTimer, this.random.below(part.pauseMs))
    }
  }

  private end(): void {
    this.ended = true
    if (this.received !== this.expects)
      this.fail(`the end came after ${this.received} of ${this.expects} bytes`)
    this.write()
    this.finishIfDone()
  }

  /** Both directions are done with: gives the connection up, which TCP then ends by itself. */
  private finishIfDone(): void {
    if (!this.ended || !this.shut || this.stage !== 'working') return
    if (this.part.lingers && this.connection.closeReason === null) return
    this.stage = 'closed'
    this.release()
  }

  private closed(reason: string, error: StackError | null): void {
    if (this.stage !== 'working') return
    if (reason === 'done' && this.ended && this.shut) return this.finishIfDone()
    this.fail(`it ended by "${reason}" (${error?.message ?? 'no error'})`)
  }

  private fail(problem: string): void {
    if (this.stage === 'failed') return
    this.stage = 'failed'
    this.problem = problem
    this.release()
  }

  private release(): void {
    this.runtime.timers.cancel(this.readTimer)
    this.runtime.timers.cancel(this.writeTimer)
    this.connection.close()
  }

  /** For a report of a stall. */
  describe(): string {
    const { state } = this.connection
    const info = this.stage === 'working' ? JSON.stringify(this.connection.info()) : ''
    return (
      `${this.name}: ${this.stage} in ${state}, sent ${this.sent} of ${this.part.bytes}, ` +
      `received ${this.received} of ${this.expects}${this.ended ? ', ended' : ''} ${this.problem}${info}`
    )
  }
}
