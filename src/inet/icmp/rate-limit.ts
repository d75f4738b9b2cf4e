/**
 * How many ICMP errors leave (RFC 1812 §4.3.2.8, RFC 4443 §2.4 f): a token bucket for the stack and one for each of
 * {@link BUCKETS} groups of destinations, so that no single one uses up all.
 */
import type { Random } from '../../base/prng.ts'
import type { Instant } from '../../base/time.ts'

export interface RateLimitOptions {
  /** Errors a second from the whole stack; 0 sends none. */
  readonly perSecond: number
  /** Errors at once from the whole stack. */
  readonly burst: number
  /** Errors a second to one group of destinations. */
  readonly perDestinationPerSecond: number
  readonly perDestinationBurst: number
}

export const RATE_LIMIT_DEFAULTS: RateLimitOptions = {
  perSecond: 1_000,
  burst: 50,
  perDestinationPerSecond: 100,
  perDestinationBurst: 10,
}

export const BUCKETS = 256
const SECOND_US = 1_000_000

export class RateLimit {
  private limits: RateLimitOptions
  private readonly random: Random
  private readonly seed: number
  /** Tokens and the time of the last look, by bucket; the stack's own is the last. */
  private readonly tokens = new Float64Array(BUCKETS + 1)
  private readonly looked = new Float64Array(BUCKETS + 1)

  constructor(limits: RateLimitOptions, random: Random) {
    this.limits = limits
    this.random = random
    this.seed = random.int32()
    this.refill()
  }

  get options(): RateLimitOptions {
    return this.limits
  }

  configure(limits: RateLimitOptions): void {
    this.limits = limits
    this.refill()
  }

  private refill(): void {
    this.tokens.fill(this.limits.perDestinationBurst)
    this.tokens[BUCKETS] = this.limits.burst
  }

  /**
   * Whether one more error may leave, and if so counts it.
   * @param destination - any word that tells destinations apart
   */
  allow(destination: number, now: Instant): boolean {
    const { perSecond, burst, perDestinationPerSecond, perDestinationBurst } = this.limits
    const hash = Math.imul(destination ^ this.seed, 0x9e3779b1)
    const group = (hash ^ (hash >>> 15)) & (BUCKETS - 1)
    this.look(group, perDestinationPerSecond, perDestinationBurst, now)
    this.look(BUCKETS, perSecond, burst, now)
    if (this.tokens[group]! < 1 || this.tokens[BUCKETS]! < 1) return false
    this.tokens[group]!--
    // A shared limit that can be counted from outside tells which ports are open (CVE-2020-25705), so it is blurred.
    this.tokens[BUCKETS]! -= 1 + 0.5 * this.random.unit()
    return true
  }

  private look(bucket: number, perSecond: number, burst: number, now: Instant): void {
    const gained = ((now - this.looked[bucket]!) * perSecond) / SECOND_US
    this.tokens[bucket] = Math.min(burst, this.tokens[bucket]! + gained)
    this.looked[bucket] = now
  }
}
