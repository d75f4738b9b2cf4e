import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Prng } from '../../base/prng.ts'
import { DeadlineWheel, type Timed, TimerWheel } from './timer-wheel.ts'

/** Where the clock stands at first: in the middle, and shortly before int32 and each level of the wheel wrap. */
const START = fc.constantFrom(0, 1, -1, 255, 0xfffe, 0xfffff0, 0x7fffff00, 0x7fffffff, -0x80000000, -300)
/** How far a deadline lies ahead: each level, its borders, and the past. */
const AHEAD = fc.oneof(
  fc.integer({ min: -5, max: 600 }),
  fc.integer({ min: 0, max: 70_000 }),
  fc.integer({ min: 0, max: 0x2000000 }),
  fc.constantFrom(0, 1, 255, 256, 257, 65_535, 65_536, 65_537, 0xffffff, 0x1000000, 0x1000001, 0x7ffffffe),
)
/** Time passes: what is set for a millisecond that was looked at already comes with the next. */
const STEP = fc.oneof(
  fc.integer({ min: 1, max: 3 }),
  fc.integer({ min: 1, max: 1_000 }),
  fc.integer({ min: 1, max: 0x1800000 }),
)
const DO = fc.oneof(
  fc.record({ set: fc.nat(20), ahead: AHEAD }),
  fc.record({ clear: fc.nat(20) }),
  fc.record({ step: STEP }),
)

/** The same by a list that is looked through. */
class Oracle {
  readonly deadlines = new Map<number, number>()

  due(now: number): number[] {
    const due = [...this.deadlines].filter(([, at]) => ((at - now) | 0) <= 0)
    for (const [entry] of due) this.deadlines.delete(entry)
    return due.sort(([, a], [, b]) => (a - b) | 0).map(([entry]) => entry)
  }

  earliest(now: number): number {
    return Math.min(...[...this.deadlines.values()].map(at => (at - now) | 0))
  }
}

function taken(wheel: DeadlineWheel, now: number): number[] {
  const all: number[] = []
  for (let entry = wheel.take(now); entry !== 0; entry = wheel.take(now)) all.push(entry)
  return all
}

