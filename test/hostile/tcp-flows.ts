/**
 * What an attacker on the path knows of the connections between the node and the attacker's own addresses, from what the
 * node sent: one record for each, found by its tuple, old ones overwritten.
 */
import type { ReadonlyBytes } from '../../src/base/checksum.ts'
import { i32, u16 } from '../../src/inet/wire/fields.ts'

/** Records; a power of two. */
export const FLOWS = 1_024

// Words of a record.
export const FAMILY = 0
/** Last byte of the attacker's address. */
export const HOST = 1
export const OWN_PORT = 2
export const NODE_PORT = 3
/** What the node sends next, and what it expects. */
export const NODE_NEXT = 4
export const EXPECTED = 5
export const CONTROL = 6
export const WINDOW = 7
/** The node's last timestamp, 0 if there is none, and what the attacker says next. */
export const TS_VALUE = 8
export const TS_OWN = 9
/** Start of what the node sent last, and its size. */
export const LAST_SEQUENCE = 10
export const LAST_BYTES = 11
const RECORD_WORDS = 12

export class TcpFlows {
  readonly words = new Int32Array(FLOWS * RECORD_WORDS)
  private last = 0

  /** Index of the first word of a record, by number. */
  at(slot: number): number {
    return slot * RECORD_WORDS
  }

  /** The record that changed last. */
  get latest(): number {
    return this.last
  }

  /** Reads a TCP packet of the node's. @param at - of the TCP header */
  learn(bytes: ReadonlyBytes, family: 4 | 6, host: number, at: number, end: number): void {
    const [nodePort, ownPort] = [u16(bytes, at), u16(bytes, at + 2)]
    const slot =
      (Math.imul(nodePort, 31) ^ Math.imul(ownPort, 0x9e3779b1) ^ (host << 4) ^ family) & (FLOWS - 1)
    const { words } = this
    const to = this.at(slot)
    const same =
      words[to + OWN_PORT] === ownPort && words[to + NODE_PORT] === nodePort && words[to + HOST] === host
    const control = bytes[at + 13]!
    const header = (bytes[at + 12]! >> 4) << 2
    const size = Math.max(0, end - at - header)
    words[to + FAMILY] = family
    words[to + HOST] = host
    words[to + OWN_PORT] = ownPort
    words[to + NODE_PORT] = nodePort
    words[to + LAST_SEQUENCE] = i32(bytes, at + 4)
    words[to + LAST_BYTES] = size
    words[to + NODE_NEXT] = (i32(bytes, at + 4) + size + (control & 1) + ((control >> 1) & 1)) | 0
    if ((control & 0x10) !== 0 || !same) words[to + EXPECTED] = i32(bytes, at + 8)
    words[to + CONTROL] = control
    words[to + WINDOW] = u16(bytes, at + 14)
    words[to + TS_VALUE] = timestampOf(bytes, at + 20, at + header)
    if (!same) words[to + TS_OWN] = 1
    this.last = to
  }
}

/** TSval of the options, 0 if there is none. */
function timestampOf(bytes: ReadonlyBytes, from: number, end: number): number {
  for (let i = from; i + 10 <= end; ) {
    const kind = bytes[i]!
    if (kind === 8) return i32(bytes, i + 2)
    if (kind === 0) break
    i += kind === 1 ? 1 : Math.max(2, bytes[i + 1]!)
  }
  return 0
}
