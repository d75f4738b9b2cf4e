import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { allocb } from '../streams/mblk/alloc.ts'
import type { Mblk } from '../streams/mblk/mblk.ts'
import { makeTestRuntime, type TestRuntime } from '../streams/testing/runtime.ts'
import { ReplyBudget } from './kept-reply.ts'
import { Session, type SessionLimits, type SessionRecord } from './session.ts'
import { type OpenSession, SessionTable } from './session-table.ts'

let bench: TestRuntime
beforeEach(() => {
  bench = makeTestRuntime()
})
afterEach(() => bench.finish())

function replyOf(word: number): Mblk {
  const mp = allocb(bench.arena, 4)!
  mp.wptr += 4
  bench.arena.words[mp.rptr >> 2] = word
  return mp
}

const wordOf = (mp: Mblk): number => bench.arena.words[mp.rptr >> 2]!

const LIMITS: SessionLimits = { windowCalls: 8, maxReplyBytes: 1_000_000 }

function sessionOf(limits: Partial<SessionLimits> = {}, budget = new ReplyBudget(1_000_000)): Session {
  return new Session(1, 'client', 1, { ...LIMITS, ...limits }, budget, 0)
}

function ran(session: Session, xid: number, oldest: number, reply: number | null = xid): SessionRecord {
  expect(session.begin(xid, oldest, 0)).toBe('run')
  const record = session.record!
  session.answered(record, reply === null ? null : replyOf(reply))
  return record
}

describe('rpc/session: at most once (checklist 39)', () => {
  it('a call that is in the works is dropped, one that ran gets its reply again', () => {
    const session = sessionOf()
    expect(session.begin(5, 5, 0)).toBe('run')
    const record = session.record!
    expect(session.begin(5, 5, 0)).toBe('in-progress')
    session.answered(record, replyOf(77))
    expect(session.begin(5, 5, 0)).toBe('answered')
    expect(wordOf(session.record!.reply!)).toBe(77)
    session.close()
  })

  it('replies are kept until the client says that it has them, and what is older never runs', () => {
    const session = sessionOf()
    for (const xid of [5, 6, 7]) ran(session, xid, 5)
    expect(session.size).toBe(3)
    ran(session, 8, 7)
    expect(session.size).toBe(2)
    expect(session.begin(6, 5, 0)).toBe('stale')
    expect(session.begin(7, 5, 0)).toBe('answered')
    session.close()
  })

  it('a call that its own sender does not wait for never runs', () => {
    const session = sessionOf()
    expect(session.begin(5, 6, 0)).toBe('stale')
    expect(session.size).toBe(0)
  })

  it('the number of another call: dropped, whatever became of the first', () => {
    const session = sessionOf()
    session.begin(5, 5, 1)
    const record = session.record!
    expect(session.begin(5, 5, 2)).toBe('changed')
    session.answered(record, null)
    expect(session.begin(5, 5, 2)).toBe('changed')
  })

  it('beyond the window nothing runs, so that no record has to go for another', () => {
    const session = sessionOf({ windowCalls: 4 })
    for (const xid of [10, 11, 12, 13]) ran(session, xid, 10)
    expect(session.begin(14, 10, 0)).toBe('beyond')
    expect(session.begin(14, 11, 0)).toBe('run')
    session.answered(session.record!, null)
    session.close()
  })

  it('xids that wrap count on', () => {
    const session = sessionOf()
    const top = 0x7fff_ffff
    ran(session, top, top)
    ran(session, -0x8000_0000, top)
    expect(session.begin(top, top, 0)).toBe('answered')
    ran(session, -0x7fff_ffff, -0x8000_0000)
    expect(session.begin(top, top, 0)).toBe('stale')
    session.close()
  })

  it('when replies hold all that they may, a new call is refused, for ever', () => {
    const budget = new ReplyBudget(1_000_000)
    const session = sessionOf({ maxReplyBytes: 256 }, budget)
    ran(session, 1, 1)
    expect(budget.bytes).toBe(256)
    expect(session.begin(2, 1, 0)).toBe('full')
    expect(session.begin(2, 1, 0)).toBe('shed')
    // The first is answered now, but its caller was told that the second was not run.
    expect(session.begin(2, 2, 0)).toBe('shed')
    expect(budget.bytes).toBe(0)
    expect(session.begin(3, 2, 0)).toBe('run')
    session.answered(session.record!, null)
  })

  it('whatever others hold, a session may keep replies up to its part', () => {
    const budget = new ReplyBudget(4_096, 4)
    const [greedy, honest] = [sessionOf({}, budget), sessionOf({}, budget)]
    for (let xid = 1; greedy.begin(xid, 1, 0) === 'run'; xid++) greedy.answered(greedy.record!, replyOf(xid))
    expect(budget.bytes).toBe(2_048)
    ran(honest, 1, 1)
    ran(honest, 2, 1)
    expect(honest.begin(1, 1, 0)).toBe('answered')
    expect(honest.begin(3, 1, 0)).toBe('full')
    expect(honest.begin(4, 2, 0)).toBe('run')
    honest.answered(honest.record!, null)
    greedy.close()
    honest.close()
  })

  it('a reply beyond the memory of all is not kept, and its call does not run again', () => {
    const budget = new ReplyBudget(256)
    const session = sessionOf({}, budget)
    session.begin(1, 1, 0)
    const first = session.record!
    session.begin(2, 1, 0)
    const second = session.record!
    session.answered(first, replyOf(1))
    session.answered(second, replyOf(2))
    expect(session.begin(2, 1, 0)).toBe('unkept')
    expect(budget.bytes).toBe(256)
    session.close()
    expect(budget.bytes).toBe(0)
  })

  it('a call that was refused stays so; one that was dropped unseen may come again', () => {
    const session = sessionOf()
    session.begin(1, 1, 0)
    session.refused(session.record!)
    expect(session.begin(1, 1, 0)).toBe('shed')
    session.begin(2, 1, 0)
    session.forgotten(session.record!)
    expect(session.begin(2, 1, 0)).toBe('run')
    expect(session.running).toBe(1)
    session.answered(session.record!, null)
  })

  it('what is given up in the works is told, and its reply is not kept', () => {
    const session = sessionOf()
    const told: number[] = []
    session.onGivenUp = record => told.push(record.xid)
    session.begin(1, 1, 0)
    const record = session.record!
    ran(session, 2, 2, null)
    expect(told).toEqual([1])
    session.answered(record, replyOf(1))
    expect(session.replyBytes).toBe(0)
    expect(session.begin(1, 1, 0)).toBe('stale')
  })
})

