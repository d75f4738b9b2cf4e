/** The calls on messages that `bench modules` prices, each as a loop over messages that are there already. */
import { assert } from '../base/assert.ts'
import { discardDriver } from '../driver/null.ts'
import type { Arena } from '../streams/mblk/arena.ts'
import {
  adjmsg,
  allocb,
  copyBytes,
  dupb,
  dupmsg,
  freeb,
  freemsg,
  HEADROOM_BYTES,
  linkb,
  type Mblk,
  prepend,
  pullupmsg,
} from '../streams/mblk/index.ts'
import { getq, putq } from '../streams/queue.ts'
import type { Runtime } from '../streams/runtime.ts'
import { Stream } from '../streams/stream.ts'

/** One thing that is priced. */
export interface Operation {
  readonly name: string
  /** Name of an operation that is done on the way and taken off the price, if there is one. */
  readonly less?: string
  /** Does it `count` times. */
  readonly run: (count: number) => void
}

export interface Operations {
  readonly all: readonly Operation[]
  readonly close: () => void
}

const PAYLOAD_BYTES = 64
const IP_HEADER_BYTES = 20
const COPY_BYTES = [64, 1_500, 65_536] as const

export function makeOperations(runtime: Runtime): Operations {
  const { arena } = runtime
  const mp = filled(arena, PAYLOAD_BYTES)
  const two = makeChain(arena)
  const stream = Stream.open(runtime, discardDriver, { name: 'queue' })
  const all: Operation[] = [
    { name: 'allocb + freeb', run: count => allocAndFree(arena, count) },
    { name: 'dupb + freeb', run: count => dupAndFree(mp, count) },
    { name: 'dupmsg of a chain of two + freemsg', run: count => dupChain(two, count) },
    { name: 'split of a message in two', run: count => split(mp, count) },
    { name: 'prepend of 20 bytes', run: count => prependInPlace(mp, count) },
    { name: 'adjmsg of 20 bytes', run: count => trim(mp, count) },
    { name: 'a chain of two, made and freed', run: count => chain(arena, count) },
    {
      name: 'pullupmsg(64) of a chain of two',
      less: 'a chain of two, made and freed',
      run: count => pullUp(arena, count),
    },
    { name: 'putq + getq', run: count => queueAndTake(stream, mp, count) },
    ...COPY_BYTES.map(bytes => copyOperation(arena, bytes)),
  ]
  const close = (): void => {
    freemsg(mp)
    freemsg(two)
    stream.close()
  }
  return { all, close }
}

function filled(arena: Arena, bytes: number): Mblk {
  const mp = allocb(arena, bytes, HEADROOM_BYTES)
  assert(mp !== null, 'the arena of a measurement is empty')
  mp.wptr += bytes
  return mp
}

function allocAndFree(arena: Arena, count: number): void {
  for (let i = 0; i < count; i++) freeb(allocb(arena, PAYLOAD_BYTES, HEADROOM_BYTES)!)
}

function dupAndFree(mp: Mblk, count: number): void {
  for (let i = 0; i < count; i++) freeb(dupb(mp)!)
}

function dupChain(mp: Mblk, count: number): void {
  for (let i = 0; i < count; i++) freemsg(dupmsg(mp)!)
}

/** As TCP cuts segments off what waits: a view of the rest, and both trimmed; undone by freeing it. */
function split(mp: Mblk, count: number): void {
  const { wptr } = mp
  const middle = mp.rptr + (PAYLOAD_BYTES >> 1)
  for (let i = 0; i < count; i++) {
    const rest = dupb(mp)!
    mp.wptr = middle
    rest.rptr = middle
    mp.wptr = wptr
    freeb(rest)
  }
}

function prependInPlace(mp: Mblk, count: number): void {
  for (let i = 0; i < count; i++) {
    const same = prepend(mp, IP_HEADER_BYTES)
    assert(same === mp, 'prepend did not find its headroom')
    mp.rptr += IP_HEADER_BYTES
  }
}

function trim(mp: Mblk, count: number): void {
  for (let i = 0; i < count; i++) {
    adjmsg(mp, IP_HEADER_BYTES)
    mp.rptr -= IP_HEADER_BYTES
  }
}

/** A header of 20 bytes with data behind it. */
function makeChain(arena: Arena): Mblk {
  const head = filled(arena, IP_HEADER_BYTES)
  linkb(head, filled(arena, PAYLOAD_BYTES))
  return head
}

function chain(arena: Arena, count: number): void {
  for (let i = 0; i < count; i++) freemsg(makeChain(arena))
}

function pullUp(arena: Arena, count: number): void {
  for (let i = 0; i < count; i++) freemsg(pullupmsg(makeChain(arena), PAYLOAD_BYTES)!)
}

/** On a queue whose service procedure does not run: nobody turns the runtime meanwhile. */
function queueAndTake(stream: Stream, mp: Mblk, count: number): void {
  const q = stream.bottom
  for (let i = 0; i < count; i++) {
    putq(q, mp)
    getq(q)
  }
}

function copyOperation(arena: Arena, bytes: number): Operation {
  const run = (count: number): void => {
    const from = filled(arena, bytes)
    const to = filled(arena, bytes)
    const target = to.dblk.bytes
    for (let i = 0; i < count; i++) copyBytes(arena, 'stack', target, to.rptr, from.bytes, from.rptr, bytes)
    freemsg(from)
    freemsg(to)
  }
  return { name: `copy of ${bytes.toLocaleString('en')} bytes`, run }
}
