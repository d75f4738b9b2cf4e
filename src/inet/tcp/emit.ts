/** Segments of a connection on their way out: control block, header, options, payload (RFC 9293 §3.1, §3.10). */
import { allocHeader, freeb, freemsg } from '../../streams/mblk/alloc.ts'
import {
  type Mblk,
  OFFLOAD_CSUM_NEEDED,
  OFFLOAD_GSO_TCP4,
  OFFLOAD_GSO_TCP6,
  type UniqueMblk,
} from '../../streams/mblk/mblk.ts'
import {
  allocUnitdata,
  FAMILY,
  FLAGS,
  HOP_LIMIT,
  LOCAL,
  LOCAL_PORT,
  PROTOCOL,
  REMOTE,
  REMOTE_PORT,
  TRAFFIC_CLASS,
  UD_DONT_FRAGMENT,
  UNITDATA_REQ,
} from '../unitdata.ts'
import { ACK, CHECKSUM, CWR, ECE, emitTcp, IPPROTO_TCP, RST, SYN, TCP_HEADER_BYTES } from '../wire/tcp.ts'
import { ackSent } from './ack-policy.ts'
import { sackBlocks } from './intake.ts'
import { writeOptions, writeSynOptions } from './options.ts'
import { receiveWindow } from './receive.ts'
import { announcedMss } from './start.ts'
import { SYN_RECEIVED } from './states.ts'
import {
  F_ACK_NOW,
  F_ECE_OUT,
  F_ECN,
  F_SACK,
  F_TIMESTAMPS,
  F_URGENT_OUT,
  F_WINDOW_SCALE,
  type Tcb,
} from './tcb.ts'
import type { Tcp } from './tcp.ts'
import { markUrgent } from './urgent.ts'

/** In `control` of {@link emitSegment}: new data of a connection that agreed on ECN (RFC 3168 §6.1.2); not a header bit. */
export const ECT = 0x100
const ECN_ECT0 = 2
const ECN_BITS = 3

const blocks = new Int32Array(8)

/**
 * Sends one segment, or a super-segment if `length` is more than `sndMss`. Carries the acknowledgment, the window and, where
 * they fit, SACK blocks; `ackSent` is told.
 * @param control - header bits, and {@link ECT}
 * @param payload - consumed; exactly `length` bytes
 * @returns false if no block was left: nothing went out
 */
export function emitSegment(
  tcp: Tcp,
  tcb: Tcb,
  seq: number,
  control: number,
  payload: Mblk | null,
  length: number,
): boolean {
  let sacks = tcb.intake !== null && (tcb.flags & F_SACK) !== 0 ? sackBlocks(tcp, tcb, blocks) : 0
  if (sacks > 0 && length > 0 && length + 4 + 8 * sacks > tcb.sndMss) {
    // A full segment has no room for them: they leave on an acknowledgment of their own (RFC 2018 §4).
    if ((tcb.flags & F_ACK_NOW) !== 0) emitSegment(tcp, tcb, tcb.sndNxt, ACK, null, 0)
    sacks = 0
  }
  const request = connectionRequest(tcp, tcb, control)
  const header = request === null ? null : allocHeader(tcp.arena)
  if (request === null || header === null) {
    if (request !== null) freeb(request)
    return noBuffers(tcp, payload)
  }
  const window = receiveWindow(tcp, tcb)
  const bytes = header.dblk.bytes
  const at = header.rptr
  const withTimestamps = (tcb.flags & F_TIMESTAMPS) !== 0
  let size = TCP_HEADER_BYTES
  if (withTimestamps || sacks > 0) {
    const tsValue = (tcp.nowMs + tcb.tsOffset) | 0
    size += writeOptions(bytes, at + size, withTimestamps, tsValue, tcb.tsRecent, blocks, sacks)
  }
  const ece = (tcb.flags & F_ECE_OUT) !== 0 ? ECE : 0
  const { ports } = tcb
  const field = window >> (tcb.scales >> 8)
  emitTcp(bytes, at, ports >>> 16, ports & 0xffff, seq, tcb.rcvNxt, size, (control & 0xff) | ece, field)
  if ((tcb.flags & F_URGENT_OUT) !== 0 && tcb.flight !== null) markUrgent(tcb.flight, bytes, at, seq)
  header.wptr = at + size
  header.cont = payload
  request.cont = header
  markOffload(header, tcb.family, length, tcb.sndMss)
  count(tcp, tcb, length, header.gsoSize, control)
  // Before the link sees it: whatever comes of the segment finds the connection as after sending.
  if ((control & ACK) !== 0) ackSent(tcp, tcb, window, length > 0)
  tcp.host.transmit(request)
  return true
}

function count(tcp: Tcp, tcb: Tcb, length: number, gsoSize: number, control: number): void {
  const { counters } = tcp
  if (length === 0) {
    counters['segments-out']++
    if (control === ACK) counters['pure-acks-out']++
    return
  }
  tcb.lastOutAt = tcp.nowMs
  counters['bytes-out'] += length
  if (gsoSize > 0) {
    counters['segments-out'] += Math.ceil(length / gsoSize)
    counters['super-segments-out']++
  } else counters['segments-out']++
}

