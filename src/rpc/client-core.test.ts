import { describe, expect, it } from 'vitest'
import { Prng } from '../base/prng.ts'
import {
  CallSlot,
  ClientCore,
  type CoreLimits,
  type DueHandler,
  FREE,
  isOlder,
  SENT,
  WAITING,
} from './client-core.ts'

const LIMITS: CoreLimits = { maxInFlight: 4, maxWaiting: 4, retransmit: null }
const RETRANSMIT = { firstUs: 100, maxUs: 400 }

const make = (limits: Partial<CoreLimits> = {}, seed = 1) =>
  new ClientCore({ ...LIMITS, ...limits }, new Prng(seed), () => new CallSlot())

/** Does what is due, and records it; a call that expires is ended. */
function handler(core: ClientCore<CallSlot>) {
  const log: string[] = []
  const due: DueHandler<CallSlot> = {
    expired(call) {
      log.push(`expired ${call.xid}`)
      core.end(call)
    },
    resend(call) {
      log.push(`resend ${call.xid}`)
      core.sent(call, 0)
    },
  }
  return { log, due }
}

describe('rpc/client-core: xids (checklist 40)', () => {
  it('start at random, and count up across the wrap', () => {
    const starts = [1, 2, 3].map(seed => make({}, seed).begin(0, 1)!.xid)
    expect(new Set(starts).size).toBe(3)
    const wrapping = new ClientCore(
      LIMITS,
      { int32: () => 0x7fff_ffff, below: () => 0, unit: () => 0 },
      () => new CallSlot(),
    )
    const [a, b] = [wrapping.begin(0, 1)!, wrapping.begin(0, 1)!]
    expect([a.xid, b.xid]).toEqual([0x7fff_ffff, -0x8000_0000])
    expect(isOlder(a.xid, b.xid)).toBe(true)
    expect(wrapping.oldestXid).toBe(0x7fff_ffff)
    wrapping.end(a)
    expect(wrapping.oldestXid).toBe(-0x8000_0000)
  })

  it('are not given out again when their slot is', () => {
    const core = make()
    const first = core.begin(0, 1)!
    const { xid } = first
    core.end(first)
    const second = core.begin(0, 1)!
    expect(second).toBe(first)
    expect(second.xid).toBe((xid + 1) | 0)
    core.sent(second, 0)
    expect(core.find(xid)).toBeNull()
    expect(core.wasUsed(xid)).toBe(true)
    expect(core.wasUsed((xid + 2) | 0)).toBe(false)
    expect(core.wasUsed((xid - 1) | 0)).toBe(false)
  })

  it('only what was sent is answered', () => {
    const core = make()
    const call = core.begin(0, 1)!
    expect(core.find(call.xid)).toBeNull()
    core.sent(call, 0)
    expect(core.find(call.xid)).toBe(call)
  })

  it('are found whatever share a bucket', () => {
    const core = make({ maxInFlight: 5_000, maxWaiting: 5_000 })
    const calls = Array.from({ length: 10_000 }, () => core.begin(0, 1)!)
    // More than are in flight at once in earnest.
    for (const call of calls) core.sent(call, 0)
    for (const call of calls.filter((_, i) => i % 3 === 0)) core.end(call)
    for (const [i, call] of calls.entries()) if (i % 3 !== 0) expect(core.find(call.xid)).toBe(call)
    expect(core.outstanding).toBe(6_666)
  })
})

describe('rpc/client-core: bounds', () => {
  it('so many are in flight, so many wait, one more is refused', () => {
    const core = make({ maxInFlight: 2, maxWaiting: 1 })
    for (let i = 0; i < 3; i++) expect(core.begin(0, 1)).not.toBeNull()
    expect(core.begin(0, 1)).toBeNull()
    expect(core.begin(0, 1, true)).not.toBeNull()
    for (let call = core.nextToSend(); call !== null; call = core.nextToSend()) core.sent(call, 0)
    expect([core.inFlight, core.waiting]).toEqual([2, 2])
  })

  it('no xid goes beyond the window of a session, and the oldest opens it again', () => {
    const core = make({ maxInFlight: 10, maxWaiting: 10 })
    core.windowCalls = 3
    const calls = Array.from({ length: 5 }, () => core.begin(0, 1)!)
    const send = () => {
      for (let call = core.nextToSend(); call !== null; call = core.nextToSend()) core.sent(call, 0)
      return core.inFlight
    }
    expect(send()).toBe(3)
    core.end(calls[1]!)
    expect(send()).toBe(2)
    core.end(calls[0]!)
    expect(send()).toBe(3)
  })

  it('what is sent again keeps its place in front of what was never sent', () => {
    const core = make()
    const [a, b, c] = [core.begin(0, 1)!, core.begin(0, 1)!, core.begin(0, 1)!]
    core.sent(a, 0)
    core.sent(b, 0)
    core.again(b)
    core.again(a)
    const order = []
    for (let call = core.nextToSend(); call !== null; call = core.nextToSend()) {
      order.push(call)
      core.sent(call, 0)
    }
    expect(order).toEqual([a, b, c])
    expect([a.transmissions, b.transmissions, c.transmissions]).toEqual([2, 2, 1])
  })
})

