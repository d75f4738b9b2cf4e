/** A received segment, read once: one record serves all, since none is kept. */
import type { Mblk } from '../../streams/mblk/mblk.ts'

/** SACK blocks that fit an option (RFC 2018 §3). */
export const SACK_BLOCKS_MAX = 4

export class Segment {
  /** Index of the first word of its control block (`inet/unitdata.ts`); ports are filled in. */
  at = 0
  words: Int32Array = NO_WORDS
  family = 4
  /** `localPort << 16 | remotePort`. */
  ports = 0
  seq = 0
  ack = 0
  /** SYN, FIN, ACK … of `wire/tcp.ts`. */
  control = 0
  /** As it came, not scaled. */
  window = 0
  urgent = 0
  /** Payload bytes. */
  length = 0
  /** The payload, TCP header off; null when there is none or it was taken. Owned by whoever has the segment in hand. */
  data: Mblk | null = null
  /** Payload bytes of each packet that a received super-segment stands for; 0 if it is one packet. */
  gsoSize = 0
  /** The two ECN bits of the IP header (RFC 3168 §5). */
  ecn = 0
  /** Came to a broadcast or multicast address. */
  notUnicast = false

  // ---- options; see options.ts
  /** 0: absent. */
  mss = 0
  /** -1: absent. */
  windowScale = -1
  sackPermitted = false
  hasTimestamps = false
  tsValue = 0
  tsEcho = 0
  sackCount = 0
  /** Left and right edge of each block in turn. */
  readonly sack = new Int32Array(2 * SACK_BLOCKS_MAX)
}

const NO_WORDS = new Int32Array(0)
