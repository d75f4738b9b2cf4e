/** Names to addresses, without asking anybody: what a socket does unless its program brings a better one. */
import { isIP } from 'node:net'

/** Addresses are their own; of names, only this host's is known. */
export function findAddress(
  name: string,
  family: 4 | 6,
  callback: (error: Error | null, address: string, family: number) => void,
): void {
  const version = isIP(name)
  if (version !== 0) return process.nextTick(callback, null, name, version)
  if (name === 'localhost')
    return process.nextTick(callback, null, family === 4 ? '127.0.0.1' : '::1', family)
  return process.nextTick(callback, notFound(name), '', 0)
}

function notFound(name: string): Error {
  return Object.assign(new Error(`getaddrinfo ENOTFOUND ${name}`), {
    errno: -3_008,
    code: 'ENOTFOUND',
    syscall: 'getaddrinfo',
    hostname: name,
  })
}

/** One address of a name. */
export interface FoundAddress {
  readonly address: string
  readonly family: number
}

const LOOPBACKS: readonly FoundAddress[] = [
  { address: '127.0.0.1', family: 4 },
  { address: '::1', family: 6 },
]

/**
 * As {@link findAddress}, in the shape of `dns.lookup`: one address, or `options.all` of them.
 * @param options - `family` 4 or 6, or anything else for both
 */
export function findAddresses(
  name: string,
  options: { readonly family?: unknown; readonly all?: boolean | undefined },
  callback: (error: Error | null, found: string | readonly FoundAddress[], family?: number) => void,
): void {
  const version = isIP(name)
  const known = version !== 0 ? [{ address: name, family: version }] : name === 'localhost' ? LOOPBACKS : []
  const { family, all } = options
  const found = known.filter(one => (family !== 4 && family !== 6) || one.family === family)
  const first = found[0]
  if (first === undefined) process.nextTick(callback, notFound(name), '', 0)
  else if (all === true) process.nextTick(callback, null, found)
  else process.nextTick(callback, null, first.address, first.family)
}
