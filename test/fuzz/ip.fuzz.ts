import { assert } from '../../src/base/assert.ts'
import { fold, sumBytes } from '../../src/base/checksum.ts'
import type { Random } from '../../src/base/prng.ts'
import { seconds } from '../../src/base/time.ts'
import { setForwarding } from '../../src/inet/ip/control.ts'
import { HeaderWalk, skipHeaders, walkHeaders } from '../../src/inet/ip/extension-headers.ts'
import { checkOptions4 } from '../../src/inet/ip/options.ts'
import { IpFixture } from '../../src/inet/testing/ip-fixture.ts'
import {
  DESTINATION4,
  DESTINATION6,
  fragmentHeader,
  icmpMessage,
  ipv4Packet,
  ipv6Packet,
  paddingHeader,
  pattern,
  SOURCE4,
  SOURCE6,
  udpDatagram,
} from '../../src/inet/testing/packets.ts'
import { ERROR_CODE, KIND, LOCAL_PORT, REJECT_REQ, turnRound, unitdataAt } from '../../src/inet/unitdata.ts'
import { checkIpv4 } from '../../src/inet/wire/ipv4.ts'
import { checkIpv6 } from '../../src/inet/wire/ipv6.ts'
import type { Stream } from '../../src/streams/stream.ts'
import type { FuzzTarget } from './target.ts'

const FAR4 = [192, 0, 2, 7]
const FAR6 = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7]
const UDP4 = udpDatagram(pattern(40), SOURCE4, DESTINATION4, [1_000, 2_000])
const UDP6 = udpDatagram(pattern(40), SOURCE6, DESTINATION6, [1_000, 2_000])
const ours4 = ipv4Packet(UDP4, { protocol: 17, source: DESTINATION4, destination: SOURCE4 })
const ours6 = ipv6Packet(UDP6, { nextHeader: 17, source: DESTINATION6, destination: SOURCE6 })

const icmp4 = (type: number, code: number, body: Uint8Array): Uint8Array =>
  ipv4Packet(icmpMessage(4, type, code, body, SOURCE4, DESTINATION4), { protocol: 1 })
const icmp6 = (type: number, code: number, body: Uint8Array): Uint8Array =>
  ipv6Packet(icmpMessage(6, type, code, body, SOURCE6, DESTINATION6), { nextHeader: 58 })

const IPV4_SEEDS = [
  ipv4Packet(UDP4, { protocol: 17 }),
  ipv4Packet(UDP4, { protocol: 17, options: [7, 7, 4, 0, 0, 0, 0, 0, 148, 4, 0, 0] }),
  ipv4Packet(UDP4, { protocol: 17, options: [131, 7, 4, 10, 0, 0, 9, 0] }),
  ipv4Packet(UDP4.slice(0, 24), { protocol: 17, more: true }),
  ipv4Packet(UDP4.slice(24), { protocol: 17, offset: 24 }),
  ipv4Packet(UDP4, { protocol: 99 }),
  ipv4Packet(UDP4, { protocol: 17, destination: [10, 0, 0, 255] }),
  ipv4Packet(UDP4, { protocol: 17, destination: FAR4 }),
  ipv4Packet(pattern(2_000), { protocol: 17, destination: FAR4 }),
]
const IPV6_SEEDS = [
  ipv6Packet(UDP6, { nextHeader: 17 }),
  ipv6Packet(UDP6, { nextHeader: 17, headers: [paddingHeader(0), paddingHeader(60, 2)] }),
  ipv6Packet(UDP6, { nextHeader: 17, headers: [{ type: 43, body: [0, 0, 0, 0, 0, 0, 0] }] }),
  ipv6Packet(UDP6.slice(0, 24), { nextHeader: 17, headers: [fragmentHeader(0, true)] }),
  ipv6Packet(UDP6.slice(24), { nextHeader: 17, headers: [fragmentHeader(24, false)] }),
  ipv6Packet(UDP6, { nextHeader: 17, headers: [fragmentHeader(0, false)] }),
  ipv6Packet(UDP6, { nextHeader: 253 }),
  ipv6Packet(UDP6, { nextHeader: 17, destination: FAR6, headers: [paddingHeader(0)] }),
  ipv6Packet(pattern(2_000), { nextHeader: 17, destination: FAR6 }),
]
const ICMP_SEEDS = [
  icmp4(8, 0, pattern(40)),
  icmp4(0, 0, pattern(40)),
  icmp4(3, 3, Uint8Array.of(0, 0, 0, 0, ...ours4)),
  icmp4(3, 4, Uint8Array.of(0, 0, 2, 0, ...ours4)),
  icmp4(11, 0, Uint8Array.of(0, 0, 0, 0, ...ours4)),
  icmp4(13, 0, pattern(16)),
  icmp6(128, 0, pattern(40)),
  icmp6(1, 4, Uint8Array.of(0, 0, 0, 0, ...ours6)),
  icmp6(2, 0, Uint8Array.of(0, 0, 5, 20, ...ours6)),
  icmp6(135, 0, pattern(20)),
]

/** A stack that takes UDP, answers half of it and refuses the other half, and forwards. */
class Target {
  readonly fixture = new IpFixture()
  private readonly udp: Stream
  private packets = 0

