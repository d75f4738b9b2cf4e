import { describe, expect, it } from 'vitest'
import { after, milliseconds } from '../base/time.ts'
import { putnext } from './putnext.ts'
import { qenable } from './queue.ts'
import { Stream } from './stream.ts'
import { makeTestRuntime } from './testing/runtime.ts'
import { Timer } from './timers.ts'

describe('streams/runtime: the time of a turn', () => {
  it('a turn asks the clock once, and what runs in it reads that', () => {
    const t = makeTestRuntime()
    const { runtime } = t
    t.clock.advance(milliseconds(5))
    expect(runtime.recent[0]).toBe(0)
    runtime.turn()
    expect(runtime.recent[0]).toBe(5_000)
    t.clock.advance(milliseconds(1))
    runtime.refresh()
    expect(runtime.recent[0]).toBe(6_000)
    t.finish()
  })

  it('what waits goes before a deadline that is due, and what the deadline causes goes in the same turn', () => {
    const t = makeTestRuntime()
    const { runtime } = t
    const order: string[] = []
    const stream = Stream.open(runtime, {
      name: 'order',
      driver: true,
      hiwat: 1,
      lowat: 1,
      open: () => null,
      close: () => {},
      read: { put: putnext },
      write: { put: putnext, service: () => void order.push('service') },
    })
    const timer = new Timer(() => {
      order.push('deadline')
      qenable(stream.bottom.other)
    })
    runtime.timers.arm(timer, t.clock.now())
    qenable(stream.bottom.other)
    expect(runtime.turn()).toBe(false)
    expect(order).toEqual(['service', 'deadline', 'service'])
    t.finish()
  })

  it('a turn after an exchange goes by the time that the device left, deadlines included', () => {
    const t = makeTestRuntime()
    const { runtime } = t
    const due: number[] = []
    const timer = new Timer(now => void due.push(now))
    runtime.timers.arm(timer, after(t.clock.now(), milliseconds(2)))
    runtime.recent[0] = 1_999
    runtime.nextTurn()
    expect(due).toEqual([])
    runtime.recent[0] = 2_001
    runtime.nextTurn()
    expect(due).toEqual([2_001])
    t.finish()
  })
})
