/** Data out of order, in bounded memory, and what is said of it (RFC 2018; RFC 2883; checklist 3.5-46, 47, 58). */
import { describe, expect, it } from 'vitest'
import { allocb, freemsg } from '../../streams/mblk/alloc.ts'
import type { Mblk } from '../../streams/mblk/mblk.ts'
import { chainOf } from '../../streams/testing/messages.ts'
import { pattern } from '../testing/packets.ts'
import { PLACE_HEADERS, PRESSURE_HARD, PRESSURE_NONE, PRESSURE_SOME, placeFor, pressure } from './memory.ts'
import { established } from './testing/peer.ts'
import { makeTcpTest, type TcpTest } from './testing/tcp-test.ts'

const SCALED = { windowScale: 7, sack: true } as const

describe('inet/tcp: out of order', () => {
  it('RFC 2018 §4: blocks, the one that was touched last first', () => {
    const t = makeTcpTest()
    const peer = established(t, SCALED)
    const base = peer.next
    const put = (ahead: number): unknown => {
      peer.send('PA', { seq: (base + ahead) | 0, data: pattern(10) })
      return t.takeOne().sack.map(([left, right]) => [left - base, right - base])
    }
    expect(put(20)).toEqual([[20, 30]])
    expect(put(40)).toEqual([
      [40, 50],
      [20, 30],
    ])
    expect(put(30)).toEqual([[20, 50]])
    put(60)
    put(80)
    put(100)
    expect(put(120)).toEqual([
      [120, 130],
      [100, 110],
      [80, 90],
      [60, 70],
    ])
    expect(put(0)).toEqual([
      [120, 130],
      [100, 110],
      [80, 90],
      [60, 70],
    ])
    put(10)
    expect(peer.tcb.rcvNxt).toBe(base + 50)
    t.finish()
  })

  it('RFC 2018 §2: without SACK-permitted no block is sent', () => {
    const t = makeTcpTest()
    const peer = established(t)
    peer.send('PA', { seq: (peer.next + 10) | 0, data: 'x' })
    expect(t.takeOne().sack).toEqual([])
    t.finish()
  })

  it('RFC 2883 §4: a duplicate is reported once, first, and then what holds it', () => {
    const t = makeTcpTest()
    const peer = established(t, SCALED)
    const base = peer.next
    peer.data(pattern(100))
    t.take()
    const blocks = (ahead: number, length: number): unknown => {
      peer.send('PA', { seq: (base + ahead) | 0, data: pattern(length) })
      return t.takeOne().sack.map(([left, right]) => [left - base, right - base])
    }
    expect(blocks(0, 50)).toEqual([[0, 50]])
    expect(blocks(200, 100)).toEqual([[200, 300]])
    expect(blocks(220, 10)).toEqual([
      [220, 230],
      [200, 300],
    ])
    expect(blocks(400, 10)).toEqual([
      [400, 410],
      [200, 300],
    ])
    // Partly new: only what is old is a duplicate.
    expect(blocks(90, 20)).toEqual([
      [90, 100],
      [400, 410],
      [200, 300],
    ])
    t.finish()
  })

  it('a FIN out of order waits for its turn; data behind it is none', () => {
    const t = makeTcpTest()
    const peer = established(t)
    const base = peer.next
    peer.send('FA', { seq: (base + 10) | 0 })
    peer.send('PA', { seq: (base + 11) | 0, data: 'beyond' })
    peer.send('PA', { seq: (base + 5) | 0, data: 'world' })
    expect(t.atEof(peer.tcb)).toBe(false)
    peer.send('PA', { seq: base, data: 'hello' })
    expect([t.readText(peer.tcb), t.atEof(peer.tcb)]).toEqual(['helloworld', true])
    expect([t.take().at(-1)!.ack, t.counters['data-after-fin']]).toEqual([base + 11, 1])
    t.finish()
  })

  it('checklist 3.5-47: segments held for one connection are bounded, what is newest goes', () => {
    const t = makeTcpTest({ settings: { reassemblySegments: 10 } })
    const peer = established(t, SCALED)
    const base = peer.next
    for (let i = 1; i <= 15; i++) peer.send('PA', { seq: (base + 100 * i) | 0, data: pattern(50, i) })
    expect([peer.tcb.intake!.reassembly!.messages, t.counters['reassembly-full']]).toEqual([10, 5])
    peer.send('PA', { seq: (base + 50) | 0, data: pattern(50) })
    expect([peer.tcb.intake!.reassembly!.messages, t.counters['reassembly-pruned']]).toEqual([10, 1])
    expect(peer.tcb.intake!.reassembly!.highest).toBe(base + 950)
    t.finish()
  })

  it('what was lost on the way is no reason to copy: a window of segments stays in its blocks, in order and not', () => {
    const t = makeTcpTest({ arenaOptions: { sizeBytes: 64 * 1024 * 1024, poison: false } })
    const peer = established(t, SCALED)
    const mss = 1_448
    const bytes = pattern(170 * mss)
    const put = (at: number, count: number, shape: (t: TcpTest, b: Uint8Array) => Mblk): void => {
      const data = bytes.slice(at * mss, (at + count) * mss)
      peer.send('A', { seq: (peer.next + at * mss) | 0, data }, { shape: b => shape(t, b) })
    }
    // One by one in blocks of a frame, every tenth lost; then three by three with most of a large block empty.
    for (let i = 0; i < 80; i++) if (i % 10 !== 0) put(i, 1, frame)
    for (let i = 80; i < 170; i += 3) if (i % 9 !== 8) put(i, 3, large)
    const { reassembly } = peer.tcb.intake!
    expect([reassembly!.loose, reassembly!.held > 4 * peer.tcb.rcvBuf]).toEqual([20, true])
    for (let i = 0; i < 80; i += 10) put(i, 1, frame)
    for (let i = 80; i < 170; i += 3) if (i % 9 === 8) put(i, 3, large)
    expect(t.read(peer.tcb)).toEqual(bytes)
    const { condensed, 'reassembly-pruned': pruned } = t.counters
    expect([condensed, pruned, t.arena.copies.stack.calls]).toEqual([0, 0, 0])
    t.finish()
  })

  it('checklist 3.5-47: small segments in large blocks are moved to small ones beyond a quarter of what is free', () => {
    const memoryBytes = 8 * 1024 * 1024
    const arenaOptions = { sizeBytes: 64 * 1024 * 1024, poison: false }
    const t = makeTcpTest({ settings: { memoryBytes }, arenaOptions })
    const peer = established(t, SCALED)
    const base = peer.next
    for (let i = 1; i <= 200; i++)
      peer.send('PA', { seq: (base + 10 * i) | 0, data: pattern(5, i) }, { shape: b => large(t, b) })
    const { reassembly } = peer.tcb.intake!
    expect([reassembly!.loose, t.counters.condensed]).toEqual([25, 175])
    expect(t.tcp.memoryUsed).toBeLessThan(memoryBytes / 4)
    expect(t.tcp.memoryUsed).toBe(reassembly!.held)
    t.finish()
  })

  it('checklist 3.5-58: what is lent while memory is plenty is taken back when it is short, and nothing is lost', () => {
    const t = makeTcpTest({ arenaOptions: { sizeBytes: 64 * 1024 * 1024, poison: false } })
    const listener = t.listen()
    const [behind, gaps, other] = [1, 2, 3].map(port => t.peer({ ...SCALED, port }))
    for (const peer of [behind, gaps, other]) peer!.open(listener)
    const bytes = pattern(60 * 100)
    const piece = (i: number): Uint8Array => bytes.slice(i * 100, (i + 1) * 100)
    const shape = (b: Uint8Array): Mblk => large(t, b)
    for (let i = 0; i < 60; i++) behind!.data(piece(i), { shape })
    for (let i = 1; i < 60; i++)
      gaps!.send('PA', { seq: (gaps!.next + 100 * i) | 0, data: piece(i) }, { shape })
    expect([t.counters.condensed, t.tcp.memoryUsed]).toEqual([0, 119 * 66_560])
    t.tcp.settings.memoryBytes = t.tcp.memoryUsed + 1_000_000
    expect(pressure(t.tcp)).toBe(PRESSURE_SOME)
    for (let i = 0; i < 2; i++) other!.data('x')
    expect([t.counters.condensed, pressure(t.tcp)]).toEqual([119, PRESSURE_NONE])
    expect(t.tcp.memoryUsed).toBe(121 * 256)
    gaps!.data(piece(0))
    for (const peer of [behind!, gaps!]) expect(t.read(peer.tcb)).toEqual(bytes)
    expect(t.readText(other!.tcb)).toBe('xx')
    expect(t.tcp.memoryUsed).toBe(0)
    t.finish()
  })

  it('checklist 3.5-58: without memory nothing is kept, windows stand still, and all goes on when there is some', () => {
    const t = makeTcpTest({ settings: { memoryBytes: 20_000 } })
    const peer = established(t, SCALED)
    expect(pressure(t.tcp)).toBe(PRESSURE_NONE)
    for (let i = 0; i < 20; i++) peer.send('PA', { data: pattern(1_000) })
    const kept = peer.tcb.intake!.bytes
    const edges = t.take().map(s => (s.ack + (s.window << peer.tcb.rcvScale)) | 0)
    expect(new Set(edges.slice(-8)).size).toBe(1)
    expect([pressure(t.tcp), t.counters['memory-pressure'] > 0]).toEqual([PRESSURE_HARD, true])
    expect(t.tcp.memoryUsed).toBeLessThan(25_000)
    expect(kept).toBeGreaterThan(5_000)
    expect(kept).toBeLessThan(20_000)
    peer.send('PA', { seq: (peer.tcb.rcvNxt + 500) | 0, data: 'x' })
    expect(t.counters['reassembly-full']).toBeGreaterThan(0)
    t.take()
    t.read(peer.tcb)
    expect(pressure(t.tcp)).toBe(PRESSURE_NONE)
    peer.next = peer.tcb.rcvNxt
    peer.data('again')
    expect(t.readText(peer.tcb)).toBe('again')
    t.finish()
  })

  it('checklist 3.5-58: beyond the budget each gets one segment in a small block, and nobody gets more than an eighth beyond it', () => {
    const t = makeTcpTest({ settings: { memoryBytes: 1024 * 1024 } })
    const listener = t.listen({ backlog: 512 })
    const peers = Array.from({ length: 400 }, (_, i) => t.peer({ port: 1_000 + i }))
    for (const peer of peers) peer.open(listener)
    for (const peer of peers) peer.send('PA', { data: pattern(20_000) }, { shape: b => large(t, b) })
    expect(pressure(t.tcp)).toBe(PRESSURE_HARD)
    expect(t.tcp.memoryUsed).toBeLessThanOrEqual((9 / 8) * 1024 * 1024)
    const kept = peers.map(peer => peer.tcb.intake?.bytes ?? 0)
    // First whole ones, then a segment of each, then crumbs, then nothing: the peers send all of it again.
    expect([...new Set(kept)]).toEqual([20_000, 1_920, 128, 0])
    t.finish()
  })

  it('the blocks of the whole stack count too', () => {
    const t = makeTcpTest({ arenaOptions: { sizeBytes: 1024 * 1024 } })
    const hoard = []
    const frames = t.arena.classes[1]!
    const all = Math.floor((frames.limit - frames.base) / frames.blockBytes)
    while (frames.inUse < all * 0.8) hoard.push(allocb(t.arena, 2_000)!)
    expect(pressure(t.tcp)).toBe(PRESSURE_SOME)
    while (frames.inUse < all * 0.95) hoard.push(allocb(t.arena, 2_000)!)
    expect(pressure(t.tcp)).toBe(PRESSURE_HARD)
    while (frames.inUse < all) hoard.push(allocb(t.arena, 2_000)!)
    expect(placeFor(t.tcp, 1_000)).toBe(PLACE_HEADERS)
    for (const mp of hoard) freemsg(mp)
    t.finish()
  })

  it('checklist 3.5-58: a window full of single bytes that nobody reads holds less than two of full segments', () => {
    const t = makeTcpTest({ arenaOptions: { sizeBytes: 64 * 1024 * 1024, poison: false } })
    const peer = established(t, SCALED)
    const bytes = pattern(262_144)
    for (let i = 0; i < bytes.length; i++) {
      peer.send('PA', { data: bytes.slice(i, i + 1) }, { shape: b => frame(t, b) }, i % 50 === 0)
      t.take()
    }
    expect(peer.tcb.intake!.bytes).toBe(peer.tcb.rcvBuf)
    expect(peer.tcb.intake!.loose).toBeLessThanOrEqual(190)
    expect(t.tcp.memoryUsed).toBeLessThan(2 * 1.42 * peer.tcb.rcvBuf)
    expect(t.read(peer.tcb)).toEqual(bytes)
    expect(t.tcp.memoryUsed).toBe(0)
    t.finish()
  })

  it('checklist 3.5-58: segments a little larger than a frame do not hold a block of 64 KiB each for ever', () => {
    const t = makeTcpTest({ arenaOptions: { sizeBytes: 32 * 1024 * 1024, poison: false } })
    const peer = established(t, SCALED)
    const bytes = pattern(100 * 2_100)
    for (let i = 0; i < 100; i++)
      peer.send(
        'PA',
        { data: bytes.slice(i * 2_100, (i + 1) * 2_100) },
        { shape: b => chainOf(t.arena, b, [1_900]) },
      )
    const bound = 4 * peer.tcb.rcvBuf + 68_608 + 100 * 2 * 2_048
    expect(t.tcp.memoryUsed).toBeLessThan(bound)
    expect(t.read(peer.tcb)).toEqual(bytes)
    t.finish()
  })
})

/** In a block as the device leaves it. */
function frame(t: TcpTest, bytes: Uint8Array): Mblk {
  const mp = allocb(t.arena, 1_900, 128)!
  mp.dblk.bytes.set(bytes, mp.wptr)
  mp.wptr += bytes.length
  return mp
}

/** In a block for a super-segment. */
function large(t: TcpTest, bytes: Uint8Array): Mblk {
  const mp = allocb(t.arena, 60_000)!
  mp.dblk.bytes.set(bytes, mp.wptr)
  mp.wptr += bytes.length
  return mp
}
