/** Coming and going: opened, popped, closed at any moment, out of memory, and still whole (checklist 62). */
import { assert } from '../../base/assert.ts'
import { allocb, freemsg } from '../mblk/alloc.ts'
import { HEADER_BLOCK_BYTES, SUPER_BLOCK_BYTES } from '../mblk/arena.ts'
import type { Mblk } from '../mblk/mblk.ts'
import type { Check } from './compliance.ts'
import { flood } from './compliance-flow.ts'
import { packetNumber } from './packets.ts'

const PUSHES = 40

export const lifeCases: Readonly<Record<string, Check>> = {
  'popped while messages are queued both ways: what arrives is in order, the rest comes home': bench => {
    const { top, bottom, stream, queue } = bench
    top.blocked = true
    bottom.blocked = true
    flood(bench, top)
    flood(bench, bottom)
    stream.remove(queue)
    top.unblock()
    bottom.unblock()
    bench.settle()
    for (const { got } of [top, bottom]) {
      if (!bench.transparent || bench.options.message !== undefined) continue
      const numbers = got.map(packetNumber)
      assert(
        numbers.every((number, i) => i === 0 || number > numbers[i - 1]!),
        'messages changed their order when the module was popped',
      )
    }
    top.send(bench.message(1))
    bench.settle()
    assert(bottom.discard() > 0, 'the stream no longer passes messages')
  },

  'popped from within its own put procedure': bench => {
    const { top, bottom, stream, queue } = bench
    bottom.answer = mp => {
      freemsg(mp)
      if (!queue.removed) stream.remove(queue)
    }
    for (let i = 0; i < 3; i++) top.send(bench.message(i))
    bench.settle()
  },

  'closed with messages in flight': bench => {
    const { top, bottom, stream } = bench
    top.blocked = true
    bottom.blocked = true
    for (let i = 0; i < 100; i++) {
      top.send(bench.message(i))
      bottom.send(bench.message(i))
    }
    stream.close()
  },

  'pushed and popped again and again while messages flow': bench => {
    const { top, bottom, stream, info } = bench
    let sent = 1
    for (let i = 0; i < PUSHES; i++) {
      top.send(bench.message(sent++))
      bottom.send(bench.message(sent++))
      stream.push(info, bench.options.open)
      // The probe is the topmost no longer, so the new one is taken off by pop.
      stream.pop()
      const own = stream.instances().at(-1)!.queue
      stream.insert(info, bench.options.open, own)
      stream.remove(own)
    }
    bench.settle()
    const got = bottom.got.length
    if (bench.transparent) assert(got === PUSHES, `${got} of ${PUSHES} messages arrived`)
  },

  'two instances on one stream do not know of each other': bench => {
    const { top, bottom, stream, info } = bench
    stream.insert(info, bench.options.open, bench.queue)
    for (let i = 0; i < 50; i++) {
      top.send(bench.message(i))
      bottom.send(bench.message(i))
    }
    bench.settle()
    const [down, up] = [bottom.discard(), top.discard()]
    if (bench.transparent) assert(down === 50 && up === 50, `${down} of 50 went down, ${up} came up`)
  },

  'an arena without a free block costs messages, not the module': bench => {
    const { top, bottom } = bench
    const messages: Mblk[] = []
    for (let i = 0; i < 40; i++) messages.push(bench.message(i))
    const hoard: Mblk[] = []
    for (const size of [SUPER_BLOCK_BYTES, HEADER_BLOCK_BYTES]) {
      for (let mp = allocb(bench.test.arena, size); mp !== null; mp = allocb(bench.test.arena, size))
        hoard.push(mp)
    }
    for (const mp of messages) (messages.indexOf(mp) % 2 === 0 ? top : bottom).send(mp)
    bench.settle()
    for (const mp of hoard) freemsg(mp)
    bench.settle()
    bottom.discard()
    top.discard()
    top.send(bench.message(99))
    bench.settle()
    const got = bottom.discard()
    if (bench.transparent) assert(got === 1, 'nothing passes after the shortage')
  },

  'counters are numbers and the description is a JSON value': bench => {
    const { info, queue, top, bottom } = bench
    top.send(bench.message(1))
    bench.settle()
    bottom.discard()
    for (const [name, value] of Object.entries(info.counters?.(queue.state) ?? {}))
      assert(Number.isFinite(value) && value >= 0, `counter ${name} is ${value}`)
    const description = info.describe?.(queue.state)
    if (info.describe !== undefined)
      assert(
        typeof JSON.stringify(description) === 'string',
        'describe returns something that is no JSON value',
      )
  },
}
