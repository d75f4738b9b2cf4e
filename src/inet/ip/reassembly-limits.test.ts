import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type Instant, instant, after as later, milliseconds, seconds } from '../../base/time.ts'
import { dupmsg, freemsg } from '../../streams/mblk/alloc.ts'
import { Arena } from '../../streams/mblk/arena.ts'
import type { Mblk } from '../../streams/mblk/mblk.ts'
import { chainOf, flat } from '../../streams/testing/messages.ts'
import {
  fragmentHeader,
  type Ipv4Fields,
  type Ipv6Fields,
  ipv4Packet,
  ipv6Packet,
  pattern,
  SOURCE6,
} from '../testing/packets.ts'
import { Reassembly, type ReassemblyLimits } from './reassembly.ts'

const T0 = instant(1_000)
const DATA = pattern(64)

interface Told {
  readonly packet: Uint8Array
  readonly code: number
  readonly pointer: number
}

let arena: Arena
let reassembly: Reassembly
let expired: Uint8Array[]
let told: Told[]

function make(limits: Partial<ReassemblyLimits> = {}): Reassembly {
  return new Reassembly({
    limits,
    onExpire: first => {
      expired.push(flat(first))
      freemsg(first)
    },
    onParameterProblem: (fragment, code, pointer) => {
      told.push({ packet: flat(fragment), code, pointer })
      freemsg(fragment)
    },
  })
}

beforeEach(() => {
  arena = new Arena({ sizeBytes: 4 * 1024 * 1024, poison: true })
  expired = []
  told = []
  reassembly = make()
})

afterEach(() => {
  reassembly.clear()
  expect(reassembly.bytes).toBe(0)
  expect(reassembly.datagrams).toBe(0)
  expect(balance()).toBe(0)
  arena.assertWhole()
})

/** Every fragment that came in ended in exactly one counter. */
function balance(): number {
  const c = reassembly.counters
  let sum = c['fragments-in'] - c['fragments-reassembled'] - c['fragments-atomic']
  sum -= c['fragments-discarded'] + c['fragments-evicted'] + c['fragments-expired']
  for (const [name, value] of Object.entries(c)) if (name.startsWith('fragment-')) sum -= value
  return sum
}

function take(mp: Mblk | null): Uint8Array | null {
  if (mp === null) return null
  const bytes = flat(mp)
  freemsg(mp)
  return bytes
}

/** Gives in the bytes `start` to `end` of `data` as an IPv4 fragment. */
function four(start: number, end: number, more: boolean, fields: Ipv4Fields = {}, data = DATA, now = T0) {
  const packet = ipv4Packet(data.slice(start, end), { offset: start, more, ...fields })
  return take(reassembly.input(chainOf(arena, packet), 4, now))
}

function six(start: number, end: number, more: boolean, id = 1, fields: Ipv6Fields = {}, data = DATA) {
  const headers = [...(fields.headers ?? []), fragmentHeader(start, more, id)]
  const packet = ipv6Packet(data.slice(start, end), { ...fields, headers })
  return take(reassembly.input(chainOf(arena, packet), 6, T0))
}

