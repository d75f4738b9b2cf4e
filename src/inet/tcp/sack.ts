/** Selective acknowledgments (RFC 2018, 2883, 6675): which bytes arrived behind a gap. */
import type { AckResult } from './ack-result.ts'
import type { Flight } from './flight.ts'
import { rackDelivered, rackDsack } from './rack.ts'
import { SACKED } from './scoreboard.ts'
import type { Segment } from './segment.ts'
import type { Tcb } from './tcb.ts'
import type { Tcp } from './tcp.ts'
import { undoDsack } from './undo.ts'

/** Records of one connection: beyond that a SACK that would cut one is taken for as much as it covers whole (CVE-2019-11478). */
const RECORDS_MAX = 8_192

/**
 * Takes the SACK blocks of an ACK, at most four. What is no part of what is in flight is left out (checklist 3.5-46).
 * @param flight - cumulative acknowledgment already taken
 */
export function takeSack(tcp: Tcp, tcb: Tcb, flight: Flight, seg: Segment, result: AckResult): void {
  const { sack } = seg
  const { counters } = tcp
  let first = 0
  if (isDsack(seg)) {
    first = 1
    const length = (sack[1]! - sack[0]!) | 0
    // A forged one, of bytes that were never sent, moves nothing.
    if (length <= 0 || ((sack[1]! - tcb.sndNxt) | 0) > 0 || ((tcb.sndUna - sack[0]!) | 0) > tcb.sndWndMax) {
      counters['sack-blocks-invalid']++
    } else {
      counters['dsack-in']++
      result.dsack = true
      rackDsack(tcb, flight)
      undoDsack(tcb, flight, sack[0]!, length)
    }
  }
  for (let i = first; i < seg.sackCount; i++) {
    const left = sack[2 * i]!
    const right = sack[2 * i + 1]!
    if (((right - tcb.sndUna) | 0) <= 0) continue
    const valid =
      ((right - left) | 0) > 0 && ((left - tcb.sndUna) | 0) >= 0 && ((right - tcb.sndNxt) | 0) <= 0
    if (valid) takeBlock(tcp, tcb, flight, left, right, result)
    else counters['sack-blocks-invalid']++
  }
}

/** RFC 2883 §4: the first block tells of a duplicate if it lies below the ACK, or inside the second. */
function isDsack(seg: Segment): boolean {
  const { sack } = seg
  if (((sack[1]! - seg.ack) | 0) <= 0) return true
  if (seg.sackCount < 2) return false
  return ((sack[0]! - sack[2]!) | 0) >= 0 && ((sack[1]! - sack[3]!) | 0) <= 0
}

function takeBlock(tcp: Tcp, tcb: Tcb, flight: Flight, left: number, right: number, result: AckResult): void {
  const { board } = flight
  let i = board.find(left)
  if (i === board.count) return
  i = cutLeft(flight, i, left)
  const from = i
  for (; i < board.count; i++) {
    const slot = board.slot(i)
    const seq = board.seq(slot)
    if (((seq - right) | 0) >= 0) break
    const flags = board.flags(slot)
    if ((flags & SACKED) !== 0) continue
    const end = board.end(slot)
    if (((end - right) | 0) > 0 && !cutRight(flight, i, (right - seq) | 0)) break
    const bytes = board.bytes(slot)
    result.delivered += bytes
    result.sacked += bytes
    rackDelivered(tcp, tcb, flight, result, board.xmitUs(slot), board.end(slot), flags)
    board.markSacked(slot)
  }
  if (i > from) board.joinSacked(from, i)
}

/**
 * A block that begins inside a record: cut where the next whole segment begins.
 * @returns index of the first record that lies in the block whole
 */
function cutLeft(flight: Flight, index: number, left: number): number {
  const { board } = flight
  const slot = board.slot(index)
  const seq = board.seq(slot)
  const inside = (left - seq) | 0
  if (inside <= 0) return index
  if ((board.flags(slot) & SACKED) !== 0) return index + 1
  const mss = board.mss(slot)
  const cut = Math.ceil(inside / mss) * mss
  if (cut < board.payloadBytes(slot) && board.count < RECORDS_MAX) board.split(index, (seq + cut) | 0)
  return index + 1
}

/** A block that ends inside a record: cut after the last whole segment, or in front of the FIN. @returns false if there is none */
function cutRight(flight: Flight, index: number, inside: number): boolean {
  const { board } = flight
  const slot = board.slot(index)
  const cut = inside === board.payloadBytes(slot) ? inside : inside - (inside % board.mss(slot))
  if (cut === 0 || board.count >= RECORDS_MAX) return false
  board.split(index, (board.seq(slot) + cut) | 0)
  return true
}