  constructor() {
    const { fixture } = this
    fixture.test.clock.advance(seconds(1))
    this.udp = fixture.upper(17)
    fixture.addLink('tun1', ['192.0.2.1/24', '2001:db8::1/64'], { mtu: 1_300 }).onPacket = mp =>
      mp.dblk.arena.giveBack(this.only(mp))
    setForwarding(fixture.ip, true)
    fixture.send(this.udp, pattern(4), { remote: '10.0.0.1' })
    fixture.send(this.udp, pattern(4), { remote: 'fd00:0:0:1::1' })
  }

  /** Frees what hangs on a block, and returns it. */
  private only(mp: Parameters<NonNullable<IpFixture['link']['onPacket']>>[0]): typeof mp {
    for (let rest = mp.cont; rest !== null; ) {
      const next = rest.cont
      rest.dblk.arena.giveBack(rest)
      rest = next
    }
    return mp
  }

  /** @returns the counters that rose, as one line */
  run(input: Uint8Array, random: Random): string {
    const { fixture } = this
    const before = { ...fixture.ip.counters }
    const places = [random.below(input.length + 1), random.below(input.length + 1)].sort((a, b) => a - b)
    fixture.link.bring(input, random.below(2) === 0 ? [] : places)
    this.answer()
    checkSent(fixture.link.take())
    const events = fixture.test.events.filter(({ level }) => level === 'error')
    assert(events.length === 0, `a module failed: ${events[0]?.text}`)
    if (++this.packets % 256 === 0) this.rest()
    return Object.entries(fixture.ip.counters)
      .filter(([name, value]) => before[name as keyof typeof before] !== value)
      .map(([name]) => name)
      .join(' ')
  }

  private answer(): void {
    const { fixture, udp } = this
    fixture.test.settle()
    for (let mp = udp.getmsg(); mp !== null; mp = udp.getmsg()) {
      const { words } = fixture.test.arena
      const at = unitdataAt(mp)
      if (mp.cont === null) {
        mp.dblk.arena.giveBack(mp)
        continue
      }
      turnRound(mp)
      if ((mp.cont.wptr & 1) === 0) {
        words[at + KIND] = REJECT_REQ
        words[at + ERROR_CODE] = words[at + LOCAL_PORT]! & 15
      }
      udp.putmsg(mp)
    }
    fixture.test.settle()
  }

  /** Everything that waits is given up, and everything must have come home. */
  private rest(): void {
    this.fixture.ip.reassembly.clear()
    this.fixture.test.advance(seconds(1))
    this.answer()
    this.fixture.link.take()
    this.fixture.test.arena.assertWhole()
  }
}

/** What leaves must be packets that anybody would take. */
function checkSent(packets: readonly Uint8Array[]): void {
  for (const packet of packets) {
    assert(packet.length <= 1_500, `a packet of ${packet.length} bytes was sent`)
    const fault =
      packet[0]! >> 4 === 4
        ? checkIpv4(packet, 0, packet.length, packet.length)
        : checkIpv6(packet, 0, packet.length, packet.length)
    assert(fault === null, `what was sent is no packet: ${fault}`)
  }
}

/** Makes checksums right again, so that mutations get further than the first check. */
function repair(input: Uint8Array): void {
  if (input.length < 28) return
  const isV4 = input[0]! >> 4 === 4
  const headerBytes = isV4 ? (input[0]! & 15) << 2 : 40
  if (headerBytes + 8 > input.length || headerBytes < 20) return
  const put = (at: number, sum: number): void => {
    input[at] = (~sum & 0xffff) >> 8
    input[at + 1] = ~sum & 0xff
  }
  const protocol = input[isV4 ? 9 : 6]!
  if (isV4) {
    input.fill(0, 10, 12)
    put(10, fold(sumBytes(input, 0, headerBytes)))
  }
  if (protocol !== 1 && protocol !== 58) return
  const end = isV4 ? (input[2]! << 8) | input[3]! : 40 + ((input[4]! << 8) | input[5]!)
  if (end > input.length || end < headerBytes + 4) return
  input.fill(0, headerBytes + 2, headerBytes + 4)
  const pseudo = isV4 ? 0 : fold(sumBytes(input, 8, 40) + protocol + end - headerBytes)
  put(headerBytes + 2, fold(sumBytes(input, headerBytes, end, pseudo)))
}

let target: Target | null = null

function run(input: Uint8Array, random: Random): string {
  target ??= new Target()
  if (random.below(4) > 0) repair(input)
  return target.run(input, random)
}

/** The walks over IPv6 headers and IPv4 options alone: they end, and stay within the bytes. */
function walks(input: Uint8Array, random: Random): string {
  const walk = new HeaderWalk()
  const padded = new Uint8Array(Math.max(40, input.length))
  padded.set(input)
  const fault = walkHeaders(padded, 0, padded.length, random.below(2) === 0, random.below(2) === 0, walk)
  if (fault === null) assert(walk.offset <= Math.max(40, padded.length), 'the walk left the packet')
  const whole = skipHeaders(padded, 0, padded.length, walk)
  const options = checkOptions4(input, Math.min(20, input.length), input.length)
  return `${fault} ${whole} ${options}`
}

export const targets: readonly FuzzTarget[] = [
  { name: 'ipv4', seeds: IPV4_SEEDS, run },
  { name: 'ipv6', seeds: IPV6_SEEDS, run },
  { name: 'icmp', seeds: ICMP_SEEDS, run },
  { name: 'extension-headers', seeds: [...IPV6_SEEDS, ...IPV4_SEEDS], run: walks },
]
