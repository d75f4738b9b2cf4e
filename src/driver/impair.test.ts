import { afterEach, describe, expect, it } from 'vitest'
import { sumBytes } from '../base/checksum.ts'
import { milliseconds } from '../base/time.ts'
import {
  CTL_LINK_INFO,
  controlCode,
  freemsg,
  LINK_CSUM,
  LINK_TRUSTED,
  type Mblk,
  makeLinkQuery,
  OFFLOAD_CSUM_NEEDED,
  OFFLOAD_CSUM_VALID,
  OFFLOAD_GSO_UDP,
  readLinkInfo,
  Stream,
} from '../streams/index.ts'
import {
  flat,
  makeTestRuntime,
  numberedPacket,
  packetNumber,
  type TestRuntime,
} from '../streams/testing/index.ts'
import { type Impair, impairModule } from './impair.ts'
import { discardDriver } from './null.ts'
import { makeWire, WIRE_CAPABILITIES } from './wire.ts'

interface Bad {
  readonly test: TestRuntime
  readonly near: Stream
  readonly far: Stream
  readonly impair: Impair
  /** Numbers of the packets that arrived, with the time in ms. */
  readonly arrived: { number: number; at: number; mp: string }[]
  readonly back: number[]
}

const open: TestRuntime[] = []
afterEach(() => {
  for (const test of open.splice(0)) test.finish()
})

/** A wire whose near end is impaired. */
function bad(options: unknown, seed = 1): Bad {
  const test = makeTestRuntime({ seed, arenaOptions: { sizeBytes: 32 * 1024 * 1024 } })
  open.push(test)
  const [one, two] = makeWire()
  const near = Stream.open(test.runtime, one)
  const far = Stream.open(test.runtime, two)
  near.push(impairModule, options)
  const arrived: Bad['arrived'] = []
  const back: number[] = []
  far.onReadable = () => {
    for (let mp = far.getmsg(); mp !== null; mp = far.getmsg()) {
      arrived.push({ number: packetNumber(mp), at: test.clock.now() / 1_000, mp: flat(mp).toString() })
      freemsg(mp)
    }
  }
  near.onReadable = () => {
    for (let mp = near.getmsg(); mp !== null; mp = near.getmsg()) {
      back.push(packetNumber(mp))
      freemsg(mp)
    }
  }
  return { test, near, far, impair: near.find('impair').state as Impair, arrived, back }
}

function send({ test, near }: Bad, count: number, from = 0, size = 64): void {
  for (let i = from; i < from + count; i++) {
    expect(near.putmsg(numberedPacket(test.arena, i, size))).toBe(true)
    if (i % 50 === 49) test.settle()
  }
  test.settle()
}

const numbers = ({ arrived }: Bad): number[] => arrived.map(({ number }) => number)
const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i)

describe('driver/impair: time', () => {
  it('delays each packet, in order, and only in the directions it is told', () => {
    const link = bad({ delay: '10ms', direction: 'out' })
    send(link, 3)
    link.test.advance(milliseconds(4))
    send(link, 1, 3)
    link.far.putmsg(numberedPacket(link.test.arena, 9))
    link.test.settle()
    expect(link.back).toEqual([9])
    link.test.advance(milliseconds(20))
    expect(link.arrived.map(({ number, at }) => [number, at])).toEqual([
      [0, 10],
      [1, 10],
      [2, 10],
      [3, 14],
    ])
  })

  it('varies the delay by the jitter; packets keep their order unless they are allowed not to', () => {
    for (const jitterReorder of [false, true]) {
      const link = bad({ delay: '10ms', jitter: '5ms', jitterReorder, seed: 3 })
      for (let i = 0; i < 200; i++) {
        send(link, 1, i)
        link.test.advance(milliseconds(0.1))
      }
      link.test.advance(milliseconds(100))
      const late = link.arrived.map(({ number, at }) => at - number * 0.1)
      expect(Math.min(...late)).toBeGreaterThanOrEqual(5)
      if (jitterReorder) expect(Math.max(...late)).toBeLessThanOrEqual(15.001)
      expect(numbers(link).every((number, i) => number === i)).toBe(!jitterReorder)
      expect([...numbers(link)].sort((a, b) => a - b)).toEqual(upTo(200))
    }
  })

  it('sends at the rate, and drops and counts what does not fit the queue', () => {
    // 1,000-byte packets at 8 Mbit/s: one each millisecond.
    const link = bad({ rate: '8mbit', limit: 20 })
    send(link, 50, 0, 972)
    link.test.advance(milliseconds(5))
    expect(numbers(link)).toEqual(upTo(5))
    expect(link.arrived.map(({ at }) => at)).toEqual([1, 2, 3, 4, 5])
    link.test.advance(milliseconds(100))
    expect(numbers(link)).toEqual(upTo(20))
    expect(link.impair.out.counters['dropped-limit']).toBe(30)
  })

  it('lets a burst go at once', () => {
    const link = bad({ rate: '8mbit', burst: '5kb' })
    link.test.advance(milliseconds(10))
    send(link, 10, 0, 972)
    expect(numbers(link)).toEqual(upTo(5))
  })

  it('keeps one timer, whatever the number of packets', () => {
    const link = bad({ delay: '10ms' })
    let armed = 0
    const { timers } = link.test.runtime
    const arm = timers.arm.bind(timers)
    timers.arm = (timer, at) => {
      armed++
      arm(timer, at)
    }
    send(link, 500)
    expect(armed).toBe(1)
    link.test.advance(milliseconds(10))
    expect(link.arrived.length).toBe(500)
  })
})

