import { afterEach, describe, expect, it } from 'vitest'
import { established, type Peer, type PeerOptions } from './testing/peer.ts'
import { makeTcpTest, type TcpTest, type TcpTestOptions } from './testing/tcp-test.ts'

let t: TcpTest

afterEach(() => t.finish())

/** A connection with `segments` segments of 1,000 bytes in flight. @returns the peer, and the number of the n-th segment */
function inFlight(
  segments: number,
  options: TcpTestOptions = {},
  peerOptions: PeerOptions = {},
): [Peer, (n: number) => number] {
  t = makeTcpTest(options)
  const peer = established(t, { mss: 1_000, sack: true, window: 60_000, ...peerOptions })
  peer.tcb.cwnd = 1_000_000
  t.write(peer.tcb, new Uint8Array(segments * peer.tcb.sndMss))
  const first = peer.ack
  // It may become less meanwhile: timeouts in a row make the path suspect.
  const { sndMss } = peer.tcb
  t.take()
  return [peer, n => (first + n * sndMss) | 0]
}

describe('tcp/acknowledge', () => {
  it('RFC 5961 §5 (checklist 3.5-32): acceptable is from SND.UNA - MAX.SND.WND to SND.NXT, the rest is answered', () => {
    const [peer, at] = inFlight(10)
    peer.send('A', { ack: at(4) })
    t.take()
    const { tcb } = peer
    peer.send('A', { ack: at(10) + 1 })
    expect([tcb.sndUna, t.counters['ack-beyond-sent']]).toEqual([at(4), 1])
    expect(t.takeOne()).toMatchObject({ flags: 'A', seq: at(10) })
    peer.send('A', { ack: (at(4) - 60_000) | 0 })
    expect(t.counters['ack-old']).toBe(1)
    peer.send('A', { ack: (at(4) - 60_001) | 0 })
    expect([tcb.sndUna, t.counters['ack-unacceptable']]).toEqual([at(4), 1])
  })

  it('checklist 3.5-48: an optimistic ACK acknowledges nothing and opens no window', () => {
    const [peer, at] = inFlight(10)
    peer.tcb.cwnd = 10_000
    for (let i = 0; i < 20; i++) peer.send('A', { ack: at(11 + i) })
    expect([peer.tcb.sndUna, peer.tcb.cwnd]).toEqual([at(0), 10_000])
  })

  it('RFC 9293 §3.10.7.4: only a segment that is newer by SEG.SEQ, or as new with an ACK that is not older, moves the window', () => {
    const [peer, at] = inFlight(4)
    const { tcb } = peer
    peer.send('A', { ack: at(2), window: 9_000 })
    expect(tcb.sndWnd).toBe(9_000)
    peer.send('A', { ack: at(1), window: 5_000 })
    expect(tcb.sndWnd).toBe(9_000)
    peer.send('A', { ack: at(2), window: 7_000 })
    expect(tcb.sndWnd).toBe(7_000)
    peer.send('PA', { data: 'x', ack: at(2) })
    expect(tcb.sndWnd).toBe(60_000)
    peer.send('A', { ack: at(3), seq: peer.next - 1, window: 3_000 })
    expect(tcb.sndWnd).toBe(60_000)
  })

  it('RFC 7323 §2.3: the window is scaled', () => {
    const [peer] = inFlight(1, {}, { windowScale: 5, window: 1_000 })
    expect(peer.tcb.sndWnd).toBe(32_000)
  })

  it('RFC 6298 §3 (Karn): no sample from what was sent twice without timestamps, none of a mixed ACK', () => {
    const [peer, at] = inFlight(2)
    const { tcb } = peer
    t.advance(30)
    peer.send('A', { ack: at(1) })
    const { srtt, rttvar } = tcb
    expect(srtt).toBeGreaterThan(0)
    t.advance(5_000)
    expect(t.counters['retransmitted-segments']).toBeGreaterThan(0)
    peer.send('A', { ack: at(2) })
    expect([tcb.srtt, tcb.rttvar]).toEqual([srtt, rttvar])
  })

  it('RFC 7323 §4: with timestamps what was sent twice gives a sample if the echo is the last transmission’s', () => {
    const [peer, at] = inFlight(2, {}, { timestamps: true })
    const { tcb } = peer
    t.advance(2_000)
    const again = peer.hear().filter(s => s.data.length > 0)
    expect(again.length).toBeGreaterThan(0)
    t.advance(25)
    const before = tcb.srtt
    peer.send('A', { ack: at(1) })
    expect(tcb.srtt).not.toBe(before)
    expect(tcb.backoff).toBe(0)
  })

  it('an ACK that echoes a transmission before the last gives none: how long it took nobody knows', () => {
    const [peer, at] = inFlight(2, {}, { timestamps: true })
    const { tcb } = peer
    t.advance(1)
    const early = (t.tcp.nowMs + tcb.tsOffset) | 0
    t.advance(5_000)
    const { srtt, backoff } = tcb
    expect(backoff).toBeGreaterThan(1)
    peer.send('A', { ack: at(2), timestamps: [peer.tsNow, early] })
    expect([tcb.srtt, tcb.backoff]).toEqual([srtt, backoff])
  })

  it('RFC 6298 §5.7, Karn: the doubled timeout stays until there is a sample', () => {
    const [peer, at] = inFlight(3, { settings: { sack: 0 } })
    const { tcb } = peer
    t.advance(2_000)
    const { backoff } = tcb
    expect(backoff).toBeGreaterThan(1)
    peer.send('A', { ack: at(1) })
    expect(tcb.backoff).toBe(backoff)
    peer.send('A', { ack: at(3) })
    t.write(tcb, 'new')
    t.take()
    t.advance(5)
    peer.send('A', { ack: tcb.sndNxt })
    expect(tcb.backoff).toBe(0)
  })

  it('what is sent again and acknowledged soon is not taken for a long round trip (an ACK of segments that waited for it)', () => {
    const [peer, at] = inFlight(4, { settings: { sack: 0 } })
    const { tcb } = peer
    t.advance(1)
    peer.send('A', { ack: at(1) })
    const before = tcb.srtt
    t.advance(10_000)
    // Segments 2 and 3 had arrived long ago, segment 1 only now.
    peer.send('A', { ack: at(4) })
    expect(tcb.srtt).toBe(before)
  })

  it('checklist 3.5-51: over 4 GiB and past 2^31 and 2^32, with windows of a megabyte', () => {
    t = makeTcpTest()
    const peer = established(t, { mss: 9_000, windowScale: 7, window: 0x4000, timestamps: true })
    t.mtu = 9_000
    const { tcb } = peer
    const chunk = new Uint8Array(262_144)
    let bytes = 0
    for (let i = 0; i < 17_000; i++) {
      // Jumps over most of the space: what is in between is as if it had been sent and acknowledged.
      t.nowUs += 1_000
      t.setNow(t.nowUs)
      if (i % 2 === 0) {
        t.write(tcb, chunk)
        for (let guard = 0; tcb.flight !== null && tcb.flight.board.count > 0 && guard < 50; guard++) {
          peer.hear()
          peer.send('A')
        }
        bytes += chunk.length
        expect(tcb.sndUna).toBe(tcb.sndNxt)
      }
      if (i === 20) break
    }
    expect(bytes).toBeGreaterThan(2_000_000)
    expect(t.counters['retransmitted-segments']).toBe(0)
  })

  it('an ACK while nothing is in flight changes nothing', () => {
    const [peer, at] = inFlight(1)
    peer.send('A', { ack: at(1) })
    t.take()
    const { cwnd, srtt } = peer.tcb
    for (let i = 0; i < 10; i++) peer.send('A', { ack: at(1) })
    expect([peer.tcb.cwnd, peer.tcb.srtt, t.take()]).toEqual([cwnd, srtt, []])
  })

  it('RFC 7661, RFC 9438 §5.8 (checklist 3.5-56): a window that the program does not use does not grow', () => {
    const [peer] = inFlight(1)
    const { tcb } = peer
    tcb.cwnd = 20_000
    for (let i = 0; i < 200; i++) {
      t.advance(10)
      peer.send('A', { ack: tcb.sndNxt })
      t.write(tcb, new Uint8Array(1_000))
      t.take()
    }
    expect(tcb.cwnd).toBe(20_000)
  })

  it('RFC 5681 §4.1, 2861: after an idle time it begins at the initial window again, what was reached is remembered', () => {
    const [peer] = inFlight(1)
    const { tcb } = peer
    t.advance(10)
    peer.send('A', { ack: tcb.sndNxt })
    tcb.cwnd = 40_000
    tcb.lastOutAt = t.tcp.nowMs
    t.advance(60_000)
    t.write(tcb, new Uint8Array(30_000))
    expect(t.take().reduce((sum, s) => sum + s.data.length, 0)).toBe(10_000)
    expect(tcb.ssthresh).toBeGreaterThanOrEqual(30_000)
  })

  it('half of the window goes with each timeout of silence', () => {
    const [peer] = inFlight(1)
    const { tcb } = peer
    t.advance(10)
    peer.send('A', { ack: tcb.sndNxt })
    tcb.cwnd = 40_000
    tcb.lastOutAt = t.tcp.nowMs
    t.advance(Math.floor(1.5 * tcb.rtoMs))
    t.write(tcb, new Uint8Array(60_000))
    expect(t.take().reduce((sum, s) => sum + s.data.length, 0)).toBe(20_000)
  })

  it('the record of a flight goes back to the pool when nothing was in flight for a while, and the window stays', () => {
    const [peer] = inFlight(5)
    const { tcb } = peer
    peer.send('A', { ack: tcb.sndNxt })
    const { cwnd } = tcb
    expect(tcb.flight).not.toBeNull()
    t.advance(1_000)
    expect([tcb.flight, tcb.cwnd]).toEqual([null, cwnd])
    t.write(tcb, 'again')
    expect(t.takeOne().data.length).toBe(5)
  })

  it('RFC 9293 §3.10.7.4: data that is sent again brings the newest window, if it acknowledges more', () => {
    t = makeTcpTest()
    const peer = established(t, { window: 4_000 })
    t.write(peer.tcb, new Uint8Array(3_000))
    t.take()
    // The peer's first segment is lost, its second is not.
    peer.send('A', { seq: (peer.next + 1_000) | 0, data: new Uint8Array(1_000), window: 4_000 })
    // Its program reads nothing: what is acknowledged is no longer room.
    peer.send('A', { data: new Uint8Array(1_000), ack: (peer.ack + 3_000) | 0, window: 1_000 })
    expect([peer.tcb.sndUna, peer.tcb.sndWnd]).toEqual([peer.tcb.sndNxt, 1_000])
    // An older one, which acknowledges nothing new, does not.
    peer.send('A', {
      seq: (peer.next - 500) | 0,
      data: new Uint8Array(500),
      ack: peer.tcb.sndUna,
      window: 9_000,
    })
    expect(peer.tcb.sndWnd).toBe(1_000)
    peer.next = (peer.next + 1_000) | 0
  })

  it('Minshall: a small segment of long ago holds nothing back when sequence numbers have gone half round', () => {
    t = makeTcpTest()
    const peer = established(t)
    t.write(peer.tcb, 'small')
    peer.hear()
    peer.send('A')
    expect(peer.tcb.flight!.hasSmall).toBe(false)
  })
})
