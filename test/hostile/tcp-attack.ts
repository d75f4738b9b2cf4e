import { fold, sumBytes } from '../../src/base/checksum.ts'
import type { Random } from '../../src/base/prng.ts'
import { putI32, putU16, u16 } from '../../src/inet/wire/fields.ts'
import { ACK, CWR, ECE, FIN, PSH, RST, SYN, URG } from '../../src/inet/wire/tcp.ts'
import {
  CONTROL,
  EXPECTED,
  FAMILY,
  FLOWS,
  HOST,
  LAST_BYTES,
  LAST_SEQUENCE,
  NODE_NEXT,
  NODE_PORT,
  OWN_PORT,
  TcpFlows,
  TS_OWN,
  TS_VALUE,
} from './tcp-flows.ts'
import { writeHostileOptions } from './tcp-options.ts'

const PACKET_BYTES_MAX = 65_535
const SEEN_MAX = 64
const NEAR = [
  -65_536,
  -1_461,
  -100,
  -2,
  -1,
  0,
  0,
  0,
  0,
  1,
  2,
  100,
  1_460,
  10_000,
  65_535,
  1 << 20,
  1 << 30,
  -(1 << 31),
]
const WINDOWS = [0, 0, 1, 2, 100, 1_460, 8_192, 65_535, 65_535, 65_535]
const SIZES = [0, 0, 1, 2, 7, 100, 536, 1_400, 1_460, 5_000]
/** One packet in so many begins or ends a time without floods. */
const CALM_EVERY = 20_000
const POINTERS = [0, 1, 2, 3, 1_000, 65_535]
const FLAGS = [FIN, SYN, RST, PSH, ACK, URG, ECE, CWR]

/** Hosts of the attacker: 10.77.1.100 to 10.77.1.227, and the same of fd77:1::. */
const HOSTS = 128
export const FIRST_HOST = 100

/**
 * Segments against a stack, each wrong in a way that somebody thought of, in every state that its connections can be in: the attacker owns
 * many addresses, is on the path of their connections and blind towards those of others. About half of what it does
 * to a connection is right, so that connections come to every state.
 */
export class TcpAttack {
  readonly bytes = new Uint8Array(PACKET_BYTES_MAX)
  length = 0
  offload = 0
  csumStart = 0
  csumOffset = 0
  gsoSize = 0
  readonly cuts = new Int32Array(3)
  cutCount = 0
  readonly flows = new TcpFlows()
  /** Ports of the node: those that are listened on first, one that is not last. */
  readonly ports: readonly number[]
  /** Ports of an honest host's connection that the attacker cannot see: `honest << 16 | node`. */
  honestPorts = 0
  /** No SYNs but a few that mean it. */
  private calm = false
  private readonly random: Random
  /** Whole packets of the node's, to be quoted and played again. */
  private readonly seen: Uint8Array[] = []

  // The segment in hand.
  private family: 4 | 6 = 4
  private host = 0
  private ownPort = 0
  private nodePort = 0
  private sequence = 0
  private acknowledgment = 0
  private control = 0
  private window = 0
  private urgent = 0
  private size = 0
  /** TSval and TSecr; without the option if the first is 0. */
  private tsValue = 0
  private tsEcho = 0

  constructor(random: Random, ports: readonly number[]) {
    this.random = random
    this.ports = ports
  }

  /** Remembers a packet that the node sent to one of the attacker's hosts. */
  learn(packet: Uint8Array): void {
    const family = packet[0]! >> 4 === 4 ? 4 : 6
    const at = family === 4 ? 20 : 40
    if (packet[family === 4 ? 9 : 6] === 6 && packet.length >= at + 20)
      this.flows.learn(packet, family, packet[family === 4 ? 19 : 39]!, at, packet.length)
    if (this.random.below(64) !== 0) return
    const kept = packet.slice(0, 1_500)
    if (this.seen.length < SEEN_MAX) this.seen.push(kept)
    else this.seen[this.random.below(SEEN_MAX)] = kept
  }