function tableOf(more: { maxSessions?: number; idleUs?: number; boot?: number } = {}): SessionTable {
  let word = more.boot ?? 100
  const options = { ...LIMITS, maxSessions: 2, idleUs: 1_000, ...more, secretWord: () => word++ }
  return new SessionTable(options, new ReplyBudget(1_000_000))
}

const request = (boot: number) => ({ clientId: 'c'.repeat(32), boot, credentials: null })

describe('rpc/session-table', () => {
  it('the same request gets the same session, another another', () => {
    const table = tableOf()
    const first = table.request(request(1), 0)!
    expect(table.request(request(1), 1)).toBe(first)
    expect(table.request(request(2), 2)).not.toBe(first)
    expect(table.find(first.handle, 3)).toBe(first)
  })

  it('a handle of another server, another boot, or with another secret is none', () => {
    const table = tableOf()
    const { handle } = table.request(request(1), 0)!
    for (const at of [0, 4, 8, 12, 20, 35]) {
      const other = handle.slice()
      other[at]! ^= 1
      expect(table.find(other, 0)).toBeNull()
    }
    expect(tableOf({ boot: 500 }).find(handle, 0)).toBeNull()
    expect(table.find(handle.slice(1), 0)).toBeNull()
  })

  it('one that nobody used for a while goes, not one with a call in the works', () => {
    const table = tableOf()
    const idle = table.request(request(1), 0)!
    const busy = table.request(request(2), 0)!
    busy.session.begin(1, 1, 0)
    expect(table.expire(999)).toBe(1_000)
    table.expire(1_000)
    expect(table.find(idle.handle, 1_000)).toBeNull()
    expect(table.find(busy.handle, 1_000)).toBe(busy)
    busy.session.answered(busy.session.record!, null)
  })

  it('when there are as many as may be, one that was never used makes room, and no other', () => {
    const table = tableOf()
    const unused = table.request(request(1), 0)!
    const used = table.request(request(2), 0)!
    ran(used.session, 1, 1, null)
    const third = table.request(request(3), 1)!
    expect(table.find(unused.handle, 1)).toBeNull()
    ran(third.session, 1, 1, null)
    expect(table.request(request(4), 2)).toBeNull()
    expect(table.find(used.handle, 2)).toBe(used)
  })
})

describe('rpc/session-table: as many clients as may be called once and went away', () => {
  it('one that was idle for a quarter of the time makes room, the one that was so longest; none with a call in the works', () => {
    const table = tableOf()
    const busy = table.request(request(1), 0)!
    busy.session.begin(1, 1, 0)
    const idle = table.request(request(2), 100)!
    ran(idle.session, 1, 1, null)
    expect(table.request(request(3), 349)).toBeNull()
    const third = table.request(request(3), 350)!
    expect(third).not.toBeNull()
    expect(table.find(idle.handle, 351)).toBeNull()
    expect(table.find(busy.handle, 351)).toBe(busy)
    busy.session.answered(busy.session.record!, null)
  })
})

// ---- whatever the network does

type Step =
  | readonly ['call']
  /** Of all messages that were ever sent, any, any number of times. */
  | readonly ['deliver', number]
  | readonly ['end', number]
  | readonly ['give up', number]
  | readonly ['restart']
  | readonly ['drop unbegun', number]

interface Message {
  readonly handle: Uint8Array
  readonly xid: number
  readonly oldest: number
  /** Which call of the program it is. */
  readonly call: number
}

