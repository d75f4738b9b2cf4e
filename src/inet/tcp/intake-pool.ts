/** The records of `intake.ts`: those in use, looked at in turns for what they can give back, and those to be used again. */
import { assert } from '../../base/assert.ts'
import { condenseStored, Intake, QUICK_ACKS, settleLent } from './intake.ts'
import { PRESSURE_NONE, pressure } from './memory.ts'
import { Reassembly } from './reassembly.ts'
import { CLOSED } from './states.ts'
import { F_URGENT_IN, type Tcb } from './tcb.ts'
import type { Tcp } from './tcp.ts'

/** A record of a connection that received nothing for so long, and holds nothing, goes back to the pool. */
const IDLE_MS = 1_000
/** How often connections that memory keeps small are looked at: no peer waits for its persist timer. */
const RELIEF_MS = 50
/** Records in the pool; more are left to the garbage collector. */
const POOL_MAX = 1_024
/** Records that {@link IntakePool.expire} looks at in one go: many take their turns within {@link IDLE_MS}. */
const LOOKS = 256

/** Records in use, the one that was looked at longest ago first, and records to be used again. */
export class IntakePool {
  private free: Intake | null = null
  private freeReassembly: Reassembly | null = null
  private freeCount = 0
  private freeReassemblyCount = 0
  private oldest: Intake | null = null
  private newest: Intake | null = null
  inUse = 0
  /** Records whose connections' windows were kept small for want of memory. */
  private heldBack = 0
  private lookAt = 0

  take(tcb: Tcb): Intake {
    let intake = this.free
    if (intake === null) intake = new Intake()
    else {
      this.free = intake.next
      this.freeCount--
    }
    intake.tcb = tcb
    intake.quickAcks = QUICK_ACKS
    intake.answers = false
    intake.lastBytes = 0
    this.link(intake)
    this.inUse++
    return intake
  }

  give(intake: Intake): void {
    assert(
      intake.first === null && intake.held === 0 && intake.loose === 0 && intake.lent === 0,
      'a record with data goes back to the pool',
    )
    this.unlink(intake)
    this.inUse--
    intake.tcb = null
    intake.untried = 0
    intake.hasFin = false
    intake.hasDuplicate = false
    intake.sawCe = false
    intake.tuning = false
    if (intake.heldBack) this.release(intake)
    if (this.freeCount >= POOL_MAX) return
    this.freeCount++
    intake.next = this.free
    this.free = intake
  }

  takeReassembly(): Reassembly {
    const reassembly = this.freeReassembly
    if (reassembly === null) return new Reassembly()
    this.freeReassembly = reassembly.next
    this.freeReassemblyCount--
    reassembly.next = null
    return reassembly
  }

  /** @param reassembly - empty */
  giveReassembly(reassembly: Reassembly): void {
    if (this.freeReassemblyCount >= POOL_MAX / 16) return
    this.freeReassemblyCount++
    reassembly.next = this.freeReassembly
    this.freeReassembly = reassembly
  }

  /** Notes that memory kept a window small: {@link expire} has it announced anew when there is some. */
  holdBack(tcp: Tcp, intake: Intake): void {
    if (intake.heldBack) return
    intake.heldBack = true
    this.heldBack++
    if (((this.lookAt - tcp.nowMs) | 0) <= RELIEF_MS) return
    this.lookAt = (tcp.nowMs + RELIEF_MS) | 0
    tcp.host.timerMoved()
  }

  private release(intake: Intake): void {
    intake.heldBack = false
    this.heldBack--
  }

  /**
   * Looks at some records, so that those of idle connections come back as fast as new ones are needed.
   * @param opened - called for those whose window memory kept small, when it does no longer
   */
  sweep(tcp: Tcp, looks: number, opened: ((tcp: Tcp, tcb: Tcb) => void) | null = null): void {
    const relief = opened !== null && this.heldBack > 0 && pressure(tcp) === PRESSURE_NONE
    for (let i = 0; i < looks && this.oldest !== null; i++) {
      const intake = this.oldest
      const tcb = intake.tcb!
      settleLent(tcp, tcb)
      if (isIdle(tcp, tcb, intake)) {
        tcb.intake = null
        this.give(intake)
      } else {
        this.unlink(intake)
        this.link(intake)
        if (!relief || !intake.heldBack) continue
        this.release(intake)
        opened(tcp, tcb)
      }
    }
  }

  /** Memory is short: two records at a time give back what they hold beyond their need, bounded. As many turns as segments that come meanwhile. */
  squeeze(tcp: Tcp): void {
    for (let i = 0; i < 2 && this.oldest !== null; i++) {
      const intake = this.oldest
      this.unlink(intake)
      this.link(intake)
      settleLent(tcp, intake.tcb!)
      condenseStored(tcp, intake)
    }
  }

  /** When to call {@link expire} next; null while no record is in use. */
  pollAt(): number | null {
    return this.inUse === 0 ? null : this.lookAt
  }

  /** Has idle connections give their records back, also when nothing comes any more. @param opened - as of {@link sweep} */
  expire(tcp: Tcp, opened: (tcp: Tcp, tcb: Tcb) => void): void {
    if (this.inUse === 0 || ((tcp.nowMs - this.lookAt) | 0) < 0) return
    this.sweep(tcp, Math.min(LOOKS, this.inUse), opened)
    this.wait(tcp)
  }

  /** Sets the next look, so that every record is looked at once in {@link IDLE_MS}. */
  wait(tcp: Tcp): void {
    const turns = Math.ceil(this.inUse / LOOKS)
    const wait = Math.max(1, Math.floor(IDLE_MS / Math.max(1, turns)))
    this.lookAt = (tcp.nowMs + (this.heldBack > 0 ? Math.min(wait, RELIEF_MS) : wait)) | 0
  }

  private link(intake: Intake): void {
    intake.previous = this.newest
    intake.next = null
    if (this.newest === null) this.oldest = intake
    else this.newest.next = intake
    this.newest = intake
  }

  private unlink(intake: Intake): void {
    if (intake.previous === null) this.oldest = intake.next
    else intake.previous.next = intake.next
    if (intake.next === null) this.newest = intake.previous
    else intake.next.previous = intake.previous
    intake.next = null
    intake.previous = null
  }
}

function isIdle(tcp: Tcp, tcb: Tcb, intake: Intake): boolean {
  if (tcb.state === CLOSED) return intake.first === null && intake.lent === 0
  return (
    intake.first === null &&
    intake.reassembly === null &&
    intake.lent === 0 &&
    !intake.hasFin &&
    !intake.hasDuplicate &&
    !intake.heldBack &&
    (tcb.flags & F_URGENT_IN) === 0 &&
    ((tcp.nowMs - tcb.lastInAt) | 0) > IDLE_MS
  )
}