  /** Makes the next packet. */
  next(): void {
    // Not always a flood: where a backlog is full for ever, nobody is half open for long.
    if (this.random.below(CALM_EVERY) === 0) this.calm = !this.calm
    const which = this.calm ? 20 + this.random.below(80) : this.random.below(100)
    this.offload = this.csumStart = this.csumOffset = this.gsoSize = this.cutCount = 0
    if (which < 12) this.flood()
    else if (which < 20) this.open()
    else if (this.calm && this.random.below(32) === 0) this.open()
    else if (which < 50) this.goOn()
    else if (which < 80) this.disturb()
    else if (which < 87 && this.seen.length > 0) return this.replay()
    else if (which < 94 && this.seen.length > 0) return this.complain()
    else this.blind()
    this.write()
    this.chooseCuts()
  }

  private pick(list: readonly number[]): number {
    return list[this.random.below(list.length)]!
  }

  private fresh(): void {
    const { random } = this
    this.family = random.below(4) === 0 ? 6 : 4
    this.host = FIRST_HOST + random.below(HOSTS)
    this.ownPort = 1_024 + random.below(60_000)
    this.nodePort = this.pick(this.ports)
    this.sequence = random.int32()
    this.acknowledgment = 0
    this.window = 65_535
    this.urgent = this.size = this.tsValue = this.tsEcho = 0
  }

  /** A SYN from nowhere, never to be heard of again. */
  private flood(): void {
    this.fresh()
    this.control = SYN
    this.host = this.random.below(256)
  }

  /** A SYN that means it. */
  private open(): void {
    this.fresh()
    this.control = this.random.below(8) === 0 ? SYN | ECE | CWR : SYN
    this.tsValue = this.random.below(2)
    if (this.random.below(16) === 0) this.size = this.pick(SIZES)
    if (this.random.below(16) === 0) this.window = this.pick(WINDOWS)
  }

  /** A connection, mostly the one of which the node spoke last; its numbers are right. */
  private choose(): void {
    const { flows, random } = this
    const { words } = flows
    const at = random.below(4) === 0 ? flows.at(random.below(FLOWS)) : flows.latest
    this.family = words[at + FAMILY] === 6 ? 6 : 4
    this.host = words[at + HOST]!
    this.ownPort = words[at + OWN_PORT]!
    this.nodePort = words[at + NODE_PORT]!
    this.sequence = words[at + EXPECTED]!
    this.acknowledgment = words[at + NODE_NEXT]!
    this.control = ACK
    this.window = 65_535
    this.urgent = this.size = 0
    this.tsEcho = words[at + TS_VALUE]!
    this.tsValue = this.tsEcho === 0 ? 0 : words[at + TS_OWN]!++
    // The node opens: the answer has a sequence number of its own.
    if ((words[at + CONTROL]! & (SYN | ACK)) === SYN) {
      this.control = SYN | ACK
      this.sequence = words[at + EXPECTED] = random.int32()
    }
    // Sometimes only a part is acknowledged.
    if (words[at + LAST_BYTES]! > 1 && random.below(4) === 0)
      this.acknowledgment = (words[at + LAST_SEQUENCE]! + random.below(words[at + LAST_BYTES]!)) | 0
  }

  /** What a peer would do. */
  private goOn(): void {
    const { random } = this
    this.choose()
    switch (random.below(8)) {
      case 0:
      case 1:
      case 2:
        this.control |= PSH
        this.size = this.pick(SIZES)
        return
      case 3:
        this.control |= FIN
        this.size = random.below(2) === 0 ? 0 : this.pick(SIZES)
        return
      case 4:
        this.window = this.pick(WINDOWS)
        return
      case 5:
        // A gap, to be filled later or never.
        this.sequence = (this.sequence + random.below(60_000)) | 0
        this.size = 1 + random.below(1_400)
    }
  }

