import { afterEach, describe, expect, it } from 'vitest'
import { freemsg } from '../../streams/mblk/alloc.ts'
import { OFFLOAD_CSUM_NEEDED, OFFLOAD_GSO_TCP4, OFFLOAD_GSO_TCP6 } from '../../streams/mblk/mblk.ts'
import { blockCount } from '../../streams/mblk/message.ts'
import { tcpInfo } from './info.ts'
import { F_ACK_NOW } from './tcb.ts'
import { established, type Peer, type PeerOptions } from './testing/peer.ts'
import { HERE, HERE6, makeTcpTest, PEER6, type TcpTest, type TcpTestOptions } from './testing/tcp-test.ts'

let t: TcpTest

afterEach(() => t.finish())

function begin(options: TcpTestOptions = {}, peerOptions: PeerOptions = {}): Peer {
  t = makeTcpTest(options)
  return established(t, peerOptions)
}

describe('tcp/emit', () => {
  it.each([4, 6] as const)(
    'IPv%i: one header block and a view of each block of payload; the checksum left to IP',
    family => {
      const peer = begin({}, { family })
      let seen: readonly number[] = []
      t.onTransmit = mp => {
        const header = mp.cont!
        seen = [blockCount(header), header.offload, header.csumStart, header.csumOffset, header.gsoSize]
        freemsg(mp)
      }
      t.write(peer.tcb, new Uint8Array(5_000))
      const gso = family === 4 ? OFFLOAD_GSO_TCP4 : OFFLOAD_GSO_TCP6
      expect(seen).toEqual([2, OFFLOAD_CSUM_NEEDED | gso, 0, 16, peer.tcb.sndMss])
      expect(t.counters['super-segments-out']).toBe(1)
      t.onTransmit = null
    },
  )

  it('SHLD-22: addresses, TTL and traffic class are the connection’s', () => {
    const peer = begin({ connection: { ttl: 7, trafficClass: 0xb8 | 3 } }, { family: 6 })
    t.write(peer.tcb, 'x')
    expect(t.takeOne()).toMatchObject({ from: HERE6, to: PEER6, hopLimit: 7, trafficClass: 0xb8 })
  })

  it('SHLD-21: the traffic class can be changed on the way, for data and acknowledgments', () => {
    const peer = begin({ connection: { quickAck: true } })
    for (const trafficClass of [0x28, 0xb8, 0]) {
      peer.tcb.settings = { ...peer.tcb.settings, trafficClass }
      t.write(peer.tcb, 'x')
      expect(t.takeOne().trafficClass).toBe(trafficClass)
      peer.send('A', { ack: peer.tcb.sndNxt })
      peer.data('y')
      expect(t.takeOne().trafficClass).toBe(trafficClass)
    }
  })

  it('RFC 7323 §3.2: every segment has the timestamp option, and echoes the newest in order', () => {
    const peer = begin({}, { timestamps: true })
    t.advance(5)
    peer.data('a')
    t.write(peer.tcb, 'b')
    const [sent] = t.take()
    expect(sent!.timestamps).toEqual([(t.tcp.nowMs + peer.tcb.tsOffset) | 0, peer.tsNow])
  })

  it('the window is scaled as agreed, and not scaled in the SYN', () => {
    t = makeTcpTest()
    const peer = t.peer({ windowScale: 3 })
    const syn = peer.connectFrom()
    expect(syn.window).toBe(65_535)
    peer.send('SA', { mss: 1_460, windowScale: 3 })
    t.write(peer.tcb, 'x')
    const scale = peer.tcb.rcvScale
    expect(scale).toBeGreaterThan(0)
    expect(t.take().at(-1)!.window << scale).toBeGreaterThan(200_000)
  })

  it('RFC 2018 §4: SACK blocks ride on short data, and have a segment of their own beside full ones', () => {
    const peer = begin({}, { sack: true })
    peer.send('PA', { seq: peer.next + 100, data: 'late' }, {}, false)
    t.write(peer.tcb, 'short')
    const block = [[(peer.next + 100) | 0, (peer.next + 104) | 0]]
    expect(t.takeOne().sack).toEqual(block)
    peer.send('PA', { seq: peer.next + 200, data: 'late' }, {}, false)
    t.write(peer.tcb, new Uint8Array(2_920))
    const sent = t.take()
    expect(sent.map(s => [s.data.length, s.sack.length])).toEqual([
      [0, 2],
      [2_920, 0],
    ])
  })

  it('no blocks: nothing leaves, nothing leaks, it is counted', () => {
    const peer = begin({ arenaOptions: { sizeBytes: 1024 * 1024 } })
    const hoard = []
    for (let mp = t.arena.take(1); mp !== null; mp = t.arena.take(1)) hoard.push(mp)
    peer.tcb.flags |= F_ACK_NOW
    t.tcp.schedule(peer.tcb)
    t.flush()
    expect(t.counters['no-buffers']).toBeGreaterThan(0)
    for (const mp of hoard) freemsg(mp)
    expect(t.take()).toEqual([])
  })
})

