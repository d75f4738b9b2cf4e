import { describe, expect, it } from 'vitest'
import { pattern } from '../testing/packets.ts'
import { takeFlight } from './flight.ts'
import { PRESSURE_HARD, PRESSURE_NONE, PRESSURE_SOME, pressure } from './memory.ts'
import { CLOSED, ESTABLISHED } from './states.ts'
import { Peer } from './testing/peer.ts'
import { address, HERE, makeTcpTest, type TcpTest } from './testing/tcp-test.ts'
import { zeroWindowBegan, zeroWindowEnded, zeroWindowMayLast } from './zero-window.ts'

/** Connections of one address that announce a window of zero and are to be sent something. */
function stuck(t: TcpTest, from: string, count: number, port: number): Peer[] {
  const listener = t.listen({ port })
  return Array.from({ length: count }, (_, i) => {
    const peer = new Peer(t, { port: 1_000 + i, ourPort: port, window: 0, address: address(from) })
    peer.open(listener)
    return peer
  })
}

describe('inet/tcp/zero-window', () => {
  it('checklist 3.5-44 (Sockstress), RFC 6429: connections with windows of zero are capped for each address', () => {
    const t = makeTcpTest({ settings: { zeroWindowPerSource: 3 }, local: [HERE] })
    const bad = stuck(t, '10.0.0.66', 5, 80)
    const good = stuck(t, '10.0.0.7', 2, 81)
    const held = [...bad, ...good].map(({ tcb }) => ({ tcb, flight: takeFlight(t.tcp, tcb) }))
    for (const { tcb, flight } of held) zeroWindowBegan(t.tcp, tcb, flight)
    const mayLast = (): boolean[] => held.map(({ tcb, flight }) => zeroWindowMayLast(t.tcp, tcb, flight))
    // A round trip is no attack, however many there are.
    expect(mayLast()).toEqual([true, true, true, true, true, true, true])
    t.setNow(t.nowUs + 1_000_000)
    expect(mayLast()).toEqual([false, false, false, false, false, true, true])
    // Those that end make room for the others; asking again changes nothing.
    for (const { tcb } of held.slice(0, 2)) zeroWindowEnded(t.tcp, tcb)
    zeroWindowEnded(t.tcp, bad[0]!.tcb)
    expect(mayLast()).toEqual([true, true, true, true, true, true, true])
    expect(t.counters['zero-window-killed']).toBe(5)
    t.finish()
    expect(t.tcp.zeroWindows.cells.every(cell => cell === 0)).toBe(true)
  })

  it('checklist 3.5-44: three hundred devices with small windows behind one address are no attack', () => {
    const t = makeTcpTest({ arenaOptions: { sizeBytes: 64 * 1024 * 1024, poison: false } })
    const listener = t.listen()
    const peers = Array.from({ length: 300 }, (_, i) => t.peer({ port: 2_000 + i, window: 256 }))
    for (const peer of peers) {
      peer.open(listener)
      t.write(peer.tcb, pattern(600))
      t.take()
    }
    expect(t.counters['zero-window-killed']).toBe(0)
    t.finish()
  })

  it('checklist 3.5-44: while memory is spent, who has waited long goes, not who waits for a moment', () => {
    const t = makeTcpTest({
      settings: { memoryBytes: 400_000 },
      arenaOptions: { sizeBytes: 64 * 1024 * 1024 },
    })
    const listener = t.listen()
    const hogs = Array.from({ length: 8 }, (_, i) => t.peer({ port: 1_000 + i, window: 0, windowScale: 7 }))
    for (const peer of hogs) peer.open(listener)
    const honest = t.peer({ port: 2_000, window: 4_000 })
    honest.open(listener)
    for (let i = 0; pressure(t.tcp) < PRESSURE_HARD; i++) t.write(hogs[i % 8]!.tcb, pattern(30_000))
    const answer = (): void => {
      for (const peer of hogs) if (t.sent.some(s => s.toPort === peer.port)) peer.send('A', {}, {}, false)
      t.take()
      t.flush()
    }
    for (let s = 0; s < 5; s++) {
      t.advance(1_000)
      answer()
    }
    expect(t.counters['zero-window-killed']).toBe(0)
    t.write(honest.tcb, pattern(4_500))
    honest.hear()
    honest.send('A', { ack: honest.tcb.sndNxt, window: 0 })
    t.take()
    expect(honest.tcb.state).toBe(ESTABLISHED)
    for (let s = 0; s < 20; s++) {
      t.advance(1_000)
      answer()
      if (s === 0) honest.send('A', { window: 4_000 })
    }
    expect(hogs.filter(({ tcb }) => tcb.state === CLOSED).length).toBeGreaterThan(0)
    expect(pressure(t.tcp)).toBeLessThan(PRESSURE_HARD)
    expect(honest.tcb.state).toBe(ESTABLISHED)
    t.finish()
  })

  it('checklist 3.5-44, "in sum": while memory is short, one of many of an address may wait a minute', () => {
    const t = makeTcpTest({
      settings: { memoryBytes: 1_500_000 },
      arenaOptions: { sizeBytes: 64 * 1024 * 1024 },
    })
    const hogs = stuck(t, '10.0.0.66', 20, 80)
    for (const peer of hogs) t.write(peer.tcb, pattern(17_000))
    expect(pressure(t.tcp)).toBe(PRESSURE_SOME)
    for (let s = 0; s < 300; s++) {
      t.advance(1_000)
      for (const peer of hogs)
        if (t.sent.some(each => each.toPort === peer.port)) peer.send('A', {}, {}, false)
      t.take()
      t.flush()
    }
    expect(pressure(t.tcp)).toBe(PRESSURE_NONE)
    expect(hogs.filter(({ tcb }) => tcb.state === ESTABLISHED).length).toBeGreaterThan(10)
    t.finish()
  })

  it('checklist 3.5-44: the sender gives up what goes over the cap, and keeps the rest (MUST-37)', () => {
    const t = makeTcpTest({ settings: { zeroWindowPerSource: 3 } })
    const peers = stuck(t, '10.0.0.66', 5, 80)
    for (const peer of peers) t.write(peer.tcb, 'never read')
    const probe = (minutes: number): void => {
      for (let i = 0; i < minutes * 6; i++) {
        t.advance(10_000)
        // They answer every probe, always with a window of zero.
        for (const peer of peers) if (t.sent.some(s => s.toPort === peer.port)) peer.send('A', {}, {}, false)
        t.take()
        t.flush()
      }
    }
    probe(30)
    expect(peers.filter(peer => peer.tcb.state === CLOSED).length).toBe(2)
    expect(t.counters['zero-window-killed']).toBe(2)
    t.finish()
  })

  it('checklist 3.5-44: the cap holds for a window that is shut over data in flight, which is never taken', () => {
    const t = makeTcpTest({ settings: { zeroWindowPerSource: 3 } })
    const peers = stuck(t, '10.0.0.66', 5, 80)
    for (const peer of peers) {
      peer.send('A', { window: 1_000 })
      t.write(peer.tcb, 'never acknowledged')
      t.take()
      peer.send('A', { window: 0 })
    }
    for (let i = 0; i < 100; i++) {
      t.advance(1_000)
      for (const peer of peers)
        if (t.sent.some(s => s.toPort === peer.port)) peer.send('A', { window: 0 }, {}, false)
      t.take()
      t.flush()
    }
    expect(t.counters['zero-window-killed']).toBe(2)
    // One that opens its window, and takes what it was sent, is no longer counted.
    const honest = peers.find(peer => peer.tcb.state !== CLOSED)!
    honest.send('A', { ack: honest.tcb.sndNxt, window: 1_000 })
    expect(t.tcp.zeroWindows.cells.reduce((sum, cell) => sum + cell, 0)).toBe(4)
    t.finish()
  })

  it.each([
    ['from the beginning', 1],
    ['after a large one', 20_000],
  ])('checklist 3.5-44: windows of one byte for ever, %s, are capped as those of zero', (_, first) => {
    const t = makeTcpTest({ settings: { zeroWindowPerSource: 3 }, local: [HERE] })
    const listener = t.listen()
    const peers = Array.from({ length: 5 }, (_, i) => t.peer({ port: 1_000 + i, window: first }))
    for (const peer of peers) peer.open(listener)
    for (const peer of peers) {
      peer.window = 1
      peer.send('A')
      t.write(peer.tcb, pattern(5_000))
    }
    for (let i = 0; i < 200; i++) {
      const heard = new Set(t.sent.map(({ toPort }) => toPort))
      peers[0]!.hear().forEach(s => {
        const peer = peers.find(({ port }) => port === s.toPort)!
        const end = (s.seq + s.data.length) | 0
        if (((end - peer.ack) | 0) > 0) peer.ack = end
      })
      // Every byte is taken, and the window is one byte again.
      for (const peer of peers) if (heard.has(peer.port) && peer.tcb.state !== CLOSED) peer.send('A')
      t.advance(1_000)
    }
    const left = peers.filter(peer => peer.tcb.state !== CLOSED)
    expect([left.length, t.counters['zero-window-killed']]).toEqual([3, 2])
    const [one, other] = left
    expect(((one!.tcb.sndUna - one!.irs) | 0) > 5).toBe(true)
    const counted = (): number => t.tcp.zeroWindows.cells.reduce((sum, cell) => sum + cell, 0)
    expect(counted()).toBe(6)
    // A window that opens is an open one, whatever it was before; and so is one that nothing waits for.
    one!.send('A', { window: 2_000 })
    expect(counted()).toBe(4)
    other!.send('A', { ack: other!.tcb.sndNxt, window: 10_000 })
    expect(counted()).toBe(2)
    t.finish()
  })
})
