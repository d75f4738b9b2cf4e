/** Order, priority and flow control (checklist 63). */
import { assert } from '../../base/assert.ts'
import { dupmsg, freemsg } from '../mblk/alloc.ts'
import type { Mblk } from '../mblk/mblk.ts'
import { messageBytes } from '../mblk/message.ts'
import { M_PCPROTO } from '../mblk/types.ts'
import type { Bench, Check, Direction } from './compliance.ts'
import { flat } from './messages.ts'
import type { Probe } from './probe.ts'

/** Enough to fill a queue of a few hundred KiB with small packets. */
const FLOOD_MESSAGES = 6_000
const MESSAGES = 300

interface Ends {
  readonly from: Probe
  readonly to: Probe
}

export const endsOf = (bench: Bench, direction: Direction): Ends =>
  direction === 'down' ? { from: bench.top, to: bench.bottom } : { from: bench.bottom, to: bench.top }

const text = (mp: Mblk): string => flat(mp).toString()

/** Runs a check for both directions. */
export function bothWays(check: (bench: Bench, ends: Ends, direction: Direction) => void): Check {
  return bench => {
    check(bench, endsOf(bench, 'down'), 'down')
    check(bench, endsOf(bench, 'up'), 'up')
  }
}

/** Sends as long as there is room. @returns how many went; fewer than the limit if the module or the far end is full */
export function flood(bench: Bench, from: Probe, limit = FLOOD_MESSAGES): number {
  let count = 0
  while (count < limit && from.canSend()) {
    from.send(bench.message(count++))
    if (count % 64 === 0) bench.settle()
  }
  bench.settle()
  return count
}

function expectSame(bench: Bench, got: readonly Mblk[], sent: readonly string[], what: string): void {
  if (!bench.transparent) return
  assert(got.length === sent.length, `${what}: ${got.length} of ${sent.length} messages arrived`)
  for (const [i, mp] of got.entries())
    assert(text(mp) === sent[i], `${what}: message ${i} is another than was sent`)
}

/** No queue of the module holds more than its high-water mark and one message. */
export function expectBounded(bench: Bench): void {
  const largest = messageBytesOf(bench)
  for (const q of [bench.queue, bench.queue.other]) {
    const over = q.zero.count - q.zero.hiwat
    assert(over < largest, `${q.holderName} holds ${over} bytes more than its high-water mark`)
  }
  for (const { arriving } of [bench.top, bench.bottom]) {
    const over = arriving!.zero.count - arriving!.zero.hiwat
    assert(over < largest, `the module put ${over} bytes too many on a queue that was full`)
  }
}

function messageBytesOf(bench: Bench): number {
  const mp = bench.message(0)
  const size = messageBytes(mp)
  freemsg(mp)
  return size
}

export const flowCases: Readonly<Record<string, Check>> = {
  'ordinary messages arrive once and in order': bothWays((bench, { from, to }, direction) => {
    const sent: string[] = []
    for (let i = 0; i < MESSAGES; i++) {
      const mp = bench.message(i)
      sent.push(text(mp))
      from.send(mp)
      if (i % 7 === 0) bench.settle()
    }
    bench.settle()
    expectSame(bench, to.got, sent, direction)
    to.discard()
  }),

  'messages keep their order while the way closes and opens': bothWays((bench, { from, to }, direction) => {
    const sent: string[] = []
    const { scheduler } = bench.test.runtime
    for (let i = 0; i < 4 * MESSAGES; i++) {
      if (i % 97 === 0) to.blocked = true
      else if (i % 97 === 80) to.unblock()
      // One procedure at a time, so that messages come while the way is open and older ones still wait.
      scheduler.run(1)
      if (!from.canSend()) continue
      const mp = bench.message(i)
      sent.push(text(mp))
      from.send(mp)
    }
    to.unblock()
    bench.settle()
    expectSame(bench, to.got, sent, direction)
    to.discard()
  }),

  'messages keep their order within each band': bothWays((bench, { from, to }, direction) => {
    to.blocked = true
    const sent: string[][] = [[], [], []]
    for (let i = 0; i < MESSAGES; i++) {
      const mp = bench.message(i)
      mp.band = i % 3
      sent[mp.band]!.push(text(mp))
      from.send(mp)
    }
    bench.settle()
    to.unblock()
    bench.settle()
    const got = to.take()
    for (const [band, expected] of sent.entries()) {
      const inBand = got.filter(mp => mp.band === band)
      expectSame(bench, inBand, expected, `${direction}, band ${band}`)
    }
    for (const mp of got) freemsg(mp)
  }),

  'a high-priority message overtakes what waits, even when the way is full': bothWays(
    (bench, { from, to }, direction) => {
      to.blocked = true
      flood(bench, from)
      const before = to.discard()
      assert(before === 0, `${before} messages arrived at a queue that was blocked`)
      const urgent = bench.message(7)
      urgent.type = M_PCPROTO
      from.send(urgent)
      bench.settle()
      assert(to.got[0] === urgent || to.got[0]?.type === M_PCPROTO, `${direction}: it was held back`)
      to.unblock()
      bench.settle()
      to.discard()
    },
  ),

  'no queue grows beyond its high-water mark by more than one message': bothWays((bench, { from, to }) => {
    to.blocked = true
    flood(bench, from)
    expectBounded(bench)
    to.unblock()
    bench.settle()
    to.discard()
  }),

  'who was refused is back-enabled when there is room, and nothing is lost': bothWays(
    (bench, { from, to }, direction) => {
      to.blocked = true
      const sent = flood(bench, from)
      const refused = !from.canSend()
      const before = from.backEnabled
      to.unblock()
      bench.settle()
      if (refused) assert(from.backEnabled > before, `${direction}: the writer was never enabled again`)
      assert(from.canSend(), `${direction}: the way is empty and still refuses`)
      const got = to.discard()
      if (bench.transparent) assert(got === sent, `${direction}: ${got} of ${sent} messages arrived`)
    },
  ),

  'a message whose bytes are shared is not written to': bothWays((bench, { from, to }, direction) => {
    const mp = bench.message(1)
    const kept = dupmsg(mp)!
    const before = text(kept)
    from.send(mp)
    bench.settle()
    assert(text(kept) === before, `${direction}: the bytes of somebody else's reference changed`)
    freemsg(kept)
    to.discard()
  }),

  'answers sent from within a put procedure, both ways and deeper than the call stack allows': bench => {
    const rounds = 500
    let down = 0
    let up = 0
    bench.bottom.answer = mp => {
      down++
      bench.bottom.send(mp)
    }
    bench.top.answer = mp => {
      up++
      if (up < rounds) bench.top.send(mp)
      else freemsg(mp)
    }
    bench.top.send(bench.message(1))
    for (let i = 0; i < (bench.options.patience === undefined ? 1 : rounds); i++) bench.settle()
    if (bench.transparent) assert(down === rounds && up === rounds, `${down} went down and ${up} came up`)
  },
}