describe('ip/reassembly: limits', () => {
  it('checklist 3.2-15: the time is over: the first fragment goes to ICMP as it came, only if it was seen', () => {
    four(0, 16, true, { typeOfService: 4 })
    four(16, 32, true)
    four(16, 32, true, { identification: 2 })
    expect(reassembly.pollAt()).toBe(later(T0, seconds(30)))
    reassembly.expire(later(T0, milliseconds(29_999)))
    expect(reassembly.datagrams).toBe(2)
    reassembly.expire(later(T0, seconds(30)))
    expect(expired).toEqual([ipv4Packet(DATA.slice(0, 16), { more: true, typeOfService: 4 })])
    expect(reassembly.counters['fragments-expired']).toBe(3)
    expect(reassembly.counters['datagrams-expired']).toBe(2)
    expect(reassembly.pollAt()).toBeNull()
  })

  it('checklist 3.2-15: the timer starts with the first fragment to arrive and does not start again', () => {
    four(0, 16, true)
    four(16, 32, true, {}, DATA, later(T0, seconds(20)))
    expect(reassembly.pollAt()).toBe(later(T0, seconds(30)))
  })

  it('checklist 3.2-15: 30 to 60 seconds, other settings are refused', () => {
    expect(() => make({ timeout: seconds(29) })).toThrow('30 to 60')
    expect(() => make({ timeout: seconds(61) })).toThrow('30 to 60')
    expect(() => make({ bytesLow: 2 ** 20 })).toThrow('bytesLow')
    reassembly = make({ timeout: seconds(60) })
    four(0, 16, true)
    expect(reassembly.pollAt()).toBe(later(T0, seconds(60)))
  })

  it('checklist 3.2-15: memory stays below the cap and falls to the low-water mark, oldest first', () => {
    reassembly = make({ bytesHigh: 8_192, bytesLow: 4_096, sourceBytes: 8_192 })
    for (let i = 0; i < 100; i++) {
      four(0, 16, true, { identification: i, source: [10, 1, i, 1] })
      expect(reassembly.bytes).toBeLessThanOrEqual(8_192)
    }
    // 32 blocks of 256 bytes fit; the 33rd leaves 16 of them.
    expect(reassembly.counters['datagrams-evicted-memory']).toBe(17 * 4)
    expect(four(16, 64, false, { identification: 99, source: [10, 1, 99, 1] })).not.toBeNull()
    expect(four(16, 64, false, { identification: 60, source: [10, 1, 60, 1] })).toBeNull()
  })

  it('checklist 3.2-15: a block counts for what it pins, not for the few bytes in it', () => {
    reassembly = make({ bytesHigh: 65_536, bytesLow: 32_768, sourceBytes: 65_536 })
    for (let i = 0; i < 64; i++) {
      const packet = ipv4Packet(DATA.slice(0, 8), { identification: i, more: true })
      const mp = chainOf(arena, packet, [], 1_000)
      expect(mp.dblk.sizeClass!.name).toBe('frame')
      reassembly.input(mp, 4, T0)
    }
    expect(reassembly.bytes).toBeLessThanOrEqual(65_536)
    expect(arena.classes[1]!.peak).toBeLessThanOrEqual(33)
    expect(
      reassembly.counters['datagrams-evicted-memory'] + reassembly.counters['datagrams-evicted-source'],
    ).toBe(32)
  })

  it('checklist 3.2-15: a small fragment in a block for super-packets is copied out of it', () => {
    for (let start = 0; start < 6_000; start += 1_480) {
      const packet = ipv4Packet(pattern(6_000).slice(start, start + 1_480), {
        offset: start,
        more: start + 1_480 < 6_000,
      })
      const whole = reassembly.input(chainOf(arena, packet, [], 40_000), 4, T0)
      expect(arena.classes[2]!.inUse).toBe(0)
      if (start + 1_480 >= 6_000) expect(take(whole)).toEqual(ipv4Packet(pattern(6_000)))
    }
    expect(reassembly.counters['fragments-compacted']).toBe(5)
    expect(arena.copies.stack.bytes).toBe(6_000 + 5 * 20)
  })

  it('checklist 3.2-15: a sender over its share loses its own oldest, nobody else anything', () => {
    reassembly = make({ bytesHigh: 16_384, bytesLow: 8_192, sourceBytes: 8_192 })
    four(0, 16, true, { source: [10, 9, 9, 9] })
    for (let i = 0; i < 1_000; i++) four(0, 16, true, { identification: i })
    expect(reassembly.bytes).toBe(8_192 + 256)
    expect(reassembly.counters['datagrams-evicted-source']).toBe(1_000 - 32)
    expect(four(16, 64, false, { source: [10, 9, 9, 9] })).not.toBeNull()
  })

  it('checklist 3.2-15: an IPv6 sender is its /64', () => {
    reassembly = make({ bytesHigh: 16_384, bytesLow: 8_192, sourceBytes: 4_096 })
    for (let i = 0; i < 200; i++) {
      const source: number[] = [...SOURCE6]
      source[15] = i
      six(0, 16, true, 1, { source })
    }
    expect(reassembly.bytes).toBeLessThanOrEqual(4_096)
  })

  it('checklist 3.2-15: a sender may have half of the datagrams, refused ones included', () => {
    reassembly = make({ datagrams: 64 })
    four(0, 16, true, { source: [10, 9, 9, 9] })
    for (let i = 0; i < 100; i++) {
      four(0, 16, true, { identification: i })
      four(8, 24, true, { identification: i })
      expect(reassembly.datagrams).toBeLessThanOrEqual(33)
    }
    expect(four(16, 64, false, { source: [10, 9, 9, 9] })).not.toBeNull()
  })

  it('checklist 3.2-15: all senders together never have more datagrams than the limit', () => {
    reassembly = make({ datagrams: 8 })
    for (let i = 0; i < 50; i++) {
      four(0, 16, true, { source: [10, 2, 0, i] })
      expect(reassembly.datagrams).toBeLessThanOrEqual(8)
    }
    expect(reassembly.counters['datagrams-evicted-memory']).toBe(42)
  })

  it('checklist 3.2-15: a datagram in too many pieces is refused', () => {
    reassembly = make({ fragments: 4 })
    for (let i = 0; i < 5; i++) four(16 * i, 16 * i + 8, true, {}, pattern(200))
    expect(reassembly.counters['fragment-too-many']).toBe(1)
    expect(reassembly.counters['fragments-discarded']).toBe(4)
    expect(reassembly.bytes).toBe(0)
  })

  it('checklist 3.2-15: a datagram that evicts itself does not come back half', () => {
    reassembly = make({ bytesHigh: 2_048, bytesLow: 1_024, sourceBytes: 1_024 })
    for (let i = 0; i < 5; i++) four(8 * i, 8 * i + 8, true)
    expect(reassembly.counters['fragment-memory']).toBe(1)
    expect(reassembly.counters['fragments-evicted']).toBe(4)
    expect(reassembly.datagrams).toBe(0)
  })

  it('FragmentSmack: fragments in the worst order cost no more than in the best', () => {
    reassembly = make({ bytesHigh: 2 ** 23, bytesLow: 2 ** 22, sourceBytes: 2 ** 22, fragments: 8_192 })
    const count = 2_000
    const data = pattern(16 * count)
    const inputAll = (places: number[]): number => {
      const messages = places.map(i =>
        chainOf(arena, ipv4Packet(data.slice(16 * i, 16 * i + 8), { offset: 16 * i, more: true })),
      )
      const start = performance.now()
      for (const mp of messages) reassembly.input(mp, 4, T0)
      const spent = performance.now() - start
      reassembly.clear()
      return spent
    }
    arena = new Arena({ sizeBytes: 32 * 1024 * 1024 })
    const forward = Array.from({ length: count }, (_, i) => i)
    const backward = [...forward].reverse()
    inputAll(forward)
    inputAll(backward)
    const best = Math.min(inputAll(forward), inputAll(forward), inputAll(forward))
    const worst = Math.min(inputAll(backward), inputAll(backward), inputAll(backward))
    // A list that is walked would take a thousand steps for each; the allowance is for the machine's noise.
    expect(worst).toBeLessThan(10 * best + 5)
  })

  it('without a block left, the datagram is dropped and counted, and nothing leaks', () => {
    arena = new Arena({ sizeBytes: 1024 * 1024, poison: true })
    const first = chainOf(arena, ipv4Packet(DATA.slice(0, 16), { more: true }))
    const shared = dupmsg(first)!
    reassembly.input(first, 4, T0)
    const last = chainOf(arena, ipv4Packet(DATA.slice(16), { offset: 16 }))
    const hoard: Mblk[] = []
    for (let mp = arena.take(1); mp !== null; mp = arena.take(1)) hoard.push(mp)
    expect(reassembly.input(last, 4, T0 as Instant)).toBeNull()
    expect(reassembly.counters['fragment-no-buffers']).toBe(1)
    for (const mp of [...hoard, shared]) freemsg(mp)
  })
})
