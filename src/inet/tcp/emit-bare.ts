/** Segments without a control block: answers to strays, and for half-open and TIME-WAIT records. */
import { allocHeader, freeb } from '../../streams/mblk/alloc.ts'
import type { Mblk } from '../../streams/mblk/mblk.ts'
import {
  allocUnitdata,
  FAMILY,
  FLAGS,
  LOCAL,
  LOCAL_PORT,
  PROTOCOL,
  REMOTE,
  REMOTE_PORT,
  UD_DONT_FRAGMENT,
  UNITDATA_REQ,
} from '../unitdata.ts'
import { ACK, ECE, emitTcp, FIN, IPPROTO_TCP, RST, SYN, TCP_HEADER_BYTES } from '../wire/tcp.ts'
import { markOffload } from './emit.ts'
import {
  HO_ANNOUNCED,
  HO_FAMILY,
  HO_FLAGS,
  HO_IRS,
  HO_ISS,
  HO_LOCAL,
  HO_PORTS,
  HO_REMOTE,
  HO_SCALES,
  HO_TS_OFFSET,
  HO_TS_RECENT,
} from './half-open.ts'
import { writeOptions, writeSynOptions } from './options.ts'
import type { Segment } from './segment.ts'
import { F_ECN, F_SACK, F_TIMESTAMPS, F_WINDOW_SCALE } from './tcb.ts'
import type { Tcp } from './tcp.ts'

const NO_BLOCKS = new Int32Array(0)
const WINDOW_MAX = 65_535

/** Where a segment goes to and its options' bytes; then {@link finish} writes the fixed header and sends. */
class Draft {
  request: Mblk | null = null
  header: Mblk | null = null
  ports = 0
}
const draft = new Draft()

/**
 * Blocks for a segment between the addresses of a control block or record.
 * @param remote - index of the four words of the peer's address; @param local - of ours
 * @returns the header's bytes, to be written from `draft.header.rptr`; null if no block is left
 */
function begin(
  tcp: Tcp,
  family: number,
  from: Int32Array,
  remote: number,
  local: number,
  ports: number,
): Uint8Array | null {
  const request = allocUnitdata(tcp.arena, UNITDATA_REQ)
  const header = request === null ? null : allocHeader(tcp.arena)
  if (request === null || header === null) {
    if (request !== null) freeb(request)
    tcp.counters['no-buffers']++
    return null
  }
  const { words } = tcp.arena
  const at = request.rptr >> 2
  words[at + FAMILY] = family
  words[at + PROTOCOL] = IPPROTO_TCP
  words[at + REMOTE_PORT] = ports & 0xffff
  words[at + LOCAL_PORT] = ports >>> 16
  for (let i = 0; i < 4; i++) {
    words[at + REMOTE + i] = from[remote + i]!
    words[at + LOCAL + i] = from[local + i]!
  }
  words[at + FLAGS] = UD_DONT_FRAGMENT
  draft.request = request
  draft.header = header
  draft.ports = ports
  return header.dblk.bytes
}

function finish(
  tcp: Tcp,
  family: number,
  seq: number,
  ack: number,
  control: number,
  window: number,
  size: number,
): void {
  const request = draft.request!
  const header = draft.header!
  const { ports } = draft
  const at = header.rptr
  emitTcp(header.dblk.bytes, at, ports >>> 16, ports & 0xffff, seq, ack, size, control, window)
  header.wptr = at + size
  markOffload(header, family, 0, 0)
  request.cont = header
  draft.request = null
  draft.header = null
  tcp.counters['segments-out']++
  tcp.host.transmit(request)
}

/**
 * The reset that answers a segment which belongs to no connection (RFC 9293 §3.10.7.1); none for a reset, and not more a
 * second than the settings allow.
 */
export function emitReset(tcp: Tcp, seg: Segment): void {
  if ((seg.control & RST) !== 0) return
  if (!mayReset(tcp)) {
    tcp.counters['resets-limited']++
    return
  }
  tcp.counters['resets-out']++
  if ((seg.control & ACK) !== 0) return emitBare(tcp, seg, seg.ack, 0, RST, 0, false, 0, 0)
  const length = seg.length + ((seg.control & SYN) !== 0 ? 1 : 0) + ((seg.control & FIN) !== 0 ? 1 : 0)
  emitBare(tcp, seg, 0, (seg.seq + length) | 0, RST | ACK, 0, false, 0, 0)
}

