import { afterEach, describe, expect, it } from 'vitest'
import { CA_OPEN } from './flight.ts'
import { pathMtuChanged } from './path-mtu.ts'
import { Pair, Receiver, Sender } from './testing/pair.ts'
import { established, type Peer, type PeerOptions } from './testing/peer.ts'
import { makeTcpTest, type TcpTest, type TcpTestOptions } from './testing/tcp-test.ts'

let t: TcpTest

afterEach(() => t.finish())

function begin(options: TcpTestOptions = {}, peerOptions: PeerOptions = {}): Peer {
  t = makeTcpTest(options)
  const peer = established(t, { sack: true, window: 60_000, ...peerOptions })
  Object.assign(peer.tcb, { srtt: 20_000, minRtt: 20_000, rtoMs: 240 })
  return peer
}

const sizes = (): number[] =>
  t
    .take()
    .flatMap(s =>
      Array<number>(Math.ceil(s.data.length / (s.gsoSize || s.data.length))).fill(s.gsoSize || s.data.length),
    )

describe('tcp/path-mtu: what ICMP says', () => {
  it('RFC 1191 §6.5: what was too long goes out again in shorter segments, and the window is not reduced', () => {
    const peer = begin()
    t.write(peer.tcb, new Uint8Array(14_600))
    t.take()
    const { cwnd, ssthresh } = peer.tcb
    pathMtuChanged(t.tcp, peer.tcb, 1_280)
    t.flush()
    const again = t.take()
    expect(again[0]).toMatchObject({ seq: peer.ack, gsoSize: 1_240 })
    expect(again.reduce((sum, s) => sum + s.data.length, 0)).toBeGreaterThan(12_000)
    expect([peer.tcb.sndMss, peer.tcb.cwnd, t.counters['path-mtu-lowered']]).toEqual([1_240, cwnd, 1])
    expect(peer.tcb.ssthresh).toBeGreaterThanOrEqual(Math.min(ssthresh, cwnd >> 1))
    t.advance(20)
    peer.send('A', { ack: peer.ack + 14_600 })
    expect([peer.tcb.sndUna, peer.tcb.flight!.caState]).toEqual([peer.tcb.sndNxt, CA_OPEN])
  })

  it('checklist 3.5-42, -43: no path is taken to be smaller than 552 bytes (IPv6: 1,280); larger ones are not believed', () => {
    const peer = begin()
    pathMtuChanged(t.tcp, peer.tcb, 68)
    expect([peer.tcb.pathMtu, peer.tcb.sndMss]).toEqual([552, 512])
    pathMtuChanged(t.tcp, peer.tcb, 9_000)
    expect(peer.tcb.pathMtu).toBe(552)
    t.finish()
    const six = begin({}, { family: 6 })
    pathMtuChanged(t.tcp, six.tcb, 100)
    expect(six.tcb.pathMtu).toBe(1_280)
  })

  it('segments that fit all the same are left alone', () => {
    const peer = begin({}, { mss: 1_000 })
    t.write(peer.tcb, new Uint8Array(5_000))
    t.take()
    pathMtuChanged(t.tcp, peer.tcb, 1_300)
    t.flush()
    expect(t.take()).toEqual([])
    expect(peer.tcb.sndMss).toBe(1_000)
  })

  it('RFC 8201 §4, 1191 §6.3: ten minutes later the larger size is used again, if IP knows of nothing smaller', () => {
    const peer = begin()
    t.write(peer.tcb, 'x')
    pathMtuChanged(t.tcp, peer.tcb, 1_000)
    t.advance(10)
    peer.send('A', { ack: peer.tcb.sndNxt })
    for (let i = 0; i < 13; i++) {
      t.advance(60_000)
      t.write(peer.tcb, new Uint8Array(3_000))
      peer.send('A', { ack: peer.tcb.sndNxt })
    }
    expect(peer.tcb.pathMtu).toBe(1_500)
  })
})

