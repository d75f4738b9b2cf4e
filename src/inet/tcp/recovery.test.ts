import { afterEach, describe, expect, it } from 'vitest'
import { CA_LOSS, CA_OPEN, CA_RECOVERY, pipe } from './flight.ts'
import { F_REORDERING } from './tcb.ts'
import { established, type Peer } from './testing/peer.ts'
import type { SentSegment } from './testing/segments.ts'
import { makeTcpTest, type TcpTest } from './testing/tcp-test.ts'

const MSS = 1_000
const RTT_MS = 40
let t: TcpTest

afterEach(() => t.finish())

interface Options {
  readonly sack?: boolean
  readonly timestamps?: boolean
  readonly congestion?: 'cubic' | 'newreno'
  /** Bytes queued behind what is in flight. */
  readonly more?: number
}

/** So many segments in flight, filling the window; the round trip is known. */
function inFlight(segments: number, options: Options = {}): [peer: Peer, at: (n: number) => number] {
  const timestamps = options.timestamps ?? false
  t = makeTcpTest({ connection: { sendBytes: 1_000_000, congestion: options.congestion ?? 'newreno' } })
  t.tcp.offload = false
  const peer = established(t, {
    mss: timestamps ? MSS + 12 : MSS,
    sack: options.sack ?? true,
    timestamps,
    windowScale: 7,
    window: 5_000,
  })
  peer.send('A')
  const { tcb } = peer
  Object.assign(tcb, { srtt: RTT_MS * 1_000, minRtt: RTT_MS * 1_000, rttvar: 1_000, rtoMs: 240 })
  tcb.cwnd = segments * MSS
  tcb.ssthresh = tcb.cwnd
  const first = peer.ack
  t.write(tcb, new Uint8Array(segments * MSS + (options.more ?? 100_000)))
  expect(t.take().length).toBe(segments)
  t.advance(RTT_MS)
  return [peer, n => (first + n * MSS) | 0]
}

/** The numbers of the segments that were sent, in segments from the first. */
function numbers(peer: Peer, at: (n: number) => number, sent: SentSegment[] = t.take()): number[] {
  if (peer.timestamps) for (const s of sent) if (s.timestamps !== null) peer.tsRecent = s.timestamps[0]
  return sent.filter(s => s.data.length > 0).map(s => ((s.seq - at(0)) | 0) / MSS)
}

describe('tcp/recovery: without SACK', () => {
  it('RFC 5681 §3.2, 3042: two duplicates send new data, the third the first segment again, at half the window', () => {
    const [peer, at] = inFlight(20, { sack: false })
    peer.send('A', { ack: at(0) })
    expect(numbers(peer, at)).toEqual([20])
    peer.send('A', { ack: at(0) })
    expect(numbers(peer, at)).toEqual([21])
    expect(peer.tcb.cwnd).toBe(20 * MSS)
    peer.send('A', { ack: at(0) })
    expect(numbers(peer, at)[0]).toBe(0)
    expect([peer.tcb.flight!.caState, peer.tcb.ssthresh]).toEqual([CA_RECOVERY, 10 * MSS])
    expect(t.counters['fast-retransmits']).toBe(1)
    expect([t.counters['duplicate-acks-in'], t.counters['pure-acks-in']]).toEqual([3, 4])
    expect([t.counters['retransmitted-segments'], t.counters['retransmitted-bytes']]).toEqual([1, MSS])
  })

  it('RFC 5681 §2: data, a changed window, nothing in flight: no duplicates', () => {
    const [peer, at] = inFlight(10, { sack: false })
    for (let i = 0; i < 5; i++) peer.send('PA', { ack: at(0), data: 'x' })
    for (let i = 0; i < 5; i++) peer.send('A', { ack: at(0), window: 4_000 + i })
    expect(peer.tcb.flight!.duplicateAcks).toBe(0)
    expect([t.counters['duplicate-acks-in'], t.counters['pure-acks-in']]).toEqual([0, 6])
    expect(t.counters['fast-retransmits']).toBe(0)
  })

  it('RFC 6582 §3.2 step 3: each partial ACK sends the next hole; the window it ends with is the threshold', () => {
    const [peer, at] = inFlight(20, { sack: false, more: 0 })
    // Segments 0, 5 and 9 are lost.
    for (let i = 0; i < 17; i++) peer.send('A', { ack: at(0) })
    expect(numbers(peer, at)).toEqual([0])
    t.advance(RTT_MS)
    peer.send('A', { ack: at(5) })
    expect(numbers(peer, at)).toEqual([5])
    expect(peer.tcb.flight!.caState).toBe(CA_RECOVERY)
    t.advance(RTT_MS)
    peer.send('A', { ack: at(9) })
    expect(numbers(peer, at)).toEqual([9])
    t.advance(RTT_MS)
    peer.send('A', { ack: at(20) })
    expect(peer.tcb.ssthresh).toBe(10 * MSS)
    t.write(peer.tcb, new Uint8Array(30 * MSS))
    expect(numbers(peer, at).length).toBeLessThanOrEqual(11)
    peer.send('A', { ack: at(21) })
    expect(peer.tcb.flight!.caState).toBe(CA_OPEN)
    expect([t.counters['fast-retransmits'], t.counters['retransmission-timeouts']]).toEqual([1, 0])
  })

  it('checklist 3.5-48: a flood of duplicate ACKs sends one segment each at most, and the window does not grow', () => {
    const [peer, at] = inFlight(10, { sack: false })
    for (let i = 0; i < 50; i++) peer.send('A', { ack: at(0) })
    const sent = numbers(peer, at)
    expect(sent.length).toBeLessThanOrEqual(50)
    expect(sent.filter(n => n === 0).length).toBe(1)
    expect([peer.tcb.cwnd <= 10 * MSS, peer.tcb.ssthresh]).toEqual([true, 5 * MSS])
  })
})

