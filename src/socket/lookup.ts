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
  const error = Object.assign(new Error(`getaddrinfo ENOTFOUND ${name}`), {
    code: 'ENOTFOUND',
    errno: -3_008,
    syscall: 'getaddrinfo',
    hostname: name,
  })
  return process.nextTick(callback, error, '', 0)
}
