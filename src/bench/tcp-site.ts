/** Places of a TCP measurement: namespaces, and how the ends in them reach each other. */
import { readFileSync } from 'node:fs'
import { StackError } from '../base/errors.ts'
import { setSysctl } from '../host/sysctl.ts'
import { at, type Place } from './peers.ts'
import type { BenchSite } from './site.ts'
import type { TcpEndOptions } from './tcp-end.ts'

export const TUN = 'tun0'
/** The kernel's side and the far side of a device, in every namespace that has only one. */
export const NEAR = '10.77.1.1'
export const FAR = '10.77.1.2'

/** Without pacing, and with windows that are not the limit: both as the peers' description has it. */
export function tuneKernel({ shim, namespace }: Place, congestion: 'reno' | 'cubic' = 'reno'): void {
  setSysctl(shim, namespace, 'net.ipv4.tcp_congestion_control', congestion)
}

const ALLOWED = '/proc/sys/net/ipv4/tcp_allowed_congestion_control'

/**
 * Namespaces may use what the first one permits. That is a setting of the whole machine, so it is told and not changed.
 * @param allowed - names with spaces between them
 * @throws StackError `ERR_PERMISSION` with the command that permits it
 */
export function requireCubic(allowed: string = readFileSync(ALLOWED, 'utf8')): void {
  const names = allowed.trim().split(/\s+/)
  if (names.includes('cubic')) return
  const value = [...names, 'cubic'].join(' ')
  throw new StackError(
    'ERR_PERMISSION',
    'the kernel does not permit CUBIC in namespaces, and it is the yardstick',
    {
      hint: `sysctl -w net.ipv4.tcp_allowed_congestion_control="${value}", as root in the first namespace`,
    },
  )
}

/** What a stack on a device of this place is opened with. */
export function endOptions(place: Place, given: Partial<TcpEndOptions>): TcpEndOptions {
  return {
    kind: 'stack',
    edge: 'messages',
    namespace: place.namespace,
    device: TUN,
    addresses: [`${FAR}/24`],
    kernelAddresses: [`${NEAR}/24`],
    offload: true,
    mtu: 1_500,
    ...given,
  }
}

/** Two namespaces whose kernels pass packets on between a veth pair and a device each. */
export interface Pair {
  readonly left: Place
  readonly right: Place
}

export const LEFT_STACK = '10.77.2.2'
export const RIGHT_STACK = '10.77.3.2'
export const LEFT_KERNEL = '10.77.1.1'
export const RIGHT_KERNEL = '10.77.1.2'

/** @param label - lower-case letters */
export function makePair(site: BenchSite, label: string): Pair {
  const left = at(site.namespace(`${label}left`), 'near')
  const right = at(site.namespace(`${label}right`), 'far')
  site.control(left.namespace, control => {
    control.createVeth('veth0', { name: 'veth0', namespace: right.namespace, up: true }, { up: true })
    control.addAddress('veth0', `${LEFT_KERNEL}/24`)
    control.addRoute({ to: '10.77.3.0/24', via: RIGHT_KERNEL })
  })
  site.control(right.namespace, control => {
    control.addAddress('veth0', `${RIGHT_KERNEL}/24`)
    control.addRoute({ to: '10.77.2.0/24', via: LEFT_KERNEL })
  })
  for (const place of [left, right]) {
    setSysctl(place.shim, place.namespace, 'net.ipv4.ip_forward', 1)
    tuneKernel(place)
  }
  return { left, right }
}

/** The stack at one end of a {@link makePair}. */
export function pairEnd(place: Place, side: 'left' | 'right', given: Partial<TcpEndOptions>): TcpEndOptions {
  const net = side === 'left' ? '10.77.2' : '10.77.3'
  const addresses = { addresses: [`${net}.2/24`], kernelAddresses: [`${net}.1/24`], gateway: `${net}.1` }
  return endOptions(place, { ...addresses, ...given })
}