describe('driver/impair: chance', () => {
  it('loses 10 % of 10,000 packets, within four standard deviations', () => {
    const link = bad({ loss: '10%', seed: 7 })
    send(link, 10_000)
    const lost = 10_000 - link.arrived.length
    expect(Math.abs(lost - 1_000)).toBeLessThan(4 * Math.sqrt(10_000 * 0.1 * 0.9))
    expect(link.impair.out.counters.lost).toBe(lost)
  })

  it('gives the same trace for the same seed, and another for another', () => {
    const run = (seed: number, runtimeSeed: number): string => {
      const options = {
        loss: '5%',
        duplicate: '5%',
        reorder: '5%',
        corrupt: '5%',
        jitter: '2ms',
        delay: '3ms',
        seed,
      }
      const link = bad(options, runtimeSeed)
      for (let i = 0; i < 20; i++) {
        send(link, 50, 50 * i)
        link.test.advance(milliseconds(1))
      }
      link.test.advance(milliseconds(200))
      return JSON.stringify(link.arrived)
    }
    expect(run(11, 1)).toBe(run(11, 2))
    expect(run(11, 1)).not.toBe(run(12, 1))
  })

  it('sends some twice, one after the other', () => {
    const link = bad({ duplicate: '30%' })
    send(link, 1_000)
    const { duplicated } = link.impair.out.counters
    expect(duplicated).toBeGreaterThan(230)
    expect(duplicated).toBeLessThan(370)
    expect(link.arrived.length).toBe(1_000 + duplicated)
    expect([...new Set(numbers(link))]).toEqual(upTo(1_000))
  })

  it('lets `gap` packets pass one that is reordered, and waits for them 50 ms at the most', () => {
    const link = bad({ reorder: '100%', gap: 2 })
    send(link, 3)
    expect(numbers(link)).toEqual([1, 2, 0])
    send(link, 1, 3)
    link.test.advance(milliseconds(49))
    expect(numbers(link)).toEqual([1, 2, 0])
    link.test.advance(milliseconds(1))
    expect(numbers(link)).toEqual([1, 2, 0, 3])
  })

  it('turns one bit round in a copy, and the receiver can see it', () => {
    const link = bad({ corrupt: '100%' })
    const original = numberedPacket(link.test.arena, 5)
    const bytes = flat(original)
    link.near.putmsg(original)
    link.test.settle()
    const got = Uint8Array.from(link.arrived[0]!.mp.split(',').map(Number))
    const bits = got
      .map((byte, i) => byte ^ bytes[i]!)
      .reduce((sum, x) => sum + x.toString(2).replaceAll('0', '').length, 0)
    expect(bits).toBe(1)
  })

  it('finishes a checksum that was left to the link before it breaks the packet', () => {
    let broken: Mblk | null = null
    const link = bad({ corrupt: '100%', seed: 5 })
    link.far.onReadable = () => {
      broken = link.far.getmsg()
    }
    const mp = numberedPacket(link.test.arena, 5)
    const sum = [26, 27].map(i => mp.bytes[mp.rptr + i]!)
    // The field as IP leaves it: the folded sum of the pseudo-header.
    const pseudo = sumBytes(mp.bytes, mp.rptr + 12, mp.rptr + 20, 17 + 72)
    mp.dblk.bytes.set([pseudo >>> 8, pseudo & 0xff], mp.rptr + 26)
    mp.offload = OFFLOAD_CSUM_NEEDED | OFFLOAD_CSUM_VALID
    mp.csumStart = 20
    mp.csumOffset = 6
    link.near.putmsg(mp)
    link.test.settle()
    const got = flat(broken!)
    expect(broken!.offload).toBe(0)
    const wrong = [26, 27].map(i => got[i]! ^ sum[i - 26]!).reduce((a, b) => a + b)
    // Either the broken bit is in the checksum itself, or the checksum is the right one.
    expect(wrong === 0 || (wrong & (wrong - 1)) === 0).toBe(true)
    freemsg(broken!)
  })

  it('drops a super-packet that it should corrupt, with its counter', () => {
    const link = bad({ corrupt: '100%' })
    const mp = numberedPacket(link.test.arena, 5)
    mp.offload = OFFLOAD_GSO_UDP
    mp.gsoSize = 16
    link.near.putmsg(mp)
    link.test.settle()
    expect(link.arrived).toEqual([])
    expect(link.impair.out.counters['dropped-corrupt-super']).toBe(1)
  })
})