  /** What a peer would not do: several things at once. */
  private disturb(): void {
    const { random } = this
    this.choose()
    for (let left = 1 + random.below(3); left > 0; left--) {
      switch (random.below(10)) {
        case 0:
          this.control = this.pick([
            RST,
            RST | ACK,
            SYN,
            SYN | ACK,
            FIN,
            FIN | ACK,
            0,
            ACK | URG,
            SYN | FIN,
            0xff,
          ])
          break
        case 1:
          this.control ^= this.pick(FLAGS)
          break
        case 2:
        case 3:
          this.sequence = (this.sequence + this.pick(NEAR)) | 0
          break
        case 4:
          this.acknowledgment = (this.acknowledgment + this.pick(NEAR)) | 0
          break
        case 5:
          this.window = this.pick(WINDOWS)
          break
        case 6:
          this.control |= URG
          this.urgent = this.pick(POINTERS)
          break
        case 7:
          this.size = random.below(64) === 0 ? random.below(60_000) : this.pick(SIZES)
          break
        case 8:
          this.tsValue = random.below(2) === 0 ? random.int32() : 0
          break
        case 9:
          this.tsEcho = random.int32()
      }
    }
  }

  /** Against a connection of others: everything has to be guessed, but the ports. */
  private blind(): void {
    const { random } = this
    this.fresh()
    this.host = 1
    this.ownPort = this.honestPorts >>> 16
    this.nodePort = this.honestPorts & 0xffff
    this.family = 4
    this.acknowledgment = random.int32()
    this.control = this.pick([RST, RST | ACK, SYN, SYN | ACK, ACK, ACK | PSH, FIN | ACK, URG | ACK])
    this.size = this.pick(SIZES)
  }

  /** Writes the packet whose fields are in hand. */
  private write(): void {
    const { bytes, random } = this
    const at = this.writeIp()
    putU16(bytes, at, this.ownPort)
    putU16(bytes, at + 2, this.nodePort)
    putI32(bytes, at + 4, this.sequence)
    putI32(bytes, at + 8, this.acknowledgment)
    const options = writeHostileOptions(bytes, at + 20, random, {
      syn: (this.control & SYN) !== 0,
      tsValue: this.tsValue,
      tsEcho: this.tsEcho,
      acknowledgment: this.acknowledgment,
    })
    bytes[at + 12] = ((20 + options) >> 2) << 4
    bytes[at + 13] = this.control
    putU16(bytes, at + 14, this.window)
    putU16(bytes, at + 16, 0)
    putU16(bytes, at + 18, this.urgent)
    const data = at + 20 + options
    this.length = Math.min(PACKET_BYTES_MAX, data + this.size)
    bytes.fill(random.below(256), data, this.length)
    if (random.below(200) === 0) bytes[at + 12] = random.below(256)
    this.finish(at)
    if (this.size > 1_460 && random.below(4) !== 0) this.makeSuper(at)
  }

  /** @returns where the transport's header begins */
  private writeIp(): number {
    const { bytes } = this
    if (this.family === 4) {
      bytes.set([0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, 6, 0, 0, 10, 77, 1, this.host, 10, 77, 1, 2])
      if (this.random.below(16) === 0) bytes[1] = this.random.below(4)
      return 20
    }
    bytes.fill(0, 0, 40)
    bytes[0] = 0x60
    bytes[6] = 6
    bytes[7] = 64
    bytes.set([0xfd, 0x77, 0, 1], 8)
    bytes[23] = this.host
    bytes.set([0xfd, 0x77, 0, 1], 24)
    bytes[39] = 2
    return 40
  }

  /** Lengths and checksums, mostly right. */
  private finish(at: number): void {
    const { bytes, length, random } = this
    const v4 = bytes[0]! >> 4 === 4
    if (v4) {
      putU16(bytes, 2, length)
      putU16(bytes, 10, 0)
      putU16(bytes, 10, ~fold(sumBytes(bytes, 0, 20)) & 0xffff)
    } else putU16(bytes, 4, length - 40)
    if (random.below(4) !== 0) {
      // A device that has looked already, as a TUN has.
      this.offload = 0x02
      return
    }
    const pseudo = sumBytes(bytes, v4 ? 12 : 8, at, 6 + length - at)
    const sum = ~fold(sumBytes(bytes, at, length, fold(pseudo))) & 0xffff
    putU16(bytes, at + 16, random.below(64) === 0 ? random.below(65_536) : sum)
  }

