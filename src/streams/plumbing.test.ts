/** Streams that change while messages flow, and modules that break (checklist 62). */
import { afterEach, describe, expect, it } from 'vitest'
import { StackError } from '../base/errors.ts'
import { microseconds } from '../base/time.ts'
import { allocb, freemsg } from './mblk/alloc.ts'
import type { Mblk } from './mblk/mblk.ts'
import { M_DATA, M_ERROR } from './mblk/types.ts'
import type { DriverInfo, LowerInfo, ModuleInfo } from './module.ts'
import { MODULES_MAX } from './plumbing.ts'
import { putnext } from './putnext.ts'
import { bcanputnext, getq, putbq, putq, type Queue } from './queue.ts'
import { Stream } from './stream.ts'
import {
  insertBetween,
  makeRig,
  makeTestRuntime,
  numberedPacket,
  packetNumber,
  type Rig,
} from './testing/index.ts'

const rigs: Rig[] = []
afterEach(() => {
  for (const { test } of rigs.splice(0)) test.finish()
})

function rig(): Rig {
  const made = makeRig(makeTestRuntime())
  rigs.push(made)
  return made
}

function module(part: Partial<ModuleInfo<unknown>> = {}): ModuleInfo<unknown> {
  return {
    name: 'part',
    hiwat: 2_000,
    lowat: 500,
    open: () => null,
    close: () => {},
    read: { put: putnext },
    write: { put: putnext },
    ...part,
  }
}

function hopPut(q: Queue, mp: Mblk): void {
  if (q.first !== null || !bcanputnext(q, mp.band)) putq(q, mp)
  else putnext(q, mp)
}

function hopService(q: Queue): void {
  for (let mp = getq(q); mp !== null; mp = getq(q)) {
    if (!bcanputnext(q, mp.band)) return putbq(q, mp)
    putnext(q, mp)
  }
}

const hop = (name = 'hop'): ModuleInfo<unknown> =>
  module({ name, read: { put: hopPut, service: hopService }, write: { put: hopPut, service: hopService } })

const boom = (_after?: unknown): never => {
  throw new RangeError('boom')
}

const packets = (messages: readonly Mblk[]): number[] =>
  messages.filter(mp => mp.type === M_DATA).map(packetNumber)

/** Sends one packet each way and tells what arrived. */
function probe({ top, bottom, test }: Rig, index: number): { down: number[]; up: number[] } {
  top.send(numberedPacket(test.arena, index))
  bottom.send(numberedPacket(test.arena, index + 1))
  test.settle()
  const result = { down: packets(bottom.got), up: packets(top.got) }
  bottom.discard()
  top.discard()
  return result
}

