/** What iperf3 puts in front of each datagram of a UDP test, and what a receiver learns from it. Pure. */

/** Seconds, microseconds and a counter, each of 32 bits in network order; the counter of 64 bits if that was agreed on. */
const SECONDS = 0
const MICROSECONDS = 4
const COUNT = 8
export const DATAGRAM_HEADER_BYTES = 16
/** What a header at least has. */
const NARROW_BYTES = 12
const WORD = 2 ** 32

/**
 * The first datagram of a stream, by the client, and the answer: a number in the byte order of the machine that sends it, which
 * to a reader of the same order looks like this.
 */
const HELLO = [0x39, 0x38, 0x37, 0x36]
const ANSWER = [0x36, 0x37, 0x38, 0x39]
export const HELLO_BYTES = 4

export const helloBytes = (): Uint8Array => Uint8Array.from(HELLO)

/** The answer to a hello, in the byte order of who asked; null for what is none. */
export function answerTo(bytes: Uint8Array, size: number): Uint8Array | null {
  if (size !== HELLO_BYTES) return null
  if (HELLO.every((byte, i) => bytes[i] === byte)) return Uint8Array.from(ANSWER)
  return ANSWER.every((byte, i) => bytes[i] === byte) ? Uint8Array.from(HELLO) : null
}

/** Writes a header. @param nowUs - of any clock that goes on evenly */
export function writeHeader(into: Uint8Array, nowUs: number, count: number, wide: boolean): void {
  const view = new DataView(into.buffer, into.byteOffset, DATAGRAM_HEADER_BYTES)
  view.setUint32(SECONDS, Math.floor(nowUs / 1e6) % WORD)
  view.setUint32(MICROSECONDS, Math.floor(nowUs % 1e6))
  view.setUint32(COUNT, wide ? Math.floor(count / WORD) : count % WORD)
  if (wide) view.setUint32(COUNT + 4, count % WORD)
}

/** Counts what arrives: RFC 1889 §6.3.1 for the jitter, and gaps in the counter for what was lost. */
export class DatagramMeter {
  /** Highest counter so far; of a sender, how many it sent. */
  packets = 0
  lost = 0
  outOfOrder = 0
  /** Seconds. */
  jitter = 0
  private packetsBefore = 0
  private transit = Number.NaN
  private readonly wide: boolean

  constructor(wide: boolean) {
    this.wide = wide
  }

  /**
   * @param head - the first bytes of a datagram
   * @param nowUs - when it came, by the receiver's clock
   * @returns false for what is no datagram of a test
   */
  take(head: Uint8Array, size: number, nowUs: number): boolean {
    if (size < (this.wide ? DATAGRAM_HEADER_BYTES : NARROW_BYTES)) return false
    const view = new DataView(head.buffer, head.byteOffset, head.byteLength)
    const upper = view.getUint32(COUNT)
    const count = this.wide ? upper * WORD + view.getUint32(COUNT + 4) : upper
    if (count > this.packets) {
      this.lost += count - this.packets - 1
      this.packets = count
    } else {
      this.outOfOrder++
      // It had been counted as lost when a later one came first.
      if (this.lost > 0) this.lost--
    }
    const sentUs = view.getUint32(SECONDS) * 1e6 + view.getUint32(MICROSECONDS)
    const transit = (nowUs - sentUs) / 1e6
    if (!Number.isNaN(this.transit)) this.jitter += (Math.abs(transit - this.transit) - this.jitter) / 16
    this.transit = transit
    return true
  }

  /** What came until now is not counted. */
  beginCounting(): void {
    this.packetsBefore = this.packets
    this.lost = 0
    this.outOfOrder = 0
    this.jitter = 0
  }

  /** Since counting began. */
  get figures(): DatagramFigures {
    const { packets, packetsBefore, lost, outOfOrder, jitter } = this
    return { packets: packets - packetsBefore, lost, outOfOrder, jitterMs: jitter * 1_000 }
  }
}

/** How the datagrams of a stream fared. */
export interface DatagramFigures {
  /** Sent, by the counter; those that were lost too. */
  readonly packets: number
  readonly lost: number
  readonly outOfOrder: number
  readonly jitterMs: number
}
