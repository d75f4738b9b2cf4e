/** Hosts and ports as people write them. */
import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import { StackError } from '../base/errors.ts'
import { UsageError } from './exit-codes.ts'

const PORT_MAX = 65_535
/** Ports that one command asks at the most. */
export const PORTS_MAX = 1_024

/** @throws UsageError */
export function portOf(text: string | undefined): number {
  const number = /^[0-9]+$/.test(text ?? '') ? Number(text) : 0
  if (number >= 1 && number <= PORT_MAX) return number
  throw new UsageError(`"${text ?? ''}" is no port`)
}

/** `80`, or `20-25`. @throws UsageError */
export function portsOf(text: string | undefined): number[] {
  const [from, to, more] = (text ?? '').split('-')
  if (to === undefined) return [portOf(from)]
  const [first, last] = [portOf(from), portOf(to)]
  if (more !== undefined || last < first)
    throw new UsageError(`"${text}" is no range of ports`, 'write 20-25')
  if (last - first >= PORTS_MAX) throw new UsageError(`"${text}": at most ${PORTS_MAX} ports at once`)
  return Array.from({ length: last - first + 1 }, (_, i) => first + i)
}

/**
 * The address of a host. A node has no resolver of its own: names are looked up by this host's.
 * @throws StackError `ERR_NOT_FOUND`
 */
export async function addressOf(name: string, family: 0 | 4 | 6 = 0): Promise<string> {
  const bare = name.replace(/^\[(.*)\]$/, '$1')
  if (isIP(bare) !== 0) return bare
  try {
    return (await lookup(bare, { family })).address
  } catch (cause) {
    throw new StackError('ERR_NOT_FOUND', `there is no address for the name ${name}`, {
      cause,
      hint: 'give an IP address; names are looked up by the host that this command runs on',
    })
  }
}
