import { afterEach, describe, expect, it } from 'vitest'
import { esballoc } from '../../streams/mblk/alloc.ts'
import { abort, release, shutdown } from './close.ts'
import { connect } from './open.ts'
import { send } from './send.ts'
import { CLOSED } from './states.ts'
import { established, type Peer, type PeerOptions } from './testing/peer.ts'
import { makeTcpTest, PEER, type TcpTest, type TcpTestOptions } from './testing/tcp-test.ts'
import { pollAt } from './timers.ts'

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

/** When data left, in ms since now. */
function times(ms: number): number[] {
  const start = t.nowMs
  t.take()
  t.advance(ms)
  return t
    .take()
    .filter(s => s.data.length > 0 || /[SF]/.test(s.flags))
    .map(s => s.atMs - start)
}

describe('tcp/timers: retransmission', () => {
  it('MUST-18, RFC 6298 §5.1 to §5.5: after the timeout, then after twice, four times as long, up to the ceiling', () => {
    const peer = begin()
    t.write(peer.tcb, 'lost')
    expect(times(500_000)).toEqual([
      240, 720, 1_680, 3_600, 7_440, 15_120, 30_480, 61_200, 122_640, 242_640, 362_640, 482_640,
    ])
  })

  it('RFC 6298 §5.2, §5.3: everything acknowledged stops the timer; something acknowledged starts it anew', () => {
    const peer = begin({}, { mss: 1_000 })
    t.write(peer.tcb, new Uint8Array(2_000))
    t.advance(200)
    peer.send('A', { ack: peer.ack + 1_000 })
    const rto = peer.tcb.rtoMs
    expect(times(rto - 1)).toEqual([])
    expect(times(1)).toEqual([1])
    peer.send('A', { ack: peer.tcb.sndNxt })
    expect(times(100_000)).toEqual([])
    expect(pollAt(t.tcp)).toBeNull()
  })

  it('MUST-20, SHLD-11 (R2): retransmissions go on for at least 100 s, and end with a reset', () => {
    const peer = begin()
    t.write(peer.tcb, 'lost')
    t.advance(900_000)
    expect(peer.tcb.state).not.toBe(CLOSED)
    t.take()
    t.advance(200_000)
    expect(t.events).toEqual(['closed timed-out'])
    expect(t.take().at(-1)!.flags).toBe('RA')
  })

  it('MUST-21, RFC 5482: the program can set it for its connection', () => {
    const peer = begin({ connection: { userTimeoutMs: 10_000 } })
    t.write(peer.tcb, 'lost')
    t.advance(9_000)
    expect(t.events).toEqual([])
    t.advance(12_000)
    expect(t.events).toEqual(['closed timed-out'])
  })

  it('progress puts R2 off', () => {
    const peer = begin({ settings: { r2Ms: 20_000 } }, { mss: 1_000 })
    peer.tcb.cwnd = 20_000
    t.write(peer.tcb, new Uint8Array(20_000))
    const first = peer.ack
    for (let i = 1; i < 15; i++) {
      t.advance(8_000)
      peer.send('A', { ack: first + i * 1_000 })
    }
    expect(t.events).toEqual([])
    t.advance(300_000)
    expect(t.events).toEqual(['closed timed-out'])
  })

  it('MUST-23: a SYN is sent again for at least three minutes', () => {
    t = makeTcpTest()
    t.hold(connect(t.tcp, { remote: PEER, remotePort: 9 }))
    expect(times(179_000).slice(0, 6)).toEqual([1_000, 3_000, 7_000, 15_000, 31_000, 63_000])
    expect(t.counters['timed-out']).toBe(0)
    t.advance(600_000)
    expect(t.tcp.connections.size).toBe(0)
    expect(t.counters['timed-out']).toBe(1)
  })

  it('RFC 6298 §5.7: a connection whose SYN was sent again begins with a timeout of three seconds', () => {
    t = makeTcpTest()
    const peer = t.peer()
    peer.connectFrom()
    t.advance(1_100)
    t.take()
    peer.send('SA', { mss: 1_460 })
    t.write(peer.tcb, 'first')
    expect(times(10_000)[0]).toBe(3_000)
  })

  it('RFC 5681 §3.1: one lost SYN leaves the initial window, two make it one segment', () => {
    for (const [waitMs, bytes] of [
      [1_100, 14_600],
      [3_500, 1_460],
    ] as const) {
      t = makeTcpTest()
      const peer = t.peer()
      peer.connectFrom()
      t.advance(waitMs)
      peer.send('SA', { mss: 1_460 })
      t.take()
      t.write(peer.tcb, new Uint8Array(50_000))
      expect(t.take().reduce((sum, s) => sum + s.data.length, 0)).toBe(bytes)
      if (waitMs === 1_100) t.finish()
    }
  })

  it('data given before the connection is established leaves with it (RFC 9293 §3.10.2)', () => {
    t = makeTcpTest()
    const peer = t.peer()
    peer.connectFrom()
    t.write(peer.tcb, 'early')
    expect(t.take()).toEqual([])
    peer.send('SA', { mss: 1_460 })
    expect(new TextDecoder().decode(t.takeOne().data)).toBe('early')
  })

  it('a connection that ends while its timer waits is not called any more, and frees what is queued', () => {
    const peer = begin()
    let released = 0
    send(t.tcp, peer.tcb, esballoc(t.arena, new Uint8Array(100_000), () => released++)!)
    t.flush()
    abort(t.tcp, peer.tcb)
    expect(released).toBe(1)
    t.take()
    t.advance(10_000)
    expect(t.take()).toEqual([])
  })

  it('an orphan gives up after 100 s, not after a quarter of an hour', () => {
    const peer = begin()
    t.write(peer.tcb, 'last words')
    release(t.tcp, peer.tcb)
    t.advance(90_000)
    expect(t.tcp.connections.size).toBe(1)
    t.advance(150_000)
    expect(t.tcp.connections.size).toBe(0)
  })

  it('the clock wraps: int32 milliseconds and microseconds', () => {
    for (const startUs of [2 ** 31 * 1_000 - 300_000, 2 ** 31 - 300_000, 2 ** 32 - 300_000]) {
      t = makeTcpTest({ startUs })
      const peer = established(t)
      peer.tcb.srtt = 20_000
      peer.tcb.rtoMs = 240
      t.write(peer.tcb, 'lost')
      // Never too early: within a millisecond the deadline is the end of one.
      const late = startUs % 1_000 === 0 ? 0 : 1
      expect(times(2_000)).toEqual([240 + late, 720 + late, 1_680 + late])
      if (startUs < 2 ** 32 - 300_000) t.finish()
    }
  })
})