describe('tcp/timer-wheel', () => {
  it('every deadline comes at its millisecond, none earlier, none later, over every wrap', () => {
    fc.assert(
      fc.property(START, fc.array(DO, { maxLength: 120, size: 'max' }), (start, actions) => {
        const wheel = new DeadlineWheel()
        const oracle = new Oracle()
        let now: number = start
        for (const action of actions) {
          if ('set' in action) {
            const at = (now + action.ahead) | 0
            wheel.set(action.set + 1, at, now)
            oracle.deadlines.set(action.set + 1, at)
          } else if ('clear' in action) {
            wheel.clear(action.clear + 1)
            oracle.deadlines.delete(action.clear + 1)
          } else {
            now = (now + action.step) | 0
            const due = oracle.due(now)
            expect(taken(wheel, now).sort()).toEqual([...due].sort())
          }
          expect(wheel.size).toBe(oracle.deadlines.size)
          const poll = wheel.pollAt()
          if (poll === null) expect(oracle.deadlines.size).toBe(0)
          else expect((poll - now) | 0).toBeLessThanOrEqual(Math.max(0, oracle.earliest(now)) + 1)
        }
      }),
      { numRuns: 500 },
    )
  })

  it('whoever comes when pollAt says misses nothing and does not come for nothing often', () => {
    const random = new Prng(1)
    for (const start of [0, 0x7fff0000, -70_000]) {
      const wheel = new DeadlineWheel()
      const oracle = new Oracle()
      let now: number = start
      let visits = 0
      for (let entry = 1; entry <= 1_000; entry++) {
        const at = (now + random.below(20_000_000)) | 0
        wheel.set(entry, at, now)
        oracle.deadlines.set(entry, at)
      }
      for (let poll = wheel.pollAt(); poll !== null; poll = wheel.pollAt()) {
        expect((poll - now) | 0).toBeGreaterThanOrEqual(0)
        expect((poll - now) | 0).toBeLessThanOrEqual(oracle.earliest(now))
        now = poll
        visits++
        expect(taken(wheel, now)).toEqual(oracle.due(now))
      }
      expect(oracle.deadlines.size).toBe(0)
      expect(visits).toBeLessThan(3_000)
    }
  })

  it('deadlines come in their order, though the clock jumps far', () => {
    const wheel = new DeadlineWheel()
    const random = new Prng(2)
    const at = new Map<number, number>()
    for (let entry = 1; entry <= 2_000; entry++) {
      at.set(entry, 1 + random.below(0x5000000))
      wheel.set(entry, at.get(entry)!, 0)
    }
    const order = taken(wheel, 0x7ffffff0)
    expect(order.length).toBe(2_000)
    for (let i = 1; i < order.length; i++)
      expect(at.get(order[i]!)!).toBeGreaterThanOrEqual(at.get(order[i - 1]!)!)
  })

  it('one that is set again while its turn is taken comes again, and not in the same millisecond', () => {
    const wheel = new DeadlineWheel()
    wheel.set(1, 100, 0)
    let turns = 0
    for (let entry = wheel.take(150); entry !== 0; entry = wheel.take(150)) {
      turns++
      wheel.set(1, 0, 150)
    }
    // From 100 to 150, once a millisecond: a deadline in the past cannot make it turn for ever.
    expect(turns).toBe(51)
    expect(wheel.pollAt()).toBe(151)
  })

  it('the slot that is being emptied takes nothing of its next round', () => {
    const wheel = new DeadlineWheel()
    for (const ahead of [255, 256, 257, 65_536]) {
      wheel.set(1, 1_000, 900)
      expect(wheel.take(1_000)).toBe(1)
      wheel.set(2, 1_000 + ahead, 1_000)
      expect(wheel.take(1_000 + ahead - 1)).toBe(0)
      expect(wheel.take(1_000 + ahead)).toBe(2)
      expect(wheel.take(1_000 + ahead)).toBe(0)
      wheel.clear(1)
    }
  })

  it('an empty wheel begins where the clock is, however long nobody asked', () => {
    const wheel = new DeadlineWheel()
    wheel.set(1, 10, 0)
    expect(taken(wheel, 10)).toEqual([1])
    // 2^31 ms and more later, and before what the wheel remembers.
    for (const now of [0x7fffff00, -0x7fffff00, 5, -1]) {
      wheel.set(7, (now + 3) | 0, now)
      expect(wheel.pollAt()).toBe((now + 3) | 0)
      expect(taken(wheel, (now + 2) | 0)).toEqual([])
      expect(taken(wheel, (now + 3) | 0)).toEqual([7])
    }
  })

  describe('of objects', () => {
    const make = (name: string): Timed & { name: string } => ({ name, wheelEntry: 0 })

    it('is lazy: a later deadline changes nothing, an earlier one moves the entry', () => {
      const wheel = new TimerWheel<Timed>()
      const item = make('a')
      wheel.arm(item, 500, 0)
      wheel.arm(item, 900, 0)
      expect(wheel.pollAt()).toBe(500)
      wheel.arm(item, 200, 0)
      expect([wheel.pollAt(), wheel.size]).toEqual([200, 1])
      const called: number[] = []
      for (let now = 0; now < 1_000; now++) wheel.expire(now, () => called.push(now))
      expect(called).toEqual([200])
      expect([item.wheelEntry, wheel.size, wheel.pollAt()]).toEqual([0, 0, null])
    })

    it('an item that is disarmed is not called and not held, also by another in the same millisecond', () => {
      const wheel = new TimerWheel<ReturnType<typeof make>>()
      const items = ['a', 'b', 'c'].map(make)
      for (const item of items) wheel.arm(item, 10, 0)
      wheel.disarm(items[1]!)
      wheel.disarm(items[1]!)
      const called: string[] = []
      wheel.expire(10, item => {
        called.push(item.name)
        for (const other of items) wheel.disarm(other)
      })
      expect(called.length).toBe(1)
      expect(called).not.toContain('b')
      expect(wheel.size).toBe(0)
    })

    it('100,000 items that move all the time: each is called once for every deadline, with one entry each', () => {
      const random = new Prng(3)
      const wheel = new TimerWheel<Timed & { at: number }>()
      const items = Array.from({ length: 100_000 }, () => ({ wheelEntry: 0, at: 0 }))
      let now = 0x7fffffff - 30_000
      for (const item of items) {
        item.at = (now + 1 + random.below(120_000)) | 0
        wheel.arm(item, item.at, now)
      }
      let inTime = 0
      for (let step = 0; step < 300; step++) {
        for (let i = 0; i < 1_000 && step < 200; i++) {
          const item = items[random.below(items.length)]!
          if (item.at === 0) continue
          item.at = (now + 1 + random.below(40_000)) | 0
          wheel.arm(item, item.at, now)
        }
        expect(wheel.size).toBeLessThanOrEqual(items.length)
        now = (now + 500) | 0
        wheel.expire(now, item => {
          // Early: its deadline moved back since.
          if (((item.at - now) | 0) > 0) {
            wheel.arm(item, item.at, now)
            return
          }
          expect((now - item.at) | 0).toBeLessThanOrEqual(500)
          item.at = 0
          inTime++
        })
      }
      expect(wheel.size).toBe(0)
      expect(inTime).toBe(items.length)
    })
  })
})
