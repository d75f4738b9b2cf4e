/** Linux's TCP_CORK, with the end that tcp(7) gives it. */
import { afterEach, describe, expect, it } from 'vitest'
import { CONNECTION_SETTINGS } from './settings.ts'
import { established, type Peer, type PeerOptions } from './testing/peer.ts'
import { makeTcpTest, type TcpTest, type TcpTestOptions } from './testing/tcp-test.ts'
import { pollAt } from './timers.ts'

let t: TcpTest

afterEach(() => t.finish())

function begin(options: TcpTestOptions = {}, peerOptions: PeerOptions = {}): Peer {
  t = makeTcpTest({ connection: { cork: true }, ...options })
  const peer = established(t, { mss: 1_000, ...peerOptions })
  // Nothing is sent again meanwhile.
  peer.tcb.rtoMs = 5_000
  t.take()
  return peer
}

/** Bytes of each segment that left, and when, in ms from `start`. */
function left(start: number): [number, number][] {
  return t
    .take()
    .filter(s => s.data.length > 0)
    .map(s => [s.atMs - start, s.data.length])
}

describe('inet/tcp/cork', () => {
  it('tcp(7) TCP_CORK, MUST-60: what is held back leaves after 200 ms, as one segment', () => {
    const peer = begin()
    const start = t.nowMs
    t.write(peer.tcb, 'a head')
    t.advance(150)
    t.write(peer.tcb, ' and more')
    t.advance(49)
    expect(left(start)).toEqual([])
    t.advance(1_000)
    expect(left(start)[0]).toEqual([200, 15])
  })

  it('full segments leave at once; the time of what is behind them begins anew', () => {
    const peer = begin()
    const start = t.nowMs
    t.write(peer.tcb, new Uint8Array(600))
    t.advance(150)
    t.write(peer.tcb, new Uint8Array(600))
    peer.send('A', { ack: peer.tcb.sndNxt })
    expect(left(start)).toEqual([[150, 1_000]])
    t.advance(199)
    expect(left(start)).toEqual([])
    t.advance(1)
    expect(left(start)).toEqual([[350, 200]])
    peer.send('A', { ack: peer.tcb.sndNxt })
    t.advance(5_000)
    expect(pollAt(t.tcp)).toBeNull()
  })

  it('after its time Nagle’s rule holds as for any other short segment', () => {
    const peer = begin()
    const start = t.nowMs
    t.write(peer.tcb, 'first')
    t.advance(200)
    t.write(peer.tcb, 'second')
    t.advance(250)
    expect(left(start)).toEqual([[200, 5]])
    peer.send('A', { ack: peer.tcb.sndNxt })
    expect(left(start)).toEqual([[450, 6]])
  })

  it('uncorked, it leaves at once; corked again, the time begins again', () => {
    const peer = begin()
    const corked = peer.tcb.settings
    const start = t.nowMs
    t.write(peer.tcb, 'one')
    t.advance(100)
    peer.tcb.settings = CONNECTION_SETTINGS
    t.tcp.schedule(peer.tcb)
    t.flush()
    peer.send('A', { ack: peer.tcb.sndNxt })
    peer.tcb.settings = corked
    t.write(peer.tcb, 'two!')
    t.advance(199)
    expect(left(start)).toEqual([[100, 3]])
    t.advance(1)
    expect(left(start)).toEqual([[300, 4]])
  })

  it('with pacing too, which has a timer of its own', () => {
    const peer = begin({ settings: { pacing: 1 } })
    peer.tcb.srtt = 100_000
    const start = t.nowMs
    t.write(peer.tcb, new Uint8Array(3_500))
    t.advance(100)
    peer.send('A', { ack: peer.tcb.sndNxt })
    t.advance(250)
    const all = left(start)
    expect(all.map(([, length]) => length).reduce((a, b) => a + b)).toBe(3_500)
    expect(all.at(-1)![1]).toBe(500)
  })
})
