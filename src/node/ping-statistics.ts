/** The figures at the end of a series of echo requests. */
import type { EchoResult } from './network.ts'

/** What is left to say at the end, in the words of ping(8). */
export interface PingSummary {
  readonly kind: 'summary'
  readonly address: string
  readonly sent: number
  readonly received: number
  readonly lossPercent: number
  /** Round trip in milliseconds; null without a reply. */
  readonly rtt: {
    readonly min: number
    readonly avg: number
    readonly max: number
    readonly mdev: number
  } | null
}

/** Counts what came back. */
export class PingStatistics {
  private readonly address: string
  private sent = 0
  private readonly times: number[] = []

  constructor(address: string) {
    this.address = address
  }

  add(result: EchoResult): void {
    this.sent++
    if (result.kind === 'reply') this.times.push(result.milliseconds)
  }

  summary(): PingSummary {
    const { sent, times } = this
    const received = times.length
    const lossPercent = sent === 0 ? 0 : Math.round(((sent - received) / sent) * 1_000) / 10
    return { kind: 'summary', address: this.address, sent, received, lossPercent, rtt: roundTrips(times) }
  }
}

function roundTrips(times: readonly number[]): PingSummary['rtt'] {
  if (times.length === 0) return null
  const round = (ms: number): number => Math.round(ms * 1_000) / 1_000
  const avg = times.reduce((sum, ms) => sum + ms, 0) / times.length
  const squares = times.reduce((sum, ms) => sum + (ms - avg) ** 2, 0) / times.length
  return {
    min: round(Math.min(...times)),
    avg: round(avg),
    max: round(Math.max(...times)),
    mdev: round(Math.sqrt(squares)),
  }
}
