import { fold, sumBytes } from '../../src/base/checksum.ts'
import type { Random } from '../../src/base/prng.ts'
import { ADDRESSES4, ADDRESSES6, makeTemplates } from './templates.ts'

export const PACKET_BYTES_MAX = 65_600
const CUTS_MAX = 3
const INTERESTING = [
  0, 1, 2, 3, 7, 8, 20, 40, 44, 60, 127, 128, 255, 256, 1_280, 1_500, 0x7fff, 0x8000, 0xfff8, 0xffff,
]
const HEADER_TYPES = [0, 43, 44, 50, 51, 59, 60, 135, 139, 17, 6, 58, 253]
/** One packet in so many begins a datagram in fragments that belong together, most of them right. */
const TRAIN_EVERY = 48
const TRAIN_PIECES_MAX = 12
/** Own packets of the node that an attacker on the path would have seen. */
const SEEN_MAX = 8

/**
 * Makes packets that are wrong in a way that somebody thought of: valid ones with fields, lengths, options, extension headers,
 * fragments, addresses and offload fields changed, checksums mostly repaired so that they get further than the first check.
 */
export class HostilePackets {
  /** The packet in hand. */
  readonly bytes = new Uint8Array(PACKET_BYTES_MAX)
  length = 0
  offload = 0
  csumStart = 0
  csumOffset = 0
  gsoSize = 0
  /** Where it is to be cut into blocks, ascending; the first `cutCount` count. */
  readonly cuts = new Int32Array(CUTS_MAX)
  cutCount = 0
  private readonly random: Random
  private readonly templates = makeTemplates()
  private readonly seen: Uint8Array[] = []
  /** Fragments that are still to come, among other packets. */
  private readonly train: Uint8Array[] = []

  constructor(random: Random) {
    this.random = random
  }

  /** Remembers a packet that the node sent, to be answered and quoted. */
  learn(packet: Uint8Array): void {
    if (this.seen.length < SEEN_MAX) this.seen.push(packet)
    else this.seen[this.random.below(SEEN_MAX)] = packet
  }

  /** Makes the next packet. */
  next(): void {
    const { random } = this
    if (this.train.length > 0 && random.below(3) === 0) return this.nextOfTrain()
    this.load(this.templates[random.below(this.templates.length)]!)
    if (this.train.length === 0 && random.below(TRAIN_EVERY) === 0) return this.beginTrain()
    if (random.below(16) === 0 && this.seen.length > 0) this.load(this.seen[random.below(this.seen.length)]!)
    if (random.below(8) === 0) this.resize()
    if (random.below(6) === 0) this.changeAddress()
    if (random.below(6) === 0) this.changePayload()
    if (random.below(4) !== 0) this.repairTransport()
    this.changeHeaders()
    if (random.below(8) !== 0) this.repairLength()
    if (random.below(10) === 0) this.changeField()
    if (random.below(8) !== 0) this.repairHeader4()
    if (random.below(12) === 0) this.flip()
    if (random.below(24) === 0) this.length = random.below(this.length + 1)
    this.lieAboutOffload()
    this.chooseCuts()
  }

  private get isV4(): boolean {
    return this.bytes[0]! >> 4 === 4
  }

  private get headerBytes(): number {
    return this.isV4 ? (this.bytes[0]! & 15) << 2 : 40
  }

  private load(packet: Uint8Array): void {
    this.bytes.set(packet)
    this.length = packet.length
  }

  private put16(at: number, value: number): void {
    this.bytes[at] = value >>> 8
    this.bytes[at + 1] = value
  }

  private resize(): void {
    const { random, bytes } = this
    const limit = random.below(64) === 0 ? 65_535 : random.below(4) === 0 ? 9_000 : 64
    const longer = Math.min(PACKET_BYTES_MAX - 200, this.length + random.below(limit))
    bytes.fill(random.below(256), this.length, longer)
    this.length = random.below(4) === 0 ? random.below(this.length + 1) : longer
  }

  private changeAddress(): void {
    const { random } = this
    const list = this.isV4 ? ADDRESSES4 : ADDRESSES6
    const address = list[random.below(list.length)]!
    const at = this.isV4 ? 12 : 8
    this.bytes.set(address, random.below(3) === 0 ? at + address.length : at)
    // A source that differs each time, so that not everything is one sender's.
    if (random.below(2) === 0) this.bytes[at + address.length - 1] = random.below(256)
  }

  private changePayload(): void {
    const { random } = this
    const at = this.headerBytes + random.below(16)
    if (at + 2 > this.length) return
    if (random.below(2) === 0) this.bytes[at] = random.below(256)
    else this.put16(at, INTERESTING[random.below(INTERESTING.length)]!)
  }