describe('tcp/timers: tail loss probes (RFC 8985 §7)', () => {
  it('§7.2: two round trips and a little after the last data, before the retransmission timer', () => {
    const peer = begin({}, { sack: true, mss: 1_000 })
    t.tcp.offload = false
    t.write(peer.tcb, new Uint8Array(3_000))
    const start = t.nowMs
    t.take()
    t.advance(100)
    const probe = t.takeOne()
    expect([probe.atMs - start, probe.seq]).toEqual([42, (peer.ack + 2_000) | 0])
    expect(t.counters['tail-loss-probes']).toBe(1)
    expect(peer.tcb.cwnd).toBe(10_000)
  })

  it('§7.2: one segment alone is given the time of a delayed ACK', () => {
    const peer = begin({}, { sack: true })
    t.write(peer.tcb, 'x')
    expect(times(1_000)[0]).toBe(240)
  })

  it('§7.3: new data is better than the same again; one probe, then the timer', () => {
    const peer = begin({}, { sack: true, mss: 1_000 })
    t.tcp.offload = false
    peer.tcb.cwnd = 2_000
    t.write(peer.tcb, new Uint8Array(5_000))
    const start = peer.ack
    t.take()
    t.advance(60)
    expect(t.take().map(s => (s.seq - start) | 0)).toEqual([2_000])
    t.advance(100)
    expect(t.take()).toEqual([])
    t.advance(400)
    expect(t.take().map(s => (s.seq - start) | 0)[0]).toBe(0)
  })

  it('§7.4: a probe that repaired a loss counts as one; a probe of which a D-SACK tells does not', () => {
    for (const lost of [true, false]) {
      const peer = begin({ connection: { congestion: 'newreno' } }, { sack: true, mss: 1_000 })
      t.tcp.offload = false
      peer.tcb.cwnd = 10_000
      t.write(peer.tcb, new Uint8Array(10_000))
      const end = (peer.ack + 10_000) | 0
      t.advance(60)
      t.take()
      if (lost) {
        peer.send('A', { ack: end })
        t.write(peer.tcb, new Uint8Array(1_000))
        peer.send('A', { ack: end + 1_000 })
      } else {
        peer.send('A', { ack: end })
        peer.send('A', { ack: end, sack: [[end - 1_000, end]] })
      }
      expect(peer.tcb.ssthresh < 0x7fffffff).toBe(lost)
      if (lost) t.finish()
    }
  })

  it('the tail of a flight that was lost whole is repaired without a timeout', () => {
    const peer = begin({}, { sack: true, mss: 1_000 })
    t.tcp.offload = false
    t.write(peer.tcb, new Uint8Array(8_000))
    const start = peer.ack
    t.advance(20)
    // Five segments arrive, three do not.
    peer.send('A', { ack: start + 5_000 })
    t.take()
    t.advance(60)
    const probe = t.takeOne()
    expect(probe.seq).toBe((start + 7_000) | 0)
    t.advance(20)
    peer.send('A', { ack: start + 5_000, sack: [[start + 7_000, start + 8_000]] })
    t.advance(10)
    expect(t.take().map(s => (s.seq - start) | 0)).toEqual([5_000])
    t.advance(15)
    peer.send('A', { ack: start + 6_000, sack: [[start + 7_000, start + 8_000]] })
    expect(t.take().map(s => (s.seq - start) | 0)).toEqual([6_000])
    t.advance(20)
    peer.send('A', { ack: start + 8_000 })
    expect(t.counters['retransmission-timeouts']).toBe(0)
  })
})