const index = fc.nat(1_000)
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    { weight: 4, arbitrary: fc.constant<Step>(['call']) },
    { weight: 10, arbitrary: index.map<Step>(at => ['deliver', at]) },
    { weight: 4, arbitrary: index.map<Step>(at => ['end', at]) },
    { weight: 1, arbitrary: index.map<Step>(at => ['give up', at]) },
    { weight: 1, arbitrary: index.map<Step>(at => ['drop unbegun', at]) },
    { weight: 1, arbitrary: fc.constant<Step>(['restart']) },
  ),
  { minLength: 20, maxLength: 200 },
)

/** A client, a network that keeps every message, and a server that may be started again; effects are counted for each call. */
class World {
  readonly effects: number[] = []
  readonly refused: boolean[] = []
  private readonly messages: Message[] = []
  private readonly works: { readonly record: SessionRecord; readonly call: number; begun: boolean }[] = []
  private waited: { readonly xid: number; readonly call: number }[] = []
  private table: SessionTable
  private open: OpenSession
  private boots = 1
  private nextXid = 0x7fff_fff0 | 0

  constructor() {
    this.table = this.boot()
    this.open = this.table.request(request(this.boots), 0)!
  }

  private boot(): SessionTable {
    return tableOf({ maxSessions: 8, boot: 1_000 * this.boots })
  }

  step(step: Step): void {
    const [kind, at = 0] = step
    if (kind === 'call') this.call()
    else if (kind === 'restart') this.restart()
    else if (kind === 'give up') this.done(this.waited[at % (this.waited.length || 1)]?.xid)
    else if (kind === 'end') this.end(at)
    else if (kind === 'drop unbegun') this.dropUnbegun(at)
    else this.deliver(this.messages[at % (this.messages.length || 1)])
  }

  private call(): void {
    const xid = this.nextXid
    this.nextXid = (this.nextXid + 1) | 0
    const call = this.effects.push(0) - 1
    this.refused.push(false)
    this.waited.push({ xid, call })
    this.messages.push({ handle: this.open.handle, xid, oldest: this.waited[0]!.xid, call })
    // Sent again later, with what the client knows by then.
    const again = this.waited[call % this.waited.length]!
    this.messages.push({ handle: this.open.handle, ...again, oldest: this.waited[0]!.xid })
  }

  private deliver(message: Message | undefined): void {
    if (message === undefined) return
    const open = this.table.find(message.handle, 0)
    if (open === null) return
    const { session } = open
    const { xid, call } = message
    const verdict = session.begin(xid, message.oldest, call)
    if (verdict === 'run') {
      expect(this.refused[call]).toBe(false)
      this.works.push({ record: session.record!, call, begun: false })
    } else if (verdict === 'answered') {
      expect(wordOf(session.record!.reply!)).toBe(call)
      this.done(xid)
    } else if (verdict === 'full' || verdict === 'shed') {
      expect(this.effects[call]).toBe(0)
      this.refused[call] = true
      this.done(xid)
    } else expect(verdict).not.toBe('changed')
  }

  private end(at: number): void {
    const [work] = this.works.splice(at % (this.works.length || 1), 1)
    if (work === undefined) return
    this.effects[work.call]!++
    expect(this.effects[work.call]).toBe(1)
    if (work.call % 5 === 4) return work.record.session.answered(work.record, null)
    work.record.session.answered(work.record, replyOf(work.call))
    if (work.call % 2 === 0) this.done(work.record.xid)
  }

  private dropUnbegun(at: number): void {
    const [work] = this.works.splice(at % (this.works.length || 1), 1)
    if (work === undefined) return
    if (at % 2 === 0) return work.record.session.forgotten(work.record)
    work.record.session.refused(work.record)
    this.refused[work.call] = true
  }

  /** What ran when the server went down had its effect; nobody knows. The client's calls end as unknown. */
  private restart(): void {
    this.boots++
    for (const work of this.works.splice(0)) {
      this.effects[work.call]!++
      expect(this.effects[work.call]).toBe(1)
    }
    this.table.close()
    this.table = this.boot()
    this.waited = []
    this.open = this.table.request(request(this.boots), 0)!
  }

  private done(xid: number | undefined): void {
    this.waited = this.waited.filter(one => one.xid !== xid)
  }

  close(): void {
    for (const work of this.works.splice(0)) work.record.session.answered(work.record, null)
    this.table.close()
  }
}

describe('rpc/session: whatever is lost, doubled, overtaken, given up or started again', () => {
  it('no call has its effect twice, and none that was refused has any', () => {
    fc.assert(
      fc.property(steps, list => {
        const world = new World()
        try {
          for (const step of list) world.step(step)
          for (const count of world.effects) expect(count).toBeLessThanOrEqual(1)
        } finally {
          world.close()
        }
        expect(bench.arena.state().blocksInUse).toBe(0)
      }),
      { numRuns: 300 },
    )
  })
})
