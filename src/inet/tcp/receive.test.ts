/** Windows, acknowledgments, and what waits (RFC 9293 §3.8.6; RFC 2018; RFC 2883; RFC 5681 §4.2). */
import { describe, expect, it } from 'vitest'
import { freemsg } from '../../streams/mblk/alloc.ts'
import { pattern } from '../testing/packets.ts'
import { PRESSURE_HARD, pressure } from './memory.ts'
import { receiveWindow, takeData, unreadBytes, windowScaleFor } from './receive.ts'
import type { ConnectionSettings, TcpSettings } from './settings.ts'
import { stateName } from './states.ts'
import { established, Peer } from './testing/peer.ts'
import { makeTcpTest } from './testing/tcp-test.ts'

const SCALED = { windowScale: 7, sack: true } as const

describe('inet/tcp: the window', () => {
  it('checklist 3.5-58: what was announced less what waits, wherever it waits', () => {
    const t = makeTcpTest({ connection: { receiveBytes: 20_000 } })
    const peer = established(t)
    peer.data(new Uint8Array(5_000))
    expect(t.takeOne().window).toBe(15_000)
    const mp = takeData(t.tcp, peer.tcb)!
    t.unreadBytes = 5_000
    freemsg(mp)
    expect([unreadBytes(t.tcp, peer.tcb), receiveWindow(t.tcp, peer.tcb)]).toEqual([5_000, 15_000])
    t.unreadBytes = 0
    expect(receiveWindow(t.tcp, peer.tcb)).toBe(20_000)
    t.finish()
  })

  it('checklist 3.5-58: when memory is no longer short, those whose windows it kept small hear so, and need not ask', () => {
    const t = makeTcpTest({ settings: { memoryBytes: 100_000 } })
    const listener = t.listen()
    const peers = Array.from({ length: 4 }, (_, i) => t.peer({ ...SCALED, port: 1_000 + i }))
    for (const peer of peers) peer.open(listener)
    const [hog, ...others] = peers
    for (let i = 0; i < 100 && pressure(t.tcp) < PRESSURE_HARD; i++) hog!.data(pattern(1_400))
    for (const peer of others) {
      // Filled up to its window's edge: there is nothing that it may send.
      peer.tcb.rcvAdv = (peer.next + 500) | 0
      t.unreadBytes = 0
      peer.data(pattern(500))
      // Who has read everything may send a segment's worth, and these have not.
      t.unreadBytes = 1
      t.read(peer.tcb)
    }
    expect(t.take().filter(s => s.toPort > 1_000 && s.window > 0).length).toBe(0)
    t.advance(5_000)
    expect(t.take().filter(s => s.toPort > 1_000)).toEqual([])
    expect(pressure(t.tcp)).toBe(PRESSURE_HARD)
    t.unreadBytes = 0
    t.read(hog!.tcb)
    t.take()
    t.advance(100)
    const opened = t.take().filter(s => s.toPort > 1_000)
    expect(opened.map(s => s.toPort).sort()).toEqual([1_001, 1_002, 1_003])
    expect(opened.every(s => s.flags === 'A' && s.window << hog!.tcb.rcvScale > 100_000)).toBe(true)
    // Once is enough; and records are given back as ever.
    t.advance(10_000)
    expect([t.take(), t.tcp.intakes.inUse]).toEqual([[], 0])
    t.finish()
  })

  it('checklist 3.5-58: more than was announced is not taken', () => {
    const t = makeTcpTest({ connection: { receiveBytes: 2_000 } })
    const peer = established(t)
    peer.send('FPA', { seq: peer.next, data: pattern(3_000) })
    expect([t.takeOne().ack, t.counters['window-violated']]).toEqual([peer.next + 2_000, 1])
    expect(stateName(peer.tcb.state)).toBe('ESTABLISHED')
    peer.send('FPA', { seq: (peer.next + 2_000) | 0, data: pattern(10) })
    expect(t.read(peer.tcb)).toEqual(pattern(3_000).slice(0, 2_000))
    expect(t.atEof(peer.tcb)).toBe(false)
    t.finish()
  })

  it('SHLD-14: the right edge never moves left, whatever the program does', () => {
    const t = makeTcpTest({ connection: { receiveBytes: 30_000 } })
    const peer = established(t, SCALED)
    let edge = peer.tcb.rcvAdv
    for (let i = 0; i < 100; i++) {
      t.unreadBytes = (i * 7_919) % 40_000
      peer.data(new Uint8Array(1 + (i % 97)))
      for (const s of t.take()) {
        const announced = (s.ack + (s.window << peer.tcb.rcvScale)) | 0
        expect((announced - edge) | 0).toBeGreaterThanOrEqual(0)
        edge = announced
      }
      t.read(peer.tcb)
    }
    t.finish()
  })

  it('MUST-39, RFC 9293 §3.8.6.2.2: a window that closed opens by a segment or half of the buffer, never by crumbs', () => {
    const t = makeTcpTest({ connection: { receiveBytes: 8_000 } })
    const peer = established(t)
    for (let i = 0; i < 8; i++) peer.data(new Uint8Array(1_000))
    expect(t.take().at(-1)!.window).toBe(0)
    const windows: number[] = []
    for (let read = 0; read < 8_000; read += 100) {
      // The program takes 100 bytes at a time.
      if (t.unreadBytes < 100) {
        freemsg(takeData(t.tcp, peer.tcb)!)
        t.unreadBytes += 1_000
      }
      t.unreadBytes -= 100
      windows.push(receiveWindow(t.tcp, peer.tcb))
    }
    for (const window of windows) expect(window === 0 || window >= 1_000).toBe(true)
    t.finish()
  })

  it('a window of zero opens with a segment of its own; small changes do not', () => {
    const t = makeTcpTest({ connection: { receiveBytes: 10_000 } })
    const peer = established(t)
    for (let i = 0; i < 10; i++) peer.data(new Uint8Array(1_000))
    t.take()
    t.read(peer.tcb)
    t.flush()
    expect(t.takeOne().window).toBe(10_000)
    for (const segments of [1, 3]) {
      for (let i = 0; i < segments; i++) peer.data(new Uint8Array(1_000))
      t.take()
      t.read(peer.tcb)
      t.flush()
      expect(t.take()).toEqual([])
    }
    t.finish()
  })

  it('checklist 3.5-58: without memory it stays where it is; with little it grows by a few segments', () => {
    const t = makeTcpTest({ connection: { receiveBytes: 60_000 } })
    const peer = established(t)
    peer.data(new Uint8Array(1_000))
    for (let i = 0; i < 59; i++) peer.data(new Uint8Array(1_000), {}, false)
    t.flush()
    t.discard(peer.tcb)
    const { tcp } = t
    tcp.memoryUsed += tcp.settings.memoryBytes
    t.unreadBytes = 1
    expect(receiveWindow(tcp, peer.tcb)).toBe(0)
    // A segment's worth for whoever has read everything, as much as is taken then.
    t.unreadBytes = 0
    expect(receiveWindow(tcp, peer.tcb)).toBe(2_048 - 128)
    tcp.memoryUsed -= Math.floor(tcp.settings.memoryBytes / 5)
    expect(receiveWindow(tcp, peer.tcb)).toBe(16 * 1_000)
    tcp.memoryUsed = 0
    expect(receiveWindow(tcp, peer.tcb)).toBe(60_000)
    t.finish()
  })

  it('RFC 7323 §2.3: the shift is the least that reaches the buffer, 14 at most', () => {
    expect([0, 65_535, 65_536, 8 * 1024 * 1024, 2 ** 31].map(windowScaleFor)).toEqual([0, 0, 1, 8, 14])
  })

  it('RFC 7323 §2.4: rounding to the scale does not shrink it', () => {
    const t = makeTcpTest({ connection: { receiveBytes: 1_000_000 } })
    const peer = established(t, SCALED)
    expect(peer.tcb.rcvScale).toBe(4)
    let edge = peer.tcb.rcvAdv
    for (let i = 1; i < 40; i++) {
      peer.data(new Uint8Array(i))
      t.advance(100)
      const s = t.takeOne()
      expect((s.ack + (s.window << 4) - edge) | 0).toBeGreaterThanOrEqual(0)
      edge = (s.ack + (s.window << 4)) | 0
    }
    t.finish()
  })

  it('a FIN that comes when the window is full is acknowledged with a window of zero', () => {
    const t = makeTcpTest({ connection: { receiveBytes: 3_000 } })
    const peer = established(t)
    peer.data(new Uint8Array(1_500))
    peer.data(new Uint8Array(1_500))
    t.take()
    peer.send('FA')
    expect(t.takeOne()).toMatchObject({ ack: peer.next, window: 0 })
    t.finish()
  })
})

