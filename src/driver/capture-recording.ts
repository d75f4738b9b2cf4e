/** One capture from its start to its end: packets copied into memory in the data path, written outside it. */
import { fold } from '../base/checksum.ts'
import {
  type BorrowedMblk,
  messageBytes,
  OFFLOAD_CSUM_NEEDED,
  OFFLOAD_GSO,
  type Runtime,
  readMessage,
  sumMessage,
  type Timer,
} from '../streams/index.ts'
import type { CaptureOptions } from './capture-options.ts'
import { CaptureRing } from './capture-ring.ts'
import { byteAt } from './packet-fields.ts'
import {
  FLAG_INBOUND,
  FLAG_OUTBOUND,
  interfaceBlock,
  PACKET_HEADER_BYTES,
  packetBlockBytes,
  putPacketBlock,
  sectionBlock,
  statisticsBlock,
} from './pcapng.ts'

/** Where a capture goes. */
export interface CaptureSink {
  /** Wall clock when the sink was made, in microseconds since 1970-01-01 UTC: packets are timed from there. */
  readonly startedAtUs: number
  /** Takes bytes of a pcapng file; they are valid during the call only. Called outside the data path. */
  write(bytes: Uint8Array): void
  close?(): void
}

/** What a capture has seen. */
export interface CaptureTotals {
  /** Packets that passed and were wanted. */
  seen: number
  recorded: number
  /** Bytes of packets recorded, as they are in the file. */
  bytes: number
  /** Wanted, and not recorded since memory was full. */
  notRecorded: number
}

/** The longest that a packet waits before it is written. */
const WRITE_EVERY_US = 20_000
const COMMENTS = {
  super: new TextEncoder().encode('super-packet: the device cuts it'),
  checksum: new TextEncoder().encode('checksum finished for this capture only'),
}

export class CaptureRecording {
  readonly options: CaptureOptions
  readonly totals: CaptureTotals = { seen: 0, recorded: 0, bytes: 0, notRecorded: 0 }
  private readonly sink: CaptureSink
  private readonly runtime: Runtime
  private readonly ring: CaptureRing
  private readonly timer: Timer
  /** Wall clock minus runtime clock. */
  private readonly offsetUs: number
  private readonly fields = {
    interfaceId: 0,
    timeUs: 0,
    captured: 0,
    original: 0,
    flags: 0,
    comment: null as Uint8Array | null,
  }
  /** The limit of packets or bytes is reached, or the sink failed. */
  private full = false
  private stopped = false

  /**
   * @param name - of the interface in the file
   * @param timer - made by the module, so that a failure is its own; calls {@link expire}
   */
  constructor(runtime: Runtime, options: CaptureOptions, sink: CaptureSink, name: string, timer: Timer) {
    this.runtime = runtime
    this.options = options
    this.sink = sink
    this.timer = timer
    this.offsetUs = sink.startedAtUs - runtime.clock.now()
    this.ring = new CaptureRing(options.bufferBytes, options.ring)
    this.write(sectionBlock(options.comment))
    this.write(interfaceBlock(name, options.snaplen, 'a joint of the plumbing of putnext'))
  }

  /** Takes note of a packet that passes. @param mp - borrowed */
  record(mp: BorrowedMblk, out: boolean): void {
    const { options, totals, ring, fields } = this
    if (this.full || (options.direction !== 'both' && (options.direction === 'out') !== out)) return
    if (options.filter !== null && !options.filter(mp)) return
    totals.seen++
    const original = messageBytes(mp)
    const captured = Math.min(original, options.snaplen)
    const comment = options.comments ? commentFor(mp) : null
    const size = packetBlockBytes(captured, comment?.length ?? 0)
    const at = ring.reserve(size)
    if (at < 0) {
      totals.notRecorded++
      return
    }
    fields.timeUs = this.runtime.clock.now() + this.offsetUs
    fields.captured = captured
    fields.original = original
    fields.flags = out ? FLAG_OUTBOUND : FLAG_INBOUND
    fields.comment = comment
    putPacketBlock(ring.bytes, at, fields)
    readMessage(mp, 0, ring.bytes, at + PACKET_HEADER_BYTES, captured, 'edge')
    if (captured === original && (mp.offload & OFFLOAD_CSUM_NEEDED) !== 0)
      finishCopy(mp, ring.bytes, at + PACKET_HEADER_BYTES, captured)
    totals.recorded++
    totals.bytes += captured
    this.full =
      (options.packets > 0 && totals.recorded >= options.packets) ||
      (options.bytes > 0 && totals.bytes >= options.bytes)
    this.writeLater()
  }

  /** A capture that keeps the last packets writes at its end; others soon, and at once when memory gets short. */
  private writeLater(): void {
    const { timer, runtime, ring } = this
    const urgent = this.full || (this.options.ring === 0 && ring.used > ring.bytes.length >> 1)
    const now = runtime.clock.now()
    if (urgent && (!timer.armed || timer.at > now)) runtime.timers.arm(timer, now)
    else if (this.options.ring === 0 && !timer.armed)
      runtime.timers.arm(timer, (now + WRITE_EVERY_US) as typeof now)
  }

  /** Writes what waits. @returns false when the capture has come to its end by itself */
  expire(): boolean {
    if (!this.full) this.ring.drain(bytes => this.write(bytes))
    return !this.full
  }

  /** Writes what is left and the totals, and closes the sink. Stopping twice is harmless. */
  stop(): CaptureTotals {
    const { totals, ring } = this
    if (this.stopped) return totals
    this.stopped = true
    this.full = true
    this.runtime.timers.cancel(this.timer)
    totals.recorded -= ring.evicted
    ring.drain(bytes => this.write(bytes))
    const timeUs = this.runtime.clock.now() + this.offsetUs
    this.write(statisticsBlock(0, timeUs, totals.seen, totals.notRecorded))
    try {
      this.sink.close?.()
    } catch (error) {
      this.failed(error)
    }
    return totals
  }

  /** A disk that is full ends the capture, not the module. */
  private write(bytes: Uint8Array): void {
    try {
      this.sink.write(bytes)
    } catch (error) {
      this.failed(error)
    }
  }

  private failed(error: unknown): void {
    this.full = true
    // The module ends the capture when the timer calls.
    if (!this.stopped) this.runtime.timers.arm(this.timer, this.runtime.clock.now())
    this.runtime.event('error', 'capture.sink-failed', error instanceof Error ? error.message : String(error))
  }
}

function commentFor(mp: BorrowedMblk): Uint8Array | null {
  if ((mp.offload & OFFLOAD_GSO) !== 0) return COMMENTS.super
  return (mp.offload & OFFLOAD_CSUM_NEEDED) !== 0 ? COMMENTS.checksum : null
}

/** Finishes, in the recorded copy only, a checksum that was left to the link (RFC 1071; RFC 768 for UDP's 0). */
function finishCopy(mp: BorrowedMblk, to: Uint8Array, at: number, size: number): void {
  const { csumStart, csumOffset } = mp
  const field = csumStart + csumOffset
  if (field + 2 > size || byteAt(mp, field + 1) < 0) return
  let sum = ~fold(sumMessage(mp, csumStart, size - csumStart)) & 0xffff
  if (sum === 0 && csumOffset === 6) sum = 0xffff
  to[at + field] = sum >>> 8
  to[at + field + 1] = sum
}
