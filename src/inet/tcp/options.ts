/**
 * The options of a TCP header (RFC 9293 §3.1, RFC 7323, RFC 2018): read into the segment record, written in the order in
 * which Linux writes them. What a peer sends here is never an error: a bad option is left out and counted.
 */
import type { ReadonlyBytes } from '../../base/checksum.ts'
import { i32, putI32, putU16, u16 } from '../wire/fields.ts'
import { SYN } from '../wire/tcp.ts'
import type { TcpCounters } from './counters.ts'
import { SACK_BLOCKS_MAX, type Segment } from './segment.ts'

const END = 0
const NOP = 1
const MSS = 2
const WINDOW_SCALE = 3
const SACK_PERMITTED = 4
const SACK = 5
const TIMESTAMPS = 8

const MSS_BYTES = 4
const WINDOW_SCALE_BYTES = 3
const SACK_PERMITTED_BYTES = 2
const TIMESTAMPS_BYTES = 10
const SACK_BLOCK_BYTES = 8

/** Bytes of options that a header has room for. */
export const OPTIONS_MAX = 40
/** What {@link writeOptions} needs for timestamps: two NOPs and the option. */
export const TIMESTAMPS_ALIGNED_BYTES = 12
/** Smallest MSS that is believed, as in Linux: below it a peer would make us send headers (CVE-2019-11479). */
export const MSS_FLOOR = 48
/** RFC 7323 §2.3. */
export const WINDOW_SCALE_MAX = 14

/** NOP, NOP, timestamps, 10: how everybody writes them on every segment. */
const TIMESTAMPS_WORD = (NOP << 24) | (NOP << 16) | (TIMESTAMPS << 8) | TIMESTAMPS_BYTES

/**
 * Sets all option fields of `seg`, whose `control` is set. MSS, window scale and SACK-permitted count on a SYN only, SACK blocks
 * elsewhere only; of two options of a kind, the first counts.
 * @param start - first byte of the options; @param end - one past the last
 */
export function readOptions(
  counters: TcpCounters,
  seg: Segment,
  bytes: ReadonlyBytes,
  start: number,
  end: number,
): void {
  seg.mss = 0
  seg.windowScale = -1
  seg.sackPermitted = false
  seg.hasTimestamps = false
  seg.tsValue = 0
  seg.tsEcho = 0
  seg.sackCount = 0
  let at = start
  if (end - start >= TIMESTAMPS_ALIGNED_BYTES && i32(bytes, start) === TIMESTAMPS_WORD) {
    readTimestamps(seg, bytes, start + 2)
    at += TIMESTAMPS_ALIGNED_BYTES
  }
  if (at < end) readOthers(counters, seg, bytes, at, end)
}

function readOthers(
  counters: TcpCounters,
  seg: Segment,
  bytes: ReadonlyBytes,
  start: number,
  end: number,
): void {
  const syn = (seg.control & SYN) !== 0
  let at = start
  while (at < end) {
    const kind = bytes[at]!
    if (kind === END) return
    if (kind === NOP) {
      at++
      continue
    }
    // MUST-6, MUST-7: an option of an unknown kind is skipped by its length; one of a wrong length ends the options.
    const size = at + 1 < end ? bytes[at + 1]! : 0
    if (size < 2 || at + size > end) {
      counters['option-malformed']++
      return
    }
    if (!readOption(counters, seg, bytes, at, kind, size, syn)) counters['option-malformed']++
    at += size
  }
}

/** @returns false if the option has a length that it cannot have */
function readOption(
  counters: TcpCounters,
  seg: Segment,
  bytes: ReadonlyBytes,
  at: number,
  kind: number,
  size: number,
  syn: boolean,
): boolean {
  switch (kind) {
    case MSS:
      if (size !== MSS_BYTES) return false
      if (syn && seg.mss === 0) seg.mss = clampMss(counters, u16(bytes, at + 2))
      return true
    case WINDOW_SCALE:
      if (size !== WINDOW_SCALE_BYTES) return false
      if (syn && seg.windowScale < 0) seg.windowScale = clampScale(counters, bytes[at + 2]!)
      return true
    case SACK_PERMITTED:
      if (size !== SACK_PERMITTED_BYTES) return false
      if (syn) seg.sackPermitted = true
      return true
    case SACK:
      if (size < 2 + SACK_BLOCK_BYTES || ((size - 2) & (SACK_BLOCK_BYTES - 1)) !== 0) return false
      if (!syn && seg.sackCount === 0) readSack(counters, seg, bytes, at + 2, size - 2)
      return true
    case TIMESTAMPS:
      if (size !== TIMESTAMPS_BYTES) return false
      if (!seg.hasTimestamps) readTimestamps(seg, bytes, at)
      return true
    default:
      return true
  }
}

