/** The packets of one direction that wait for their time, ordered by it. Its entries are made once and used again. */
import { assert } from '../base/assert.ts'
import type { Instant } from '../base/time.ts'
import { type Holder, type Mblk, messageBytes } from '../streams/index.ts'

interface Entry {
  mp: Mblk | null
  due: Instant
  bytes: number
  previous: Entry | null
  next: Entry | null
}

export class ImpairLine implements Holder {
  readonly holderName: string
  private first: Entry | null = null
  private last: Entry | null = null
  private free: Entry | null = null
  packets = 0
  bytes = 0

  constructor(holderName: string) {
    this.holderName = holderName
  }

  /** When the first is due, or null. */
  get firstDue(): Instant | null {
    return this.first === null ? null : this.first.due
  }

  /** Priority band of the first, 0 if there is none. */
  get firstBand(): number {
    return this.first?.mp?.band ?? 0
  }

  /** When the last is due; a packet that must not overtake is due no earlier. */
  get lastDue(): Instant | null {
    return this.last === null ? null : this.last.due
  }

  /** Keeps a packet, behind those that are due earlier or at the same time. @param mp - consumed */
  add(mp: Mblk, due: Instant): void {
    const entry = this.free ?? { mp: null, due, bytes: 0, previous: null, next: null }
    this.free = entry.next
    let before = this.last
    while (before !== null && before.due > due) before = before.previous
    const next = before === null ? this.first : before.next
    entry.mp = mp
    entry.due = due
    entry.bytes = messageBytes(mp)
    entry.previous = before
    entry.next = next
    if (before === null) this.first = entry
    else before.next = entry
    if (next === null) this.last = entry
    else next.previous = entry
    mp.at = this
    this.packets++
    this.bytes += entry.bytes
  }

  /** Takes the first out. @returns an owned packet */
  shift(): Mblk {
    const entry = this.first
    assert(entry !== null && entry.mp !== null, 'impair: nothing waits')
    const { mp } = entry
    this.first = entry.next
    if (this.first === null) this.last = null
    else this.first.previous = null
    entry.mp = null
    entry.next = this.free
    this.free = entry
    this.packets--
    this.bytes -= entry.bytes
    mp.at = null
    return mp
  }
}
