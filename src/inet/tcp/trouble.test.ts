/** RFC 9293 §3.8.3, §3.9.1.8: what a program and IP hear before a connection is given up. */
import { afterEach, describe, expect, it } from 'vitest'
import { ERROR_HOST_UNREACHABLE, ERROR_NET_UNREACHABLE } from '../icmp/errors.ts'
import { connect } from './open.ts'
import { TCP_SETTINGS } from './settings.ts'
import { established, type Peer, type PeerOptions } from './testing/peer.ts'
import { makeTcpTest, PEER, type TcpTest, type TcpTestOptions } from './testing/tcp-test.ts'
import { softErrorCame } from './trouble.ts'

let t: TcpTest

afterEach(() => t.finish())

function begin(options: TcpTestOptions = {}, peerOptions: PeerOptions = {}): Peer {
  t = makeTcpTest(options)
  const peer = established(t, peerOptions)
  peer.tcb.srtt = 20_000
  peer.tcb.minRtt = 20_000
  peer.tcb.rtoMs = 240
  return peer
}

describe('inet/tcp/trouble', () => {
  it('SHLD-9, MUST-20 (R1): with the third timeout the program is told, once, and IP each time; R2 comes later', () => {
    const peer = begin()
    t.write(peer.tcb, 'lost')
    t.advance(1_679)
    expect([t.troubles, t.pathsDoubted]).toEqual([[], 0])
    t.advance(1)
    expect([t.troubles, t.pathsDoubted]).toEqual([[0], 1])
    t.advance(15_000)
    expect([t.troubles, t.pathsDoubted]).toEqual([[0], 4])
    expect(t.counters['delivery-doubted']).toBe(1)
    t.advance(2_000_000)
    expect([t.troubles, t.events]).toEqual([[0], ['closed timed-out']])
  })

  it('SHLD-10: R1 is three retransmissions unless set otherwise', () => {
    expect(TCP_SETTINGS.r1Retries).toBe(3)
    const peer = begin({ settings: { r1Retries: 5 } })
    t.write(peer.tcb, 'lost')
    t.advance(7_439)
    expect(t.troubles).toEqual([])
    t.advance(1)
    expect(t.troubles).toEqual([0])
    expect(t.take().length).toBe(6)
  })

  it('what the peer acknowledges ends the trouble: the next is told again', () => {
    const peer = begin()
    t.write(peer.tcb, 'lost')
    t.advance(2_000)
    peer.send('A', { ack: peer.tcb.sndNxt })
    t.write(peer.tcb, 'and again')
    t.advance(20_000)
    expect(t.troubles).toEqual([0, 0])
  })

  it('MUST-22: a SYN that is not answered is the same trouble, and is over when it is', () => {
    t = makeTcpTest()
    const peer = t.peer()
    peer.connectFrom()
    t.advance(6_999)
    expect(t.troubles).toEqual([])
    t.advance(1)
    expect([t.troubles, t.pathsDoubted]).toEqual([[0], 1])
    t.take()
    peer.send('SA', { mss: 1_460 })
    peer.tcb.rtoMs = 240
    t.write(peer.tcb, 'lost')
    t.advance(2_000)
    expect([t.troubles, t.events]).toEqual([[0, 0], ['connected']])
  })

  it('window probes that nobody answers are trouble, those that are answered are none (MUST-37)', () => {
    const peer = begin({}, { window: 0 })
    t.write(peer.tcb, 'waits')
    for (let i = 0; i < 8; i++) {
      t.toNextDeadline()
      if (t.take().length > 0) peer.send('A', { window: 0 })
    }
    expect([t.troubles, t.pathsDoubted]).toEqual([[], 0])
    t.advance(1_000_000)
    expect(t.troubles).toEqual([0])
    expect(t.pathsDoubted).toBeGreaterThan(1)
  })

  it('data in flight under a window that was shut, and a peer that answers: no trouble of the path', () => {
    const peer = begin()
    t.write(peer.tcb, 'no room')
    peer.send('A', { ack: peer.ack, window: 0 })
    for (let ms = 0; ms < 20_000; ms += 10) {
      t.advance(10)
      if (t.take().length > 0) peer.send('A', { ack: peer.ack, window: 0 })
    }
    expect(t.counters['retransmission-timeouts']).toBeGreaterThan(3)
    expect([t.troubles, t.pathsDoubted]).toEqual([[], 0])
  })

  it('SHLD-25, MUST-47: a soft ICMP error is told at once, and one only until the peer acknowledges something', () => {
    const peer = begin()
    t.write(peer.tcb, 'x')
    softErrorCame(t.tcp, peer.tcb, ERROR_HOST_UNREACHABLE)
    for (let i = 0; i < 100; i++) softErrorCame(t.tcp, peer.tcb, ERROR_NET_UNREACHABLE)
    expect(t.troubles).toEqual([ERROR_HOST_UNREACHABLE])
    expect(peer.tcb.softError).toBe(ERROR_NET_UNREACHABLE)
    peer.send('A', { ack: peer.tcb.sndNxt })
    softErrorCame(t.tcp, peer.tcb, ERROR_NET_UNREACHABLE)
    expect(t.troubles).toEqual([ERROR_HOST_UNREACHABLE, ERROR_NET_UNREACHABLE])
  })

  it('an opening that is given up at once was no trouble before', () => {
    t = makeTcpTest({ settings: { synRetries: 0 } })
    t.hold(
      connect(t.tcp, { remote: PEER, remotePort: 9, settings: { ...t.connection, userTimeoutMs: 2_000 } }),
    )
    t.advance(10_000)
    expect([t.troubles, t.events]).toEqual([[], ['closed timed-out']])
  })
})