describe('driver/impair: who and when', () => {
  it('impairs only packets to, or from, the prefixes of `match`', () => {
    // numberedPacket is from 10.77.1.1 to 10.77.1.2.
    for (const [match, out, into] of [
      [['10.77.1.2'], 0, 1],
      [['10.77.1.0/31'], 1, 0],
      [['10.77.0.0/16'], 0, 0],
      [['fd77::/16', '10.78.0.0/15'], 1, 1],
    ] as const) {
      const link = bad({ partition: true, match })
      send(link, 1)
      link.far.putmsg(numberedPacket(link.test.arena, 1))
      link.test.settle()
      expect([match, link.arrived.length, link.back.length]).toEqual([match, out, into])
    }
  })

  it('partition drops what is on the way and what comes; mended, packets pass at once', () => {
    const link = bad({ delay: '10ms' })
    send(link, 5)
    impairModule.configure!(link.near.find('impair'), { partition: true })
    send(link, 5, 5)
    link.test.advance(milliseconds(50))
    expect(link.impair.out.counters.partitioned).toBe(10)
    impairModule.configure!(link.near.find('impair'), { partition: false, delay: 0 })
    send(link, 2, 10)
    expect(numbers(link)).toEqual([10, 11])
  })

  it('delivers what is delayed, in order, when the delay is taken away or the module is popped', () => {
    const link = bad({ delay: '1s' })
    send(link, 5)
    impairModule.configure!(link.near.find('impair'), { delay: '0ms' })
    send(link, 5, 5)
    expect(numbers(link)).toEqual(upTo(10))
    impairModule.configure!(link.near.find('impair'), { delay: '1s' })
    send(link, 5, 10)
    link.near.pop()
    send(link, 1, 15)
    expect(numbers(link)).toEqual(upTo(16))
    expect(link.test.runtime.timers.pollAt()).toBeNull()
  })

  it('merges partial options of the request "impair", and answers with what holds', async () => {
    const link = bad({ loss: '10%', direction: 'out' })
    const answer = link.near.ioctl('impair', { delay: '5ms' })
    const refused = link.near.ioctl('impair', { delay: 'long' })
    const reset = link.near.ioctl('impair', { reset: true, in: { loss: 1 } })
    link.test.settle()
    expect(await answer).toMatchObject({ out: { delay: '5ms', loss: '10%' }, in: {} })
    await expect(refused).rejects.toMatchObject({ code: 'ERR_BAD_CONFIG' })
    expect(await reset).toMatchObject({ out: {}, in: { loss: '100%' }, direction: 'both' })
  })

  it('takes super-packets out of the capabilities while it acts on single packets, and tells when that changes', () => {
    const link = bad({})
    const told: number[] = []
    link.near.onControl = mp => {
      if (controlCode(mp) === CTL_LINK_INFO) told.push(readLinkInfo(mp)!.capabilities)
      freemsg(mp)
    }
    const set = (options: unknown): void => impairModule.configure!(link.near.find('impair'), options)
    link.near.putmsg(makeLinkQuery(link.test.arena)!)
    set({ delay: '5ms' })
    set({ loss: '1%' })
    set({ corrupt: '1%' })
    link.near.putmsg(makeLinkQuery(link.test.arena)!)
    set({ reset: true })
    expect(told).toEqual([WIRE_CAPABILITIES, LINK_CSUM | LINK_TRUSTED, 0, 0, WIRE_CAPABILITIES])
  })

  it('holds the writer back when the way below is full, and loses nothing by it', () => {
    const link = bad({ delay: '1ms', limit: 100_000 })
    link.far.onReadable = null
    const sent: number[] = []
    for (let i = 0; i < 2_000; i++) {
      const mp = numberedPacket(link.test.arena, i, 1_000)
      if (!link.near.putmsg(mp)) {
        freemsg(mp)
        break
      }
      sent.push(i)
      if (i % 50 === 0) link.test.advance(milliseconds(2))
    }
    link.test.advance(milliseconds(10))
    const q = link.near.find('impair').other
    expect(q.zero.count).toBeLessThan(q.zero.hiwat + 1_028)
    for (let idle = 0; idle < 3; ) {
      const mp = link.far.getmsg()
      idle = mp === null ? idle + 1 : 0
      if (mp === null) link.test.advance(milliseconds(2))
      else {
        link.arrived.push({ number: packetNumber(mp), at: 0, mp: '' })
        freemsg(mp)
      }
    }
    expect(numbers(link)).toEqual(sent)
  })

  it('is for links: on a stream that ends in a multiplexor it is refused, and the stream is as it was', () => {
    const test = makeTestRuntime()
    open.push(test)
    const side = { put: (_q: unknown, mp: Mblk) => freemsg(mp) }
    const lower = { hiwat: 1, lowat: 0, read: side, write: side, link: () => null, unlink: () => {} }
    const stream = Stream.open(test.runtime, { ...discardDriver, name: 'many', lower })
    expect(() => stream.push(impairModule, { loss: '1%' })).toThrow(
      expect.objectContaining({
        code: 'ERR_PLUMBING',
        message: expect.stringContaining('for links') as string,
      }),
    )
    expect(stream.modules).toEqual([])
    stream.close()
  })
})
