/** Challenge ACKs (RFC 5961): the true peer answers a spurious one, a blind attacker learns nothing from it. */
import { ackNow } from './ack-policy.ts'
import type { Tcb } from './tcb.ts'
import type { Tcp } from './tcp.ts'

const COUNT_BITS = 8
const COUNT_MASK = (1 << COUNT_BITS) - 1
const SECOND_MS = 1_000

/**
 * Counts an answer against a connection's share of this second. The share is each connection's own, and not always
 * the same: a count that others can see would be a side channel (CVE-2016-5696).
 * @param word - `Tcb.challenge` or its like
 * @returns the new word, 0 if the share is used up: the old word stays then
 */
export function countChallenge(tcp: Tcp, word: number): number {
  const limit = Math.min(COUNT_MASK, tcp.settings.challengeAcksPerSecond)
  // Never 0, so that a connection that was never challenged is told from one in its first second.
  const second = (Math.floor((tcp.nowMs >>> 0) / SECOND_MS) & 0x3fffff) + 1
  if (word >>> COUNT_BITS !== second)
    word = (second << COUNT_BITS) | (limit > 1 ? tcp.random.below((limit >> 1) + 1) : 0)
  if ((word & COUNT_MASK) >= limit) {
    tcp.counters['challenge-acks-limited']++
    return 0
  }
  tcp.counters['challenge-acks-out']++
  return word + 1
}

/** Sends an ACK at the next flush, unless this connection had its share in this second (RFC 5961 §7). */
export function challengeAck(tcp: Tcp, tcb: Tcb): void {
  const word = countChallenge(tcp, tcb.challenge)
  if (word === 0) return
  tcb.challenge = word
  ackNow(tcp, tcb)
}
