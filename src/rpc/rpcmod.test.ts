import { describe, expect, it } from 'vitest'
import { freemsg, linkb } from '../streams/index.ts'
import { allocb } from '../streams/mblk/alloc.ts'
import { type Arena, SUPER_BLOCK_BYTES } from '../streams/mblk/arena.ts'
import type { Mblk } from '../streams/mblk/mblk.ts'
import { messageBytes } from '../streams/mblk/message.ts'
import { messageFrom, readMessage } from '../streams/mblk/pullup.ts'
import { M_DATA, M_ERROR, M_PROTO } from '../streams/mblk/types.ts'
import { moduleCompliance } from '../streams/testing/compliance.ts'
import { insertBetween, makeRig, type Probe } from '../streams/testing/probe.ts'
import { makeTestRuntime } from '../streams/testing/runtime.ts'
import { type RpcmodCounters, rpcmod } from './rpcmod.ts'

const message = (arena: Arena, bytes: Uint8Array): Mblk => messageFrom(arena, bytes, 0, bytes.length, 'edge')!

function flat(mp: Mblk): Uint8Array {
  const bytes = new Uint8Array(messageBytes(mp))
  readMessage(mp, 0, bytes, 0, bytes.length, 'edge')
  return bytes
}

const pattern = (size: number, seed: number) => Uint8Array.from({ length: size }, (_, i) => i * 7 + seed)

/** What is sent below for records of these bytes. */
function marked(...records: readonly Uint8Array[]): Uint8Array {
  const parts = records.map(record => {
    const mark = new Uint8Array(4)
    new DataView(mark.buffer).setUint32(0, 0x8000_0000 + record.length)
    return Buffer.concat([mark, record])
  })
  return Buffer.concat(parts)
}

function rig(options?: unknown) {
  const test = makeTestRuntime()
  const made = makeRig(test)
  const q = insertBetween(made, rpcmod, options)
  const { arena } = test.runtime
  const settle = () => {
    while (test.runtime.turn());
  }
  const counters = (q.state as { counters: RpcmodCounters }).counters
  const taken = (probe: Probe): Uint8Array[] =>
    probe.take().map(mp => {
      const bytes = flat(mp)
      freemsg(mp)
      return bytes
    })
  return { ...made, arena, settle, counters, taken }
}

describe('rpcmod: what every module owes', () => {
  // A marked record both ways: going up it loses its mark, going down it gets another one.
  const options = {
    transparent: false,
    message: (arena: Arena, index: number) => message(arena, marked(pattern(600, index))),
    bad: [{ maxRecordBytes: 0 }, { maxFragments: 1.5 }, { unknown: 1 }, 'text'],
  }
  for (const { name, run } of moduleCompliance(() => rpcmod, options)) it(name, run)
})

describe('rpcmod: RFC 5531 §11', () => {
  it('a record goes down with its mark in front, without a copy', () => {
    const { top, bottom, arena, settle, taken } = rig()
    const record = pattern(300, 1)
    top.send(message(arena, record))
    const before = arena.copies.stack
    settle()
    expect(arena.copies.stack).toBe(before)
    expect(taken(bottom)).toEqual([new Uint8Array(marked(record))])
  })

  it('small records that are ready together travel in one message; a large one keeps its blocks and its place', () => {
    const { top, bottom, arena, settle, counters, taken } = rig()
    const records = [...Array(20)].map((_, i) => pattern(i === 10 ? 5_000 : 40, i))
    for (const record of records) top.send(message(arena, record))
    settle()
    const messages = taken(bottom)
    expect(messages.length).toBe(3)
    expect(Buffer.concat(messages)).toEqual(Buffer.from(marked(...records)))
    expect(counters['out-records']).toBe(20)
    expect(counters['out-gathered']).toBe(19)
  })

  it('few small records are not copied: each goes down in the blocks it has, in order', () => {
    const { top, bottom, arena, settle, counters, taken } = rig()
    const records = [...Array(7)].map((_, i) => pattern(40, i))
    for (const record of records) top.send(message(arena, record))
    const before = { ...arena.copies.stack }
    settle()
    expect(arena.copies.stack).toEqual(before)
    expect(Buffer.concat(taken(bottom))).toEqual(Buffer.from(marked(...records)))
    expect(counters['out-gathered']).toBe(0)
  })

  it('pieces in large blocks, as they come while a congestion window grows, are not copied as long as there is memory', () => {
    const test = makeTestRuntime({ arenaOptions: { sizeBytes: 32 * 1024 * 1024 } })
    const { arena } = test.runtime
    const segment = 10 * 1_448
    const pieces = 12
    const begin = () => {
      const made = makeRig(test)
      insertBetween(made, rpcmod, {})
      made.bottom.send(message(arena, Uint8Array.of(0x80, 0x10, 0, 0)))
      for (let i = 0; i < pieces; i++) {
        const mp = allocb(arena, SUPER_BLOCK_BYTES)!
        mp.wptr += segment
        made.bottom.send(mp)
      }
      while (test.runtime.turn());
      return made.stream
    }
    const streams = [begin(), begin(), begin()]
    expect(arena.copies.stack.bytes).toBe(0)
    // Where half of what unfinished records may hold is used, a record holds three such blocks and copies the rest.
    while (arena.copies.stack.bytes === 0 && streams.length < 12) streams.push(begin())
    const before = arena.copies.stack.bytes
    streams.push(begin())
    expect(arena.copies.stack.bytes - before).toBe((pieces - 3) * segment)
    for (const stream of streams) stream.close()
    arena.assertWhole()
  })

  it('bytes come up as records, however they are divided', () => {
    const records = [pattern(1, 1), pattern(40, 2), pattern(3_000, 3), pattern(7, 4)]
    const bytes = marked(...records)
    for (const size of [1, 3, 5, 64, 1_000, bytes.length]) {
      const { top, bottom, arena, settle, counters, taken } = rig()
      for (let at = 0; at < bytes.length; at += size) bottom.send(message(arena, bytes.slice(at, at + size)))
      settle()
      expect(taken(top)).toEqual(records)
      expect(counters['in-records']).toBe(4)
    }
  })

  it('a record above fragmentBytes is sent in fragments that the other end joins', () => {
    const { top, bottom, arena, settle, taken } = rig({ fragmentBytes: 1_000 })
    const record = pattern(4_500, 9)
    top.send(message(arena, record))
    settle()
    const bytes = Buffer.concat(taken(bottom))
    expect(bytes.length).toBe(4_500 + 5 * 4)
    bottom.send(message(arena, bytes))
    settle()
    expect(taken(top)).toEqual([record])
  })

  it('a record without bytes is not sent, and counted', () => {
    const { top, bottom, arena, settle, counters, taken } = rig()
    const mp = message(arena, pattern(4, 0))
    mp.rptr = mp.wptr
    top.send(mp)
    settle()
    expect(taken(bottom)).toEqual([])
    expect(counters['out-empty']).toBe(1)
  })
})