describe('tcp/emit-bare: resets', () => {
  it('RFC 9293 §3.10.7.1: with an ACK the reset takes its number, else it acknowledges what came', () => {
    t = makeTcpTest()
    t.inject({ flags: 'A', seq: 5, ack: 77 }, [1, 2])
    expect(t.takeOne()).toMatchObject({ flags: 'R', seq: 77, ack: 0, window: 0, from: HERE })
    t.inject({ flags: 'S', seq: 5 }, [1, 2])
    expect(t.takeOne()).toMatchObject({ flags: 'RA', seq: 0, ack: 6 })
    t.inject({ flags: 'F', seq: 5, data: 'abc' }, [1, 2])
    expect(t.takeOne()).toMatchObject({ flags: 'RA', seq: 0, ack: 9 })
    t.inject({ flags: 'R', seq: 5 }, [1, 2])
    expect(t.take()).toEqual([])
  })

  it('checklist 3.5-57: a scan of 65,535 ports gets so many resets a second, in constant memory', () => {
    t = makeTcpTest({ settings: { resetsPerSecond: 1_000 } })
    const before = t.arena.state().blocksInUse
    for (let port = 1; port < 65_536; port++) t.inject({ flags: 'S', seq: port }, [1_000, port], {}, false)
    expect(t.take().length).toBe(1_000)
    expect([t.counters['resets-out'], t.counters['resets-limited']]).toEqual([1_000, 64_535])
    expect(t.arena.state().blocksInUse).toBe(before)
    t.advance(1_000)
    t.inject({ flags: 'S', seq: 1 }, [1, 2])
    expect(t.take().length).toBe(1)
  })
})

describe('tcp/info', () => {
  it('counts segments as Linux does, and bytes as they are', () => {
    const peer = begin({}, { mss: 1_000, sack: true, window: 60_000 })
    Object.assign(peer.tcb, { srtt: 20_000, minRtt: 20_000, cwnd: 10_000 })
    t.write(peer.tcb, new Uint8Array(15_500))
    peer.send('A', { sack: [[peer.ack + 2_000, peer.ack + 6_000]] })
    const info = tcpInfo(t.tcp, peer.tcb)
    expect(info).toMatchObject({
      state: 'ESTABLISHED',
      caState: 'recovery',
      congestion: 'cubic',
      sack: true,
      timestamps: false,
      sndMss: 1_000,
      pathMtu: 1_500,
      sacked: 4,
      lost: 2,
      reordering: 3,
      ssthresh: 7,
      sndWnd: 60_000,
    })
    expect(info.unackedBytes + info.notSentBytes).toBe(15_500)
    expect(info.unacked).toBe(Math.ceil(info.unackedBytes / 1_000))
    // 4,000 bytes delivered are worth 2,800 to be sent (RFC 9937).
    expect([info.retrans, info.retransmits]).toEqual([2, 2])
  })

  it('of an idle connection too', () => {
    const peer = begin()
    expect(tcpInfo(t.tcp, peer.tcb)).toMatchObject({
      caState: 'open',
      cwnd: 10,
      unacked: 0,
      notSentBytes: 0,
      ssthresh: 0x7fffffff,
    })
  })
})

describe('tcp/pacing', () => {
  it('data leaves over the round trip, not at once; without the setting at once', () => {
    const spread = (pacing: 0 | 1): number[] => {
      const peer = begin({ settings: { pacing } }, { mss: 1_000 })
      Object.assign(peer.tcb, { srtt: 40_000, minRtt: 40_000, cwnd: 40_000, ssthresh: 40_000 })
      const start = t.nowMs
      t.write(peer.tcb, new Uint8Array(40_000))
      t.advance(39)
      const times = t.take().map(s => s.atMs - start)
      return [Math.max(...times), times.length]
    }
    expect(spread(0)[0]).toBe(0)
    t.finish()
    const [last, count] = spread(1)
    // 40 segments in 40 ms / 1.2.
    expect(last).toBeGreaterThan(25)
    expect(last).toBeLessThan(36)
    expect(count).toBeGreaterThan(10)
  })
})
