import { afterEach, describe, expect, it } from 'vitest'
import { discardDriver } from '../driver/null.ts'
import { makeWire } from '../driver/wire.ts'
import {
  allocb,
  CTL_LINK_INFO,
  controlCode,
  freemsg,
  LINK_CSUM,
  LINK_TSO4,
  linkb,
  M_PROTO,
  type Mblk,
  makeLinkQuery,
  messageBytes,
  messageFrom,
  OFFLOAD_CSUM_NEEDED,
  readLinkInfo,
  Stream,
} from '../streams/index.ts'
import { flat, makeTestRuntime, type TestRuntime } from '../streams/testing/index.ts'
import { copyModule } from './copy-module.ts'

const tests: TestRuntime[] = []
afterEach(() => {
  for (const { runtime } of tests) for (const stream of [...runtime.streams]) stream.close()
  for (const test of tests.splice(0)) test.finish()
})

function makeRuntime(): TestRuntime {
  const test = makeTestRuntime({ arenaOptions: { sizeBytes: 32 * 1024 * 1024 } })
  tests.push(test)
  return test
}

const SIZES = [1, 1_448, 65_483, 200_000]

function message(stream: Stream, size: number): Mblk {
  const bytes = Uint8Array.from({ length: size }, (_, i) => i * 7)
  return messageFrom(stream.runtime.arena, bytes, 0, size, 'edge')!
}

describe('bench/copy-module', () => {
  it('copies exactly the bytes times the boundaries, and counts that in the stack', () => {
    const { runtime } = makeRuntime()
    const stream = Stream.open(runtime, discardDriver)
    for (let i = 0; i < 3; i++) stream.push(copyModule, { how: 'copy' })
    for (const size of SIZES) stream.putmsg(message(stream, size))
    const sum = SIZES.reduce((total, size) => total + size, 0)
    expect(runtime.arena.copies.stack.bytes).toBe(3 * sum)
    for (const { queue } of stream.instances())
      expect(queue.info.counters!(queue.state)).toEqual({ copies: 4, 'copied-bytes': sum, 'no-buffers': 0 })
    expect(stream.bottom.info.counters!(stream.bottom.state)).toEqual({ messages: 4, bytes: sum })
  })

  it('passes by default, and copies nothing', () => {
    const { runtime } = makeRuntime()
    const stream = Stream.open(runtime, discardDriver)
    stream.push(copyModule)
    stream.putmsg(message(stream, 5_000))
    expect(runtime.arena.copies.stack).toEqual({ bytes: 0, calls: 0 })
  })

  it('the copy has the same bytes and offload fields in blocks of its own; a control block in front stays', () => {
    const test = makeRuntime()
    const [one, two] = makeWire({ mtu: 65_535 })
    const near = Stream.open(test.runtime, one)
    const far = Stream.open(test.runtime, two)
    near.push(copyModule, { how: 'copy' })
    const control = allocb(test.runtime.arena, 8)!
    control.type = M_PROTO
    control.wptr += 8
    const data = message(near, 3_000)
    data.offload = OFFLOAD_CSUM_NEEDED
    data.csumOffset = 16
    const bytes = flat(data)
    const { dblk } = data
    linkb(control, data)
    near.putmsg(control)
    test.settle()
    const got = far.getmsg()!
    expect(got).toBe(control)
    const copy = got.cont!
    expect(copy.dblk).not.toBe(dblk)
    expect(flat(copy)).toEqual(bytes)
    expect(copy).toMatchObject({ offload: OFFLOAD_CSUM_NEEDED, csumOffset: 16 })
    freemsg(got)
  })

  it('linearise: one block where there were several, nothing where there was one', () => {
    const test = makeRuntime()
    const [one, two] = makeWire({ mtu: 65_535 })
    const near = Stream.open(test.runtime, one)
    const far = Stream.open(test.runtime, two)
    near.push(copyModule, { how: 'linearise' })
    const chain = message(near, 20)
    linkb(chain, message(near, 1_448))
    near.putmsg(chain)
    near.putmsg(message(near, 700))
    test.settle()
    const [joined, single] = [far.getmsg()!, far.getmsg()!]
    expect(joined.cont).toBeNull()
    expect([messageBytes(joined), messageBytes(single)]).toEqual([1_468, 700])
    expect(test.runtime.arena.copies.stack.bytes).toBe(1_468)
    freemsg(joined)
    freemsg(single)
  })

  it('goes on without a copy when no block is left, and counts that', () => {
    const test = makeRuntime()
    const { arena } = test.runtime
    const stream = Stream.open(test.runtime, discardDriver)
    stream.push(copyModule, { how: 'copy' })
    const last = message(stream, 100)
    const taken: Mblk[] = []
    for (let mp = allocb(arena, 1); mp !== null; mp = allocb(arena, 1)) taken.push(mp)
    stream.putmsg(last)
    const { queue } = stream.instances()[0]!
    expect(queue.info.counters!(queue.state)).toEqual({ copies: 0, 'copied-bytes': 0, 'no-buffers': 1 })
    expect(stream.bottom.info.counters!(stream.bottom.state)).toMatchObject({ bytes: 100 })
    for (const mp of taken) freemsg(mp)
  })

  it('hides capabilities of the link from who is above', () => {
    const test = makeRuntime()
    const [one] = makeWire({ capabilities: LINK_CSUM | LINK_TSO4 })
    const stream = Stream.open(test.runtime, one)
    stream.push(copyModule, { hide: LINK_TSO4 })
    const heard: number[] = []
    stream.onControl = mp => {
      if (controlCode(mp) === CTL_LINK_INFO) heard.push(readLinkInfo(mp)!.capabilities)
      freemsg(mp)
    }
    stream.putmsg(makeLinkQuery(stream.runtime.arena)!)
    test.settle()
    expect(heard.at(-1)).toBe(LINK_CSUM)
  })
})
