import { describe, expect, it } from 'vitest'
import { allocb, freemsg } from '../../streams/mblk/alloc.ts'
import { HEADER_BLOCK_BYTES } from '../../streams/mblk/arena.ts'
import type { Mblk } from '../../streams/mblk/mblk.ts'
import { flat } from '../../streams/testing/messages.ts'
import { pattern } from '../testing/packets.ts'
import { canShrink, condensed, heldBytes, inHeaders, isLoose } from './condense.ts'
import { condenseStored, dequeue, enqueue, type Intake, takeIntake } from './intake.ts'
import { PRESSURE_SOME, pressure } from './memory.ts'
import { established } from './testing/peer.ts'
import { makeTcpTest, type TcpTest } from './testing/tcp-test.ts'

/** A message of so many bytes in a block for `block` bytes. */
function message(t: TcpTest, size: number, block: number): Mblk {
  const mp = allocb(t.arena, block)!
  mp.wptr = mp.rptr + size
  return mp
}

function store(t: TcpTest, intake: Intake, count: number, size: number, block: number): void {
  for (let i = 0; i < count; i++) enqueue(t.tcp, intake, message(t, size, block), size)
}

function empty(t: TcpTest, intake: Intake): void {
  for (let mp = dequeue(t.tcp, intake); mp !== null; mp = dequeue(t.tcp, intake)) freemsg(mp)
}

const BIG = { arenaOptions: { sizeBytes: 64 * 1024 * 1024, poison: false } }

describe('inet/tcp/condense', () => {
  it('a message is copied only if its blocks become a quarter of what they were, whole blocks counted', () => {
    expect([128, 129, 384, 385].map(size => [isLoose(size, 2_048), canShrink(size, 2_048)])).toEqual([
      [true, true],
      [true, false],
      [true, false],
      [false, false],
    ])
    const t = makeTcpTest()
    for (const [size, block] of [
      [1, 2_000],
      [128, 2_000],
      [1_920, 66_000],
      [1_921, 66_000],
      [16_000, 66_000],
    ] as const) {
      const small = condensed(t.tcp, message(t, size, block))
      // Once is enough: what was copied is never worth another copy.
      expect([size, isLoose(size, heldBytes(small)), canShrink(size, heldBytes(small))]).toEqual([
        size,
        false,
        false,
      ])
      freemsg(small)
    }
    expect(t.counters.condensed).toBe(5)
    t.finish()
  })

  it('checklist 3.5-58: what cannot shrink is not copied, however many segments come while memory is short', () => {
    const t = makeTcpTest(BIG)
    const listener = t.listen()
    const data = pattern(200)
    const peers = []
    for (let port = 1; pressure(t.tcp) !== PRESSURE_SOME; port++) {
      const peer = t.peer({ sack: true, windowScale: 7, port })
      peers.push(peer)
      peer.open(listener)
      t.take()
      peer.tcb.rcvBuf = 2 * 1024 * 1024
      peer.tcb.rcvAdv = (peer.tcb.rcvNxt + peer.tcb.rcvBuf) | 0
      for (let i = 0; i < 4_000 && pressure(t.tcp) !== PRESSURE_SOME; i++)
        peer.send('A', { seq: (peer.next + 1 + i * 201) | 0, data }, {}, false)
      t.flush()
      t.take()
    }
    const calls = t.arena.copies.stack.calls
    const { condensed: before } = t.counters
    const [peer] = peers
    for (let i = 0; i < 100; i++) peer!.send('A', { seq: (peer!.next + 1) | 0, data }, {}, false)
    expect([t.counters.condensed - before, t.arena.copies.stack.calls - calls]).toEqual([0, 0])
    t.flush()
    t.finish()
  })

  it('checklist 3.5-58: one segment has so many messages copied at most, and looked at only if some may gain', () => {
    const t = makeTcpTest(BIG)
    const peer = established(t)
    const intake = takeIntake(t.tcp, peer.tcb)
    t.tcp.settings.memoryBytes = 1024 * 1024 * 1024
    store(t, intake, 300, 500, 2_000)
    store(t, intake, 300, 100, 2_000)
    const copied = (): number => {
      const before = t.counters.condensed
      condenseStored(t.tcp, intake)
      return t.counters.condensed - before
    }
    expect([copied(), copied(), copied(), copied()]).toEqual([128, 128, 44, 0])
    expect(intake.held).toBe(300 * 2_048 + 300 * 256)
    // One new one among six hundred is not worth the look at all of them; ten are.
    store(t, intake, 1, 100, 2_000)
    expect(copied()).toBe(0)
    store(t, intake, 9, 100, 2_000)
    expect(copied()).toBe(10)
    empty(t, intake)
    t.finish()
  })

  it('blocks of headers have run out: larger ones that would save nothing are given back, and it is tried once', () => {
    const t = makeTcpTest({ arenaOptions: { sizeBytes: 4 * 1024 * 1024 } })
    const peer = established(t)
    const intake = takeIntake(t.tcp, peer.tcb)
    t.tcp.settings.memoryBytes = 1024 * 1024 * 1024
    store(t, intake, 50, 100, 2_000)
    const hoard: Mblk[] = []
    const [headers, frames] = t.arena.classes
    while (headers!.inUse * HEADER_BLOCK_BYTES < headers!.limit - headers!.base)
      hoard.push(allocb(t.arena, 1)!)
    const { inUse } = frames!
    condenseStored(t.tcp, intake)
    expect([t.counters.condensed, frames!.inUse, intake.held, intake.loose]).toEqual([
      0,
      inUse,
      50 * 2_048,
      50,
    ])
    const { exhausted } = headers!
    condenseStored(t.tcp, intake)
    expect(headers!.exhausted).toBe(exhausted)
    for (const mp of hoard) freemsg(mp)
    empty(t, intake)
    t.finish()
  })

  it('a segment fits into blocks of headers, when nothing else is left', () => {
    const t = makeTcpTest()
    const mp = message(t, 1_460, 2_000)
    mp.dblk.bytes.set(pattern(1_460), mp.rptr)
    const small = inHeaders(t.tcp, mp)
    expect(heldBytes(small)).toBe(6 * 256)
    expect(flat(small)).toEqual(pattern(1_460))
    freemsg(small)
    t.finish()
  })
})
