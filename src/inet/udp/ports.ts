/** Choosing a port for a program that named none (RFC 6056). */
import type { Random } from '../../base/prng.ts'

/** The range of Linux: below IANA's dynamic range too, for more entropy (RFC 6056 §3.2). */
export const EPHEMERAL_FIRST = 32_768
export const EPHEMERAL_LAST = 60_999
/** Random tries before the range is searched through from a random start. */
const TRIES_MAX = 16

export interface PortRange {
  readonly first: number
  readonly last: number
}

/**
 * A free port that cannot be guessed: random with retries (RFC 6056 §3.3.2), and where the range is crowded a search
 * from a random start (§3.3.1), so that the last free port is found.
 * @param isTaken - whether a port cannot be had
 * @returns 0 if none is free
 */
export function chooseEphemeral(
  random: Random,
  range: PortRange,
  isTaken: (port: number) => boolean,
): number {
  const count = range.last - range.first + 1
  for (let i = 0; i < TRIES_MAX; i++) {
    const port = range.first + random.below(count)
    if (!isTaken(port)) return port
  }
  const start = random.below(count)
  for (let i = 0; i < count; i++) {
    const port = range.first + ((start + i) % count)
    if (!isTaken(port)) return port
  }
  return 0
}