describe('tcp/recovery: with SACK', () => {
  it('RFC 6675 §5, 8985 §6.2: three SACKed segments behind a hole send it again at once, once', () => {
    const [peer, at] = inFlight(20)
    peer.send('A', { ack: at(0), sack: [[at(1), at(3)]] })
    expect(numbers(peer, at)).toEqual([20, 21])
    peer.send('A', { ack: at(0), sack: [[at(1), at(4)]] })
    expect(numbers(peer, at)[0]).toBe(0)
    for (let n = 5; n < 15; n++) peer.send('A', { ack: at(0), sack: [[at(1), at(n)]] })
    expect(numbers(peer, at)).not.toContain(0)
  })

  it('RFC 8985 §6.2: with fewer the hole is given a quarter of the least round trip, then the timer sends it', () => {
    const [peer, at] = inFlight(20, { more: 0 })
    peer.send('A', { ack: at(0), sack: [[at(1), at(2)]] })
    expect(numbers(peer, at)).toEqual([])
    t.advance(RTT_MS / 4 - 1)
    expect(numbers(peer, at)).toEqual([])
    t.advance(2)
    expect(numbers(peer, at)).toEqual([0])
    expect(peer.tcb.flight!.caState).toBe(CA_RECOVERY)
  })

  it('RFC 8985 §6.2 step 4: on a path that was seen to reorder three SACKed segments are not enough', () => {
    const [peer, at] = inFlight(30, { more: 0 })
    peer.send('A', { ack: at(0), sack: [[at(1), at(3)]] })
    peer.send('A', { ack: at(3) })
    expect(peer.tcb.flags & F_REORDERING).not.toBe(0)
    peer.send('A', { ack: at(3), sack: [[at(4), at(12)]] })
    expect(numbers(peer, at)).toEqual([])
    peer.send('A', { ack: at(12) })
    expect([peer.tcb.flight!.caState, t.counters['fast-retransmits']]).toEqual([CA_OPEN, 0])
  })

  it('RFC 8985 §1: a retransmission that is lost again is seen by what was sent after it', () => {
    const [peer, at] = inFlight(20)
    peer.send('A', { ack: at(0), sack: [[at(1), at(20)]] })
    const first = numbers(peer, at)
    expect(first[0]).toBe(0)
    expect(first.length).toBeGreaterThan(1)
    t.advance(RTT_MS + 15)
    // The new data behind the retransmission arrives, the retransmission does not.
    peer.send('A', { ack: at(0), sack: [[at(1), at(22)]] })
    expect(numbers(peer, at)[0]).toBe(0)
    expect(t.counters['retransmission-timeouts']).toBe(0)
  })

  it('a hole of many segments is sent again in one super-segment, bounded by the window', () => {
    const [peer, at] = inFlight(40, { more: 0 })
    t.tcp.offload = true
    Object.assign(peer.tcb, { srtt: 2_000, minRtt: 2_000 })
    peer.send('A', { ack: at(0), sack: [[at(10), at(40)]] })
    t.advance(1)
    const sent = t.take()
    expect(sent[0]).toMatchObject({ seq: at(0), gsoSize: MSS })
    const bytes = sent.reduce((sum, s) => sum + s.data.length, 0)
    expect(bytes).toBeLessThanOrEqual(20 * MSS)
    expect(t.counters['retransmitted-bytes']).toBe(bytes)
  })

  it('RFC 9937 §6: PRR against an independent count, 100 segments, the first and every tenth of the rest lost', () => {
    const [peer, at] = inFlight(100)
    const { tcb } = peer
    const lost = new Set([0, 10, 20, 30, 40, 50, 60, 70, 80, 90])
    let [prrDelivered, prrOut, out] = [0, 0, 0]
    const ssthresh = 50 * MSS
    let entered = false
    let recoverBytes = 0
    let sackedBefore = 0
    for (let n = 1; n < 100; n++) {
      if (lost.has(n)) continue
      const blocks: [number, number][] = []
      for (let start = n - (n % 10) + 1; start >= 0 && blocks.length < 3; start -= 10)
        blocks.push([at(start), at(start + 9 > n ? n + 1 : start + 9)])
      const before = tcb.flight!.caState
      const nextBefore = tcb.sndNxt
      peer.send('A', { ack: at(0), sack: blocks })
      const sent = numbers(peer, at).length * MSS
      out += sent
      if (tcb.flight!.caState !== CA_RECOVERY) {
        sackedBefore += MSS
        continue
      }
      if (!entered) {
        expect(before).not.toBe(CA_RECOVERY)
        expect(tcb.ssthresh).toBe(ssthresh)
        entered = true
        recoverBytes = ((nextBefore - at(0)) | 0) - sackedBefore
        prrOut = 0
      }
      prrDelivered += MSS
      if (pipe(tcb, tcb.flight!) <= ssthresh) continue
      // While more is in flight than the threshold: CEIL(prr_delivered * ssthresh / RecoverFS) - prr_out, and one at first.
      const allowed = Math.max(
        prrOut === 0 ? MSS : 0,
        Math.ceil((prrDelivered * ssthresh) / recoverBytes) - prrOut,
      )
      expect(sent).toBeLessThanOrEqual(allowed)
      expect(sent).toBeGreaterThan(allowed - MSS)
      prrOut += sent
    }
    expect(entered).toBe(true)
    expect(out).toBeGreaterThan(0)
    expect(pipe(tcb, tcb.flight!)).toBeLessThanOrEqual(ssthresh + MSS)
    expect(pipe(tcb, tcb.flight!)).toBeGreaterThan(ssthresh - 5 * MSS)
  })

  it('RFC 9937 §6: below the threshold as much leaves as arrives, and a segment more while it goes forward without new loss', () => {
    const [peer, at] = inFlight(20)
    const { tcb } = peer
    // Half of the window is lost at once.
    peer.send('A', { ack: at(0), sack: [[at(15), at(20)]] })
    peer.hear()
    t.advance(RTT_MS + 15)
    expect(pipe(tcb, tcb.flight!)).toBeLessThan(tcb.ssthresh)
    const before = (tcb.sndNxt + tcb.flight!.board.retransmittedBytes) | 0
    peer.send('A', { ack: at(1), sack: [[at(15), at(20)]] })
    // One segment arrived: two may leave.
    expect(t.take().length).toBe(2)
    expect(((tcb.sndNxt + tcb.flight!.board.retransmittedBytes - before) | 0) / MSS).toBe(1)
  })

  it('RFC 9937: at the end of recovery the window is the threshold', () => {
    const [peer, at] = inFlight(20)
    peer.send('A', { ack: at(0), sack: [[at(1), at(20)]] })
    t.take()
    t.advance(RTT_MS)
    peer.send('A', { ack: peer.tcb.sndNxt })
    // The same ACK may let it grow again, by a segment.
    expect([peer.tcb.ssthresh, peer.tcb.flight!.caState]).toEqual([10 * MSS, CA_OPEN])
    expect([10 * MSS, 11 * MSS]).toContain(peer.tcb.cwnd)
  })

  it('RFC 6675 §5, 6582: one reduction for all losses of a window', () => {
    const [peer, at] = inFlight(30, { more: 0 })
    peer.send('A', { ack: at(0), sack: [[at(1), at(10)]] })
    peer.send('A', { ack: at(10), sack: [[at(11), at(20)]] })
    peer.send('A', { ack: at(20), sack: [[at(21), at(30)]] })
    expect([t.counters['fast-retransmits'], peer.tcb.ssthresh]).toEqual([1, 15 * MSS])
  })
})

