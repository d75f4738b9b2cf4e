import { describe, expect, it } from 'vitest'
import { backedOff, sampleMinRtt, sampleRtt, timeoutFor } from './rtt.ts'
import { CONNECTION_SETTINGS, TCP_SETTINGS, type TcpSettings } from './settings.ts'
import { Tcb } from './tcb.ts'
import type { Tcp } from './tcp.ts'

/** All that the estimator looks at. */
const core = (settings: Partial<TcpSettings> = {}): Tcp =>
  ({ settings: { ...TCP_SETTINGS, ...settings }, nowMs: 0 }) as unknown as Tcp

function sampled(tcp: Tcp, ...samplesUs: number[]): Tcb {
  const tcb = new Tcb(CONNECTION_SETTINGS)
  for (const us of samplesUs) sampleRtt(tcp, tcb, us)
  return tcb
}

describe('tcp/rtt', () => {
  it('RFC 6298 §2.1: one second until there is a sample', () => {
    const tcb = new Tcb(CONNECTION_SETTINGS)
    expect([tcb.rtoMs, timeoutFor(core(), tcb)]).toEqual([1_000, 1_000])
  })

  it('RFC 6298 §2.2: SRTT = R, RTTVAR = R/2, RTO = SRTT + 4 RTTVAR', () => {
    const tcb = sampled(core(), 400_000)
    expect([tcb.srtt, tcb.rttvar, tcb.rtoMs]).toEqual([400_000, 200_000, 1_200])
  })

  it('RFC 6298 §2.3: the old SRTT goes into RTTVAR; by hand for 400, 300, 500 ms', () => {
    const tcb = sampled(core(), 400_000, 300_000, 500_000)
    // RTTVAR: 3/4 x 200 + 1/4 x 100 = 175; SRTT: 7/8 x 400 + 1/8 x 300 = 387.5.
    // RTTVAR: 3/4 x 175 + 1/4 x 112.5 = 159.375; SRTT: 7/8 x 387.5 + 1/8 x 500 = 401.5625.
    expect(tcb.rttvar).toBeCloseTo(159_375, -1)
    expect(tcb.srtt).toBeCloseTo(401_562, -1)
    expect(tcb.rtoMs).toBe(Math.ceil(401.5625) + Math.ceil(4 * 159.375))
  })

  it('against a floating-point estimator, 1,000 samples', () => {
    const tcp = core()
    const tcb = sampled(tcp, 20_000)
    let [srtt, rttvar] = [20_000, 10_000]
    for (let i = 0; i < 1_000; i++) {
      const us = 20_000 + ((i * 7_919) % 30_011)
      sampleRtt(tcp, tcb, us)
      rttvar = 0.75 * rttvar + 0.25 * Math.abs(srtt - us)
      srtt = 0.875 * srtt + 0.125 * us
      expect(Math.abs(tcb.srtt - srtt)).toBeLessThan(10)
      expect(Math.abs(tcb.rttvar - rttvar)).toBeLessThan(10)
    }
  })

  it('the least timeout lies above SRTT, so that a delayed ACK is no loss; never below RFC 6298 §2.4 with the same least', () => {
    const tcb = sampled(core(), ...Array<number>(50).fill(20_000))
    expect(tcb.rtoMs).toBeGreaterThanOrEqual(220)
    expect(tcb.rtoMs).toBeLessThan(225)
  })

  it('RFC 6298 §2.5, §5.5: doubles at each expiry, up to the ceiling, for any number of expiries', () => {
    const tcp = core()
    const tcb = sampled(tcp, 400_000)
    const timeouts = [0, 1, 2, 3, 6, 7, 40, 255].map(backoff => {
      tcb.backoff = backoff
      return backedOff(tcp, tcb)
    })
    expect(timeouts).toEqual([1_200, 2_400, 4_800, 9_600, 76_800, 120_000, 120_000, 120_000])
    expect(TCP_SETTINGS.rtoMaxMs).toBeGreaterThanOrEqual(60_000)
  })

  it('checklist 3.5-50: samples that cannot be (a clock that wrapped, a peer that lies) change nothing', () => {
    const tcp = core()
    const tcb = sampled(tcp, 400_000)
    for (const us of [-1, -2_000_000_000, 2_000_000_000]) sampleRtt(tcp, tcb, us)
    expect([tcb.srtt, tcb.rttvar]).toEqual([400_000, 200_000])
  })

  it('the least round trip is the least of five minutes', () => {
    const tcp = core()
    const tcb = new Tcb(CONNECTION_SETTINGS)
    tcb.flight = { minRttAtMs: 0 } as never
    for (const us of [500, 400, 600]) sampleMinRtt(tcp, tcb, us)
    expect(tcb.minRtt).toBe(400)
    tcp.nowMs = 300_001
    sampleMinRtt(tcp, tcb, 900)
    expect(tcb.minRtt).toBe(900)
  })
})