  /** Says that it is many packets in one, truly or not. */
  private makeSuper(at: number): void {
    const { random } = this
    this.offload = 0x01 | (this.bytes[0]! >> 4 === 4 ? 0x10 : 0x20)
    this.csumStart = at
    this.csumOffset = 16
    this.gsoSize = random.below(8) === 0 ? this.pick([0, 1, 7, 65_535]) : 1_400
  }

  /** A packet of the node's own, turned round or as it is, with a few bits changed. */
  private replay(): void {
    const { random, bytes } = this
    this.load()
    const v4 = bytes[0]! >> 4 === 4
    const at = v4 ? 20 : 40
    if (random.below(4) !== 0) {
      for (let i = 0; i < (v4 ? 4 : 16); i++) this.swap((v4 ? 12 : 8) + i, (v4 ? 16 : 24) + i)
      for (let i = 0; i < 2; i++) this.swap(at + i, at + 2 + i)
      for (let i = 0; i < 4; i++) this.swap(at + 4 + i, at + 8 + i)
    }
    for (let left = random.below(4); left > 0; left--)
      bytes[at + random.below(Math.max(1, Math.min(60, this.length - at)))]! ^= 1 << random.below(8)
    this.finish(at)
    this.chooseCuts()
  }

  /** An ICMP error about a packet of the node's. */
  private complain(): void {
    const { random, bytes } = this
    this.load()
    const v4 = bytes[0]! >> 4 === 4
    const at = v4 ? 20 : 40
    const quoted = Math.min(this.length, v4 ? 28 + random.below(100) : 60 + random.below(400))
    if (random.below(3) === 0) putI32(bytes, at + 4, random.int32())
    bytes.copyWithin(at + 8, 0, quoted)
    this.length = at + 8 + quoted
    // To the node, from a router or from the host itself.
    for (let i = 0; i < (v4 ? 4 : 16); i++) {
      bytes[(v4 ? 16 : 24) + i] = bytes[at + 8 + (v4 ? 12 : 8) + i]!
      bytes[(v4 ? 12 : 8) + i] = bytes[at + 8 + (v4 ? 16 : 24) + i]!
    }
    bytes[v4 ? 9 : 6] = v4 ? 1 : 58
    bytes[at] = v4 ? this.pick([3, 3, 3, 4, 5, 11, 12]) : this.pick([1, 2, 2, 3, 4])
    bytes[at + 1] = v4 ? random.below(16) : random.below(8)
    putI32(bytes, at + 4, this.pick([0, 1, 68, 296, 552, 576, 1_000, 1_280, 1_400, 1_500, 65_535]))
    putU16(bytes, at + 2, 0)
    const sum = sumBytes(bytes, v4 ? at : 8, v4 ? this.length : at, v4 ? 0 : 58 + this.length - at)
    putU16(bytes, at + 2, ~fold(v4 ? sum : sumBytes(bytes, at, this.length, fold(sum))) & 0xffff)
    if (v4) {
      putU16(bytes, 2, this.length)
      putU16(bytes, 10, 0)
      putU16(bytes, 10, ~fold(sumBytes(bytes, 0, 20)) & 0xffff)
    } else putU16(bytes, 4, this.length - 40)
    this.chooseCuts()
  }

  private load(): void {
    const packet = this.seen[this.random.below(this.seen.length)]!
    this.bytes.set(packet)
    this.length = packet.length
    this.family = packet[0]! >> 4 === 4 ? 4 : 6
    // A part of a super-segment is a packet with another length.
    if (this.family === 4 && u16(packet, 2) !== packet.length) putU16(this.bytes, 2, packet.length)
  }

  private swap(a: number, b: number): void {
    const { bytes } = this
    const kept = bytes[a]!
    bytes[a] = bytes[b]!
    bytes[b] = kept
  }

  private chooseCuts(): void {
    const { random, cuts } = this
    this.cutCount = random.below(8) === 0 ? 1 + random.below(3) : 0
    for (let i = 0; i < this.cutCount; i++) cuts[i] = random.below(Math.min(this.length, 120) + 1)
    if (this.cutCount > 1) cuts.subarray(0, this.cutCount).sort()
  }
}