describe('rpc/client-core: time', () => {
  it('says when the earliest is due, and finds the next when that has come', () => {
    const core = make()
    const { log, due } = handler(core)
    const calls = [300, 100, 200].map(timeout => core.begin(0, timeout)!)
    core.sent(calls[0]!, 0)
    expect(core.nextDueAt).toBe(100)
    core.due(99, due)
    expect(log).toEqual([])
    expect(core.nextDueAt).toBe(100)
    core.due(250, due)
    expect(log).toEqual([`expired ${calls[1]!.xid}`, `expired ${calls[2]!.xid}`])
    expect(core.nextDueAt).toBe(300)
    core.end(calls[0]!)
    core.due(300, due)
    expect(core.nextDueAt).toBe(Number.POSITIVE_INFINITY)
  })

  it('a call without a deadline never expires', () => {
    const core = make()
    const { log, due } = handler(core)
    core.begin(0, Number.POSITIVE_INFINITY)
    expect(core.nextDueAt).toBe(Number.POSITIVE_INFINITY)
    core.due(Number.MAX_SAFE_INTEGER, due)
    expect(log).toEqual([])
  })

  it('over UDP a call is sent again after an interval that doubles up to a limit, a quarter more or less', () => {
    const core = make({ retransmit: RETRANSMIT })
    const call = core.begin(0, 1e9)!
    const intervals = []
    for (let i = 0; i < 5; i++) {
      core.sent(call, 1_000 * i)
      intervals.push(call.resendAt - 1_000 * i)
    }
    for (const [i, expected] of [100, 200, 400, 400, 400].entries()) {
      expect(intervals[i]).toBeGreaterThanOrEqual(0.75 * expected)
      expect(intervals[i]).toBeLessThanOrEqual(1.25 * expected)
    }
    expect(new Set(intervals.map(us => us % 100)).size).toBeGreaterThan(3)
  })

  it('a connection does that itself', () => {
    const core = make()
    const call = core.begin(0, 1_000)!
    core.sent(call, 0)
    expect(call.resendAt).toBe(Number.POSITIVE_INFINITY)
    expect(core.nextDueAt).toBe(1_000)
  })

  it('a handler that ends other calls, too, leaves the rest for another look', () => {
    const core = make({ maxInFlight: 8 })
    const calls = Array.from({ length: 6 }, () => core.begin(0, 100)!)
    for (const call of calls) core.sent(call, 0)
    const expired: number[] = []
    const due: DueHandler<CallSlot> = {
      expired(call) {
        const at = calls.indexOf(call)
        expired.push(at)
        core.end(call)
        if (at === 0) core.end(calls[1]!)
      },
      resend: () => expect.fail('nothing is sent again'),
    }
    core.due(100, due)
    expect(core.nextDueAt).toBe(100)
    core.due(100, due)
    expect(expired).toEqual([0, 2, 3, 4, 5])
    expect(core.outstanding).toBe(0)
  })
})

describe('rpc/client-core: against a plain list', () => {
  it.each([1, 2, 3])('keeps order, states and deadlines through 4,000 random steps (seed %d)', seed => {
    const random = new Prng(seed)
    const core = make({ maxInFlight: 20, maxWaiting: 20 }, seed)
    let model: { call: CallSlot; xid: number; state: number }[] = []
    for (let step = 0; step < 4_000; step++) {
      const one = model[random.below(Math.max(1, model.length))]
      const dice = random.below(5)
      if (dice < 2) {
        const call = core.begin(step, 1 + random.below(1_000))
        expect(call === null).toBe(model.length >= 40)
        if (call !== null) model.push({ call, xid: call.xid, state: WAITING })
      } else if (dice === 2) {
        const call = core.nextToSend()
        const first = model.find(({ state }) => state === WAITING)
        const may = model.filter(({ state }) => state === SENT).length < 20
        expect(call).toBe(may && first !== undefined ? first.call : null)
        if (call === null) continue
        core.sent(call, step)
        first!.state = SENT
      } else if (dice === 3 && one?.state === SENT) {
        core.again(one.call)
        one.state = WAITING
      } else if (one !== undefined) {
        core.end(one.call)
        expect(one.call.state).toBe(FREE)
        model = model.filter(other => other !== one)
      }
      expect(core.outstanding).toBe(model.length)
      if (model.length > 0) expect(core.oldestXid).toBe(model[0]!.xid)
      const found = model.every(({ call, xid, state }) => core.find(xid) === (state === SENT ? call : null))
      expect(found).toBe(true)
    }
  })
})