  /** UDP, ICMP and ICMPv6, where the header stands right behind IP's. */
  private repairTransport(): void {
    const { bytes, length } = this
    const at = this.headerBytes
    const protocol = bytes[this.isV4 ? 9 : 6]!
    const fieldAt = at + (protocol === 17 ? 6 : protocol === 6 ? 16 : 2)
    if ((protocol !== 17 && protocol !== 1 && protocol !== 58 && protocol !== 6) || fieldAt + 2 > length)
      return
    if (protocol === 17) this.put16(at + 4, length - at)
    this.put16(fieldAt, 0)
    let sum = 0
    if (protocol !== 1)
      sum = sumBytes(bytes, this.isV4 ? 12 : 8, at < 20 ? 0 : this.isV4 ? 20 : 40, protocol + length - at)
    sum = ~fold(sumBytes(bytes, at, length, fold(sum))) & 0xffff
    this.put16(fieldAt, sum === 0 && protocol === 17 ? 0xffff : sum)
  }

  private changeHeaders(): void {
    const { random } = this
    switch (random.below(10)) {
      case 0:
      case 1:
        return this.isV4 ? this.makeFragment4() : this.makeFragment6()
      case 2:
        return this.isV4 ? this.insertOptions4() : this.insertHeaders6()
      case 3:
        this.bytes[this.isV4 ? 9 : 6] = HEADER_TYPES[random.below(HEADER_TYPES.length)]!
    }
  }

  /** A piece of the packet, at a place among few, with an identification among few: some of them meet. */
  private makeFragment4(): void {
    const { random } = this
    const header = this.headerBytes
    const start = 8 * random.below(random.below(16) === 0 ? 8_192 : 6)
    this.keepPart(header, start, 8 * (1 + random.below(8)) - (random.below(8) === 0 ? 3 : 0))
    this.put16(4, random.below(64))
    this.put16(6, (start >> 3) | (random.below(3) === 0 ? 0 : 0x2000))
  }

  private makeFragment6(): void {
    const { random, bytes } = this
    const start = 8 * random.below(random.below(16) === 0 ? 8_192 : 6)
    this.keepPart(40, start, 8 * (1 + random.below(8)) - (random.below(8) === 0 ? 3 : 0))
    this.open(40, 8)
    bytes[40] = bytes[6]!
    bytes[41] = random.below(4) === 0 ? random.below(256) : 0
    this.put16(42, start | (random.below(3) === 0 ? 0 : 1) | (random.below(8) === 0 ? 6 : 0))
    this.put16(44, 0)
    this.put16(46, random.below(64))
    bytes[6] = 44
  }

  /** Cuts a whole datagram into fragments, in any order, sometimes one twice, and sends the first of them. */
  private beginTrain(): void {
    const { random } = this
    this.repairTransport()
    const header = this.headerBytes
    const packet = this.bytes.slice(0, this.length)
    const size = Math.max(
      24,
      8 * Math.ceil((packet.length - header) / 8 / (1 + random.below(TRAIN_PIECES_MAX))),
    )
    const identification = random.below(65_536)
    for (let start = 0; header + start < packet.length; start += size)
      this.train.push(cutOut(packet, header, start, size, identification))
    for (let i = this.train.length - 1; i > 0; i--) {
      const j = random.below(i + 1)
      const piece = this.train[i]!
      this.train[i] = this.train[j]!
      this.train[j] = piece
    }
    if (random.below(4) === 0 && this.train.length > 0) this.train.push(this.train[0]!)
    this.nextOfTrain()
  }

  private nextOfTrain(): void {
    const piece = this.train.pop()
    if (piece !== undefined) this.load(piece)
    if (this.random.below(32) === 0) this.flip()
    this.repairHeader4()
    this.lieAboutOffload()
    if (this.random.below(4) !== 0) this.offload = 0
    this.chooseCuts()
  }

  /** Cuts the payload down to what a fragment at `start` would hold. */
  private keepPart(header: number, start: number, size: number): void {
    const from = Math.min(header + start, this.length)
    const end = Math.min(this.length, from + size)
    this.bytes.copyWithin(header, from, end)
    this.length = header + Math.max(end - from, this.random.below(8) === 0 ? 0 : Math.min(size, 64))
  }

  /** Makes a hole of `size` bytes. */
  private open(at: number, size: number): void {
    this.bytes.copyWithin(at + size, at, this.length)
    this.length += size
  }