function noBuffers(tcp: Tcp, payload: Mblk | null): false {
  tcp.counters['no-buffers']++
  if (payload !== null) freemsg(payload)
  return false
}

/** The checksum is left to IP; what is longer than a segment is marked to be cut. */
export function markOffload(header: Mblk, family: number, length: number, mss: number): void {
  header.offload = OFFLOAD_CSUM_NEEDED
  header.csumStart = 0
  header.csumOffset = CHECKSUM
  if (length <= mss) return
  header.offload = OFFLOAD_CSUM_NEEDED | (family === 4 ? OFFLOAD_GSO_TCP4 : OFFLOAD_GSO_TCP6)
  header.gsoSize = mss
}

/** The control block for a segment of this connection. */
function connectionRequest(tcp: Tcp, tcb: Tcb, control: number): UniqueMblk | null {
  const request = allocUnitdata(tcp.arena, UNITDATA_REQ)
  if (request === null) return null
  const { words } = tcp.arena
  const at = request.rptr >> 2
  words[at + FAMILY] = tcb.family
  words[at + PROTOCOL] = IPPROTO_TCP
  words[at + REMOTE_PORT] = tcb.ports & 0xffff
  words[at + LOCAL_PORT] = tcb.ports >>> 16
  words[at + REMOTE] = tcb.remote0
  words[at + REMOTE + 1] = tcb.remote1
  words[at + REMOTE + 2] = tcb.remote2
  words[at + REMOTE + 3] = tcb.remote3
  words[at + LOCAL] = tcb.local0
  words[at + LOCAL + 1] = tcb.local1
  words[at + LOCAL + 2] = tcb.local2
  words[at + LOCAL + 3] = tcb.local3
  const { settings } = tcb
  words[at + HOP_LIMIT] = settings.ttl
  words[at + TRAFFIC_CLASS] = (settings.trafficClass & ~ECN_BITS) | ((control & ECT) !== 0 ? ECN_ECT0 : 0)
  words[at + FLAGS] = UD_DONT_FRAGMENT
  return request
}

/**
 * A pure acknowledgment, now. Ordinarily set `F_ACK_NOW` and schedule instead.
 * @returns false if no block was left
 */
export function emitAck(tcp: Tcp, tcb: Tcb): boolean {
  return emitSegment(tcp, tcb, tcb.sndNxt, ACK, null, 0)
}

/** RST of a connection that is aborted: at `sndNxt`, with ACK (RFC 9293 §3.10.5; MUST-66 lets it pass at any window). */
export function emitTcbReset(tcp: Tcp, tcb: Tcb): void {
  tcp.counters['resets-out']++
  emitSegment(tcp, tcb, tcb.sndNxt, RST | ACK, null, 0)
}

/** SYN in SYN-SENT, SYN and ACK in SYN-RECEIVED (simultaneous open), with its options, at `sndUna`. */
export function emitSyn(tcp: Tcp, tcb: Tcb): void {
  const request = connectionRequest(tcp, tcb, 0)
  const header = request === null ? null : allocHeader(tcp.arena)
  if (request === null || header === null) {
    if (request !== null) freeb(request)
    noBuffers(tcp, null)
    return
  }
  const { flags } = tcb
  const answers = tcb.state === SYN_RECEIVED
  const window = receiveWindow(tcp, tcb)
  const bytes = header.dblk.bytes
  const at = header.rptr
  const size =
    TCP_HEADER_BYTES +
    writeSynOptions(
      bytes,
      at + TCP_HEADER_BYTES,
      announcedMss(tcp, tcb),
      (flags & F_WINDOW_SCALE) !== 0 ? tcb.rcvScale : -1,
      (flags & F_SACK) !== 0,
      (flags & F_TIMESTAMPS) !== 0,
      (tcp.nowMs + tcb.tsOffset) | 0,
      answers ? tcb.tsRecent : 0,
    )
  // RFC 3168 §6.1.1: ECE and CWR ask for it, ECE alone agrees.
  const ecn = (flags & F_ECN) === 0 ? 0 : answers ? ECE : ECE | CWR
  const control = answers ? SYN | ACK | ecn : SYN | ecn
  emitTcp(
    bytes,
    at,
    tcb.localPort,
    tcb.remotePort,
    tcb.sndUna,
    answers ? tcb.rcvNxt : 0,
    size,
    control,
    window,
  )
  header.wptr = at + size
  request.cont = header
  markOffload(header, tcb.family, 0, tcb.sndMss)
  tcp.counters['segments-out']++
  if (answers) ackSent(tcp, tcb, window, false)
  else tcb.rcvAdv = (tcb.rcvNxt + window) | 0
  tcp.host.transmit(request)
}
