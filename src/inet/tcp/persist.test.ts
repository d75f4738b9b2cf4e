import { afterEach, describe, expect, it } from 'vitest'
import { release, shutdown } from './close.ts'
import { T_PERSIST } from './tcb.ts'
import { established, type Peer, type PeerOptions } from './testing/peer.ts'
import { makeTcpTest, type TcpTest, type TcpTestOptions } from './testing/tcp-test.ts'

let t: TcpTest

afterEach(() => t.finish())

/** A connection whose peer takes nothing more, with 3,000 bytes waiting. */
function closed(options: TcpTestOptions = {}, peerOptions: PeerOptions = {}): Peer {
  t = makeTcpTest(options)
  const peer = established(t, { mss: 1_000, window: 1_000, ...peerOptions })
  Object.assign(peer.tcb, { srtt: 20_000, minRtt: 20_000, rtoMs: 240 })
  t.write(peer.tcb, new Uint8Array(4_000).fill(7))
  peer.hear()
  peer.send('A', { window: 0 })
  peer.window = 0
  return peer
}

describe('tcp/persist', () => {
  it('MUST-36, SHLD-29, 30: one octet of new data after a timeout, then at twice the distance each time, up to the ceiling', () => {
    const peer = closed()
    const start = t.nowMs
    const rto = peer.tcb.rtoMs
    t.take()
    t.advance(400_000)
    const probes = t.take()
    expect(probes.every(s => s.data.length === 1 && s.seq === peer.ack)).toBe(true)
    const expected: number[] = []
    for (let at = rto, wait = rto; at <= 400_000; at += wait) {
      expected.push(at)
      wait = Math.min(2 * wait, 120_000)
    }
    expect(probes.map(s => s.atMs - start)).toEqual(expected)
    expect(t.counters['window-probes-out']).toBe(probes.length)
    expect(t.counters['retransmission-timeouts']).toBe(0)
  })

  it('MUST-37: as long as the peer answers it is never given up, and the window is no loss', () => {
    const peer = closed()
    const { cwnd, ssthresh } = peer.tcb
    for (let i = 0; i < 400; i++) {
      t.advance(60_000)
      if (t.take().length > 0) peer.send('A', { window: 0 })
    }
    expect(t.events).toEqual([])
    expect([peer.tcb.cwnd, peer.tcb.ssthresh]).toEqual([cwnd, ssthresh])
  })

  it('RFC 6429 §3 (checklist 3.5-44): a peer that does not answer is given up, and one whose program set a user timeout', () => {
    closed()
    t.advance(1_300_000)
    expect(t.events).toEqual(['closed timed-out'])
    t.finish()
    const peer = closed({ connection: { userTimeoutMs: 30_000 } })
    for (let i = 0; i < 40; i++) {
      t.advance(2_000)
      if (t.take().length > 0) peer.send('A', { window: 0 })
    }
    expect(t.events).toEqual(['closed timed-out'])
  })

  it('an orphan is not held for ever by a window of zero', () => {
    const peer = closed()
    release(t.tcp, peer.tcb)
    for (let i = 0; i < 40; i++) {
      t.advance(10_000)
      if (t.take().length > 0) peer.send('A', { window: 0 })
    }
    expect(t.tcp.connections.size).toBe(0)
  })

  it('the window opens: what was probed with is sent again if it was dropped, then the rest, in order', () => {
    const peer = closed()
    t.advance(1_000)
    t.take()
    peer.send('A', { window: 20_000 })
    const sent = t.take()
    expect(sent.map(s => [(s.seq - peer.ack) | 0, s.data.length])).toEqual([
      [0, 1],
      [1, 2_999],
    ])
    expect(peer.tcb.timers & T_PERSIST).toBe(0)
    peer.send('A', { ack: peer.ack + 3_000, window: 20_000 })
    expect([peer.tcb.sndUna, t.counters['fast-retransmits']]).toEqual([peer.tcb.sndNxt, 0])
  })

  it('the window opens as the probe comes: its octet is taken, the rest follows', () => {
    const peer = closed()
    t.advance(300)
    t.take()
    peer.send('A', { ack: peer.ack + 1, window: 20_000 })
    expect(t.takeOne()).toMatchObject({ seq: (peer.ack + 1) | 0 })
  })

  it('octet by octet, if the peer takes them so', () => {
    const peer = closed()
    for (let i = 0; i < 5; i++) {
      t.advance(100_000)
      t.take()
      peer.ack = peer.tcb.sndNxt
      peer.send('A', { window: 0 })
    }
    expect((peer.tcb.sndNxt - peer.irs) | 0).toBe(1 + 1_000 + 5)
    expect(t.counters['retransmission-timeouts']).toBe(0)
  })

  it('RFC 9293 §3.8.6.2.1 (4): a window that stays too small is used after a timeout all the same', () => {
    t = makeTcpTest()
    const peer = established(t, { mss: 1_000, window: 4_000 })
    peer.send('A', { window: 100 })
    t.write(peer.tcb, new Uint8Array(3_000))
    expect(t.take()).toEqual([])
    t.advance(1_100)
    expect(t.take()[0]!.data.length).toBe(100)
  })

  it('RFC 9293 §3.8.6.2.1 (4): what the peer says meanwhile does not stop or put off the timer', () => {
    const peer = closed()
    peer.send('A', { window: 8 })
    for (let i = 0; i < 12; i++) {
      expect(peer.tcb.timers & T_PERSIST).toBe(T_PERSIST)
      t.advance(peer.tcb.rtoMs / 10)
      // Data of its own, an answer to something else: the window is as before.
      peer.send('A', { window: 8 })
      if (t.counters['window-probes-out'] > 0) break
    }
    expect(t.counters['window-probes-out']).toBe(1)
    expect(t.takeOne().data.length).toBe(8)
  })

  it('a FIN waits for the window as data does, and is the probe when nothing else is left', () => {
    t = makeTcpTest()
    const peer = established(t, { window: 0 })
    shutdown(t.tcp, peer.tcb)
    t.flush()
    expect(t.take()).toEqual([])
    t.advance(1_500)
    expect(t.take()[0]).toMatchObject({ flags: 'FA', seq: peer.ack })
    peer.send('A', { ack: peer.ack + 1, window: 0 })
    expect(peer.tcb.sndUna).toBe(peer.tcb.sndNxt)
  })

  it('SHLD-16: what lies within a window that shrank is sent again as ever, what lies beyond it is not new', () => {
    t = makeTcpTest({ connection: { noDelay: true } })
    const peer = established(t, { mss: 1_000, window: 10_000 })
    t.write(peer.tcb, new Uint8Array(20_000))
    const rto = peer.tcb.rtoMs
    const { sndNxt } = peer.tcb
    t.take()
    peer.send('A', { ack: peer.ack + 1_000, window: 3_000 })
    peer.ack = (peer.ack + 1_000) | 0
    t.advance(rto + 10)
    const again = t.take()
    expect(again.map(s => (s.seq - peer.ack) | 0)).toEqual([0])
    expect([peer.tcb.sndNxt, t.counters['retransmission-timeouts']]).toEqual([sndNxt, 1])
    peer.send('A', { ack: peer.ack + 3_000, window: 7_000 })
    expect(t.take().every(s => s.data.length > 0)).toBe(true)
  })

  it('SHLD-17, checklist 3.5-45: a window that closes under data in flight: it is sent again within reason, not given up, nothing new leaves', () => {
    t = makeTcpTest()
    const peer = established(t, { mss: 1_000, window: 10_000 })
    t.write(peer.tcb, new Uint8Array(20_000))
    t.take()
    for (let i = 0; i < 200; i++) {
      t.advance(30_000)
      const sent = t.take()
      expect(sent.every(s => s.seq === peer.ack && s.data.length <= 1_000)).toBe(true)
      if (sent.length > 0) peer.send('A', { window: 0 })
    }
    expect(t.events).toEqual([])
  })
})
