/** Every counter of IP and ICMP: what passed, and why something did not. */
import { type Counters, makeCounters } from '../../base/counters.ts'

export const IP_COUNTERS = [
  // What passed
  'packets-in',
  'packets-out',
  'packets-delivered',
  'packets-forwarded',
  'datagrams-reassembled',
  'datagrams-fragmented',
  'fragments-out',
  'segmented-in-software',
  'checksums-in-software',
  'echo-replies-out',
  'icmp-errors-out',
  'icmp-errors-in',
  'path-mtu-updates',
  'paths-doubted',
  // Headers
  'empty',
  'ip-version',
  'ipv4-truncated',
  'ipv4-version',
  'ipv4-header-length',
  'ipv4-total-length',
  'ipv4-checksum',
  'ipv4-option-length',
  'ipv4-source-route',
  'ipv6-truncated',
  'ipv6-version',
  'ipv6-payload-length',
  'ipv6-no-next-header',
  'ipv6-header-order',
  'ipv6-headers-too-many',
  'ipv6-headers-truncated',
  'ipv6-option-length',
  'ipv6-option-unknown',
  'ipv6-routing-header',
  'ipv6-jumbogram',
  'ipv6-nested-fragment',
  'padding-trimmed',
  // Addresses
  'martian-source',
  'martian-destination',
  'multicast-not-member',
  'not-ours',
  // Offload fields that do not fit the packet
  'offload-mismatch',
  'offload-fragment',
  // Delivery
  'protocol-unknown',
  'upper-full',
  'link-full',
  'no-buffers',
  // ICMP
  'icmp-truncated',
  'icmp-checksum',
  'icmp-unknown',
  'icmp-echo-not-unicast',
  'icmp-echo-unclaimed',
  'icmp-unanswerable',
  'icmp-redirect-ignored',
  'icmp-source-quench-ignored',
  'icmp-timestamp-ignored',
  'icmp-address-mask-ignored',
  'icmp-router-ignored',
  'icmp-quote-malformed',
  'icmp-quote-not-ours',
  'icmp-quote-no-transport',
  'icmp-mtu-implausible',
  'icmp-mtu-unsolicited',
  'icmp-error-suppressed',
  'icmp-error-rate-limited',
  'ndp-ignored',
  'mld-ignored',
  // Forwarding
  'forward-hop-limit',
  'forward-no-route',
  'forward-too-big',
  'forward-not-allowed',
  // Requests from above
  'request-malformed',
  'request-unreachable',
  'request-refused',
  'request-too-big',
  'reject-header-lost',
] as const

export type IpCounter = (typeof IP_COUNTERS)[number]
export type IpCounters = Counters<IpCounter>

export function makeIpCounters(): IpCounters {
  return makeCounters(IP_COUNTERS)
}
