import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { after, milliseconds } from '../base/time.ts'
import { allocb, type DriverInfo, freemsg, getq, putnext, putq, Stream, Timer } from '../streams/index.ts'
import { RUN_BUDGET } from '../streams/scheduler.ts'
import { NodeLoop } from './loop.ts'

/** A driver whose service procedure counts what it frees. */
function counting(seen: { count: number }): DriverInfo<object> {
  return {
    name: 'counting',
    driver: true,
    hiwat: 65_536,
    lowat: 1_024,
    open: () => ({}),
    close: () => {},
    read: { put: putnext },
    write: {
      put: putq,
      service: q => {
        for (let mp = getq(q); mp !== null; mp = getq(q)) {
          seen.count++
          freemsg(mp)
        }
      },
    },
  }
}

const soon = (ms = 0) => new Promise(resolve => setTimeout(resolve, ms))

describe('node/loop without a device', () => {
  let loop: NodeLoop
  beforeEach(() => {
    loop = new NodeLoop({ shim: null })
  })
  afterEach(() => {
    loop.runtime.arena.assertWhole()
    loop.close()
  })

  it('work that a program makes is done in the same turn of the event loop, without being asked for', async () => {
    const seen = { count: 0 }
    const stream = Stream.open(loop.runtime, counting(seen))
    for (let i = 0; i < 10; i++) stream.putmsg(allocb(loop.runtime.arena, 64)!)
    expect(seen.count).toBe(0)
    await soon()
    expect(seen.count).toBe(10)
    stream.close()
  })

  /** What ran in which order when a program goes on in a microtask behind each run, and how often it did so within 5 ms. */
  async function goOnInMicrotasks(): Promise<{ order: string[]; rounds: number }> {
    let rounds = 0
    const order: string[] = []
    const info = counting({ count: 0 })
    const stream = Stream.open(loop.runtime, {
      ...info,
      write: {
        put: putq,
        service: q => {
          for (let mp = getq(q); mp !== null; mp = getq(q)) freemsg(mp)
          if (rounds === 0) setImmediate(() => order.push('event loop'))
          if (rounds === 2) order.push('third run')
          // The bound ends the test where the loop does not.
          if (++rounds < 1_000_000)
            void Promise.resolve().then(
              () => stream.isClosed || stream.putmsg(allocb(loop.runtime.arena, 64)!),
            )
        },
      },
    })
    stream.putmsg(allocb(loop.runtime.arena, 64)!)
    await soon(5)
    stream.close()
    return { order, rounds }
  }

  it('what a program makes in a microtask is done behind it; for ever so, the event loop still has its turn', async () => {
    const tries = []
    // On a machine that is busy the 2 ms after which the event loop has its turn may be over at once.
    for (let i = 0; i < 20; i++) tries.push(await goOnInMicrotasks())
    expect(tries.filter(({ order }) => order[0] === 'third run').length).toBeGreaterThan(0)
    expect(tries.filter(({ order }) => !order.includes('event loop'))).toEqual([])
    expect(Math.max(...tries.map(({ rounds }) => rounds))).toBeLessThan(1_000_000)
  })

  it('a deadline is met although nothing else happens, and the earlier of two wins', async () => {
    const due: string[] = []
    const late = new Timer(() => void due.push('late'))
    const early = new Timer(() => void due.push('early'))
    const now = loop.runtime.clock.now()
    loop.runtime.timers.arm(late, after(now, milliseconds(40)))
    loop.runtime.timers.arm(early, after(now, milliseconds(10)))
    await soon(25)
    expect(due).toEqual(['early'])
    await soon(40)
    expect(due).toEqual(['early', 'late'])
  })

  it('a cancelled deadline does not fire', async () => {
    let fired = 0
    const timer = new Timer(() => void fired++)
    loop.runtime.timers.arm(timer, after(loop.runtime.clock.now(), milliseconds(5)))
    loop.runtime.timers.cancel(timer)
    await soon(20)
    expect(fired).toBe(0)
  })

  it('the run queue is given back to the event loop when its budget is used up, and goes on after it', async () => {
    let rounds = 0
    const endless: DriverInfo<object> = { ...counting({ count: 0 }), name: 'endless' }
    const stream = Stream.open(loop.runtime, {
      ...endless,
      write: {
        put: putq,
        service: q => {
          if (++rounds < 10_000) q.scheduler.enable(q)
          else for (let mp = getq(q); mp !== null; mp = getq(q)) freemsg(mp)
        },
      },
    })
    stream.putmsg(allocb(loop.runtime.arena, 64)!)
    for (let i = 0; i < 100 && rounds < 10_000; i++) await soon()
    expect(rounds).toBe(10_000)
    stream.close()
  })

  it('a program that an event of the event loop waits for comes before the rest of the work', async () => {
    const { scheduler } = loop.runtime
    let rounds = 0
    let roundsBefore = 0
    const stream = Stream.open(loop.runtime, {
      ...counting({ count: 0 }),
      write: {
        put: putq,
        service: q => {
          if (rounds++ === 0) {
            scheduler.programEvents++
            setImmediate(() => {
              scheduler.programEvents--
              roundsBefore = rounds
            })
          }
          if (rounds < 3 * RUN_BUDGET) scheduler.enable(q)
          else for (let mp = getq(q); mp !== null; mp = getq(q)) freemsg(mp)
        },
      },
    })
    stream.putmsg(allocb(loop.runtime.arena, 64)!)
    for (let i = 0; i < 100 && rounds < 3 * RUN_BUDGET; i++) await soon()
    expect(roundsBefore).toBeLessThan(100)
    expect(rounds).toBe(3 * RUN_BUDGET)
    stream.close()
  })

  it('procedures that take long, as those of a device do, do not hold the event loop', async () => {
    let rounds = 0
    const stream = Stream.open(loop.runtime, {
      ...counting({ count: 0 }),
      write: {
        put: putq,
        service: q => {
          for (const end = performance.now() + 1; performance.now() < end; );
          if (++rounds < 200) loop.runtime.scheduler.enable(q)
          else for (let mp = getq(q); mp !== null; mp = getq(q)) freemsg(mp)
        },
      },
    })
    stream.putmsg(allocb(loop.runtime.arena, 64)!)
    await soon()
    await soon()
    expect(rounds).toBeGreaterThan(0)
    expect(rounds).toBeLessThan(100)
    while (rounds < 200) await soon()
    stream.close()
  })
})