describe('tcp/recovery: what was not lost', () => {
  it('RFC 3522, 4015 (Eifel): an ACK that echoes the original gives the window back', () => {
    const [peer, at] = inFlight(20, { timestamps: true, more: 0 })
    const original = (t.tcp.nowMs - RTT_MS + peer.tcb.tsOffset) | 0
    peer.send('A', { ack: at(0), sack: [[at(1), at(20)]], timestamps: [peer.tsNow, original] })
    expect(numbers(peer, at)).toEqual([0])
    t.advance(5)
    // The first segment was only late; this ACK left before the retransmission came.
    peer.send('A', { ack: at(20), timestamps: [peer.tsNow, original] })
    expect([peer.tcb.cwnd, peer.tcb.ssthresh]).toEqual([20 * MSS, 20 * MSS])
    expect(t.counters['spurious-recoveries']).toBe(1)
  })

  it('what arrives before it was sent again was not lost: the window comes back, in whole and in part', () => {
    for (const acked of [20, 5]) {
      const [peer, at] = inFlight(20, { more: 0 })
      peer.send('A', { ack: at(0), sack: [[at(3), at(20)]] }, {}, false)
      expect(peer.tcb.flight!.caState).toBe(CA_RECOVERY)
      const rest: [number, number][] = acked < 20 ? [[at(6), at(20)]] : []
      peer.send('A', { ack: at(acked), sack: rest })
      expect([peer.tcb.cwnd >= 20 * MSS, peer.tcb.ssthresh]).toEqual([true, 20 * MSS])
      expect([t.counters['spurious-recoveries'], t.counters['retransmitted-segments']]).toEqual([1, 0])
    }
  })

  it('RFC 3708: D-SACKs for all that was sent again give the window back, one for part of it does not', () => {
    const [peer, at] = inFlight(20, { more: 0 })
    peer.send('A', { ack: at(0), sack: [[at(2), at(20)]] })
    expect(numbers(peer, at)).toEqual([0, 1])
    t.advance(RTT_MS)
    peer.send('A', {
      ack: at(2),
      sack: [
        [at(0), at(1)],
        [at(2), at(18)],
      ],
    })
    expect(peer.tcb.ssthresh).toBe(10 * MSS)
    peer.send('A', { ack: at(18), sack: [[at(1), at(2)]] })
    expect([peer.tcb.ssthresh, t.counters['spurious-recoveries']]).toEqual([20 * MSS, 1])
  })

  it('what was missing comes before anything was sent again, in the same burst: as if nothing had been', () => {
    const [peer, at] = inFlight(20, { more: 0 })
    peer.send('A', { ack: at(0), sack: [[at(1), at(5)]] }, {}, false)
    expect(peer.tcb.flight!.caState).toBe(CA_RECOVERY)
    peer.send('A', { ack: at(5) })
    expect([peer.tcb.flight!.caState, peer.tcb.ssthresh]).toEqual([CA_OPEN, 20 * MSS])
    expect([t.counters['spurious-recoveries'], t.counters['retransmitted-segments']]).toEqual([1, 0])
  })

  it('RFC 3708: the D-SACK comes when recovery is over, as it does if the window was full: that undoes it too', () => {
    const [peer, at] = inFlight(20)
    peer.send('A', { ack: at(0), sack: [[at(1), at(4)]] })
    expect(numbers(peer, at)).toEqual([0])
    t.advance(RTT_MS)
    peer.send('A', { ack: peer.tcb.flight!.recoveryPoint })
    t.take()
    expect([peer.tcb.flight!.caState, peer.tcb.ssthresh]).toEqual([CA_OPEN, 10 * MSS])
    peer.send('A', { ack: peer.tcb.sndUna, sack: [[at(0), at(1)]] })
    expect(peer.tcb.ssthresh).toBe(20 * MSS)
    expect(peer.tcb.cwnd).toBeGreaterThanOrEqual(20 * MSS)
  })

  it('RFC 8985 §6.2 step 4: a D-SACK widens the reordering window, once in a round trip', () => {
    const [peer, at] = inFlight(20, { more: 0 })
    peer.send('A', { ack: at(4), sack: [[at(0), at(1)]] })
    peer.send('A', { ack: at(5), sack: [[at(1), at(2)]] })
    expect(peer.tcb.flight!.reorderMultiplier).toBe(2)
  })

  it('checklist 3.5-50, RFC 5682 §3.1: a timeout that was too early: the ACKs of the originals undo it', () => {
    const [peer, at] = inFlight(10, { more: 20_000 })
    const { tcb } = peer
    const { cwnd, ssthresh } = tcb
    t.advance(2_000)
    const again = numbers(peer, at)
    expect(again).toContain(0)
    expect(tcb.flight!.caState).toBe(CA_LOSS)
    peer.send('A', { ack: at(1) })
    // Step 2b: new data, not the next of what is taken for lost.
    expect(Math.min(...numbers(peer, at))).toBeGreaterThanOrEqual(10)
    peer.send('A', { ack: at(3) })
    expect([tcb.flight!.caState, t.counters['spurious-timeouts']]).toEqual([CA_OPEN, 1])
    expect(tcb.cwnd).toBeGreaterThanOrEqual(cwnd)
    expect(tcb.ssthresh).toBe(ssthresh)
    expect(numbers(peer, at).every(n => n >= 10)).toBe(true)
  })

  it('RFC 5682 §3.1 step 2b: where Nagle’s rule holds the new data back, what is lost goes out instead', () => {
    t = makeTcpTest()
    t.tcp.offload = false
    const peer = established(t, { mss: MSS, sack: true })
    const { tcb } = peer
    Object.assign(tcb, { srtt: RTT_MS * 1_000, minRtt: RTT_MS * 1_000, rttvar: 1_000, rtoMs: 240 })
    const start = peer.ack
    t.write(tcb, new Uint8Array(2_300))
    expect(t.take().map(s => s.data.length)).toEqual([MSS, MSS, 300])
    while (t.counters['retransmission-timeouts'] === 0) t.toNextDeadline()
    t.write(tcb, 'held back')
    t.take()
    t.advance(RTT_MS)
    peer.send('A', { ack: (start + MSS) | 0 })
    t.flush()
    expect(t.take().map(s => (s.seq - start) | 0)).toEqual([MSS, 2 * MSS])
  })

  it('RFC 5682 §3.1 step 3a: a duplicate after the new data says that the loss was real', () => {
    const [peer, at] = inFlight(10, { more: 20_000 })
    const { tcb } = peer
    t.advance(2_000)
    numbers(peer, at)
    peer.send('A', { ack: at(1) })
    const fresh = numbers(peer, at)
    expect(fresh[0]).toBeGreaterThanOrEqual(10)
    peer.send('A', { ack: at(1), sack: [[at(fresh[0]!), at(fresh[0]! + 1)]] })
    expect([tcb.flight!.caState, tcb.flight!.frto, t.counters['spurious-timeouts']]).toEqual([
      CA_LOSS,
      false,
      0,
    ])
    expect(numbers(peer, at)[0]).toBe(1)
  })
})