describe('tcp/timers: keep-alive', () => {
  const keepAlive = { keepAlive: true, keepIdleMs: 10_000, keepIntervalMs: 1_000, keepProbes: 3 }

  it('MUST-24, 25: off unless the program asks for it', () => {
    begin()
    t.advance(30 * 3_600_000)
    expect([t.take(), t.counters['keep-alives-out']]).toEqual([[], 0])
  })

  it('MUST-27, 28: two hours unless the program says otherwise', () => {
    begin({ connection: { keepAlive: true } })
    t.advance(7_199_000)
    expect(t.take()).toEqual([])
    t.advance(2_000)
    expect(t.take().length).toBe(1)
  })

  it('SHLD-12: a keep-alive probe has no data, and stands one below what the peer expects', () => {
    const peer = begin({ connection: keepAlive })
    t.advance(10_000)
    expect(t.takeOne()).toMatchObject({ flags: 'A', seq: (peer.tcb.sndNxt - 1) | 0, data: new Uint8Array(0) })
    peer.send('A')
    t.take()
    t.advance(9_900)
    expect(t.take()).toEqual([])
    t.advance(200)
    expect(t.take().length).toBe(1)
  })

  it('MUST-26: not while data is on its way, or soon after something came', () => {
    const peer = begin({ connection: keepAlive })
    t.advance(9_000)
    peer.data('alive')
    t.take()
    t.advance(9_500)
    expect(t.take().filter(s => s.seq !== peer.tcb.sndNxt)).toEqual([])
    t.write(peer.tcb, 'data')
    t.advance(8_000)
    expect(t.counters['keep-alives-out']).toBe(0)
  })

  it('MUST-29: no single probe that is not answered ends it, all of them do', () => {
    const peer = begin({ connection: keepAlive })
    t.advance(12_500)
    expect(t.counters['keep-alives-out']).toBe(3)
    expect(t.events).toEqual([])
    peer.send('A')
    t.advance(12_500)
    expect(t.events).toEqual([])
    t.advance(2_000)
    expect(t.events).toEqual(['closed timed-out'])
    expect(t.take().at(-1)!.flags).toBe('RA')
  })

  it('checklist 3.5-52: FIN-WAIT-2 of a connection that nobody holds ends after its time', () => {
    const peer = begin()
    release(t.tcp, peer.tcb)
    t.flush()
    peer.hear()
    peer.send('A')
    t.advance(59_000)
    expect(t.tcp.connections.size).toBe(1)
    t.advance(2_000)
    expect([t.tcp.connections.size, t.counters['fin-wait-2-expired']]).toEqual([0, 1])
  })
})

describe('tcp/timers: the wheel', () => {
  it('an ACK does not move the wheel’s entry: one entry for each connection, however much is sent', () => {
    const peer = begin({}, { mss: 1_000 })
    for (let i = 0; i < 200; i++) {
      t.write(peer.tcb, new Uint8Array(1_000))
      peer.hear()
      t.setNow(t.nowUs + 500)
      peer.send('A')
    }
    expect(t.tcp.wheel.size).toBe(1)
  })

  it('nothing waits of a connection that is idle without keep-alive', () => {
    const peer = begin()
    t.write(peer.tcb, 'x')
    peer.hear()
    peer.send('A')
    t.advance(5_000)
    expect([pollAt(t.tcp), t.tcp.wheel.size]).toEqual([null, 0])
    shutdown(t.tcp, peer.tcb)
  })
})
