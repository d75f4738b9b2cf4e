import { describe, expect, it } from 'vitest'
import { type Lane, type ServiceOptions, ServiceQueue, type Waiting } from './service-queue.ts'

class Call implements Waiting {
  next: Call | null = null
  readonly name: string
  waitingBytes: number

  constructor(name: string, waitingBytes = 100) {
    this.name = name
    this.waitingBytes = waitingBytes
  }
}

function queueOf(options: ServiceOptions): ServiceQueue<Call> {
  return new ServiceQueue<Call>(options)
}

/** A call came. @returns how it fared */
function come(queue: ServiceQueue<Call>, lane: Lane<Call>, name: string, bytes?: number): string {
  if (queue.enter(lane)) return 'runs'
  return queue.wait(lane, new Call(name, bytes)) ? 'waits' : 'shed'
}

/** All that may be begun now, by name. */
function taken(queue: ServiceQueue<Call>): string[] {
  const names: string[] = []
  for (let call = queue.take(); call !== null; call = queue.take()) names.push(call.name)
  return names
}

describe('rpc/service-queue: which call runs when', () => {
  it('one at a time: whoever else comes waits, and connections take turns', () => {
    const queue = queueOf({ mode: 'one-at-a-time' })
    const [a, b] = [queue.lane(true), queue.lane(true)]
    expect(come(queue, a, 'a1')).toBe('runs')
    expect([come(queue, a, 'a2'), come(queue, a, 'a3'), come(queue, b, 'b1')]).toEqual([
      'waits',
      'waits',
      'waits',
    ])
    expect(taken(queue)).toEqual([])
    queue.ended(a)
    expect(taken(queue)).toEqual(['a2'])
    queue.ended(a)
    expect(taken(queue)).toEqual(['b1'])
    queue.ended(b)
    expect(taken(queue)).toEqual(['a3'])
  })

  it('ordered: each connection has one call running, in the order in which they came; datagrams have no order', () => {
    const queue = queueOf({ mode: 'ordered', concurrency: 4 })
    const [a, b, datagrams] = [queue.lane(true), queue.lane(true), queue.lane(false)]
    expect([come(queue, a, 'a1'), come(queue, a, 'a2'), come(queue, b, 'b1')]).toEqual([
      'runs',
      'waits',
      'runs',
    ])
    expect([come(queue, datagrams, 'd1'), come(queue, datagrams, 'd2')]).toEqual(['runs', 'runs'])
    expect(come(queue, a, 'a3')).toBe('waits')
    queue.ended(a)
    expect(taken(queue)).toEqual(['a2'])
  })

  it('concurrent: up to the bounds of the server and of one connection', () => {
    const queue = queueOf({ concurrency: 3, concurrencyPerConnection: 2 })
    const [a, b] = [queue.lane(true), queue.lane(true)]
    expect([1, 2, 3].map(n => come(queue, a, `a${n}`))).toEqual(['runs', 'runs', 'waits'])
    expect([1, 2].map(n => come(queue, b, `b${n}`))).toEqual(['runs', 'waits'])
    queue.ended(b)
    expect(taken(queue)).toEqual(['b2'])
    queue.ended(a)
    expect(taken(queue)).toEqual(['a3'])
  })

  it('a call does not overtake those of its connection that wait', () => {
    const queue = queueOf({ concurrency: 2, concurrencyPerConnection: 1 })
    const a = queue.lane(true)
    come(queue, a, 'a1')
    come(queue, a, 'a2')
    queue.ended(a)
    expect(come(queue, a, 'a3')).toBe('waits')
    expect(taken(queue)).toEqual(['a2'])
  })

  it.each([
    ['calls', { maxWaiting: 3 }, 'shed', 'shed'],
    ['bytes', { maxWaitingBytes: 350 }, 'shed', 'shed'],
    ['calls of a connection', { maxWaitingPerConnection: 3 }, 'shed', 'waits'],
    ['bytes of a connection', { maxWaitingBytesPerConnection: 300 }, 'shed', 'waits'],
  ])('the bound of waiting %s', (_name, bounds, fourth, ofOther) => {
    const queue = queueOf({ mode: 'one-at-a-time', ...bounds })
    const [a, b] = [queue.lane(true), queue.lane(true)]
    come(queue, a, 'a0')
    expect([1, 2, 3, 4].map(n => come(queue, a, `a${n}`))).toEqual(['waits', 'waits', 'waits', fourth])
    expect(come(queue, b, 'b1')).toBe(ofOther)
    queue.ended(a)
    taken(queue)
    expect(come(queue, a, 'a5')).toBe('waits')
  })

  it('nothing is begun of a connection that is held, and others go on', () => {
    const queue = queueOf({ concurrency: 1 })
    const [a, b] = [queue.lane(true), queue.lane(true)]
    come(queue, a, 'a1')
    come(queue, a, 'a2')
    come(queue, b, 'b1')
    queue.hold(a, true)
    queue.ended(a)
    expect(taken(queue)).toEqual(['b1'])
    queue.ended(b)
    expect(taken(queue)).toEqual([])
    expect(come(queue, a, 'a3')).toBe('waits')
    queue.hold(a, false)
    expect(taken(queue)).toEqual(['a2'])
  })

  it('what is taken out counts no more', () => {
    const queue = queueOf({ mode: 'one-at-a-time' })
    const a = queue.lane(true)
    come(queue, a, 'a1')
    come(queue, a, 'a2')
    come(queue, a, 'a3')
    expect(queue.remove(a)?.name).toBe('a2')
    expect([queue.waiting, queue.waitingBytes, a.waiting]).toEqual([1, 100, 1])
    expect(queue.remove(a)?.name).toBe('a3')
    expect(queue.remove(a)).toBeNull()
    expect([queue.waiting, queue.waitingBytes, a.first, a.last]).toEqual([0, 0, null, null])
    queue.ended(a)
    expect(taken(queue)).toEqual([])
    expect(come(queue, a, 'a4')).toBe('runs')
  })
})
