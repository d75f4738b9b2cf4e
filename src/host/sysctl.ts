/** Network settings under `/proc/sys/net`, read and written inside a namespace. See sysctl(8). */

import { StackError } from '../base/errors.ts'
import { type Advice, orThrow } from './host-error.ts'
import type { ShimNamespaces } from './shim.ts'

const VALUE_MAX_BYTES = 4096

const ADVICE: Advice = {
  ENOENT: { meaning: 'there is no such setting, or no such namespace' },
  EACCES: { meaning: 'it is not yours to change', hint: 'run as root or with CAP_NET_ADMIN' },
  EROFS: {
    meaning: '/proc/sys is mounted read-only',
    hint: 'in a container: --privileged, or mount proc anew',
  },
}

/**
 * @param name - `net.ipv4.ip_forward`, or with slashes where a part has a dot: `net/ipv4/conf/eth0.1/forwarding`
 */
export function sysctlPath(name: string): string {
  const parts = name.split(name.includes('/') ? '/' : '.')
  if (
    parts[0] !== 'net' ||
    parts.length < 2 ||
    parts.some(part => part === '' || part === '..' || part === '.')
  ) {
    throw new StackError('ERR_BAD_ARGUMENT', `${JSON.stringify(name)} is not a setting under net.`)
  }
  return `/proc/sys/${parts.join('/')}`
}

/**
 * @param namespace - path, or '' for the current one
 * @throws {@link StackError} `ERR_NOT_FOUND`, `ERR_ACCESS`, `ERR_BAD_ARGUMENT`
 */
export function setSysctl(
  shim: ShimNamespaces,
  namespace: string,
  name: string,
  value: string | number,
): void {
  const bytes = new TextEncoder().encode(`${value}\n`)
  orThrow(shim.nsFile(namespace, sysctlPath(name), bytes, 1), `set ${name}`, ADVICE)
}

/** @returns the value without its line end */
export function getSysctl(shim: ShimNamespaces, namespace: string, name: string): string {
  const bytes = new Uint8Array(VALUE_MAX_BYTES)
  const length = orThrow(shim.nsFile(namespace, sysctlPath(name), bytes, 0), `read ${name}`, ADVICE)
  return new TextDecoder().decode(bytes.subarray(0, length)).trimEnd()
}
