import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { instant } from '../base/time.ts'
import { Timer, Timers } from './timers.ts'

describe('timers', () => {
  it('those that are due are called, earliest first, and of two at once the one that was armed first', () => {
    const timers = new Timers(() => {})
    const called: string[] = []
    const make = (name: string): Timer => new Timer(() => called.push(name))
    const [a, b, c, d] = [make('a'), make('b'), make('c'), make('d')]
    timers.arm(a, instant(5))
    timers.arm(b, instant(3))
    timers.arm(c, instant(5))
    timers.arm(d, instant(9))
    expect(timers.pollAt()).toBe(3)
    timers.expire(instant(5))
    expect(called).toEqual(['b', 'a', 'c'])
    expect(timers.pollAt()).toBe(9)
    timers.cancel(d)
    timers.cancel(d)
    expect(timers.pollAt()).toBeNull()
  })

  it('one that re-arms for now waits for the next call, and keeps none that is due from its turn', () => {
    const timers = new Timers(() => {})
    const called: string[] = []
    const eager = new Timer(now => {
      called.push('eager')
      timers.arm(eager, now)
    })
    const other = new Timer(() => called.push('other'))
    timers.arm(eager, instant(1))
    timers.arm(other, instant(1))
    timers.expire(instant(1))
    expect(called).toEqual(['eager', 'other'])
    timers.expire(instant(1))
    expect(called).toEqual(['eager', 'other', 'eager'])
  })

  it('a callback may cancel one that is due with it', () => {
    const timers = new Timers(() => {})
    const called: string[] = []
    const second = new Timer(() => called.push('second'))
    const first = new Timer(() => {
      called.push('first')
      timers.cancel(second)
    })
    timers.arm(first, instant(1))
    timers.arm(second, instant(1))
    timers.expire(instant(2))
    expect(called).toEqual(['first'])
  })

  it('wakes the host when the earliest deadline moves forward', () => {
    let wakes = 0
    const timers = new Timers(() => wakes++)
    const [a, b] = [new Timer(() => {}), new Timer(() => {})]
    timers.arm(a, instant(10))
    timers.arm(b, instant(20))
    expect(wakes).toBe(1)
    timers.arm(b, instant(5))
    expect(wakes).toBe(2)
  })

  it('property: arming, moving and cancelling in any order leaves what a sorted list would', () => {
    const step = fc.record({ which: fc.nat(9), at: fc.nat(50), cancel: fc.boolean() })
    const property = fc.property(fc.array(step, { maxLength: 60 }), steps => {
      const timers = new Timers(() => {})
      const called: number[] = []
      const all = Array.from({ length: 10 }, (_, i) => new Timer(() => called.push(i)))
      const model = new Map<number, { at: number; order: number }>()
      steps.forEach(({ which, at, cancel }, order) => {
        if (cancel) timers.cancel(all[which]!)
        else timers.arm(all[which]!, instant(at))
        if (cancel) model.delete(which)
        else model.set(which, { at, order })
      })
      const expected = [...model]
        .sort(([, a], [, b]) => a.at - b.at || a.order - b.order)
        .map(([which]) => which)
      timers.expire(instant(50))
      expect(called).toEqual(expected)
    })
    fc.assert(property, { numRuns: 300 })
  })
})
