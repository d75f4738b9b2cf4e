/** The data of a test: sends and takes, counts, tells of intervals, knows when time or bytes are used up. */
import type { BulkConnection, BulkNetwork } from './bulk.ts'
import type { DatagramFigures } from './datagram-header.ts'
import type { CpuUse, IntervalStream, TellLine } from './lines.ts'
import type { StreamPlan, TestParameters } from './parameters.ts'
import type { SideResults } from './results.ts'

/** How often a limited sender looks whether it may go on; iperf3's `pacing_timer`. */
const PACE_MS = 1
/** A last interval shorter than this part of a whole one is not told. */
const LAST_INTERVAL_PART = 0.1

export interface TrafficStream extends StreamPlan {
  readonly connection: BulkConnection
}

interface Flow extends TrafficStream {
  /** Since what is counted began. */
  bytes: number
  intervalBytes: number
  /** Since the first byte, for pacing. */
  allBytes: number
  retransmits: number
  /** What the connection had sent again when counting began. */
  retransmitsBefore: number
  intervalRetransmits: number
  /** What had been told before this interval. */
  datagramsBefore: DatagramFigures
}

const NO_DATAGRAMS: DatagramFigures = { packets: 0, lost: 0, outOfOrder: 0, jitterMs: 0 }

/** @returns null for a stream without any */
function intervalDatagrams(flow: Flow): DatagramFigures | null {
  const now = flow.connection.datagrams
  if (now === undefined) return null
  const { packets, lost, outOfOrder } = flow.datagramsBefore
  flow.datagramsBefore = now
  return {
    packets: now.packets - packets,
    lost: now.lost - lost,
    outOfOrder: now.outOfOrder - outOfOrder,
    jitterMs: now.jitterMs,
  }
}

export interface TrafficOptions {
  readonly parameters: TestParameters
  readonly streams: readonly TrafficStream[]
  readonly network: BulkNetwork
  readonly intervalSeconds: number
  readonly tell: TellLine
  /** Whether this side ends the test: called when time, bytes or blocks are used up. */
  readonly onUsedUp: (() => void) | null
  readonly onFailed: (reason: string) => void
  /**
   * End what is sent when the test is over, as a server does: iperf3's client waits in its last read for a block that
   * is whole, or the end.
   */
  readonly endsSenders: boolean
}

export class Traffic {
  /** When something last came or went, in milliseconds of `performance.now()`. */
  progressAt: number
  private readonly options: TrafficOptions
  private readonly flows: Flow[]
  private readonly limitBytes: number
  private timer: NodeJS.Timeout | null = null
  private pacer: NodeJS.Timeout | null = null
  private running = true
  private omitting: boolean
  readonly beganAt: number
  private countedAt: number
  private intervalAt: number
  private cpuBefore = process.cpuUsage()
  private sent = 0
  private received = 0
  private results: SideResults | null = null

  constructor(options: TrafficOptions) {
    const { parameters, streams } = options
    this.options = options
    this.limitBytes = parameters.bytes > 0 ? parameters.bytes : parameters.blocks * parameters.blockBytes
    this.omitting = parameters.omitSeconds > 0
    this.beganAt = performance.now()
    this.countedAt = this.beganAt
    this.intervalAt = this.beganAt
    this.progressAt = this.beganAt
    const zero = { bytes: 0, intervalBytes: 0, allBytes: 0, retransmits: 0, intervalRetransmits: 0 }
    this.flows = streams.map(stream => ({
      ...stream,
      ...zero,
      datagramsBefore: NO_DATAGRAMS,
      retransmitsBefore: stream.connection.figures()?.retransmits ?? 0,
    }))
  }

  /** Lets data flow; `onUsedUp` may be called before this returns. */
  begin(): void {
    for (const flow of this.flows) this.start(flow)
    if (this.running) this.schedule()
  }

  private start(flow: Flow): void {
    const { connection } = flow
    connection.onClosed = error => {
      if (this.running)
        this.options.onFailed(`stream ${flow.number}: ${error?.message ?? 'the peer closed it'}`)
    }
    connection.onReadable = () => this.take(flow)
    if (!flow.sending) return this.take(flow)
    connection.onWritable = () => this.send(flow)
    this.send(flow)
  }

  // ---- data

  private take(flow: Flow): void {
    const bytes = flow.connection.drain()
    // What comes after the end is taken so that nothing waits for it, and not counted.
    if (!this.running || flow.sending || bytes === 0) return
    flow.bytes += bytes
    flow.intervalBytes += bytes
    this.received += bytes
    this.progressAt = performance.now()
    if (!this.omitting && this.limitBytes > 0 && this.received >= this.limitBytes) this.usedUp()
  }

  private send(flow: Flow): void {
    const { parameters, network } = this.options
    const most = Math.min(parameters.blockBytes, network.blockBytes)
    const isDatagram = parameters.protocol === 'udp'
    while (this.running) {
      const limited = this.limitBytes > 0 && !this.omitting
      const left = limited ? this.limitBytes - this.sent : most
      if (left <= 0) return this.usedUp()
      if (parameters.bitsPerSecond > 0 && !this.mayGoOn(flow)) return
      // A datagram has room for its header, however little is left to send.
      const size = isDatagram ? most : Math.min(most, left)
      if (!flow.connection.sendShared(size)) return
      flow.bytes += size
      flow.intervalBytes += size
      flow.allBytes += size
      this.sent += size
      this.progressAt = performance.now()
    }
  }