function readTimestamps(seg: Segment, bytes: ReadonlyBytes, at: number): void {
  seg.hasTimestamps = true
  seg.tsValue = i32(bytes, at + 2)
  seg.tsEcho = i32(bytes, at + 6)
}

function readSack(counters: TcpCounters, seg: Segment, bytes: ReadonlyBytes, at: number, size: number): void {
  const count = Math.min(size >> 3, SACK_BLOCKS_MAX)
  for (let i = 0; i < 2 * count; i++) seg.sack[i] = i32(bytes, at + 4 * i)
  seg.sackCount = count
  counters['sack-blocks-in'] += count
}

function clampMss(counters: TcpCounters, mss: number): number {
  if (mss >= MSS_FLOOR) return mss
  counters['mss-clamped']++
  return MSS_FLOOR
}

function clampScale(counters: TcpCounters, shift: number): number {
  if (shift <= WINDOW_SCALE_MAX) return shift
  counters['window-scale-clamped']++
  return WINDOW_SCALE_MAX
}

/**
 * Writes the options of a SYN.
 * @param windowScale - -1: none
 * @returns bytes written, a multiple of 4, at most 20
 */
export function writeSynOptions(
  bytes: Uint8Array,
  at: number,
  mss: number,
  windowScale: number,
  sackPermitted: boolean,
  timestamps: boolean,
  tsValue: number,
  tsEcho: number,
): number {
  bytes[at] = MSS
  bytes[at + 1] = MSS_BYTES
  putU16(bytes, at + 2, mss)
  let to = at + MSS_BYTES
  if (sackPermitted || timestamps) {
    bytes[to] = sackPermitted ? SACK_PERMITTED : NOP
    bytes[to + 1] = sackPermitted ? SACK_PERMITTED_BYTES : NOP
    // Without timestamps two NOPs fill the word, in front as Linux has them.
    if (!timestamps) {
      bytes[to] = bytes[to + 1] = NOP
      bytes[to + 2] = SACK_PERMITTED
      bytes[to + 3] = SACK_PERMITTED_BYTES
    } else {
      bytes[to + 2] = TIMESTAMPS
      bytes[to + 3] = TIMESTAMPS_BYTES
      putI32(bytes, to + 4, tsValue)
      putI32(bytes, to + 8, tsEcho)
      to += 8
    }
    to += 4
  }
  if (windowScale >= 0) {
    bytes[to] = NOP
    bytes[to + 1] = WINDOW_SCALE
    bytes[to + 2] = WINDOW_SCALE_BYTES
    bytes[to + 3] = windowScale
    to += 4
  }
  return to - at
}

/**
 * Writes the options of any other segment.
 * @param sack - left and right edges in turn; @param sackCount - blocks; those that find no room are left out
 * @returns bytes written, a multiple of 4, at most {@link OPTIONS_MAX}
 */
export function writeOptions(
  bytes: Uint8Array,
  at: number,
  timestamps: boolean,
  tsValue: number,
  tsEcho: number,
  sack: Int32Array,
  sackCount: number,
): number {
  let to = at
  if (timestamps) {
    putI32(bytes, to, TIMESTAMPS_WORD)
    putI32(bytes, to + 4, tsValue)
    putI32(bytes, to + 8, tsEcho)
    to += TIMESTAMPS_ALIGNED_BYTES
  }
  const count = Math.min(sackCount, timestamps ? SACK_BLOCKS_MAX - 1 : SACK_BLOCKS_MAX)
  if (count <= 0) return to - at
  bytes[to] = bytes[to + 1] = NOP
  bytes[to + 2] = SACK
  bytes[to + 3] = 2 + SACK_BLOCK_BYTES * count
  to += 4
  for (let i = 0; i < 2 * count; i++) putI32(bytes, to + 4 * i, sack[i]!)
  return to + SACK_BLOCK_BYTES * count - at
}
