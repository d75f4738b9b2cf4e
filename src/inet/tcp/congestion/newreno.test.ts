import { describe, expect, it } from 'vitest'
import { Flight } from '../flight.ts'
import { CONNECTION_SETTINGS } from '../settings.ts'
import { Tcb } from '../tcb.ts'
import { renoAcked, renoSsthresh } from './newreno.ts'
import { ABC_LIMIT_BYTES, CSS_ROUNDS, hystart, slowStartAcked } from './slow-start.ts'

const MSS = 1_000

function connection(cwndSegments: number): { tcb: Tcb; flight: Flight } {
  const tcb = new Tcb(CONNECTION_SETTINGS)
  tcb.sndMss = MSS
  tcb.cwnd = cwndSegments * MSS
  const flight = new Flight()
  flight.begin(0)
  return { tcb, flight }
}

describe('tcp/congestion/newreno', () => {
  it.each([100, 1_000, 2_000, 10_000])(
    'RFC 5681 §3.1, 3465 §2.1: one segment for each window acknowledged, %i bytes at a time',
    perAck => {
      const { tcb, flight } = connection(10)
      let acked = 0
      for (let window = 10; window < 20; window++) {
        while (acked < window * MSS) {
          expect(tcb.cwnd).toBeLessThanOrEqual((window + 1) * MSS)
          renoAcked(tcb, flight, perAck)
          acked += perAck
        }
        acked -= window * MSS
        expect(tcb.cwnd).toBe((window + 1) * MSS)
      }
    },
  )

  it('checklist 3.5-48, ACK division: a thousand ACKs of one byte each are worth a thousand bytes', () => {
    const { tcb, flight } = connection(10)
    for (let i = 0; i < 9_999; i++) renoAcked(tcb, flight, 1)
    expect(tcb.cwnd).toBe(10 * MSS)
    renoAcked(tcb, flight, 1)
    expect(tcb.cwnd).toBe(11 * MSS)
  })

  it('RFC 5681 §3.1 (4): half of what is in flight, at least two segments', () => {
    const { tcb, flight } = connection(10)
    expect(renoSsthresh(tcb, flight, 10 * MSS)).toBe(5 * MSS)
    expect(renoSsthresh(tcb, flight, 3 * MSS)).toBe(2 * MSS)
  })
})

describe('tcp/congestion/slow-start', () => {
  it('RFC 5681 §3.1: grows by what is acknowledged, up to the threshold; the rest is congestion avoidance’s', () => {
    const { tcb, flight } = connection(10)
    tcb.ssthresh = 12_500
    expect(slowStartAcked(tcb, flight, 2_000)).toBe(0)
    expect(tcb.cwnd).toBe(12_000)
    expect(slowStartAcked(tcb, flight, 2_000)).toBe(1_500)
    expect(tcb.cwnd).toBe(12_500)
  })

  it('RFC 3465 §2.2, checklist 3.5-48: an ACK of a megabyte counts for one super-segment', () => {
    const { tcb, flight } = connection(2_000)
    slowStartAcked(tcb, flight, 1_000_000)
    expect(tcb.cwnd).toBe(2_000_000 + ABC_LIMIT_BYTES)
  })

  /** A round of eight ACKs with this round trip. */
  function round(tcb: Tcb, flight: Flight, rttUs: number): void {
    tcb.sndNxt = (tcb.sndNxt + 8 * MSS) | 0
    for (let i = 0; i < 8; i++) {
      tcb.sndUna = (tcb.sndUna + MSS) | 0
      hystart(tcb, flight, rttUs)
    }
  }

  it('RFC 9406 §4.2: goes on while the round trip stays, growth is a quarter once it rose by its threshold', () => {
    const { tcb, flight } = connection(10)
    round(tcb, flight, 40_000)
    round(tcb, flight, 40_000)
    round(tcb, flight, 44_900)
    expect(flight.cssRounds).toBe(0)
    // An eighth of 40 ms is 5 ms.
    round(tcb, flight, 49_900)
    round(tcb, flight, 56_200)
    expect(flight.cssRounds).toBe(1)
    slowStartAcked(tcb, flight, 4_000)
    expect(tcb.cwnd).toBe(11_000)
  })

  it('RFC 9406 §4.2: back to slow start if the round trip falls again; to congestion avoidance after five rounds', () => {
    for (const falls of [true, false]) {
      const { tcb, flight } = connection(10)
      round(tcb, flight, 20_000)
      round(tcb, flight, 20_000)
      round(tcb, flight, 30_000)
      round(tcb, flight, 30_000)
      expect(flight.cssRounds).toBeGreaterThan(0)
      for (let i = 0; i < CSS_ROUNDS + 1; i++) round(tcb, flight, falls ? 20_000 : 30_000)
      expect(flight.cssRounds).toBe(0)
      expect(tcb.ssthresh).toBe(falls ? 0x7fffffff : tcb.cwnd)
    }
  })
})