  private mayGoOn(flow: Flow): boolean {
    const seconds = (performance.now() - this.beganAt) / 1_000
    if (flow.allBytes * 8 <= seconds * this.options.parameters.bitsPerSecond) return true
    this.pacer ??= setTimeout(() => {
      this.pacer = null
      for (const one of this.flows) if (one.sending) this.send(one)
    }, PACE_MS)
    return false
  }

  // ---- time

  private schedule(): void {
    const { parameters, intervalSeconds } = this.options
    const wanted = [this.intervalAt + intervalSeconds * 1_000]
    if (this.omitting) wanted.push(this.beganAt + parameters.omitSeconds * 1_000)
    else if (parameters.seconds > 0) wanted.push(this.countedAt + parameters.seconds * 1_000)
    const wait = Math.max(0, Math.min(...wanted) - performance.now())
    this.timer = setTimeout(() => this.tick(), Math.ceil(wait))
  }

  private tick(): void {
    if (!this.running) return
    const { parameters, intervalSeconds } = this.options
    const now = performance.now()
    if (now >= this.intervalAt + intervalSeconds * 1_000) this.tellInterval(now)
    if (this.omitting && now >= this.beganAt + parameters.omitSeconds * 1_000) this.beginCounting(now)
    else if (!this.omitting && parameters.seconds > 0 && now >= this.countedAt + parameters.seconds * 1_000)
      this.usedUp()
    if (this.running) this.schedule()
  }

  /** What was to be omitted is over. */
  private beginCounting(now: number): void {
    if (now > this.intervalAt) this.tellLastInterval(now)
    this.omitting = false
    this.countedAt = now
    this.intervalAt = now
    this.cpuBefore = process.cpuUsage()
    this.sent = 0
    this.received = 0
    for (const flow of this.flows) {
      flow.connection.beginCounting?.()
      flow.datagramsBefore = NO_DATAGRAMS
      flow.bytes = 0
      flow.intervalBytes = 0
      flow.retransmits = 0
      flow.retransmitsBefore = flow.connection.figures()?.retransmits ?? flow.retransmitsBefore
    }
  }

  private usedUp(): void {
    this.options.onUsedUp?.()
  }

  private tellLastInterval(now: number): void {
    const part = (now - this.intervalAt) / 1_000 / this.options.intervalSeconds
    const told = this.intervalAt > this.countedAt
    if (!told || part >= LAST_INTERVAL_PART) this.tellInterval(now)
  }

  private tellInterval(now: number): void {
    const since = this.omitting ? this.beganAt : this.countedAt
    const streams = this.flows.map((flow): IntervalStream => {
      const figures = flow.sending ? flow.connection.figures() : null
      this.countRetransmits(flow)
      const { number, sending, intervalBytes: bytes } = flow
      const retransmits = sending ? flow.intervalRetransmits : null
      flow.intervalBytes = 0
      flow.intervalRetransmits = 0
      return { number, sending, bytes, retransmits, figures, datagrams: intervalDatagrams(flow) }
    })
    this.options.tell({
      kind: 'interval',
      start: (this.intervalAt - since) / 1_000,
      end: (now - since) / 1_000,
      omitted: this.omitting,
      streams,
    })
    this.intervalAt = now
  }

  private countRetransmits(flow: Flow): void {
    const figures = flow.sending ? flow.connection.figures() : null
    if (figures === null) return
    const all = figures.retransmits - flow.retransmitsBefore
    flow.intervalRetransmits += all - flow.retransmits
    flow.retransmits = all
  }

  // ---- the end

  /** Stops, and says what was measured. Twice is harmless, and says the same. */
  measure(): SideResults {
    this.results ??= this.stopAndMeasure(performance.now())
    return this.results
  }

  private stopAndMeasure(now: number): SideResults {
    this.tellLastInterval(now)
    this.stop()
    const seconds = (this.intervalAt - this.countedAt) / 1_000 || (now - this.countedAt) / 1_000
    for (const flow of this.flows) this.countRetransmits(flow)
    const senders = this.flows.filter(({ sending }) => sending)
    return {
      cpu: cpuSince(this.cpuBefore, now - this.countedAt),
      tellsRetransmits: senders.some(({ connection }) => connection.figures() !== null),
      congestion: this.options.network.congestion,
      streams: this.flows.map(flow => {
        const datagrams = flow.connection.datagrams ?? NO_DATAGRAMS
        return {
          number: flow.number,
          bytes: flow.bytes,
          retransmits: flow.sending && flow.connection.figures() !== null ? flow.retransmits : -1,
          seconds,
          jitter: datagrams.jitterMs / 1_000,
          errors: datagrams.lost,
          packets: datagrams.packets,
        }
      }),
    }
  }

  private stop(): void {
    this.running = false
    if (this.timer !== null) clearTimeout(this.timer)
    if (this.pacer !== null) clearTimeout(this.pacer)
    for (const { connection, sending } of this.flows) {
      connection.onWritable = null
      if (!sending || !this.options.endsSenders) continue
      connection.onClosed = null
      connection.close()
    }
  }

  /** Lets go of the connections. */
  close(): void {
    this.stop()
    for (const { connection, sending } of this.flows) {
      connection.onClosed = null
      // What a sender has queued is of use to nobody any more.
      if (sending) connection.abort()
      else connection.close()
    }
  }
}

function cpuSince(before: NodeJS.CpuUsage, elapsedMs: number): CpuUse {
  const { user, system } = process.cpuUsage(before)
  const percent = (microseconds: number): number => (elapsedMs <= 0 ? 0 : microseconds / elapsedMs / 10)
  return { total: percent(user + system), user: percent(user), system: percent(system) }
}
