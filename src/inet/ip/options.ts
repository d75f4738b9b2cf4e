/** IPv4 options on input: RFC 791 §3.1, RFC 1122 §3.2.1.8, RFC 7126. */
import type { ReadonlyBytes } from '../../base/checksum.ts'
import type { IpCounter } from './counters.ts'

const OPTION_END = 0
const OPTION_NOP = 1
const OPTION_LOOSE_SOURCE_ROUTE = 131
const OPTION_STRICT_SOURCE_ROUTE = 137

/**
 * Looks through the options of a header. All are ignored but source routes: those are refused, also at their last
 * hop (RFC 7126 §4.3, §4.4), since nobody honest sends them.
 * @param start - where the options begin
 * @param end - where the header ends
 * @returns why the packet has to be dropped, or null
 */
export function checkOptions4(bytes: ReadonlyBytes, start: number, end: number): IpCounter | null {
  for (let i = start; i < end; ) {
    const option = bytes[i]!
    if (option === OPTION_END) return null
    if (option === OPTION_NOP) {
      i++
      continue
    }
    if (option === OPTION_LOOSE_SOURCE_ROUTE || option === OPTION_STRICT_SOURCE_ROUTE)
      return 'ipv4-source-route'
    const size = i + 1 < end ? bytes[i + 1]! : 0
    if (size < 2 || i + size > end) return 'ipv4-option-length'
    i += size
  }
  return null
}