describe('inet/tcp: acknowledgments', () => {
  it('MUST-58, MUST-59: all that came is processed, then acknowledged once', () => {
    const t = makeTcpTest()
    const peer = established(t)
    for (let i = 0; i < 20; i++) peer.data(new Uint8Array(1_000), {}, false)
    expect(t.sent).toEqual([])
    t.flush()
    expect(t.takeOne().ack).toBe(peer.next)
    t.finish()
  })

  it('MUST-40: an acknowledgment is delayed by less than half a second, whatever the setting', () => {
    const t = makeTcpTest({ settings: { delayedAckMs: 5_000 } })
    const peer = established(t)
    peer.tcb.intake = null
    t.write(peer.tcb, 'quick acknowledgments end when the program answers')
    peer.hear()
    peer.data('x')
    t.write(peer.tcb, 'y')
    peer.hear()
    peer.send('A')
    peer.data('z')
    expect(t.take()).toEqual([])
    const begin = t.nowMs
    t.advance(1_000)
    const [ack] = t.take()
    expect(ack!.ack).toBe(peer.next)
    expect(ack!.atMs - begin).toBeLessThan(500)
    t.finish()
  })

  it('SHLD-18, SHLD-19 (RFC 9293 §3.8.6.3): every second full segment at once, one of them or less after a while', () => {
    const t = makeTcpTest({ settings: { delayedAckMs: 40 } })
    const peer = established(t)
    t.write(peer.tcb, 'a')
    peer.hear()
    peer.data('b')
    t.write(peer.tcb, 'c')
    peer.hear()
    for (let i = 0; i < 10; i++) {
      peer.data(new Uint8Array(1_460))
      expect(t.take().length).toBe(i % 2)
      t.discard(peer.tcb)
    }
    peer.data(new Uint8Array(100))
    expect(t.take()).toEqual([])
    t.advance(39)
    expect(t.take()).toEqual([])
    t.advance(1)
    expect(t.takeOne().ack).toBe(peer.next)
    // A super-segment counts for what it stands for.
    peer.data(new Uint8Array(2_920), { gsoSize: 1_460 })
    expect(t.takeOne().ack).toBe(peer.next)
    t.finish()
  })

  it('an acknowledgment rides on data that goes the other way', () => {
    const t = makeTcpTest()
    const peer = established(t)
    peer.data('question', {}, false)
    t.write(peer.tcb, 'answer')
    const answer = t.takeOne()
    expect([answer.ack, new TextDecoder().decode(answer.data)]).toEqual([peer.next, 'answer'])
    t.finish()
  })

  it('RFC 5681 §4.2: out of order, gap filled and duplicates are acknowledged at once', () => {
    const t = makeTcpTest()
    const peer = established(t)
    t.write(peer.tcb, 'a')
    peer.hear()
    peer.data('b')
    t.write(peer.tcb, 'c')
    peer.hear()
    peer.send('PA', { seq: (peer.next + 10) | 0, data: pattern(10) })
    expect(t.takeOne().ack).toBe(peer.next)
    peer.send('PA', { seq: peer.next, data: pattern(10) })
    expect(t.takeOne().ack).toBe(peer.next + 20)
    peer.send('PA', { seq: peer.next, data: pattern(10) })
    expect(t.takeOne().ack).toBe(peer.next + 20)
    t.finish()
  })
})