describe('checklist 3.6-62: a module that breaks is popped, with M_ERROR to the head, and the rest lives on', () => {
  const faulty: readonly [where: string, part: Partial<ModuleInfo<unknown>>][] = [
    ['put with the message in hand', { write: { put: boom } }],
    ['put after it freed the message', { write: { put: (_q, mp) => boom(freemsg(mp)) } }],
    ['put after it passed the message on', { write: { put: (q, mp) => boom(putnext(q, mp)) } }],
    ['put after it queued the message', { write: { put: (q, mp) => boom(putq(q, mp)) } }],
    ['service', { write: { put: putq, service: boom } }],
  ]
  it.each(faulty)('in %s', (_where, part) => {
    const one = rig()
    const closed: string[] = []
    const { info } = insertBetween(one, module({ ...part, close: () => closed.push('closed') }), undefined)
    one.top.send(numberedPacket(one.test.arena, 1))
    one.test.settle()
    expect(one.top.got.filter(mp => mp.type === M_ERROR).length).toBe(1)
    expect(one.stream.modules).toEqual(['probe'])
    expect(closed).toEqual(['closed'])
    expect(one.test.runtime.counters['module-faults']).toBe(1)
    expect(one.test.events.map(({ name }) => name)).toEqual(['stream.module-fault'])
    expect(one.test.events[0]!.text).toMatch(
      /was taken off; .* TCP connection that it stood on is reset: RangeError: boom/,
    )
    expect(info.name).toBe('part')
    one.top.discard()
    one.bottom.discard()
    expect(probe(one, 5)).toEqual({ down: [5], up: [6] })
  })

  it('in a timer', () => {
    const one = rig()
    const open = (q: Queue): null => {
      const { timers } = q.stream.runtime
      timers.arm(q.stream.runtime.timer(q, boom), 5 as never)
      return null
    }
    insertBetween(one, module({ open }), undefined)
    one.test.advance(microseconds(10))
    expect(one.stream.modules).toEqual(['probe'])
    expect(one.top.discard()).toBe(1)
  })

  it('in open: the stream is as it was, and what the module had queued is freed', () => {
    const one = rig()
    const open = (q: Queue): never => {
      putq(q, allocb(one.test.arena, 10)!)
      putnext(q, numberedPacket(one.test.arena, 9))
      return boom()
    }
    expect(() => insertBetween(one, module({ open }), undefined)).toThrow('boom')
    expect(one.stream.modules).toEqual(['probe'])
    expect(packets(one.top.got)).toEqual([9])
    one.top.discard()
    expect(probe(one, 1)).toEqual({ down: [1], up: [2] })
  })

  it('in close: it is off all the same', () => {
    const one = rig()
    one.stream.remove(insertBetween(one, module({ close: boom }), undefined))
    expect(one.test.events.map(({ name }) => name)).toEqual(['stream.close-fault'])
    expect(probe(one, 1)).toEqual({ down: [1], up: [2] })
  })

  it('in the drain of its own removal, re-entrantly: it is taken off once', () => {
    const one = rig()
    let closes = 0
    const service = (q: Queue): void => {
      freemsg(getq(q)!)
      if (!q.removed) one.stream.remove(q)
    }
    const q = insertBetween(one, module({ close: () => closes++, write: { put: putq, service } }), undefined)
    one.top.send(numberedPacket(one.test.arena, 1))
    one.stream.remove(q)
    expect(closes).toBe(1)
    expect(probe(one, 1)).toEqual({ down: [1], up: [2] })
  })

  it('a program hears it as the error of its stream; other streams hear nothing', () => {
    const test = makeTestRuntime()
    const driver: DriverInfo<unknown> = {
      ...module({ name: 'end', write: { put: (_q, mp) => freemsg(mp) } }),
      driver: true,
    }
    const [sick, well] = [Stream.open(test.runtime, driver), Stream.open(test.runtime, driver)]
    sick.push(module({ write: { put: boom } }))
    sick.putmsg(numberedPacket(test.arena, 1))
    expect(() => sick.putmsg(numberedPacket(test.arena, 2))).toThrow(
      expect.objectContaining({ code: 'ERR_MODULE_FAULT' }),
    )
    expect(well.putmsg(numberedPacket(test.arena, 3))).toBe(true)
    test.finish()
  })

  it('a driver that throws in open leaves nothing open or allocated', () => {
    const test = makeTestRuntime()
    const open = (q: Queue): never => {
      putnext(q, numberedPacket(test.arena, 9))
      throw new StackError('ERR_BAD_CONFIG', 'no')
    }
    const driver: DriverInfo<unknown> = { ...module({ name: 'end', open }), driver: true }
    expect(() => Stream.open(test.runtime, driver)).toThrow(
      expect.objectContaining({ code: 'ERR_BAD_CONFIG' }),
    )
    expect(test.runtime.streams.size).toBe(0)
    test.finish()
  })
})

describe('checklist 3.6-62: pushed, popped, inserted and removed with messages in flight', () => {
  it('keeps the order of messages, whatever is plumbed meanwhile', () => {
    const one = rig()
    const { top, bottom, test, stream } = one
    let sent = 0
    for (let round = 0; round < 200; round++) {
      bottom.blocked = round % 5 < 3
      if (!bottom.blocked) bottom.unblock()
      for (let i = 0; i < 3 && top.canSend(); i++) top.send(numberedPacket(test.arena, sent++))
      const middle = stream.instances().slice(1)
      if (middle.length < 6 && round % 3 !== 0)
        stream.insert(hop(), undefined, stream.instances()[round % (middle.length + 1)]!.queue)
      else if (!bottom.blocked && middle.length > 0) {
        test.settle()
        stream.remove(middle[round % middle.length]!.queue)
      }
      if (round % 2 === 0) test.runtime.scheduler.run(1)
    }
    bottom.unblock()
    test.settle()
    expect(packets(bottom.got)).toEqual(Array.from({ length: sent }, (_, i) => i))
    expect(sent).toBeGreaterThan(200)
  })

  it('enables a writer that was refused, though a queueing module was pushed in between since', () => {
    const one = rig()
    const { top, bottom, test } = one
    bottom.blocked = true
    while (top.canSend()) top.send(numberedPacket(test.arena, 1))
    insertBetween(one, hop(), undefined)
    test.settle()
    const before = top.backEnabled
    bottom.unblock()
    test.settle()
    // It looked again when the module came, and there was room then; it is never left to wait for nothing.
    expect(before + top.backEnabled).toBeGreaterThan(0)
    expect(top.canSend()).toBe(true)
  })

  it('frees and counts what a popped module could not pass on', () => {
    const one = rig()
    const { top, bottom, test, stream } = one
    const q = insertBetween(one, hop(), undefined)
    bottom.blocked = true
    for (let i = 0; top.canSend(); i++) top.send(numberedPacket(test.arena, i))
    const waiting = q.other.zero.messages
    expect(waiting).toBeGreaterThan(0)
    stream.remove(q)
    expect(test.runtime.counters['messages-flushed-by-pop']).toBe(waiting)
  })

  it('refuses what cannot be plumbed', () => {
    const { stream, test } = rig()
    const bad = (action: () => void, code: string): void =>
      expect(action).toThrow(expect.objectContaining({ code }))
    bad(() => stream.remove(stream.top), 'ERR_PLUMBING')
    bad(() => stream.remove(stream.bottom), 'ERR_PLUMBING')
    bad(() => stream.insert(hop(), undefined, stream.bottom), 'ERR_PLUMBING')
    bad(() => stream.insert(hop(), undefined, rig().stream.top), 'ERR_PLUMBING')
    bad(() => stream.push('nowhere'), 'ERR_NOT_FOUND')
    bad(() => stream.find('nowhere'), 'ERR_NOT_FOUND')
    for (let i = stream.modules.length; i < MODULES_MAX; i++) stream.push(hop())
    bad(() => stream.push(hop()), 'ERR_PLUMBING')
    expect(stream.modules.slice(-3)).toEqual([`hop#${MODULES_MAX - 2}`, `hop#${MODULES_MAX - 1}`, 'probe'])
    test.settle()
  })

  it('pushes what autopush names, and opens nothing if one of them refuses', () => {
    const test = makeTestRuntime()
    const { registry } = test.runtime
    const refuse = module({
      name: 'refuse',
      open: () => {
        throw new StackError('ERR_BAD_CONFIG', 'no')
      },
    })
    for (const info of [hop('one'), hop('two'), refuse]) registry.register(info)
    registry.register({ ...module({ name: 'end' }), driver: true } as DriverInfo)
    registry.setAutopush('end', [{ module: 'one' }, { module: 'two' }])
    expect(Stream.open(test.runtime, 'end').modules).toEqual(['two', 'one'])
    registry.setAutopush('end', [{ module: 'one' }, { module: 'refuse' }])
    expect(() => Stream.open(test.runtime, 'end')).toThrow(
      expect.objectContaining({ code: 'ERR_BAD_CONFIG' }),
    )
    expect(test.runtime.streams.size).toBe(1)
    test.finish()
  })
})

