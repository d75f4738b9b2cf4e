import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { nonZero } from '../../base/counters.ts'
import { instant, after as later, seconds } from '../../base/time.ts'
import { dupmsg, freemsg } from '../../streams/mblk/alloc.ts'
import { Arena } from '../../streams/mblk/arena.ts'
import {
  type Mblk,
  OFFLOAD_CSUM_NEEDED,
  OFFLOAD_CSUM_VALID,
  OFFLOAD_GSO_UDP,
} from '../../streams/mblk/mblk.ts'
import { chainOf, flat } from '../../streams/testing/messages.ts'
import {
  fragmentHeader,
  type Ipv4Fields,
  type Ipv6Fields,
  ipv4Packet,
  ipv6Packet,
  paddingHeader,
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

describe('ip/reassembly', () => {
  it('RFC 791 §3.2: puts fragments together in any order, and repairs the header', () => {
    for (const order of [
      [0, 1, 2],
      [2, 1, 0],
      [1, 2, 0],
      [2, 0, 1],
    ]) {
      let whole: Uint8Array | null = null
      for (const i of order) {
        expect(whole).toBeNull()
        whole = four([0, 16, 40][i]!, [16, 40, 61][i]!, i !== 2, { dontFragment: true })
      }
      expect(whole).toEqual(ipv4Packet(DATA.slice(0, 61), { dontFragment: true }))
    }
    expect(reassembly.counters['datagrams-reassembled']).toBe(4)
    expect(reassembly.pollAt()).toBeNull()
  })

  it('RFC 791 §3.2: the options and the hop limit are those of the first fragment', () => {
    const options = [0x83, 4, 4, 0]
    expect(four(16, 64, false, { hopLimit: 9 })).toBeNull()
    const whole = four(0, 16, true, { hopLimit: 33, options })
    expect(whole).toEqual(ipv4Packet(DATA, { hopLimit: 33, options }))
  })

  it('RFC 791 §3.2: source, destination, identification and protocol tell datagrams apart', () => {
    four(0, 16, true)
    expect(four(16, 64, false, { identification: 2 })).toBeNull()
    expect(four(16, 64, false, { protocol: 254 })).toBeNull()
    expect(four(16, 64, false, { source: [10, 0, 0, 9] })).toBeNull()
    expect(four(16, 64, false, { destination: [10, 0, 0, 9] })).toBeNull()
    expect(reassembly.datagrams).toBe(5)
    expect(four(16, 64, false)).toEqual(ipv4Packet(DATA))
  })

  it('RFC 8200 §4.5: removes the fragment header, behind whatever stands before it', () => {
    for (const headers of [[], [paddingHeader(0, 2)], [paddingHeader(0), paddingHeader(60, 3)]]) {
      expect(six(16, 61, false, 7, { headers })).toBeNull()
      expect(six(0, 16, true, 7, { headers })).toEqual(ipv6Packet(DATA.slice(0, 61), { headers }))
    }
  })

  it('RFC 8200 §4.5: the next header counts only from the first fragment, and the key has no protocol', () => {
    six(16, 64, false, 7, { nextHeader: 99 })
    expect(six(0, 16, true, 7, { nextHeader: 100 })).toEqual(ipv6Packet(DATA, { nextHeader: 100 }))
  })

  it('RFC 8200 §4.5: identifications differ in all 32 bits, addresses in all 128', () => {
    six(0, 16, true, 0x80000001)
    expect(six(16, 64, false, 1)).toBeNull()
    for (let i = 0; i < 16; i++) {
      const source: number[] = [...SOURCE6]
      source[i]! ^= 0x10
      expect(six(16, 64, false, 0x80000001, { source })).toBeNull()
    }
    expect(six(16, 64, false, 0x80000001)).toEqual(ipv6Packet(DATA))
  })

  it('checklist 3.2-10: overlap, IPv4: the whole datagram is discarded, also what comes later', () => {
    four(0, 16, true)
    four(24, 48, true)
    expect(four(8, 24, true)).toBeNull()
    expect(reassembly.bytes).toBe(0)
    expect(four(16, 24, true)).toBeNull()
    expect(four(48, 64, false)).toBeNull()
    expect(nonZero(reassembly.counters)).toEqual({
      'fragments-in': 5,
      'fragment-overlap': 1,
      'fragments-discarded': 2,
      'datagrams-discarded': 1,
      'fragment-of-discarded': 2,
    })
    reassembly.expire(later(T0, seconds(30)))
    expect(expired).toEqual([])
  })

  it.each([
    [8, 24],
    [24, 40],
    [16, 24],
    [24, 32],
    [8, 48],
    [20 - 4, 40],
  ])('checklist 3.2-10 and RFC 5722 §4: overlap, IPv6: %i to %i over 16 to 32', (start, end) => {
    six(16, 32, true)
    expect(six(start, end, true)).toBeNull()
    expect(reassembly.counters['fragment-overlap']).toBe(1)
    expect(six(0, 16, true)).toBeNull()
    expect(six(32, 64, false)).toBeNull()
    expect(told).toEqual([])
    reassembly.expire(later(T0, seconds(30)))
    expect(expired).toEqual([])
  })

  it('checklist 3.2-10: an exact duplicate is dropped alone', () => {
    six(0, 16, true)
    six(48, 64, false)
    expect(six(0, 16, true)).toBeNull()
    expect(six(48, 64, false)).toBeNull()
    expect(reassembly.counters['fragment-duplicate']).toBe(2)
    expect(six(16, 48, true)).toEqual(ipv6Packet(DATA))
  })

  it('checklist 3.2-10: the same place with other bytes, or another more-fragments bit, is no duplicate', () => {
    four(0, 16, true)
    expect(four(0, 16, true, {}, pattern(64, 1))).toBeNull()
    expect(reassembly.counters['fragment-overlap']).toBe(1)
    four(16, 32, true, { identification: 2 })
    expect(four(16, 32, false, { identification: 2 })).toBeNull()
    expect(reassembly.counters['fragment-overlap']).toBe(2)
  })

  it.each([
    ['TCP', 6, 19, 20],
    ['UDP', 17, 7, 8],
    ['ICMP', 1, 7, 8],
  ])(
    'checklist 3.2-11 and RFC 1858 §3: a first fragment without the whole %s header',
    (_, protocol, __, size) => {
      const data = new Uint8Array(80)
      data[12] = 5 << 4
      const enough = (size + 7) & ~7
      if (size > 8) four(0, enough - 8, true, { protocol }, data)
      else four(0, 0, true, { protocol }, data)
      expect(reassembly.datagrams).toBe(0)
      expect(reassembly.counters['fragment-tiny'] + reassembly.counters['fragment-empty']).toBe(1)
      four(0, enough, true, { protocol }, data)
      expect(reassembly.datagrams).toBe(1)
    },
  )

  it('checklist 3.2-11: the TCP header is as long as its data offset says', () => {
    const data = new Uint8Array(80)
    data[12] = 8 << 4
    four(0, 24, true, { protocol: 6 }, data)
    expect(reassembly.counters['fragment-tiny']).toBe(1)
    four(0, 32, true, { protocol: 6 }, data)
    expect(reassembly.datagrams).toBe(1)
  })

  it('RFC 3128 §2: a TCP fragment that begins 8 bytes into the header is dropped, in both families', () => {
    four(8, 32, true, { protocol: 6 })
    six(8, 32, true, 1, { nextHeader: 6 })
    expect(reassembly.counters['fragment-tiny']).toBe(2)
    expect(reassembly.datagrams).toBe(0)
    four(8, 32, true, { protocol: 17 })
    expect(reassembly.datagrams).toBe(1)
  })

  it.each([
    ['the transport header', { nextHeader: 6 }, new Uint8Array(16)],
    ['the destination options that are announced', { nextHeader: 60 }, Uint8Array.of(6, 9, 1, 4, 0, 0, 0, 0)],
    ['what follows the destination options', { nextHeader: 60 }, Uint8Array.of(6, 0, 1, 4, 0, 0, 0, 0)],
    ['the authentication header', { nextHeader: 51 }, Uint8Array.of(17, 4, 0, 0, 0, 0, 0, 0)],
  ])('checklist 3.2-11 and RFC 7112 §5: IPv6, the first fragment lacks %s', (_, fields, data) => {
    expect(six(0, data.length, true, 1, fields, data)).toBeNull()
    expect(reassembly.counters['fragment-header-chain']).toBe(1)
    expect(reassembly.datagrams).toBe(0)
    expect(told).toHaveLength(1)
    expect(told[0]).toMatchObject({ code: 3, pointer: 0 })
  })

  it('RFC 7112: a first fragment with the whole chain is kept, however it is split into blocks', () => {
    const data = Uint8Array.from([60, 0, 1, 4, 0, 0, 0, 0, 17, 0, 1, 4, 0, 0, 0, 0, ...new Array(8).fill(1)])
    const packet = ipv6Packet(data, { nextHeader: 60, headers: [fragmentHeader(0, true)] })
    for (let place = 48; place <= packet.length; place++) {
      expect(reassembly.input(chainOf(arena, packet, [place, place]), 6, T0)).toBeNull()
      expect(reassembly.datagrams).toBe(1)
      reassembly.clear()
    }
  })

  it('RFC 7112: more extension headers than any host sends are not walked', () => {
    const data = new Uint8Array(8 * 40)
    for (let i = 0; i < data.length; i += 8) data[i] = 60
    six(0, data.length, true, 1, { nextHeader: 60 }, data)
    expect(reassembly.counters['fragment-header-chain']).toBe(1)
  })

  it('checklist 3.2-12: offset and length beyond 65,535 (ping of death), IPv4', () => {
    const data = pattern(65_536)
    four(65_512, 65_520, false, {}, data)
    expect(reassembly.counters['fragment-too-long']).toBe(1)
    four(65_504, 65_515, false, {}, data)
    expect(reassembly.counters['fragment-too-long']).toBe(1)
    expect(reassembly.datagrams).toBe(1)
  })

  it('checklist 3.2-12: a first header that makes the datagram longer than 65,535 at the end', () => {
    const data = pattern(65_536)
    reassembly = make({ bytesHigh: 2 ** 20, sourceBytes: 2 ** 20 })
    four(32_768, 65_512, false, {}, data)
    expect(four(0, 32_768, true, { options: [1, 1, 1, 1] }, data)).toBeNull()
    expect(reassembly.counters['fragment-too-long']).toBe(1)
    expect(reassembly.counters['fragments-discarded']).toBe(1)
  })

  it('checklist 3.2-12: the largest datagram there can be, IPv4 and IPv6', () => {
    const data = pattern(65_535)
    reassembly = make({ bytesHigh: 2 ** 20, sourceBytes: 2 ** 20 })
    four(40_000, 65_515, false, {}, data)
    expect(four(0, 40_000, true, {}, data)).toEqual(ipv4Packet(data.slice(0, 65_515)))
    six(40_000, 65_535, false, 1, {}, data)
    expect(six(0, 40_000, true, 1, {}, data)).toEqual(ipv6Packet(data))
  })

  it('checklist 3.2-12: beyond 65,535, IPv6: parameter problem that points to the offset', () => {
    const data = pattern(65_540)
    six(65_528, 65_536, false, 1, { headers: [paddingHeader(0)] }, data)
    expect(reassembly.counters['fragment-too-long']).toBe(1)
    expect(told).toHaveLength(1)
    expect(told[0]).toMatchObject({ code: 0, pointer: 40 + 8 + 2 })
  })

  it('checklist 3.2-12: length no multiple of 8 with more fragments: dropped; IPv6: parameter problem', () => {
    four(0, 17, true)
    expect(told).toEqual([])
    six(8, 25, true)
    expect(reassembly.counters['fragment-length']).toBe(2)
    expect(reassembly.datagrams).toBe(0)
    expect(told).toHaveLength(1)
    expect(told[0]).toMatchObject({ code: 0, pointer: 4 })
  })

  it('a fragment without data is dropped, so that nobody fills the table for nothing', () => {
    four(8, 8, true)
    four(8, 8, false)
    six(8, 8, false)
    expect(reassembly.counters['fragment-empty']).toBe(3)
    expect(reassembly.datagrams).toBe(0)
  })

  it('checklist 3.2-13: two different final fragments discard all', () => {
    four(0, 16, true)
    four(32, 48, false)
    four(48, 64, false)
    expect(reassembly.counters['fragment-two-ends']).toBe(1)
    expect(four(16, 32, true)).toBeNull()
    expect(reassembly.counters['fragment-of-discarded']).toBe(1)
  })

  it('checklist 3.2-13: data beyond the final end discard all, whichever comes first', () => {
    four(32, 48, false)
    four(48, 64, true)
    expect(reassembly.counters['fragment-past-end']).toBe(1)
    six(48, 64, true)
    six(32, 48, false)
    expect(reassembly.counters['fragment-past-end']).toBe(2)
    four(40, 48, false, { identification: 3 })
    four(32, 48, true, { identification: 3 })
    expect(reassembly.counters['fragment-past-end']).toBe(3)
    expect(reassembly.bytes).toBe(0)
  })

  it('checklist 3.2-14: an atomic IPv6 fragment is whole, whatever else has its identification (RFC 6946 §4)', () => {
    six(8, 24, true, 5)
    const udp = pattern(33)
    expect(six(0, 33, false, 5, { headers: [paddingHeader(0)] }, udp)).toEqual(
      ipv6Packet(udp, { headers: [paddingHeader(0)] }),
    )
    expect(reassembly.counters['fragments-atomic']).toBe(1)
    expect(reassembly.datagrams).toBe(1)
    expect(reassembly.counters['fragment-overlap']).toBe(0)
  })

  it('checklist 3.2-14: an atomic fragment keeps what the device said of its checksum', () => {
    const packet = ipv6Packet(DATA, { headers: [fragmentHeader(0, false)] })
    const mp = chainOf(arena, packet)
    mp.offload = OFFLOAD_CSUM_NEEDED
    mp.csumStart = 48
    const whole = reassembly.input(mp, 6, T0)!
    expect([whole.offload, whole.csumStart]).toEqual([OFFLOAD_CSUM_NEEDED, 40])
    freemsg(whole)
  })

  it.each([
    ['CE with ECT', [2, 3, 1], 3],
    ['all ECT(0)', [2, 2, 2], 2],
    ['all Not-ECT', [0, 0, 0], 0],
    ['all CE', [3, 3, 3], 3],
    ['ECT(1) first', [1, 2, 2], 1],
    ['Not-ECT first, no CE', [0, 2, 2], 0],
  ])('checklist 3.2-16 and RFC 3168 §5.3: %s', (_, codepoints, result) => {
    const dscp = 0x28
    four(16, 40, true, { typeOfService: dscp | codepoints[1]! })
    four(40, 64, false, { typeOfService: dscp | codepoints[2]! })
    const whole4 = four(0, 16, true, { typeOfService: dscp | codepoints[0]! })
    expect(whole4).toEqual(ipv4Packet(DATA, { typeOfService: dscp | result }))
    six(16, 40, true, 1, { trafficClass: dscp | codepoints[1]! })
    six(40, 64, false, 1, { trafficClass: dscp | codepoints[2]! })
    const whole6 = six(0, 16, true, 1, { trafficClass: dscp | codepoints[0]! })
    expect(whole6).toEqual(ipv6Packet(DATA, { trafficClass: dscp | result }))
  })

  it('checklist 3.2-16 and RFC 3168 §5.3: CE beside Not-ECT drops the datagram', () => {
    four(0, 16, true, { typeOfService: 0 })
    expect(four(16, 64, false, { typeOfService: 3 })).toBeNull()
    expect(reassembly.counters['fragment-ecn']).toBe(1)
    expect(reassembly.counters['fragments-discarded']).toBe(1)
  })

  it('checklist 3.7-67: a reassembled datagram has its checksum verified, whatever the fragments said', () => {
    for (const offload of [OFFLOAD_CSUM_NEEDED, OFFLOAD_CSUM_VALID]) {
      for (const [start, end, more] of [
        [0, 16, true],
        [16, 64, false],
      ] as const) {
        const mp = chainOf(arena, ipv4Packet(DATA.slice(start, end), { offset: start, more }))
        mp.offload = offload
        mp.csumStart = 20
        mp.csumOffset = 6
        const whole = reassembly.input(mp, 4, T0)
        if (whole === null) continue
        expect([whole.offload, whole.csumStart, whole.csumOffset, whole.gsoSize]).toEqual([0, 0, 0, 0])
        freemsg(whole)
      }
    }
    expect(reassembly.counters['datagrams-reassembled']).toBe(2)
  })

  it('checklist 3.7-65: a super-packet that says it is a fragment is dropped', () => {
    for (const packet of [
      ipv4Packet(DATA, { more: true }),
      ipv6Packet(DATA, { headers: [fragmentHeader(0, false)] }),
    ]) {
      const mp = chainOf(arena, packet)
      mp.offload = OFFLOAD_GSO_UDP
      expect(reassembly.input(mp, packet[0]! >> 4 === 4 ? 4 : 6, T0)).toBeNull()
    }
    expect(reassembly.counters['fragment-offload']).toBe(2)
  })

  it.each([
    ['total length beyond the packet', ipv4Packet(DATA, { more: true, totalLength: 200 }), 4],
    ['total length short of the packet', ipv4Packet(DATA, { more: true, totalLength: 30 }), 4],
    ['version', ipv6Packet(DATA), 4],
    ['header length 16', Uint8Array.from(ipv4Packet(DATA), (b, i) => (i === 0 ? 0x44 : b)), 4],
    [
      'payload length beyond the packet',
      ipv6Packet(DATA, { headers: [fragmentHeader(0, true)], payloadLength: 99 }),
      6,
    ],
    ['no fragment header', ipv6Packet(DATA, { headers: [paddingHeader(0)] }), 6],
    ['fragment header cut off', ipv6Packet(new Uint8Array(4), { nextHeader: 44 }), 6],
    [
      'options longer than the packet',
      ipv6Packet(Uint8Array.of(44, 200, 0, 0, 0, 0, 0, 0), { nextHeader: 0 }),
      6,
    ],
    ['nothing at all', new Uint8Array(0), 6],
  ] as const)('what IP would have refused is refused: %s', (_, packet, family) => {
    expect(reassembly.input(chainOf(arena, packet), family, T0)).toBeNull()
    expect(reassembly.counters['fragment-malformed']).toBe(1)
  })

  it('a shared fragment, as a capture leaves it, is not written', () => {
    const packets = [
      ipv6Packet(DATA.slice(0, 16), { headers: [fragmentHeader(0, true)] }),
      ipv6Packet(DATA.slice(16), { headers: [fragmentHeader(16, false)] }),
    ]
    const copies: Mblk[] = []
    let whole: Uint8Array | null = null
    for (const packet of packets) {
      const mp = chainOf(arena, packet)
      copies.push(dupmsg(mp)!)
      whole = take(reassembly.input(mp, 6, T0))
    }
    expect(whole).toEqual(ipv6Packet(DATA))
    expect(copies.map(copy => take(copy))).toEqual(packets)
  })

  it("checklist 3.6-62: a fragment that waits is in nobody's hand, so a module that fails does not take it along", () => {
    const holder = { holderName: 'ip.read' }
    const first = chainOf(arena, ipv4Packet(DATA.slice(0, 16), { more: true }))
    const second = chainOf(arena, ipv4Packet(DATA.slice(16, 32), { offset: 16, more: true }), [20])
    const data = second.cont!
    for (const mp of [first, second]) {
      mp.at = holder
      reassembly.input(mp, 4, T0)
    }
    expect([first.at, data.at]).toEqual([null, null])
  })
})
