/** Reads what {@link pcapng.ts} writes, and other little-endian or big-endian pcapng files as far as that goes. */
import { StackError } from '../base/errors.ts'
import {
  PCAPNG_INTERFACE,
  PCAPNG_MAGIC,
  PCAPNG_PACKET,
  PCAPNG_SECTION,
  PCAPNG_STATISTICS,
  padded,
} from './pcapng.ts'

export interface PcapngInterface {
  readonly linkType: number
  readonly snaplen: number
  readonly name: string
  readonly description: string
}

export interface PcapngPacket {
  readonly interfaceId: number
  /** In units of the interface's resolution. */
  readonly time: bigint
  readonly original: number
  readonly bytes: Uint8Array
  /** Bits of epb_flags, 0 if there are none. */
  readonly flags: number
  readonly comment: string
}

export interface PcapngStatistics {
  readonly interfaceId: number
  readonly received: number
  readonly dropped: number
}

export interface PcapngFile {
  readonly comment: string
  readonly interfaces: readonly PcapngInterface[]
  readonly packets: readonly PcapngPacket[]
  readonly statistics: readonly PcapngStatistics[]
}

const SECTION_FIXED = 16
const INTERFACE_FIXED = 8
const PACKET_FIXED = 20
const STATISTICS_FIXED = 12
const decoder = new TextDecoder()

/** @throws StackError `ERR_PROTOCOL` if it is no pcapng file, or ends in the middle of a block */
export function readPcapng(bytes: Uint8Array): PcapngFile {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const file = {
    comment: '',
    interfaces: [] as PcapngInterface[],
    packets: [] as PcapngPacket[],
    statistics: [] as PcapngStatistics[],
  }
  let little = true
  for (let at = 0; at < bytes.length; ) {
    check(at + 12 <= bytes.length, at)
    const type = view.getUint32(at, little)
    if (type === PCAPNG_SECTION) {
      little = view.getUint32(at + 8, true) === PCAPNG_MAGIC
      check(little || view.getUint32(at + 8) === PCAPNG_MAGIC, at)
    } else check(at > 0, at)
    const size = view.getUint32(at + 4, little)
    check(size >= 12 && size % 4 === 0 && at + size <= bytes.length, at)
    check(view.getUint32(at + size - 4, little) === size, at)
    const body = new DataView(bytes.buffer, bytes.byteOffset + at + 8, size - 12)
    readBlock(file, type, body, little)
    at += size
  }
  return file
}

function check(good: boolean, at: number): void {
  if (!good) throw new StackError('ERR_PROTOCOL', `pcapng: no block at byte ${at}`)
}

function readBlock(
  file: {
    comment: string
    interfaces: PcapngInterface[]
    packets: PcapngPacket[]
    statistics: PcapngStatistics[]
  },
  type: number,
  body: DataView,
  little: boolean,
): void {
  const u32 = (at: number): number => body.getUint32(at, little)
  switch (type) {
    case PCAPNG_SECTION:
      check(body.byteLength >= SECTION_FIXED, body.byteOffset)
      file.comment = text(options(body, SECTION_FIXED, little).get(1))
      return
    case PCAPNG_INTERFACE: {
      check(body.byteLength >= INTERFACE_FIXED, body.byteOffset)
      const found = options(body, INTERFACE_FIXED, little)
      const linkType = body.getUint16(0, little)
      file.interfaces.push({
        linkType,
        snaplen: u32(4),
        name: text(found.get(2)),
        description: text(found.get(3)),
      })
      return
    }
    case PCAPNG_PACKET: {
      check(body.byteLength >= PACKET_FIXED, body.byteOffset)
      const captured = u32(12)
      // The first comparison keeps a length near 2^32 out of the second, which counts in 32 bits.
      check(
        captured <= body.byteLength && PACKET_FIXED + padded(captured) <= body.byteLength,
        body.byteOffset,
      )
      const found = options(body, PACKET_FIXED + padded(captured), little)
      const flags = atLeast(found.get(2), 4)
      file.packets.push({
        interfaceId: u32(0),
        time: (BigInt(u32(4)) << 32n) | BigInt(u32(8)),
        original: u32(16),
        bytes: new Uint8Array(body.buffer, body.byteOffset + PACKET_FIXED, captured).slice(),
        flags: flags === undefined ? 0 : flags.getUint32(0, little),
        comment: text(found.get(1)),
      })
      return
    }
    case PCAPNG_STATISTICS: {
      check(body.byteLength >= STATISTICS_FIXED, body.byteOffset)
      const found = options(body, STATISTICS_FIXED, little)
      const count = (code: number): number =>
        Number(atLeast(found.get(code), 8)?.getBigUint64(0, little) ?? 0n)
      file.statistics.push({ interfaceId: u32(0), received: count(4), dropped: count(5) })
      return
    }
    default:
  }
}

function atLeast(option: DataView | undefined, bytes: number): DataView | undefined {
  if (option !== undefined) check(option.byteLength >= bytes, option.byteOffset)
  return option
}

/** Options by code; of several with one code, the last. */
function options(body: DataView, start: number, little: boolean): Map<number, DataView> {
  const found = new Map<number, DataView>()
  for (let at = start; at + 4 <= body.byteLength; ) {
    const code = body.getUint16(at, little)
    const length = body.getUint16(at + 2, little)
    if (code === 0) break
    check(at + 4 + length <= body.byteLength, body.byteOffset + at)
    found.set(code, new DataView(body.buffer, body.byteOffset + at + 4, length))
    at += 4 + padded(length)
  }
  return found
}

function text(value: DataView | undefined): string {
  return value === undefined ? '' : decoder.decode(value)
}