describe('tcp/path-mtu: what arrives (RFC 4821, 8899)', () => {
  it('a black hole: after three timeouts of full segments shorter ones are tried, down to the floor', () => {
    const peer = begin()
    t.write(peer.tcb, new Uint8Array(14_600))
    t.advance(60_000)
    expect(t.counters['path-mtu-black-holes']).toBeGreaterThan(1)
    expect(peer.tcb.pathMtu).toBe(552)
    expect(Math.min(...sizes())).toBe(512)
  })

  it('small segments that are lost are no black hole; nor is anything if the stack’s setting says so', () => {
    const peer = begin()
    t.write(peer.tcb, 'small')
    t.advance(60_000)
    expect([t.counters['path-mtu-black-holes'], peer.tcb.pathMtu]).toEqual([0, 1_500])
    t.finish()
    const off = begin({ settings: { mtuProbing: 0 } })
    t.write(off.tcb, new Uint8Array(14_600))
    t.advance(60_000)
    expect(off.tcb.pathMtu).toBe(1_500)
  })

  it.each([
    [1_500, 1_400],
    [9_000, 1_500],
    [9_000, 4_000],
  ])(
    'of %i the path takes %i, and no router says so: the transfer goes through, and finds out',
    (mtu, takes) => {
      t = makeTcpTest()
      const pair = new Pair({
        mtu,
        link: { delayMs: 10, cut: true, drop: packet => packet.bytes.length + 20 > takes },
        back: { delayMs: 10 },
        settings: { mtuProbing: 1 },
      })
      const { client, server } = pair.connect()
      const sender = new Sender(pair.a, client, 20_000_000)
      const receiver = new Receiver(pair.b, server)
      pair.onStep = () => {
        sender.step()
        receiver.step()
      }
      pair.run(120_000, () => receiver.got === sender.total)
      expect(receiver.got).toBe(sender.total)
      expect(client.pathMtu).toBeGreaterThan(takes - 64)
      expect(client.pathMtu).toBeLessThanOrEqual(takes)
      const counters = pair.a.tcp.counters
      expect(counters['path-mtu-probes']).toBeGreaterThan(2)
      // RFC 4821 §7.4: a probe that is lost is no sign of congestion.
      expect(counters['fast-retransmits']).toBe(0)
      pair.finish()
    },
  )

  /** Through a black hole, down to 1,280, and everything acknowledged. */
  function beyondBlackHole(): Peer {
    const peer = begin({}, { window: 65_535 })
    t.write(peer.tcb, new Uint8Array(14_600))
    while (t.counters['path-mtu-black-holes'] === 0) t.toNextDeadline()
    peer.hear()
    t.advance(20)
    peer.send('A', { ack: peer.tcb.sndNxt })
    expect([peer.tcb.pathMtu, peer.tcb.sndUna]).toEqual([1_280, peer.tcb.sndNxt])
    t.take()
    return peer
  }

  it('RFC 8899 §4.3: a black hole is remembered over an idle time', () => {
    const peer = beyondBlackHole()
    t.advance(10_000)
    expect(peer.tcb.flight).toBe(null)
    t.write(peer.tcb, new Uint8Array(5_000))
    expect(Math.max(...sizes())).toBe(1_240)
    // And the search goes on with probes, where there is enough to send.
    peer.send('A', { ack: peer.tcb.sndNxt })
    peer.tcb.cwnd = 60_000
    t.advance(1_000)
    t.write(peer.tcb, new Uint8Array(40_000))
    expect(t.counters['path-mtu-probes']).toBe(1)
    expect(Math.max(...sizes())).toBe(1_350)
  })

  it('RFC 4821 §7.6.4: a probe that was lost together with others and sent again in pieces proves nothing', () => {
    const peer = beyondBlackHole()
    const { tcb } = peer
    tcb.cwnd = 60_000
    t.advance(2_000)
    t.write(tcb, new Uint8Array(40_000))
    const { flight } = tcb
    const [probe, after] = t.take()
    expect([probe!.data.length, flight!.mtuProbeSize]).toEqual([1_350, 1_390])
    // Probe and the segment behind it are missing.
    const left = (after!.seq + 1_240) | 0
    t.advance(20)
    for (let i = 1; i <= 4; i++) peer.send('A', { ack: probe!.seq, sack: [[left, (left + i * 1_240) | 0]] })
    t.advance(20)
    t.take()
    peer.send('A', { ack: tcb.sndNxt })
    expect([tcb.pathMtu, tcb.sndMss]).toEqual([1_280, 1_240])
  })
})
