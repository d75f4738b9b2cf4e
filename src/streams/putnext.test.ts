/** The depth guard: chains of calls longer than the JavaScript stack likes go on from the run queue, in order. */
import { describe, expect, it } from 'vitest'
import { freemsg } from './mblk/alloc.ts'
import type { ModuleInfo } from './module.ts'
import { DEPTH_MAX, putnext } from './putnext.ts'
import type { Stream } from './stream.ts'
import { makeRig, makeTestRuntime, numberedPacket, packetNumber } from './testing/index.ts'

const pass: ModuleInfo<null> = {
  name: 'pass',
  hiwat: 1_000,
  lowat: 100,
  open: () => null,
  close: () => {},
  read: { put: putnext },
  write: { put: putnext },
}

describe('streams: depth guard', () => {
  it('two ends that answer each other for ever neither overflow the stack nor hold the run queue', () => {
    const { test, top, bottom, stream } = makeRig(makeTestRuntime())
    for (let i = 0; i < 20; i++) stream.insert(pass, undefined, stream.instances().at(-1)!.queue)
    let down = 0
    bottom.answer = mp => {
      down++
      bottom.send(mp)
    }
    top.answer = mp => top.send(mp)
    for (let i = 0; i < 3; i++) top.send(numberedPacket(test.arena, i))
    const first = down
    expect(first).toBeLessThan(3 * DEPTH_MAX)
    for (let i = 0; i < 100; i++) test.runtime.scheduler.run(1)
    expect(down).toBeGreaterThan(first + 50)
    expect(test.runtime.scheduler.idle).toBe(false)
    // The message is somewhere on its way; closing the stream finds it.
    stream.close()
    test.finish()
  })

  it('messages that were deferred stay in order, and before those that come later', () => {
    const { test, top, bottom, stream } = makeRig(makeTestRuntime())
    for (let i = 0; i < 20; i++) stream.insert(pass, undefined, stream.instances().at(-1)!.queue)
    const got: number[] = []
    let rounds = 0
    bottom.answer = mp => {
      const number = packetNumber(mp)
      if (number >= 1_000) got.push(number)
      // The one with a small number goes round until the chain is deep; then two more are sent from there.
      if (number === 1 && ++rounds < 8) {
        bottom.send(mp)
        return
      }
      freemsg(mp)
    }
    top.answer = mp => {
      top.send(numberedPacket(test.arena, 1_000 + 10 * rounds))
      top.send(numberedPacket(test.arena, 1_001 + 10 * rounds))
      top.send(mp)
    }
    top.send(numberedPacket(test.arena, 1))
    test.settle()
    expect(got.length).toBe(14)
    expect(got).toEqual([...got].sort((a, b) => a - b))
    test.finish()
  })

  it('what was deferred for a module that is popped goes on to the next', () => {
    const { test, top, bottom, stream } = makeRig(makeTestRuntime())
    for (let i = 0; i < 20; i++) stream.insert(pass, undefined, stream.instances().at(-1)!.queue)
    let turns = 0
    bottom.answer = mp => {
      if (++turns < 12) bottom.send(mp)
      else freemsg(mp)
    }
    top.answer = mp => top.send(mp)
    top.send(numberedPacket(test.arena, 1))
    expect(turns).toBeLessThan(12)
    for (const { queue } of stream.instances().slice(1)) stream.remove(queue)
    test.settle()
    expect(turns).toBe(12)
    test.finish()
  })

  it('a stream that is closed with messages deferred frees them', () => {
    const test = makeTestRuntime()
    const { top, bottom, stream } = makeRig(test)
    for (let i = 0; i < 20; i++) stream.insert(pass, undefined, stream.instances().at(-1)!.queue)
    bottom.answer = mp => bottom.send(mp)
    top.answer = mp => top.send(mp)
    for (let i = 0; i < 3; i++) top.send(numberedPacket(test.arena, i))
    expect(test.arena.state().blocksInUse).toBe(3)
    stream.close()
    test.settle()
    expect(test.runtime.streams.has(stream as Stream)).toBe(false)
    test.finish()
  })
})
