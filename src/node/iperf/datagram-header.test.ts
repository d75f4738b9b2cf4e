import { describe, expect, it } from 'vitest'
import { answerTo, DATAGRAM_HEADER_BYTES, DatagramMeter, helloBytes, writeHeader } from './datagram-header.ts'

/** Datagrams with these counters, each sent and received at the times given, in microseconds. */
function received(
  counts: readonly number[],
  wide = false,
  timesUs: readonly [number, number][] = [],
): DatagramMeter {
  const meter = new DatagramMeter(wide)
  const head = new Uint8Array(DATAGRAM_HEADER_BYTES)
  for (const [i, count] of counts.entries()) {
    const [sent, got] = timesUs[i] ?? [0, 0]
    writeHeader(head, sent, count, wide)
    meter.take(head, 1_448, got)
  }
  return meter
}

describe('node/iperf/datagram-header', () => {
  it('is written as iperf3 writes it: 0x40b1 s, 0x2cef8 us, the first', () => {
    const head = new Uint8Array(DATAGRAM_HEADER_BYTES)
    writeHeader(head, 0x40b1 * 1e6 + 0x2cef8, 1, false)
    expect(Buffer.from(head.subarray(0, 12)).toString('hex')).toBe('000040b10002cef800000001')
    writeHeader(head, 0, 2 ** 33 + 5, true)
    expect(Buffer.from(head.subarray(8)).toString('hex')).toBe('0000000200000005')
  })

  it('hello and answer mirror each other, in the byte order of who asks', () => {
    expect(answerTo(helloBytes(), 4)).toEqual(Uint8Array.of(0x36, 0x37, 0x38, 0x39))
    expect(answerTo(Uint8Array.of(0x36, 0x37, 0x38, 0x39), 4)).toEqual(helloBytes())
    expect(answerTo(Uint8Array.of(1, 2, 3, 4), 4)).toBeNull()
    expect(answerTo(helloBytes(), 16)).toBeNull()
  })

  it.each([
    ['all in order', [1, 2, 3, 4], { packets: 4, lost: 0, outOfOrder: 0 }],
    ['two are lost', [1, 4, 5], { packets: 5, lost: 2, outOfOrder: 0 }],
    ['one comes late', [1, 3, 2, 4], { packets: 4, lost: 0, outOfOrder: 1 }],
    ['one comes twice', [1, 2, 2], { packets: 2, lost: 0, outOfOrder: 1 }],
    ['the first is lost', [3], { packets: 3, lost: 2, outOfOrder: 0 }],
  ])('%s', (_what, counts, figures) => {
    expect(received(counts).figures).toMatchObject(figures)
    expect(
      received(
        counts.map(count => count),
        true,
      ).figures,
    ).toMatchObject(figures)
  })

  it('RFC 1889 §6.3.1: the jitter is the smoothed difference of transit times', () => {
    const { jitterMs } = received([1, 2, 3], false, [
      [0, 1_000],
      [10_000, 11_000],
      [20_000, 22_600],
    ]).figures
    expect(jitterMs).toBeCloseTo(1.6 / 16, 9)
  })

  it('what was omitted is not counted', () => {
    const meter = received([1, 5, 6])
    meter.beginCounting()
    const head = new Uint8Array(DATAGRAM_HEADER_BYTES)
    writeHeader(head, 0, 8, false)
    meter.take(head, 100, 0)
    expect(meter.figures).toMatchObject({ packets: 2, lost: 1, outOfOrder: 0 })
  })

  it('what is too short is no datagram of a test', () => {
    expect(new DatagramMeter(false).take(new Uint8Array(16), 11, 0)).toBe(false)
    expect(new DatagramMeter(true).take(new Uint8Array(16), 12, 0)).toBe(false)
  })
})
