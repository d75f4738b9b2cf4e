/**
 * Segments on their way in (RFC 9293 §3.10.7): checked, read, and brought to whom they are for: a connection, a half-open
 * one, one in TIME-WAIT, a listener, or nobody. Whatever comes, the message is freed or queued, and nothing is thrown.
 */
import { freeb, freemsg } from '../../streams/mblk/alloc.ts'
import { type Mblk, OFFLOAD_CSUM_NEEDED, OFFLOAD_CSUM_VALID, OFFLOAD_GSO } from '../../streams/mblk/mblk.ts'
import { dropEmptyHead, messageBytes } from '../../streams/mblk/message.ts'
import { pullupmsg } from '../../streams/mblk/pullup.ts'
import { sumMessage } from '../../streams/mblk/sum.ts'
import { FAMILY, FLAGS, isUnitdata, LOCAL, REMOTE, TRAFFIC_CLASS, UD_NOT_UNICAST } from '../unitdata.ts'
import { u16 } from '../wire/fields.ts'
import {
  ACK,
  CONTROL,
  RST,
  TCP_HEADER_BYTES,
  TCP_HEADER_MAX,
  tcpAcknowledgment,
  tcpDestinationPort,
  tcpHeaderBytes,
  tcpPseudoHeaderSum,
  tcpSequence,
  tcpSourcePort,
  URGENT,
  WINDOW,
} from '../wire/tcp.ts'
import type { TcpCounter } from './counters.ts'
import { emitReset } from './emit-bare.ts'
import { halfOpenIn, listenIn } from './handshake.ts'
import { synSentIn } from './input-syn-sent.ts'
import { synchronizedIn } from './input-synchronized.ts'
import { timeWaitIn } from './input-time-wait.ts'
import { readOptions } from './options.ts'
import type { Segment } from './segment.ts'
import { SYN_SENT } from './states.ts'
import type { Tcp } from './tcp.ts'

/** @param mp - consumed: an UNITDATA_IND from IP, header and data behind it */
export function segmentIn(tcp: Tcp, mp: Mblk): void {
  tcp.counters['segments-in']++
  if (!isUnitdata(mp)) return drop(tcp, mp, 'indication-malformed')
  const total = mp.cont === null ? 0 : messageBytes(mp.cont)
  if (total < TCP_HEADER_BYTES) return drop(tcp, mp, 'header-truncated')
  if (!headerInFront(mp, total)) return drop(tcp, mp, 'no-buffers')
  const data = mp.cont!
  const headerBytes = tcpHeaderBytes(data.bytes, data.rptr, data.wptr, total)
  if (typeof headerBytes === 'string') return drop(tcp, mp, headerBytes)
  const { words } = mp.dblk.arena
  const at = mp.rptr >> 2
  if ((data.offload & (OFFLOAD_CSUM_NEEDED | OFFLOAD_CSUM_VALID)) === 0) {
    // MUST-3. With one of the bits the device vouches for it, or the data never left this host (docs/architecture.md).
    if (sumMessage(data, 0, total, tcpPseudoHeaderSum(words, at, total)) !== 0xffff)
      return drop(tcp, mp, 'checksum-wrong')
  }
  // MUST-57: silently, whatever it is.
  if ((words[at + FLAGS]! & UD_NOT_UNICAST) !== 0) return drop(tcp, mp, 'not-unicast')
  const seg = tcp.segment
  readHeader(tcp, seg, words, at, data, headerBytes)
  if (isLand(seg)) return drop(tcp, mp, 'land')
  stripHeader(tcp, seg, mp, headerBytes, total)
  dispatch(tcp, seg)
  if (seg.data !== null) {
    freemsg(seg.data)
    seg.data = null
  }
  freeb(mp)
}

/** Has the whole header, options too, lie in the first block; modules between may have split it anywhere. @returns false if no block was left */
function headerInFront(mp: Mblk, total: number): boolean {
  const data = mp.cont!
  const have = data.wptr - data.rptr
  if (have >= TCP_HEADER_MAX || have === total) return true
  if (have >= TCP_HEADER_BYTES && (data.bytes[data.rptr + 12]! >> 4) << 2 <= have) return true
  mp.cont = pullupmsg(data, Math.min(total, TCP_HEADER_MAX))
  return mp.cont !== null
}