describe('streams: multiplexors', () => {
  interface Under {
    readonly got: number[]
    throws: boolean
  }

  function mux(): { driver: DriverInfo<unknown>; under: Under; changes: () => number } {
    const under: Under = { got: [], throws: false }
    let changed = 0
    const put = (_q: Queue<Under>, mp: Mblk): void => {
      if (under.throws) boom()
      if (mp.type === M_DATA) under.got.push(packetNumber(mp))
      freemsg(mp)
    }
    const lower: LowerInfo<Under> = {
      hiwat: 4_000,
      lowat: 1_000,
      read: { put },
      write: { put: putnext },
      link: () => under,
      unlink: () => {},
      changed: () => changed++,
    }
    return { driver: { ...module({ name: 'mux' }), driver: true, lower }, under, changes: () => changed }
  }

  it('takes over the messages that waited at the head, hears of plumbing below, and gives the head back', () => {
    const one = makeRig(makeTestRuntime())
    const { test, stream, bottom } = one
    stream.pop()
    const { driver, under, changes } = mux()
    const upper = Stream.open(test.runtime, driver)
    bottom.send(numberedPacket(test.arena, 1))
    const id = upper.link(stream)
    bottom.send(numberedPacket(test.arena, 2))
    expect(under.got).toEqual([1, 2])
    expect(() => stream.putmsg(numberedPacket(test.arena, 1))).toThrow(
      expect.objectContaining({ code: 'ERR_PLUMBING' }),
    )
    expect(() => stream.close()).toThrow(expect.objectContaining({ code: 'ERR_BUSY' }))
    expect(() => upper.link(stream)).toThrow(expect.objectContaining({ code: 'ERR_BUSY' }))
    expect(() => upper.link(upper)).toThrow(expect.objectContaining({ code: 'ERR_PLUMBING' }))
    const before = changes()
    stream.push(hop())
    stream.pop()
    expect(changes()).toBe(before + 2)
    upper.unlink(id)
    expect(() => upper.unlink(id)).toThrow(expect.objectContaining({ code: 'ERR_NOT_FOUND' }))
    bottom.send(numberedPacket(test.arena, 3))
    const mp = stream.getmsg()!
    expect(packetNumber(mp)).toBe(3)
    freemsg(mp)
    test.finish()
  })

  it('a lower side that throws is told to the listener, not to itself again, and frees what it had', () => {
    const one = makeRig(makeTestRuntime())
    const { test, stream, bottom } = one
    stream.pop()
    const { driver, under } = mux()
    Stream.open(test.runtime, driver).link(stream)
    under.throws = true
    bottom.send(numberedPacket(test.arena, 1))
    test.settle()
    expect(test.runtime.counters['module-faults']).toBe(1)
    under.throws = false
    bottom.send(numberedPacket(test.arena, 2))
    expect(under.got).toEqual([2])
    test.finish()
  })
})
