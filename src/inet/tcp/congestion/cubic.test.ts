import { describe, expect, it } from 'vitest'
import { Flight } from '../flight.ts'
import { CONNECTION_SETTINGS } from '../settings.ts'
import { Tcb } from '../tcb.ts'
import { CUBIC_BETA, CUBIC_C, cubicAcked, cubicK, cubicSsthresh, cubicWindow } from './cubic.ts'

const MSS = 1_000

function connection(cwndSegments: number, rttUs: number): { tcb: Tcb; flight: Flight } {
  const tcb = new Tcb(CONNECTION_SETTINGS)
  tcb.sndMss = MSS
  tcb.cwnd = cwndSegments * MSS
  tcb.srtt = rttUs
  const flight = new Flight()
  flight.begin(0)
  return { tcb, flight }
}

/** Acknowledges a window each round trip, `perAck` bytes at a time, for so long. */
function grow(tcb: Tcb, flight: Flight, seconds: number, perAck: number, startUs = 0): number {
  let nowUs = startUs
  for (const endUs = startUs + seconds * 1e6; nowUs < endUs; ) {
    const acks = Math.max(1, Math.round(tcb.cwnd / perAck))
    for (let i = 0; i < acks; i++) cubicAcked(tcb, flight, Math.round(nowUs + (i * tcb.srtt) / acks), perAck)
    nowUs += tcb.srtt
  }
  return nowUs
}

describe('tcp/congestion/cubic', () => {
  it('RFC 9438 §4.6: multiplicative decrease by 0.7, and not below two segments', () => {
    const { tcb, flight } = connection(100, 100_000)
    expect(cubicSsthresh(tcb, flight, tcb.cwnd)).toBe(70 * MSS)
    expect(tcb.wMax).toBe(100 * MSS)
    tcb.cwnd = 2 * MSS
    expect(cubicSsthresh(tcb, flight, tcb.cwnd)).toBe(2 * MSS)
  })

  it('RFC 9438 §4.7: fast convergence remembers (1 + beta) / 2 of a window that shrinks', () => {
    const { tcb, flight } = connection(100, 100_000)
    tcb.wMax = 120 * MSS
    cubicSsthresh(tcb, flight, tcb.cwnd)
    expect(tcb.wMax).toBe(85 * MSS)
  })

  it('RFC 9438 §4.2: K is when the plateau is reached: by hand for 100 to 70 segments', () => {
    expect(cubicK(100 * MSS, 70 * MSS, MSS)).toBeCloseTo(Math.cbrt(30 / 0.4), 9)
    expect(cubicK(100 * MSS, 70 * MSS, MSS)).toBeCloseTo(4.2172, 4)
    expect(cubicWindow(0, 4.2172, 100 * MSS, MSS) / MSS).toBeCloseTo(70, 1)
    expect(cubicWindow(4.2172, 4.2172, 100 * MSS, MSS)).toBe(100 * MSS)
    expect(cubicK(50 * MSS, 70 * MSS, MSS)).toBe(0)
  })

  it.each([1_000, 2_000, 44_000])(
    'RFC 9438 §4.4, §4.5: the window follows the cubic whatever an ACK covers (%i bytes)',
    perAck => {
      const { tcb, flight } = connection(700, 100_000)
      tcb.wMax = 1_000 * MSS
      const k = Math.cbrt(300 / CUBIC_C)
      let nowUs = 0
      for (const at of [2, 5, k, 12]) {
        nowUs = grow(tcb, flight, at - nowUs / 1e6, perAck, nowUs)
        const expected = (CUBIC_C * (nowUs / 1e6 - k) ** 3 + 1_000) * MSS
        // One round trip of target and one of measuring apart.
        const slope = 3 * CUBIC_C * (nowUs / 1e6 - k) ** 2 * 0.1 * MSS
        expect(Math.abs(tcb.cwnd - expected)).toBeLessThan(2 * slope + 0.01 * expected)
      }
    },
  )

  it('RFC 9438 §4.3: with a short round trip it grows like Reno: alpha is 9/17 up to the old window, 1 above it', () => {
    const { tcb, flight } = connection(20, 1_000)
    cubicSsthresh(tcb, flight, tcb.cwnd)
    tcb.cwnd = 14 * MSS
    const alpha = (3 * (1 - CUBIC_BETA)) / (1 + CUBIC_BETA)
    // An independent count: alpha segments for each window.
    let [window, rounds] = [14, 0]
    while (window < 20) {
      window += alpha
      rounds++
    }
    let nowUs = grow(tcb, flight, (rounds - 1) / 1_000, MSS)
    expect(tcb.cwnd / MSS).toBeGreaterThan(19)
    expect(tcb.cwnd / MSS).toBeLessThan(20.6)
    const before = tcb.cwnd
    nowUs = grow(tcb, flight, 0.02, MSS, nowUs)
    // 20 round trips more, a segment each.
    expect((tcb.cwnd - before) / MSS).toBeGreaterThan(18)
    expect((tcb.cwnd - before) / MSS).toBeLessThan(22)
  })

  it('RFC 9438 §4.4: however late an ACK comes, the window grows by half at most', () => {
    const { tcb, flight } = connection(100, 100_000)
    cubicAcked(tcb, flight, 0, MSS)
    cubicAcked(tcb, flight, 100_000_000, 100 * MSS)
    expect(tcb.cwnd).toBeLessThanOrEqual(151 * MSS)
  })

  it('an epoch of half an hour, over which the clock wraps, goes on', () => {
    const { tcb, flight } = connection(100, 100_000)
    cubicAcked(tcb, flight, 0, MSS)
    tcb.cwnd = 100 * MSS
    for (const at of [2_100_000_000, -2_100_000_000, -100_000_000]) {
      const before = tcb.cwnd
      cubicAcked(tcb, flight, at | 0, 10 * MSS)
      expect(tcb.cwnd).toBeGreaterThan(before)
      expect(tcb.cwnd).toBeLessThan(1.06 * before)
    }
  })
})
