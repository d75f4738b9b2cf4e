import { afterEach, describe, expect, it } from 'vitest'
import { CA_CWR, CA_OPEN } from './flight.ts'
import { Pair, Receiver, Sender } from './testing/pair.ts'
import type { Peer } from './testing/peer.ts'
import { makeTcpTest, type TcpTest } from './testing/tcp-test.ts'

let t: TcpTest

afterEach(() => t.finish())

function begin(): Peer {
  t = makeTcpTest({ settings: { ecn: 2 }, connection: { congestion: 'newreno' } })
  t.tcp.offload = false
  const peer = t.peer({ sack: true, mss: 1_000, window: 60_000 })
  peer.connectFrom()
  peer.send('SAE', { mss: 1_000, sackPermitted: true })
  t.take()
  Object.assign(peer.tcb, { srtt: 20_000, minRtt: 20_000, cwnd: 20_000 })
  t.write(peer.tcb, new Uint8Array(50_000))
  t.take()
  return peer
}

describe('tcp/ecn: the sender (RFC 3168 §6.1.2)', () => {
  it('SHLD-8: an echo halves the window once in a window of data, sends nothing again, and the next new data says CWR', () => {
    const peer = begin()
    const first = peer.ack
    peer.send('AE', { ack: first + 2_000 })
    expect([peer.tcb.flight!.caState, peer.tcb.ssthresh]).toEqual([CA_CWR, 10_000])
    const sent = t.take()
    for (let i = 3; i < 18; i++) {
      peer.send('AE', { ack: first + i * 1_000 })
      sent.push(...t.take())
    }
    expect(peer.tcb.ssthresh).toBe(10_000)
    const data = sent.filter(s => s.data.length > 0)
    expect(data[0]!.flags).toContain('C')
    expect(data.slice(1).some(s => s.flags.includes('C'))).toBe(false)
    expect(Math.min(...data.map(s => (s.seq - first) | 0))).toBeGreaterThanOrEqual(20_000)
    // Half of what was in flight, in proportion to what was acknowledged meanwhile (RFC 9937).
    expect(data.length).toBeLessThanOrEqual(10)
    peer.send('A', { ack: peer.tcb.sndNxt })
    expect(peer.tcb.flight!.caState).toBe(CA_OPEN)
    expect(t.counters['ecn-ece-in']).toBe(16)
  })

  it('the next window may be halved again', () => {
    const peer = begin()
    peer.send('AE', { ack: peer.ack + 2_000 })
    t.take()
    peer.send('A', { ack: peer.tcb.sndNxt })
    t.take()
    const { ssthresh } = peer.tcb
    peer.send('AE', { ack: peer.tcb.sndUna + 1_000 })
    expect(peer.tcb.ssthresh).toBeLessThan(ssthresh)
  })

  it('CWR is on one segment even if the window asks for a super-segment: a device repeats header bits', () => {
    const peer = begin()
    t.tcp.offload = true
    Object.assign(peer.tcb, { srtt: 100, minRtt: 100 })
    peer.send('AE', { ack: peer.tcb.sndNxt })
    const data = t.take().filter(s => s.data.length > 0)
    expect(data.length).toBeGreaterThan(1)
    expect(data.map(s => [s.flags.includes('C'), s.data.length > 1_000])[0]).toEqual([true, false])
    expect(data.slice(1).some(s => s.flags.includes('C'))).toBe(false)
  })

  it('checklist 3.5-56: who did not agree on ECN is not impressed by ECE', () => {
    t = makeTcpTest({ settings: { ecn: 0 } })
    const peer = t.peer({ mss: 1_000 })
    peer.connectFrom()
    peer.send('SA', { mss: 1_000 })
    t.write(peer.tcb, new Uint8Array(10_000))
    const { cwnd } = peer.tcb
    peer.send('AE', { ack: peer.ack + 1_000 })
    expect([peer.tcb.ssthresh, peer.tcb.cwnd >= cwnd]).toEqual([0x7fffffff, true])
  })

  it('two of our own on a link that marks: no packet is lost, and the queue stays short', () => {
    t = makeTcpTest()
    const pair = new Pair({
      link: { delayMs: 10, cut: true, bitsPerSecond: 50_000_000, queueBytes: 500_000, markBytes: 30_000 },
      back: { delayMs: 10 },
      settings: { ecn: 2 },
    })
    const { client, server } = pair.connect()
    const sender = new Sender(pair.a, client, 25_000_000)
    const receiver = new Receiver(pair.b, server)
    pair.onStep = () => {
      sender.step()
      receiver.step()
    }
    const start = pair.nowUs
    pair.run(60_000, () => receiver.got === sender.total)
    const megabits = (receiver.got * 8) / (pair.nowUs - start)
    expect(megabits).toBeGreaterThan(35)
    expect(pair.a.tcp.counters['retransmitted-segments']).toBe(pair.aToB.lost)
    expect(pair.a.tcp.counters['ecn-ece-in']).toBeGreaterThan(10)
    pair.finish()
  })
})
