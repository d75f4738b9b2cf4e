/** TCP segments for tests: written as the test says, read as they came. */
import { fold, sumBytes } from '../../../base/checksum.ts'
import { allocb } from '../../../streams/mblk/alloc.ts'
import type { Arena } from '../../../streams/mblk/arena.ts'
import {
  type Mblk,
  OFFLOAD_CSUM_VALID,
  OFFLOAD_GSO_TCP4,
  OFFLOAD_GSO_TCP6,
} from '../../../streams/mblk/mblk.ts'
import { flat } from '../../../streams/testing/messages.ts'
import { fromWords, type IpAddress } from '../../address.ts'
import { indication } from '../../testing/fake-ip.ts'
import { FAMILY, HOP_LIMIT, LOCAL, REMOTE, TRAFFIC_CLASS } from '../../unitdata.ts'
import { tcpPseudoHeaderSum } from '../../wire/tcp.ts'

/** Letters of the control bits, lowest first: FIN SYN RST PSH ACK URG ECE CWR. */
const LETTERS = 'FSRPAUEC'

export const controlOf = (flags: string): number =>
  [...flags].reduce((bits, letter) => bits | (1 << LETTERS.indexOf(letter)), 0)

export const flagsOf = (control: number): string =>
  [...LETTERS].filter((_, bit) => ((control >> bit) & 1) !== 0).join('')

/** What the header says. */
export interface SegmentFields {
  /** As 'S', 'SA', 'FA', 'R', … in any order. */
  readonly flags: string
  readonly seq: number
  readonly ack?: number
  readonly window?: number
  readonly urgent?: number
  readonly data?: Uint8Array | string
  readonly mss?: number
  readonly windowScale?: number
  readonly sackPermitted?: boolean
  readonly timestamps?: readonly [value: number, echo: number]
  readonly sack?: readonly (readonly [left: number, right: number])[]
  /** Option bytes instead of all the above. */
  readonly options?: readonly number[]
}

/** A segment that was sent. */
export interface SentSegment {
  /** Virtual milliseconds at which it left. */
  readonly atMs: number
  readonly from: IpAddress
  readonly to: IpAddress
  readonly fromPort: number
  readonly toPort: number
  /** As in {@link SegmentFields}, in the order FSRPAUEC. */
  readonly flags: string
  readonly seq: number
  readonly ack: number
  readonly window: number
  readonly urgent: number
  readonly data: Uint8Array
  readonly mss: number | null
  readonly windowScale: number | null
  readonly sackPermitted: boolean
  readonly timestamps: readonly [value: number, echo: number] | null
  readonly sack: readonly (readonly [left: number, right: number])[]
  /** Payload bytes of each segment of a super-segment; 0 if it is none. */
  readonly gsoSize: number
  readonly trafficClass: number
  readonly hopLimit: number
}

const word = (value: number): number[] => [24, 16, 8, 0].map(shift => (value >>> shift) & 0xff)

export function optionBytes(fields: SegmentFields): number[] {
  if (fields.options !== undefined) return [...fields.options]
  const bytes: number[] = []
  if (fields.mss !== undefined) bytes.push(2, 4, fields.mss >> 8, fields.mss & 0xff)
  if (fields.sackPermitted) bytes.push(4, 2)
  if (fields.timestamps !== undefined)
    bytes.push(8, 10, ...word(fields.timestamps[0]), ...word(fields.timestamps[1]))
  if (fields.windowScale !== undefined) bytes.push(3, 3, fields.windowScale)
  const blocks = fields.sack ?? []
  if (blocks.length > 0)
    bytes.push(
      5,
      2 + 8 * blocks.length,
      ...blocks.flatMap(([left, right]) => [...word(left), ...word(right)]),
    )
  while ((bytes.length & 3) !== 0) bytes.push(1)
  return bytes
}

/** Header, options and data; the checksum zero. */
export function segmentBytes(fields: SegmentFields, sourcePort: number, destinationPort: number): Uint8Array {
  const options = optionBytes(fields)
  const data = typeof fields.data === 'string' ? new TextEncoder().encode(fields.data) : fields.data
  const size = 20 + options.length
  const bytes = new Uint8Array(size + (data?.length ?? 0))
  const view = new DataView(bytes.buffer)
  view.setUint16(0, sourcePort)
  view.setUint16(2, destinationPort)
  view.setInt32(4, fields.seq | 0)
  view.setInt32(8, (fields.ack ?? 0) | 0)
  view.setUint8(12, (size >> 2) << 4)
  view.setUint8(13, controlOf(fields.flags))
  view.setUint16(14, fields.window ?? 65_535)
  view.setUint16(18, fields.urgent ?? 0)
  bytes.set(options, 20)
  if (data !== undefined) bytes.set(data, size)
  return bytes
}

