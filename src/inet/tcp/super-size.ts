/** How many bytes leave as one super-segment. */
import { TCP_HEADER_BYTES } from '../wire/tcp.ts'
import { ipHeaderBytes } from './start.ts'
import { F_TIMESTAMPS, F_URGENT_OUT, type Tcb } from './tcb.ts'
import type { Tcp } from './tcp.ts'

/** Bytes of an IP packet at most. */
const PACKET_MAX = 65_535
const TIMESTAMPS_BYTES = 12
/** A super-segment holds what leaves in a millisecond at the present rate: larger ones would be bursts for the path. */
const BURST_US = 1_000
/** The shorter the round trip, the less a burst matters: each time it halves from here, the more is added. */
const SHORT_RTT_SHIFT = 9

/**
 * What a piece is worth waiting for on a long path. Growth of the window that leaves as one large burst fills the end of a full
 * queue by itself: who sends it loses all of the burst, and others, that may be faster, lose nothing for a long time.
 */
const LONG_PATH_SEGMENTS = 4

/**
 * Bytes of the next super-segment at most: a multiple of `sndMss`, at least one segment, as many as the packet's length field
 * allows, fewer where the path is slow or far (two at least).
 */
export function superBytes(tcp: Tcp, tcb: Tcb): number {
  const mss = tcb.sndMss
  // The urgent pointer counts from each segment's own number, which nobody adapts who cuts a super-segment.
  if (!tcp.offload || (tcb.flags & F_URGENT_OUT) !== 0) return mss
  const headers =
    ipHeaderBytes(tcb.family) + TCP_HEADER_BYTES + ((tcb.flags & F_TIMESTAMPS) !== 0 ? TIMESTAMPS_BYTES : 0)
  const most = PACKET_MAX - headers
  let bytes = most
  if (tcb.srtt > 0) {
    // As Linux: the window leaves in a round trip, in slow start in half of it.
    const rate = tcb.cwnd < tcb.ssthresh >> 1 ? 2 : 1.2
    const shift = tcb.minRtt >> SHORT_RTT_SHIFT
    bytes = Math.floor((tcb.cwnd * rate * BURST_US) / tcb.srtt) + (shift < 16 ? most >> shift : 0)
    if (bytes < 2 * mss) bytes = 2 * mss
    if (bytes > most) bytes = most
  }
  bytes -= bytes % mss
  return Math.max(bytes, mss)
}

/**
 * The size from which a piece leaves at once, and below which it may wait for more window.
 * @param most - {@link superBytes}
 */
export function worthSending(tcb: Tcb, most: number): number {
  const shift = tcb.minRtt >> SHORT_RTT_SHIFT
  return Math.min(most, Math.max(LONG_PATH_SEGMENTS * tcb.sndMss, shift < 16 ? most >> shift : 0))
}