function readHeader(
  tcp: Tcp,
  seg: Segment,
  words: Int32Array,
  at: number,
  data: Mblk,
  headerBytes: number,
): void {
  const { bytes, rptr } = data
  seg.words = words
  seg.at = at
  seg.family = words[at + FAMILY]!
  seg.ports = (tcpDestinationPort(bytes, rptr) << 16) | tcpSourcePort(bytes, rptr)
  seg.seq = tcpSequence(bytes, rptr)
  seg.ack = tcpAcknowledgment(bytes, rptr)
  seg.control = bytes[rptr + CONTROL]!
  seg.window = u16(bytes, rptr + WINDOW)
  seg.urgent = u16(bytes, rptr + URGENT)
  seg.ecn = words[at + TRAFFIC_CLASS]! & 3
  seg.notUnicast = false
  readOptions(tcp.counters, seg, bytes, rptr + TCP_HEADER_BYTES, rptr + headerBytes)
}

/** Takes the header off and hands the payload to the segment. */
function stripHeader(tcp: Tcp, seg: Segment, mp: Mblk, headerBytes: number, total: number): void {
  const { counters } = tcp
  let data = mp.cont!
  mp.cont = null
  const length = total - headerBytes
  seg.length = length
  seg.gsoSize = 0
  seg.data = null
  if (length === 0) {
    freemsg(data)
    return
  }
  // What the device says of segments within may be a lie (checklist 3.7-65); it is used for estimates alone.
  if ((data.offload & OFFLOAD_GSO) !== 0 && data.gsoSize > 0 && data.gsoSize < length) {
    seg.gsoSize = data.gsoSize
    counters['super-segments-in']++
  }
  counters['bytes-in'] += length
  data.rptr += headerBytes
  data.offload = 0
  data.csumStart = 0
  data.csumOffset = 0
  data.gsoSize = 0
  if (data.rptr === data.wptr) data = dropEmptyHead(data)
  data.at = null
  seg.data = data
}

/** From us to us by the very same port: the attack of that name, or a device that echoes (checklist 3.5-37). */
function isLand({ words, at, ports }: Segment): boolean {
  return (
    ports >>> 16 === (ports & 0xffff) &&
    words[at + REMOTE + 3] === words[at + LOCAL + 3] &&
    words[at + REMOTE + 2] === words[at + LOCAL + 2] &&
    words[at + REMOTE + 1] === words[at + LOCAL + 1] &&
    words[at + REMOTE] === words[at + LOCAL]
  )
}

function dispatch(tcp: Tcp, seg: Segment): void {
  const { words, at, ports } = seg
  const tcb = tcp.connections.find(words, at, ports)
  if (tcb !== null) {
    if (tcb.state === SYN_SENT) synSentIn(tcp, tcb, seg)
    else synchronizedIn(tcp, tcb, seg)
    return
  }
  const half = tcp.halfOpen.find(words, at, ports)
  if (half >= 0) return halfOpenIn(tcp, half, seg)
  const waiting = tcp.timeWait.find(words, at, ports)
  if (waiting >= 0) return timeWaitIn(tcp, waiting, seg)
  const listener = tcp.listeners.find(words, at, ports >>> 16)
  if (listener !== null) return listenIn(tcp, listener, seg)
  closedIn(tcp, seg)
}

/** RFC 9293 §3.10.7.1: everything for a connection that does not exist is answered by a reset, save resets. */
export function closedIn(tcp: Tcp, seg: Segment): void {
  tcp.counters[(seg.control & ACK) !== 0 ? 'no-connection' : 'no-listener']++
  if ((seg.control & RST) === 0) emitReset(tcp, seg)
}

/** @param mp - consumed */
function drop(tcp: Tcp, mp: Mblk, reason: TcpCounter): void {
  tcp.counters[reason]++
  freemsg(mp)
}