describe('rpcmod: checklist 71', () => {
  const CASES: readonly [keyof RpcmodCounters, Uint8Array][] = [
    ['record-long', Uint8Array.of(0xff, 0xff, 0xff, 0xff, 1, 2)],
    ['record-long', Uint8Array.of(0x7f, 0xff, 0xff, 0xff, 1, 2)],
    ['record-empty', Uint8Array.of(0, 0, 0, 0)],
    ['record-empty', Uint8Array.of(0x80, 0, 0, 0)],
  ]
  for (const [fault, bytes] of CASES)
    it(`${fault} (${Buffer.from(bytes).toString('hex')}): the stream gets an error, nothing is held, what follows is freed`, () => {
      const { top, bottom, arena, settle, counters } = rig()
      const base = arena.state().blocksInUse
      bottom.send(message(arena, marked(pattern(8, 0))))
      bottom.send(message(arena, bytes))
      bottom.send(message(arena, marked(pattern(8, 0))))
      settle()
      const types = top.got.map(mp => mp.type)
      expect(types).toEqual([M_DATA, M_ERROR])
      expect(counters[fault]).toBe(1)
      top.discard()
      expect(arena.state().blocksInUse).toBe(base)
    })

  it('endless fragments: the limit ends them', () => {
    const { top, bottom, arena, settle, counters } = rig({ maxFragments: 100 })
    const fragment = Uint8Array.of(0, 0, 0, 1, 42)
    for (let i = 0; i < 500; i++) bottom.send(message(arena, fragment))
    settle()
    expect(counters['record-fragments']).toBe(1)
    expect(top.got.map(mp => mp.type)).toEqual([M_ERROR])
    top.discard()
  })

  it('unfinished records of all connections hold a quarter of the memory: who asks for more goes, the others go on', () => {
    const test = makeTestRuntime()
    const { arena } = test.runtime
    const limit = arena.bytes.length / 4
    const one = 512 * 1024
    const mark = Uint8Array.of(0, 0x20, 0, 0)
    const rigs = [...Array(Math.ceil(limit / one) + 3)].map(() => {
      const made = makeRig(test)
      const { counters } = insertBetween(made, rpcmod, {}).state as { counters: RpcmodCounters }
      return { ...made, counters }
    })
    for (const { bottom } of rigs) {
      bottom.send(message(arena, mark))
      for (let sent = 0; sent < one; sent += 32 * 1024) bottom.send(message(arena, pattern(32 * 1024, 0)))
      while (test.runtime.turn());
    }
    const gone = rigs.filter(({ counters }) => counters['record-memory'] === 1)
    expect(gone.length).toBeGreaterThanOrEqual(3)
    expect(gone.length).toBeLessThan(6)
    // The others go on: a record that is whole passes.
    const honest = makeRig(test)
    insertBetween(honest, rpcmod, {})
    honest.bottom.send(message(arena, marked(pattern(1_000, 1))))
    while (test.runtime.turn());
    expect(honest.top.discard()).toBe(1)
    for (const { stream, top } of [...rigs, honest]) {
      top.discard()
      stream.close()
    }
    arena.assertWhole()
  })

  it('a stream that ends within a record is counted', () => {
    const { top, bottom, arena, settle, counters } = rig()
    const end = message(arena, pattern(4, 0))
    end.type = M_PROTO
    bottom.send(message(arena, marked(pattern(100, 0)).slice(0, 50)))
    bottom.send(end)
    settle()
    expect(counters['record-cut-off']).toBe(1)
    top.discard()
  })

  it('a chain of many blocks is one record', () => {
    const { top, bottom, arena, settle, taken } = rig()
    const head = message(arena, pattern(1_000, 0))
    linkb(head, message(arena, pattern(1_000, 1)))
    top.send(head)
    settle()
    expect(Buffer.concat(taken(bottom)).length).toBe(2_004)
  })
})
