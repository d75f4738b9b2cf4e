/** Every counter of UDP: what passed, and why something did not. */
import { type Counters, makeCounters } from '../../base/counters.ts'

export const UDP_COUNTERS = [
  // In
  'datagrams-in',
  'super-datagrams-in',
  'super-datagrams-split',
  'padding-trimmed',
  'indication-malformed',
  'header-truncated',
  'length-short',
  'length-beyond',
  'checksum-wrong',
  'checksum-missing',
  'gso-refused',
  'no-listener',
  'no-listener-not-unicast',
  'rejects-out',
  'receive-full',
  'arena-pressure',
  'no-buffers',
  'condensed',
  'errors-in',
  'errors-unmatched',
  // Out
  'datagrams-out',
  'super-datagrams-out',
  'send-waited',
  'request-malformed',
  'request-no-destination',
  'request-port-zero',
  'request-family',
  'request-too-long',
  'request-segments',
  'request-no-port',
  'request-no-ip',
] as const

export type UdpCounter = (typeof UDP_COUNTERS)[number]
export type UdpCounters = Counters<UdpCounter>

export function makeUdpCounters(): UdpCounters {
  return makeCounters(UDP_COUNTERS)
}
