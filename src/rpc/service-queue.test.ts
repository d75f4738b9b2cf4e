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
    ['bytes', { maxWaitingBytes: 399 }, 'shed', 'shed'],
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

  it('checklist 43: a few connections cannot take all places: a quarter is for those of which few wait', () => {
    const queue = queueOf({ mode: 'one-at-a-time', maxWaiting: 256, maxWaitingPerConnection: 256 })
    const [greedy, modest] = [queue.lane(true), queue.lane(true)]
    come(queue, greedy, 'g')
    const waits = (lane: Lane<Call>): number => {
      const before = lane.waiting
      while (come(queue, lane, 'x') === 'waits');
      return lane.waiting - before
    }
    expect(waits(greedy)).toBe(192)
    // Few are 1 of 64.
    expect(waits(modest)).toBe(4)
    expect(Array.from({ length: 20 }, () => waits(queue.lane(true))).reduce((a, b) => a + b)).toBe(60)
    expect(queue.waiting).toBe(256)
  })

  it('the same of bytes', () => {
    const queue = queueOf({ mode: 'one-at-a-time', maxWaitingBytes: 6_400 })
    const [greedy, modest] = [queue.lane(true), queue.lane(true)]
    come(queue, greedy, 'g')
    for (let i = 0; i < 48; i++) expect(come(queue, greedy, 'x')).toBe('waits')
    expect([come(queue, greedy, 'x'), come(queue, modest, 'm1'), come(queue, modest, 'm2')]).toEqual([
      'shed',
      'waits',
      'shed',
    ])
  })

  it('what waited for as long as it may is swept out wherever it stands; the rest keeps its order', () => {
    const queue = queueOf({ mode: 'one-at-a-time' })
    const [a, b] = [queue.lane(true), queue.lane(true)]
    for (const name of ['a0', 'a1', 'a2', 'a3', 'a4', 'a5']) come(queue, a, name)
    come(queue, b, 'b1')
    const over: Call[] = []
    queue.sweep(a, call => ['a1', 'a3', 'a5', 'b1'].includes(call.name), over)
    expect(over.map(call => [call.name, call.next])).toEqual([
      ['a1', null],
      ['a3', null],
      ['a5', null],
    ])
    expect([a.waiting, a.waitingBytes, queue.waiting, queue.waitingBytes]).toEqual([2, 200, 3, 300])
    expect(come(queue, a, 'a6')).toBe('waits')
    queue.ended(a)
    expect(taken(queue)).toEqual(['a2'])
    queue.ended(a)
    expect(taken(queue)).toEqual(['b1'])
    queue.ended(b)
    expect(taken(queue)).toEqual(['a4'])
    queue.ended(a)
    expect(taken(queue)).toEqual(['a6'])
  })

  it.each(['swept', 'removed', 'held'])('one whose calls were all %s is in nobody’s way', how => {
    const queue = queueOf({ mode: 'one-at-a-time' })
    const [a, b] = [queue.lane(true), queue.lane(true)]
    come(queue, a, 'a1')
    come(queue, a, 'a2')
    const over: Call[] = []
    if (how === 'swept') queue.sweep(a, () => true, over)
    else if (how === 'removed') queue.remove(a)
    else queue.hold(a, true)
    queue.ended(a)
    expect(come(queue, b, 'b1')).toBe('runs')
    queue.ended(b)
    queue.hold(a, false)
    expect(come(queue, a, 'a3')).toBe(how === 'held' ? 'waits' : 'runs')
    expect(taken(queue)).toEqual(how === 'held' ? ['a2'] : [])
  })
})
