/** SYN floods (RFC 4987, checklist 3.5-36). */
import { describe, expect, it } from 'vitest'
import { acceptNext } from './listener.ts'
import { F_SACK, F_TIMESTAMPS, F_WINDOW_SCALE } from './tcb.ts'
import { Peer, type PeerOptions } from './testing/peer.ts'
import { makeTcpTest, type TcpTest } from './testing/tcp-test.ts'

const FULL: PeerOptions = { windowScale: 7, sack: true, timestamps: true }

/** A backlog that is full of SYNs which nobody will complete. */
function flooded(settings = {}): TcpTest {
  const t = makeTcpTest({ settings: { synBacklog: 100, ...settings } })
  t.listen()
  for (let port = 1; port <= 2_000; port++) new Peer(t, { port, iss: port * 977 }).syn()
  t.take()
  return t
}

describe('inet/tcp: SYN cookies', () => {
  it('checklist 3.5-36: the backlog is bounded, and an honest client gets through', () => {
    const t = flooded()
    expect([t.tcp.halfOpen.size, t.counters['syn-backlog-full'], t.counters['syn-cookies-sent']]).toEqual([
      100, 1_900, 1_900,
    ])
    const honest = new Peer(t, { port: 50_000, ...FULL })
    const synAck = honest.halfOpen()
    expect([synAck.sackPermitted, synAck.windowScale]).toEqual([true, 8])
    t.advance(30)
    honest.data('hello')
    expect(t.counters['syn-cookies-accepted']).toBe(1)
    expect(t.tcp.connections.size).toBe(1)
    t.tcp.connections.each(tcb => {
      expect(tcb.flags & (F_SACK | F_TIMESTAMPS | F_WINDOW_SCALE)).toBe(
        F_SACK | F_TIMESTAMPS | F_WINDOW_SCALE,
      )
      expect([tcb.sndScale, tcb.rcvScale, tcb.peerMss]).toEqual([7, 8, 1_460])
      expect(t.readText(tcb)).toBe('hello')
    })
    t.finish()
  })

  it('without timestamps a cookie carries the MSS alone, and nothing else is agreed on', () => {
    const t = makeTcpTest({ settings: { synCookies: 2 } })
    const listener = t.listen()
    const peer = new Peer(t, { windowScale: 7, sack: true, mss: 1_380 })
    const synAck = peer.halfOpen()
    expect([synAck.sackPermitted, synAck.windowScale, synAck.timestamps]).toEqual([false, null, null])
    peer.send('A')
    const tcb = acceptNext(t.tcp, listener)!
    expect([tcb.flags & (F_SACK | F_TIMESTAMPS | F_WINDOW_SCALE), tcb.scales, tcb.peerMss]).toEqual([
      0, 0, 1_360,
    ])
    t.finish()
  })

  it('a wrong cookie gives a reset; so does one that is too old, or of somebody else', () => {
    const t = makeTcpTest({ settings: { synCookies: 2 } })
    t.listen()
    const peer = new Peer(t, FULL)
    peer.halfOpen()
    peer.send('A', { ack: (peer.ack + 1) | 0 })
    expect(t.takeOne().flags).toBe('R')
    expect(t.counters['syn-cookies-wrong']).toBe(1)
    const other = new Peer(t, { ...FULL, port: 7 })
    other.next = peer.next
    other.send('A', { ack: peer.ack })
    expect(t.takeOne().flags).toBe('R')
    t.advance(200_000)
    new Peer(t, { port: 9 }).syn()
    t.take()
    peer.send('A')
    expect(t.takeOne().flags).toBe('R')
    expect([t.counters['syn-cookies-wrong'], t.counters['syn-cookies-accepted']]).toEqual([3, 0])
    t.finish()
  })

  it('data that overtook the first segment proves no cookie and is dropped: the connection opens when it comes again', () => {
    const t = makeTcpTest({ settings: { synCookies: 2 } })
    const listener = t.listen()
    const peer = new Peer(t, FULL)
    peer.halfOpen()
    const first = peer.next
    peer.send('PA', { seq: (first + 100) | 0, data: new Uint8Array(50) })
    peer.send('FA', { seq: (first + 150) | 0 })
    expect([t.take(), listener.waiting, t.counters['syn-cookies-wrong']]).toEqual([[], 0, 2])
    peer.send('PA', { seq: first, data: new Uint8Array(100) })
    expect([listener.waiting, t.counters['syn-cookies-accepted']]).toEqual([1, 1])
    t.take()
    t.finish()
  })

  it('a SYN in the name of somebody who was sent a cookie does not keep them out', () => {
    const t = flooded()
    const honest = new Peer(t, { port: 50_000, ...FULL })
    honest.halfOpen()
    // There is room again, and somebody who knows the ports takes it.
    let some = -1
    t.tcp.halfOpen.each(index => {
      some = index
    })
    t.tcp.halfOpen.remove(some)
    new Peer(t, { port: 50_000, iss: 123_456_789 }).syn()
    t.take()
    honest.data('hello')
    expect([t.tcp.connections.size, t.counters['syn-cookies-accepted']]).toEqual([1, 1])
    t.tcp.connections.each(tcb => expect(t.readText(tcb)).toBe('hello'))
    t.finish()
  })

  it('while no cookie was sent, an ACK costs no hash', () => {
    const t = makeTcpTest()
    t.listen()
    new Peer(t).send('A', { seq: 1, ack: 5 })
    expect(t.takeOne().flags).toBe('R')
    expect(t.counters['syn-cookies-wrong']).toBe(0)
    t.finish()
  })

  it('turned off, what does not fit is dropped', () => {
    const t = flooded({ synCookies: 0 })
    new Peer(t, { port: 50_000 }).syn()
    expect(t.take()).toEqual([])
    t.finish()
  })

  it('the flood passes, and the records with it', () => {
    const t = flooded()
    t.advance(200_000)
    expect([t.tcp.halfOpen.size, t.counters['half-open-expired']]).toEqual([0, 100])
    t.finish()
  })

  it('a full accept queue holds cookies back too', () => {
    const t = makeTcpTest({ settings: { synCookies: 2 } })
    const listener = t.listen({ backlog: 1 })
    const peers = [1, 2].map(port => new Peer(t, { port }))
    for (const peer of peers) peer.halfOpen()
    for (const peer of peers) peer.send('A')
    expect([listener.waiting, t.take(), t.counters['accept-queue-full']]).toEqual([1, [], 1])
    t.finish()
  })
})