describe('inet/tcp: auto-tuning', () => {
  /** A peer that sends a window in each round trip, and a program that takes it at once. */
  function run(rttMs: number, rounds: number, settings = {}): number {
    const t = makeTcpTest({ settings, arenaOptions: { sizeBytes: 64 * 1024 * 1024, poison: false } })
    const peer = new Peer(t, SCALED)
    const listener = t.listen()
    peer.halfOpen()
    t.advance(rttMs)
    peer.send('A')
    const tcb = t.hold(listener.shift()!)
    tcb.flags &= ~(1 << 14)
    tcb.user = { tcb }
    peer.tcb = tcb
    for (let round = 0; round < rounds; round++) {
      for (let left = (tcb.rcvAdv - tcb.rcvNxt) | 0; left > 0; left -= 50_000) {
        peer.data(new Uint8Array(Math.min(left, 50_000)), { gsoSize: 1_460 }, false)
        t.discard(tcb)
      }
      t.flush()
      t.take()
      t.advance(rttMs)
    }
    const { rcvBuf } = tcb
    t.finish()
    return rcvBuf
  }

  it('over a long way the buffer grows to its limit in a few round trips', () => {
    expect(run(50, 8)).toBe(8 * 1024 * 1024)
    expect(run(50, 8, { receiveBytesMax: 1_000_000 })).toBe(1_000_000)
    expect(run(50, 8, { autoTuning: 0 })).toBe(256 * 1024)
  })

  it('a program that takes little gets no larger one', () => {
    const t = makeTcpTest()
    const peer = established(t, SCALED)
    for (let i = 0; i < 100; i++) {
      peer.data(new Uint8Array(100))
      t.discard(peer.tcb)
      t.advance(10)
    }
    expect(peer.tcb.rcvBuf).toBe(256 * 1024)
    t.finish()
  })

  it('the send buffer holds two congestion windows, up to its limit, unless it is fixed', () => {
    const grown = (settings: Partial<TcpSettings>, connection: Partial<ConnectionSettings> = {}): number => {
      const t = makeTcpTest({ settings: { sendBytes: 64 * 1024, ...settings }, connection })
      const peer = established(t, { ...SCALED, window: 65_535 })
      peer.tcb.cwnd = 100_000
      t.write(peer.tcb, new Uint8Array(20_000))
      t.take()
      t.advance(20)
      peer.send('A', { ack: peer.tcb.sndNxt })
      const { sndBuf, cwnd } = peer.tcb
      t.finish()
      return sndBuf === 2 * cwnd ? 2 : sndBuf
    }
    expect(grown({})).toBe(2)
    expect(grown({ sendBytesMax: 150_000 })).toBe(150_000)
    expect(grown({ autoTuning: 0 })).toBe(64 * 1024)
    expect(grown({}, { sendBytes: 70_000 })).toBe(70_000)
  })
})

describe('inet/tcp: idle connections', () => {
  it('hold no record for receiving', () => {
    const t = makeTcpTest()
    const listener = t.listen()
    const peers = Array.from({ length: 50 }, (_, i) => {
      const peer = new Peer(t, { port: 1_000 + i })
      peer.open(listener)
      return peer
    })
    for (const peer of peers) {
      peer.data('x')
      t.read(peer.tcb)
    }
    expect(t.tcp.intakes.inUse).toBe(50)
    t.advance(5_000)
    peers[0]!.data('y')
    for (let i = 0; i < 40; i++) {
      peers[i % 4]!.data('z')
      t.read(peers[i % 4]!.tcb)
    }
    t.tcp.intakes.sweep(t.tcp, 100)
    expect(t.tcp.intakes.inUse).toBe(4)
    t.finish()
  })
})