  private insertOptions4(): void {
    const { random, bytes } = this
    const words = 1 + random.below(10)
    this.open(20, 4 * words)
    bytes[0] = 0x45 + words
    const types = [0, 1, 7, 0x44, 0x83, 0x89, 0x94, random.below(256)]
    for (let i = 20; i < 20 + 4 * words; ) {
      bytes[i] = types[random.below(types.length)]!
      const size = random.below(4) === 0 ? random.below(48) : 4
      bytes[i + 1] = size
      for (let j = i + 2; j < i + 4; j++) bytes[j] = random.below(64)
      i += Math.max(4, size)
    }
  }

  private insertHeaders6(): void {
    const { random, bytes } = this
    for (let left = 1 + random.below(random.below(4) === 0 ? 12 : 3); left > 0; left--) {
      const size = 8 * (1 + random.below(3))
      this.open(40, size)
      bytes[40] = bytes[6]!
      bytes[41] = random.below(8) === 0 ? random.below(256) : (size >> 3) - 1
      for (let i = 42; i < 40 + size; ) {
        bytes[i] = [0, 1, 1, 5, 0xc2, 0x41, 0x80, 0xc0, random.below(256)][random.below(9)]!
        const length = random.below(4) === 0 ? random.below(256) : Math.max(0, 40 + size - i - 2)
        bytes[i + 1] = length
        for (let j = i + 2; j < 40 + size; j++) bytes[j] = random.below(4)
        i += 2 + length
      }
      bytes[6] = HEADER_TYPES[random.below(7)]!
    }
  }

  private repairLength(): void {
    const delta = this.random.below(16) === 0 ? this.random.below(9) - 4 : 0
    if (this.isV4) this.put16(2, this.length + delta)
    else this.put16(4, this.length - 40 + delta)
  }

  private changeField(): void {
    const { random } = this
    const at = random.below(Math.max(1, Math.min(this.length, 64)))
    if (random.below(2) === 0) this.bytes[at] = random.below(256)
    else this.put16(at, INTERESTING[random.below(INTERESTING.length)]!)
  }

  private repairHeader4(): void {
    const size = this.headerBytes
    if (!this.isV4 || size < 20 || size > this.length) return
    this.put16(10, 0)
    this.put16(10, ~fold(sumBytes(this.bytes, 0, size)))
  }

  private flip(): void {
    for (let left = 1 + this.random.below(8); left > 0; left--)
      this.bytes[this.random.below(Math.max(1, this.length))]! ^= 1 << this.random.below(8)
  }

  /** What a device may say of a packet, true or not (checklist 3.7). */
  private lieAboutOffload(): void {
    const { random } = this
    this.offload = 0
    this.csumStart = 0
    this.csumOffset = 0
    this.gsoSize = 0
    if (random.below(5) !== 0) return
    this.offload = [0x01, 0x02, 0x03, 0x10, 0x11, 0x21, 0x40, 0x41, 0x42, 0x51, 0x71, random.below(256)][
      random.below(12)
    ]!
    this.csumStart = random.below(3) === 0 ? random.below(65_536) : this.headerBytes
    this.csumOffset = [6, 16, 2, 0, random.below(65_536)][random.below(5)]!
    this.gsoSize = [0, 1, 8, 64, 512, 1_400, random.below(65_536)][random.below(7)]!
  }

  private chooseCuts(): void {
    const { random, cuts } = this
    this.cutCount = random.below(4) === 0 ? 1 + random.below(CUTS_MAX) : 0
    const near = random.below(2) === 0 ? Math.min(this.length, 80) : this.length
    for (let i = 0; i < this.cutCount; i++) cuts[i] = random.below(near + 1)
    if (this.cutCount > 1) cuts.subarray(0, this.cutCount).sort()
  }
}

/** The fragment of a packet that begins at `start` of its payload. */
function cutOut(
  packet: Uint8Array,
  header: number,
  start: number,
  size: number,
  identification: number,
): Uint8Array {
  const data = packet.subarray(header + start, header + start + size)
  const more = header + start + size < packet.length
  const isV4 = packet[0]! >> 4 === 4
  const piece = new Uint8Array(header + (isV4 ? 0 : 8) + data.length)
  piece.set(packet.subarray(0, header))
  piece.set(data, piece.length - data.length)
  const view = new DataView(piece.buffer)
  if (isV4) {
    view.setUint16(2, piece.length)
    view.setUint16(4, identification)
    view.setUint16(6, (start >> 3) | (more ? 0x2000 : 0))
    return piece
  }
  view.setUint16(4, piece.length - 40)
  piece[40] = piece[6]!
  piece[6] = 44
  view.setUint16(42, start | (more ? 1 : 0))
  view.setUint32(44, identification)
  return piece
}
