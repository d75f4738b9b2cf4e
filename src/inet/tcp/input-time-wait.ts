/** A segment for a connection in TIME-WAIT (RFC 9293 §3.10.7.4; RFC 1337; RFC 6191). */
import { LOCAL, REMOTE } from '../unitdata.ts'
import { ACK, FIN, RST, SYN } from '../wire/tcp.ts'
import { TW_WINDOW_SHIFT } from './close.ts'
import { emitBare } from './emit-bare.ts'
import { listenIn } from './handshake.ts'
import type { Segment } from './segment.ts'
import type { Tcp } from './tcp.ts'
import { TW_FLAGS, TW_RCV_NXT, TW_SND_NXT, TW_TIMESTAMPS, TW_TS_RECENT } from './time-wait.ts'

/** The second and the count of answers in it, in the flags of a record: as `Tcb.challenge`, in fewer bits. */
const SECOND_SHIFT = 1
const SECOND_MASK = 0x7f
const COUNT_SHIFT = 8
const COUNT_MASK = 0xff

/** @param index - of the record */
export function timeWaitIn(tcp: Tcp, index: number, seg: Segment): void {
  const { counters, timeWait } = tcp
  const own = timeWait.words
  const { control } = seg
  // RFC 1337 §3, fix F1: a reset, most likely an old one, does not cut the waiting short.
  if ((control & RST) !== 0) {
    counters['time-wait-reset-ignored']++
    return
  }
  const rcvNxt = own[index + TW_RCV_NXT]!
  const timestamps = (own[index + TW_FLAGS]! & TW_TIMESTAMPS) !== 0
  const age = timestamps && seg.hasTimestamps ? (seg.tsValue - own[index + TW_TS_RECENT]!) | 0 : 0
  if ((control & (SYN | ACK | FIN)) === SYN) {
    const listener = tcp.listeners.find(seg.words, seg.at, seg.ports >>> 16)
    // RFC 6191 §2; RFC 9293 §3.6.1: newer than anything the old connection can have sent.
    const newer = age > 0 || (age === 0 && ((seg.seq - rcvNxt) | 0) > 0)
    if (newer && listener !== null) {
      const beyond = own[index + TW_SND_NXT]!
      counters['time-wait-recycled']++
      timeWait.remove(index)
      return listenIn(tcp, listener, seg, true, beyond)
    }
    return acknowledge(tcp, index, seg)
  }
  if (age < 0) {
    counters['paws-rejected']++
    return acknowledge(tcp, index, seg)
  }
  const end = (seg.seq + seg.length + (control & FIN)) | 0
  // The peer's FIN again: our last ACK was lost.
  if ((control & FIN) !== 0 && end === rcvNxt) {
    if (timestamps && seg.hasTimestamps) own[index + TW_TS_RECENT] = seg.tsValue
    timeWait.restart(index, (tcp.nowMs + tcp.settings.timeWaitMs + tcp.begunMs) | 0)
    return acknowledge(tcp, index, seg)
  }
  if (seg.seq !== rcvNxt || end !== rcvNxt) acknowledge(tcp, index, seg)
}

/** `<SEQ=SND.NXT><ACK=RCV.NXT><CTL=ACK>`, a few each second. */
function acknowledge(tcp: Tcp, index: number, seg: Segment): void {
  const own = tcp.timeWait.words
  const second = (Math.floor((tcp.nowMs >>> 0) / 1_000) & 0x3f) + 1
  let flags = own[index + TW_FLAGS]!
  if (((flags >> SECOND_SHIFT) & SECOND_MASK) !== second)
    flags =
      (flags & ~((SECOND_MASK << SECOND_SHIFT) | (COUNT_MASK << COUNT_SHIFT))) | (second << SECOND_SHIFT)
  const count = (flags >> COUNT_SHIFT) & COUNT_MASK
  if (count >= Math.min(COUNT_MASK, tcp.settings.challengeAcksPerSecond)) {
    own[index + TW_FLAGS] = flags
    tcp.counters['challenge-acks-limited']++
    return
  }
  own[index + TW_FLAGS] = flags + (1 << COUNT_SHIFT)
  const timestamps = (flags & TW_TIMESTAMPS) !== 0
  emitBare(
    tcp,
    seg,
    own[index + TW_SND_NXT]!,
    own[index + TW_RCV_NXT]!,
    ACK,
    flags >>> TW_WINDOW_SHIFT,
    timestamps,
    timestamps ? (tcp.nowMs + tsOffsetOf(tcp, seg)) | 0 : 0,
    own[index + TW_TS_RECENT]!,
  )
}

/** Of the addresses that a segment names: always the same (RFC 7323 §5.4). */
export function tsOffsetOf(tcp: Tcp, { words, at }: Segment): number {
  return tcp.keys.tsOffset(
    words[at + REMOTE]!,
    words[at + REMOTE + 1]!,
    words[at + REMOTE + 2]!,
    words[at + REMOTE + 3]!,
    words[at + LOCAL]!,
    words[at + LOCAL + 1]!,
    words[at + LOCAL + 2]!,
    words[at + LOCAL + 3]!,
  )
}