export interface Delivery {
  /** The peer. */
  readonly from: IpAddress
  readonly to: IpAddress
  readonly ecn?: number
  readonly flags?: number
  /** Makes the message of the bytes; one block of the fitting size by default. */
  readonly shape?: ((bytes: Uint8Array) => Mblk) | undefined
  /** Computes and checks the sum instead of vouching for it. */
  readonly checksum?: boolean
  readonly gsoSize?: number
}

/** What IP would bring: the control block with the segment behind it. */
export function segmentIndication(arena: Arena, bytes: Uint8Array, delivery: Delivery): Mblk {
  const payload = delivery.shape?.(bytes) ?? blockOf(arena, bytes)
  const mp = indication(
    arena,
    { remote: delivery.from, local: delivery.to, protocol: 6, flags: delivery.flags ?? 0 },
    payload,
  )
  const at = mp.rptr >> 2
  arena.words[at + TRAFFIC_CLASS] = delivery.ecn ?? 0
  if (delivery.checksum === true) {
    const sum = fold(tcpPseudoHeaderSum(arena.words, at, bytes.length) + sumBytes(bytes, 0, bytes.length))
    const checksum = ~sum & 0xffff
    let offset = 16
    let bp: Mblk = payload
    for (const value of [checksum >> 8, checksum & 0xff]) {
      while (offset >= bp.wptr - bp.rptr) {
        offset -= bp.wptr - bp.rptr
        bp = bp.cont!
      }
      bp.dblk.bytes[bp.rptr + offset++] = value
    }
  } else payload.offload = OFFLOAD_CSUM_VALID
  if (delivery.gsoSize !== undefined) {
    payload.offload |= delivery.from.family === 4 ? OFFLOAD_GSO_TCP4 : OFFLOAD_GSO_TCP6
    payload.gsoSize = delivery.gsoSize
  }
  return mp
}

function blockOf(arena: Arena, bytes: Uint8Array): Mblk {
  const mp = allocb(arena, bytes.length, 60)
  if (mp === null) throw new Error('the test ran out of blocks')
  mp.dblk.bytes.set(bytes, mp.wptr)
  mp.wptr += bytes.length
  return mp
}

/** Reads what a core gave to be sent. @param mp - borrowed: an UNITDATA_REQ */
export function readSent(mp: Mblk, atMs: number): SentSegment {
  const { words } = mp.dblk.arena
  const at = mp.rptr >> 2
  const address = (index: number): IpAddress =>
    fromWords(
      words[at + FAMILY] === 4 ? 4 : 6,
      words[at + index]!,
      words[at + index + 1]!,
      words[at + index + 2]!,
      words[at + index + 3]!,
    )
  const bytes = flat(mp.cont!)
  const view = new DataView(bytes.buffer)
  const size = (bytes[12]! >> 4) << 2
  return {
    atMs,
    from: address(LOCAL),
    to: address(REMOTE),
    fromPort: view.getUint16(0),
    toPort: view.getUint16(2),
    flags: flagsOf(bytes[13]!),
    seq: view.getInt32(4),
    ack: view.getInt32(8),
    window: view.getUint16(14),
    urgent: view.getUint16(18),
    data: bytes.slice(size),
    ...readOptionBytes(view, size),
    gsoSize: mp.cont!.gsoSize,
    trafficClass: words[at + TRAFFIC_CLASS]!,
    hopLimit: words[at + HOP_LIMIT]!,
  }
}

function readOptionBytes(
  view: DataView,
  end: number,
): Pick<SentSegment, 'mss' | 'windowScale' | 'sackPermitted' | 'timestamps' | 'sack'> {
  let mss: number | null = null
  let windowScale: number | null = null
  let sackPermitted = false
  let timestamps: readonly [number, number] | null = null
  const sack: [number, number][] = []
  for (let at = 20; at < end; ) {
    const kind = view.getUint8(at)
    if (kind === 0) break
    if (kind === 1) {
      at++
      continue
    }
    const size = view.getUint8(at + 1)
    if (size < 2 || at + size > end) throw new Error(`an option of ${size} bytes was sent`)
    if (kind === 2) mss = view.getUint16(at + 2)
    if (kind === 3) windowScale = view.getUint8(at + 2)
    if (kind === 4) sackPermitted = true
    if (kind === 8) timestamps = [view.getInt32(at + 2), view.getInt32(at + 6)]
    if (kind === 5)
      for (let i = 2; i < size; i += 8) sack.push([view.getInt32(at + i), view.getInt32(at + i + 4)])
    at += size
  }
  return { mss, windowScale, sackPermitted, timestamps, sack }
}
