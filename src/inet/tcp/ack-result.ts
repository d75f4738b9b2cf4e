/** What one ACK said, gathered by `acknowledge.ts` and `sack.ts`, read by `rack.ts`, `undo.ts` and `recovery.ts`. One record serves all. */
import type { Segment } from './segment.ts'

export class AckResult {
  /** Bytes by which `sndUna` moved. */
  advanced = 0
  /** Bytes of which this ACK is the first to say that they arrived (RFC 9937 "DeliveredData"). */
  delivered = 0
  /** Of these, SACKed. */
  sacked = 0
  /** Bytes newly taken for lost. */
  lost = 0
  /** Microseconds since the first and the last transmission of what was delivered and never sent twice; -1: none. */
  oldestUs = -1
  newestUs = -1
  /** Something that was sent twice was acknowledged. */
  retransmittedAcked = false
  /** Of that, the echoed timestamp is older than the last transmission: which one it answers, or how long it took, is unknown. */
  ambiguous = false
  /** Something sent once, before the timeout, arrived (RFC 5682 §3.1). */
  originalDelivered = false
  /** A duplicate was reported (RFC 2883). */
  dsack = false
  /** ECE (RFC 3168 §6.1.2). */
  ece = false
  /** Highest sequence number that had been delivered before. */
  fackBefore = 0
  /** A duplicate ACK by RFC 5681 §2, of a peer without SACK. */
  duplicate = false
  hasTimestamps = false
  tsEcho = 0

  begin(seg: Segment, advanced: number, fack: number): void {
    this.advanced = advanced
    this.delivered = 0
    this.sacked = 0
    this.lost = 0
    this.oldestUs = -1
    this.newestUs = -1
    this.retransmittedAcked = false
    this.ambiguous = false
    this.originalDelivered = false
    this.dsack = false
    this.ece = false
    this.fackBefore = fack
    this.duplicate = false
    this.hasTimestamps = seg.hasTimestamps
    this.tsEcho = seg.tsEcho
  }
}
