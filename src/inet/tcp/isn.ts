/**
 * What a peer sees of our choices and must not foretell: initial sequence numbers (RFC 6528), timestamp offsets (RFC 7323 §5.4),
 * the offsets of port choice (RFC 6056) and cookies, all by SipHash-2-4 under keys that are drawn when the stack
 * starts (MUST-8, MUST-9 of RFC 9293).
 */
import { SipHash } from '../../base/siphash.ts'

/** What a hash is for, so that one use tells nothing of another. */
const FOR_ISN = 1
const FOR_TIMESTAMPS = 2

/** Words of a hashed tuple: purpose, eight of addresses, ports, two of the caller's. */
const MESSAGE_WORDS = 12

export class SequenceKeys {
  private readonly isnKey: SipHash
  private readonly otherKey: SipHash
  private readonly message = new Int32Array(MESSAGE_WORDS)

  /** @param secret - eight int32 from a CSPRNG */
  constructor(secret: Int32Array) {
    this.isnKey = new SipHash(secret, 0)
    this.otherKey = new SipHash(secret, 4)
  }

  /**
   * An initial sequence number: remote words, local words, `localPort << 16 | remotePort`.
   * @param clock - `Tcp.isnClock`: steps of 4 microseconds, which go round in 4.77 hours
   */
  isn(
    clock: number,
    r0: number,
    r1: number,
    r2: number,
    r3: number,
    l0: number,
    l1: number,
    l2: number,
    l3: number,
    ports: number,
  ): number {
    this.fill(FOR_ISN, r0, r1, r2, r3, l0, l1, l2, l3, ports)
    return (this.isnKey.hash(this.message, 10) + clock) | 0
  }

  /** What is added to the millisecond clock in timestamps to this peer: the same for each pair of addresses, so that they grow from one connection to the next. */
  tsOffset(
    r0: number,
    r1: number,
    r2: number,
    r3: number,
    l0: number,
    l1: number,
    l2: number,
    l3: number,
  ): number {
    this.fill(FOR_TIMESTAMPS, r0, r1, r2, r3, l0, l1, l2, l3, 0)
    return this.otherKey.hash(this.message, 10)
  }

  /**
   * A hash of a tuple for another use.
   * @param purpose - a small number that no other use has, from 16 on
   * @param extra0 - @param extra1 - anything that the hash shall depend on
   */
  hash3(
    purpose: number,
    r0: number,
    r1: number,
    r2: number,
    r3: number,
    l0: number,
    l1: number,
    l2: number,
    l3: number,
    ports: number,
    extra0: number,
    extra1: number,
  ): number {
    this.fill(purpose, r0, r1, r2, r3, l0, l1, l2, l3, ports)
    this.message[10] = extra0
    this.message[11] = extra1
    return this.otherKey.hash(this.message, 12)
  }

  private fill(
    purpose: number,
    r0: number,
    r1: number,
    r2: number,
    r3: number,
    l0: number,
    l1: number,
    l2: number,
    l3: number,
    ports: number,
  ): void {
    const { message } = this
    message[0] = purpose
    message[1] = r0
    message[2] = r1
    message[3] = r2
    message[4] = r3
    message[5] = l0
    message[6] = l1
    message[7] = l2
    message[8] = l3
    message[9] = ports
  }
}