/** Checklist 3.5-57: a scan, or a flood from forged addresses, does not make us a source of as many packets. */
function mayReset(tcp: Tcp): boolean {
  if (((tcp.nowMs - tcp.resetsAt) | 0) >= 1_000 || ((tcp.nowMs - tcp.resetsAt) | 0) < 0) {
    tcp.resetsAt = tcp.nowMs
    tcp.resetsLeft = tcp.settings.resetsPerSecond
  }
  if (tcp.resetsLeft <= 0) return false
  tcp.resetsLeft--
  return true
}

/**
 * A segment without payload back to where `seg` came from. @param window - as it goes into the field, scaled
 * @param timestamps - whether with the option, of `tsValue` and `tsEcho`
 */
export function emitBare(
  tcp: Tcp,
  seg: Segment,
  seq: number,
  ack: number,
  control: number,
  window: number,
  timestamps: boolean,
  tsValue: number,
  tsEcho: number,
): void {
  const bytes = begin(tcp, seg.family, seg.words, seg.at + REMOTE, seg.at + LOCAL, seg.ports)
  if (bytes === null) return
  const at = draft.header!.rptr + TCP_HEADER_BYTES
  const options = timestamps ? writeOptions(bytes, at, true, tsValue, tsEcho, NO_BLOCKS, 0) : 0
  finish(tcp, seg.family, seq, ack, control, window, TCP_HEADER_BYTES + options)
}

/** SYN-ACK of a half-open record (`HO_*` of half-open.ts). */
export function emitSynAck(tcp: Tcp, index: number): void {
  const { words } = tcp.halfOpen
  const family = words[index + HO_FAMILY]!
  const bytes = begin(tcp, family, words, index + HO_REMOTE, index + HO_LOCAL, words[index + HO_PORTS]!)
  if (bytes === null) return
  const flags = words[index + HO_FLAGS]!
  const announced = words[index + HO_ANNOUNCED]!
  const options = writeSynOptions(
    bytes,
    draft.header!.rptr + TCP_HEADER_BYTES,
    announced >>> 16,
    (flags & F_WINDOW_SCALE) !== 0 ? (words[index + HO_SCALES]! >> 8) & 0xff : -1,
    (flags & F_SACK) !== 0,
    (flags & F_TIMESTAMPS) !== 0,
    (tcp.nowMs + words[index + HO_TS_OFFSET]!) | 0,
    words[index + HO_TS_RECENT]!,
  )
  // RFC 3168 §6.1.1: ECE alone agrees.
  const control = SYN | ACK | ((flags & F_ECN) !== 0 ? ECE : 0)
  const ack = (words[index + HO_IRS]! + 1) | 0
  finish(
    tcp,
    family,
    words[index + HO_ISS]!,
    ack,
    control,
    announced & WINDOW_MAX,
    TCP_HEADER_BYTES + options,
  )
}

/**
 * SYN-ACK without a record, answering `seg`: a SYN cookie.
 * @param window - unscaled, at most 65,535; @param mss - to announce; @param windowScale - ours, -1 for none
 */
export function emitSynAckTo(
  tcp: Tcp,
  seg: Segment,
  iss: number,
  window: number,
  mss: number,
  windowScale: number,
  sackPermitted: boolean,
  timestamps: boolean,
  tsValue: number,
  ecn: boolean,
): void {
  const bytes = begin(tcp, seg.family, seg.words, seg.at + REMOTE, seg.at + LOCAL, seg.ports)
  if (bytes === null) return
  const at = draft.header!.rptr + TCP_HEADER_BYTES
  const options = writeSynOptions(
    bytes,
    at,
    mss,
    windowScale,
    sackPermitted,
    timestamps,
    tsValue,
    seg.tsValue,
  )
  const control = SYN | ACK | (ecn ? ECE : 0)
  finish(
    tcp,
    seg.family,
    iss,
    (seg.seq + 1) | 0,
    control,
    Math.min(window, WINDOW_MAX),
    TCP_HEADER_BYTES + options,
  )
}