describe('tcp/recovery: timeouts', () => {
  it('RFC 5681 §3.1 (4, step 3): half of what was in flight, and one segment', () => {
    const [peer, at] = inFlight(20, { sack: false })
    t.advance(300)
    expect(numbers(peer, at)).toEqual([0])
    expect([peer.tcb.ssthresh, peer.tcb.cwnd]).toEqual([10 * MSS, MSS])
  })

  it('RFC 5681 §3.1: a second timeout does not halve the threshold again', () => {
    const [peer] = inFlight(20, { sack: false })
    t.advance(1_000)
    expect(t.counters['retransmission-timeouts']).toBe(2)
    expect([peer.tcb.ssthresh, peer.tcb.cwnd]).toEqual([10 * MSS, MSS])
  })

  it('RFC 9438 §4.6, §4.8: CUBIC keeps 0.7, and forgets what the window had been', () => {
    const [peer] = inFlight(20, { sack: false, congestion: 'cubic' })
    t.advance(300)
    expect([peer.tcb.ssthresh, peer.tcb.wMax]).toEqual([14 * MSS, 0])
  })

  it('everything is sent again in slow start, in order, and recovery ends where the timeout found it', () => {
    const [peer, at] = inFlight(20, { sack: false, more: 0 })
    t.advance(300)
    const order = numbers(peer, at)
    for (let i = 0; i < 12 && peer.tcb.sndUna !== peer.tcb.sndNxt; i++) {
      t.advance(RTT_MS)
      peer.send('A', { ack: at(order.at(-1)! + 1) })
      order.push(...numbers(peer, at))
    }
    expect(order).toEqual([...Array(20).keys()])
    expect(peer.tcb.flight!.caState).toBe(CA_OPEN)
  })
})
