import { assert } from '../../src/base/assert.ts'
import type { Random } from '../../src/base/prng.ts'
import { type Instant, instant, seconds } from '../../src/base/time.ts'
import { Reassembly } from '../../src/inet/ip/reassembly.ts'
import {
  fragmentHeader,
  ipv4Packet,
  ipv6Packet,
  paddingHeader,
  pattern,
} from '../../src/inet/testing/packets.ts'
import { freemsg } from '../../src/streams/mblk/alloc.ts'
import { Arena } from '../../src/streams/mblk/arena.ts'
import { messageBytes } from '../../src/streams/mblk/message.ts'
import { sumMessage } from '../../src/streams/mblk/sum.ts'
import { chainOf } from '../../src/streams/testing/messages.ts'
import type { FuzzTarget } from './target.ts'

/** An input is packets, each behind its length in two bytes. */
const SIZE_BYTES = 2
const PACKETS_MAX = 64
const HEADER_BYTES_MAX = 20_000

const arena = new Arena({ sizeBytes: 2 * 1024 * 1024, poison: true })
const LIMITS = { bytesHigh: 8_192, bytesLow: 4_096, sourceBytes: 6_144, datagrams: 8, fragments: 12 }

function join(packets: readonly Uint8Array[]): Uint8Array {
  const parts = packets.map(packet => [packet.length >> 8, packet.length & 255, ...packet])
  return Uint8Array.from(parts.flat())
}

function four(
  identification: number,
  ranges: readonly (readonly [number, number])[],
  end: number,
): Uint8Array[] {
  const data = pattern(end)
  return ranges.map(([from, to]) =>
    ipv4Packet(data.slice(from, to), { identification, offset: from, more: to < end }),
  )
}

function six(
  id: number,
  ranges: readonly (readonly [number, number])[],
  end: number,
  type?: 0 | 60,
): Uint8Array[] {
  const data = pattern(end)
  const ahead = type === undefined ? [] : [paddingHeader(type)]
  return ranges.map(([from, to]) =>
    ipv6Packet(data.slice(from, to), { headers: [...ahead, fragmentHeader(from, to < end, id)] }),
  )
}

const SEEDS = [
  join(
    four(
      1,
      [
        [0, 16],
        [16, 40],
        [40, 61],
      ],
      61,
    ),
  ),
  join(
    four(
      1,
      [
        [40, 61],
        [0, 16],
        [0, 16],
        [16, 40],
      ],
      61,
    ),
  ),
  join(
    four(
      1,
      [
        [0, 24],
        [16, 40],
        [40, 61],
      ],
      61,
    ),
  ),
  join(
    six(
      1,
      [
        [0, 16],
        [16, 40],
        [40, 61],
      ],
      61,
    ),
  ),
  join(
    six(
      7,
      [
        [40, 61],
        [16, 40],
        [0, 16],
      ],
      61,
      0,
    ),
  ),
  join([
    ...six(1, [[0, 61]], 61, 60),
    ...four(2, [[8, 16]], 61),
    ...six(
      3,
      [
        [16, 24],
        [8, 32],
      ],
      61,
    ),
  ]),
  join([
    ...four(1, [[0, 16]], 61),
    ...four(2, [[0, 16]], 61),
    ...four(3, [[0, 16]], 61),
    ...four(1, [[16, 61]], 61),
  ]),
]

function run(input: Uint8Array, random: Random): string {
  let given = 0
  const reassembly = new Reassembly({
    limits: LIMITS,
    seed: random.int32(),
    onExpire: first => freemsg(first),
    onParameterProblem: fragment => freemsg(fragment),
  })
  let now = 0
  let at = 0
  for (let count = 0; count < PACKETS_MAX && at + SIZE_BYTES <= input.length; count++) {
    const size = (input[at]! << 8) | input[at + 1]!
    const packet = input.subarray(at + SIZE_BYTES, at + SIZE_BYTES + size)
    at += SIZE_BYTES + size
    const headers = Math.min(packet.length, random.below(2) === 0 ? 64 : HEADER_BYTES_MAX)
    const cut = headers + random.below(packet.length - headers + 1)
    const family = (packet[0] ?? 0) >> 4 === 6 ? 6 : 4
    const whole = reassembly.input(chainOf(arena, packet, [cut, cut], random.below(9)), family, instant(now))
    given++
    now += random.below(8_000_000)
    reassembly.expire(instant(now))
    assert(reassembly.bytes <= LIMITS.bytesHigh && reassembly.datagrams <= LIMITS.datagrams, 'limits hold')
    if (whole === null) continue
    const header = family === 4 ? (whole.bytes[whole.rptr]! & 15) << 2 : 0
    assert(header === 0 || sumMessage(whole, 0, header) === 0xffff, 'the header sum of a datagram is right')
    assert(whole.wptr - whole.rptr >= header && messageBytes(whole) <= 65_575, 'a datagram has its header')
    freemsg(whole)
  }
  reassembly.expire((now + seconds(60)) as Instant)
  assert(reassembly.pollAt() === null && reassembly.bytes === 0, 'nothing waits for ever')
  reassembly.clear()
  const { blocksInUse, viewsInUse } = arena.state()
  assert(blocksInUse + viewsInUse === 0, 'nothing leaked')
  // The check of the poison looks at every byte of the arena.
  if (random.below(64) === 0) arena.assertWhole()
  assert(reassembly.counters['fragments-in'] === given, 'every fragment is counted')
  return outcome(reassembly)
}

/** Which counters rose. @throws if a fragment ended nowhere */
function outcome(reassembly: Reassembly): string {
  const c = reassembly.counters
  let left = c['fragments-in'] - c['fragments-reassembled'] - c['fragments-atomic']
  left -= c['fragments-discarded'] + c['fragments-evicted'] + c['fragments-expired']
  let names = ''
  for (const [name, value] of Object.entries(c)) {
    if (name.startsWith('fragment-')) left -= value
    if (value > 0) names += `${name} `
  }
  assert(left === 0, `${left} fragments ended nowhere`)
  return names
}

export const targets: readonly FuzzTarget[] = [{ name: 'reassembly', seeds: SEEDS, run }]
