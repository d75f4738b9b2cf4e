import { describe, expect, it } from 'vitest'
import { type AnyQueue, type DriverInfo, getq, type ModuleInfo, put, putnext, putq } from './index.ts'
import { allocb, dupmsg, freemsg, linkb, prepend } from './mblk/index.ts'
import type { Mblk } from './mblk/mblk.ts'
import { Stream } from './stream.ts'
import { makeTestRuntime } from './testing/index.ts'

const sink: DriverInfo<object> = {
  name: 'sink',
  driver: true,
  hiwat: 65_536,
  lowat: 1_024,
  open: () => ({}),
  close: () => {},
  read: { put: putnext },
  write: { put: (_q, mp) => freemsg(mp) },
}

function failing(put: (q: AnyQueue, mp: Mblk) => void, service?: (q: AnyQueue) => void): ModuleInfo<object> {
  return {
    name: 'failing',
    hiwat: 65_536,
    lowat: 1_024,
    open: () => ({}),
    close: () => {},
    read: { put: putnext },
    write: service === undefined ? { put } : { put, service },
  }
}

function run(module: ModuleInfo<object>): void {
  const t = makeTestRuntime()
  const stream = Stream.open(t.runtime, sink)
  stream.push(module)
  const mp = allocb(t.arena, 64, 64)!
  mp.wptr += 64
  stream.putmsg(mp)
  t.settle()
  expect(stream.modules).toEqual([])
  expect(t.runtime.counters['module-faults']).toBe(1)
  t.finish()
}

describe('checklist 3.6-62: a module that throws loses nothing of the arena', () => {
  it('with the message as it came', () => {
    run(
      failing(() => {
        throw new Error('at once')
      }),
    )
  })

  it('after it prepended a header', () => {
    run(
      failing((_q, mp) => {
        prepend(mp, 60)
        prepend(mp, 100)
        throw new Error('after prepend')
      }),
    )
  })

  it('in its service procedure, with a message off the queue', () => {
    run(
      failing(putq, q => {
        getq(q)
        throw new Error('in service')
      }),
    )
  })

  it('after it passed the message on, inside another', () => {
    run(
      failing((q, mp) => {
        const copy = dupmsg(mp)!
        linkb(copy, mp)
        putnext(q, copy)
        throw new Error('after putnext')
      }),
    )
  })

  it('deep in a call of its own, while the outer call still has a message in hand', () => {
    let depth = 0
    run(
      failing((q, mp) => {
        if (depth++ > 0) throw new Error('inner')
        const again = dupmsg(mp)!
        put(q, again)
        putnext(q, mp)
      }),
    )
  })
})
