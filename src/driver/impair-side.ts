/**
 * One direction of an impaired link: what becomes of a packet, and when. Packets that are late wait on a line that is
 * bounded; those whose time has come go through the module's queue, so that flow control reaches the line too.
 */
import { type Counters, makeCounters } from '../base/counters.ts'
import { Prng, type Random } from '../base/prng.ts'
import { type Instant, instant } from '../base/time.ts'
import {
  type AnyQueue,
  bcanput,
  bcanputnext,
  dupmsg,
  freemsg,
  type Mblk,
  messageBytes,
  OFFLOAD_GSO,
  putnext,
  putq,
} from '../streams/index.ts'
import { ImpairLine } from './impair-line.ts'
import { type ImpairSettings, isHarmless } from './impair-options.ts'
import { corruptPacket } from './impair-packet.ts'

/** How long a packet that is to be overtaken waits for others to do so. */
export const REORDER_WAIT_US = 50_000
const US_BITS = 8_000_000

const COUNTERS = [
  'packets',
  'delayed',
  'lost',
  'duplicated',
  'reordered',
  'corrupted',
  'partitioned',
  'dropped-limit',
  'dropped-no-buffers',
  'dropped-corrupt-super',
] as const
type CounterName = (typeof COUNTERS)[number]

export class ImpairSide {
  readonly line: ImpairLine
  readonly counters: Counters<CounterName> = makeCounters(COUNTERS)
  private readonly q: AnyQueue
  private random: Random
  private harmless = true
  private settings: ImpairSettings
  /** When the link, at its rate, will have sent what it was given. */
  private sentAt = 0
  private held: Mblk | null = null
  private heldLeft = 0
  private heldUntil = 0 as Instant

  constructor(q: AnyQueue, settings: ImpairSettings, seed: number) {
    this.q = q
    this.line = new ImpairLine(`${q.holderName} delay line`)
    this.settings = settings
    this.harmless = isHarmless(settings)
    this.random = new Prng(seed)
  }

  /** Nothing is done to packets, and none waits to be done with: they pass as through any module. */
  get idle(): boolean {
    return this.harmless && this.line.packets === 0 && this.held === null
  }

  reseed(seed: number): void {
    this.random = new Prng(seed)
  }

  /** New settings, for packets to come. A partition drops what is on the way; a link that has become quick delivers it. */
  change(settings: ImpairSettings, now: Instant): void {
    this.settings = settings
    this.harmless = isHarmless(settings)
    if (settings.partition) this.counters.partitioned += this.discard()
    else if (settings.delay + settings.jitter + settings.rate === 0) this.expire(now, true)
    this.sentAt = Math.min(this.sentAt, now)
  }

  /** Takes a packet in. @param mp - consumed: M_DATA */
  arrive(mp: Mblk, now: Instant): void {
    const { settings, random, counters } = this
    counters.packets++
    if (settings.partition) return this.drop(mp, 'partitioned')
    if (settings.loss > 0 && random.unit() < settings.loss) return this.drop(mp, 'lost')
    const twice = settings.duplicate > 0 && random.unit() < settings.duplicate ? dupmsg(mp) : null
    if (settings.corrupt > 0 && random.unit() < settings.corrupt) this.corrupt(mp, now)
    else this.enter(mp, now)
    if (twice === null) return
    counters.duplicated++
    this.enter(twice, now)
  }

  private corrupt(mp: Mblk, now: Instant): void {
    // Its receiver would cut it into packets with good checksums, and so never see the damage: it counts as found.
    if ((mp.offload & OFFLOAD_GSO) !== 0) return this.drop(mp, 'dropped-corrupt-super')
    const broken = corruptPacket(mp, this.random)
    if (broken === null) {
      this.counters['dropped-no-buffers']++
      return
    }
    this.counters.corrupted++
    this.enter(broken, now)
  }

  private enter(mp: Mblk, now: Instant): void {
    const { settings, line } = this
    const size = messageBytes(mp)
    if (line.packets >= settings.limit || line.bytes + size > settings.limitBytes)
      return this.drop(mp, 'dropped-limit')
    const due = this.dueAt(size, now)
    if (due <= now && line.packets === 0 && bcanput(this.q, mp.band)) return this.release(mp, now)
    this.counters.delayed++
    line.add(mp, due)
  }

  private dueAt(size: number, now: Instant): Instant {
    const { settings } = this
    let due = now as number
    if (settings.rate > 0) {
      const credit = (settings.burst * US_BITS) / settings.rate
      this.sentAt = Math.max(this.sentAt, now - credit) + (size * US_BITS) / settings.rate
      due = Math.max(now, this.sentAt)
    }
    due += settings.delay
    if (settings.jitter > 0) due += settings.jitter * (2 * this.random.unit() - 1)
    due = Math.max(now, Math.round(due))
    const last = this.line.lastDue
    return instant(last !== null && last > due && !settings.jitterReorder ? last : due)
  }

  /** Lets a packet go whose time has come, unless it is chosen to be overtaken. */
  private release(mp: Mblk, now: Instant): void {
    const { settings } = this
    const chosen = settings.reorder > 0 && this.random.unit() < settings.reorder
    if (chosen && this.held === null) {
      this.counters.reordered++
      this.held = mp
      mp.at = this.line
      this.heldLeft = settings.gap
      this.heldUntil = instant(now + REORDER_WAIT_US)
      return
    }
    pass(this.q, mp)
    this.heldLeft--
    if (this.held !== null && this.heldLeft <= 0) this.releaseHeld()
  }

  private releaseHeld(): void {
    const mp = this.held
    if (mp === null || !bcanput(this.q, mp.band)) return
    this.held = null
    pass(this.q, mp)
  }

  /** Lets go what is due, or everything, as far as there is room. */
  expire(now: Instant, all = false): void {
    const { line } = this
    for (let due = line.firstDue; due !== null && (all || due <= now); due = line.firstDue) {
      if (!bcanput(this.q, line.firstBand)) return
      this.release(line.shift(), now)
    }
    if (this.held !== null && (all || this.heldLeft <= 0 || this.heldUntil <= now)) this.releaseHeld()
  }

  /** When {@link expire} should be called; null for never, or not before the queue has drained. */
  pollAt(): Instant | null {
    const due = this.line.firstDue
    const first = due !== null && bcanput(this.q, this.line.firstBand) ? due : null
    if (this.held === null || !bcanput(this.q, this.held.band)) return first
    return first === null || this.heldUntil < first ? this.heldUntil : first
  }

  /** Frees what waits. @returns how many packets */
  discard(): number {
    let count = 0
    for (; this.line.packets > 0; count++) freemsg(this.line.shift())
    if (this.held === null) return count
    freemsg(this.held)
    this.held = null
    return count + 1
  }

  /** The module goes: what waits is let go at once, in order, as far as the next module takes it; the rest is freed. */
  finish(): void {
    const { q, line } = this
    while (line.packets > 0 && q.first === null && bcanputnext(q, line.firstBand)) putnext(q, line.shift())
    const { held } = this
    if (held !== null && line.packets === 0 && q.first === null && bcanputnext(q, held.band)) {
      this.held = null
      putnext(q, held)
    }
    this.discard()
  }

  private drop(mp: Mblk, reason: CounterName): void {
    this.counters[reason]++
    freemsg(mp)
  }
}

/** Hands a message on, or queues it when it has to wait. @param mp - consumed */
export function pass(q: AnyQueue, mp: Mblk): void {
  if (q.first !== null || !bcanputnext(q, mp.band)) putq(q, mp)
  else putnext(q, mp)
}
