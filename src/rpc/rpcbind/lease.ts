/**
 * How long an entry stays, in a place where a caller may say it and no other rpcbind minds: SET has a field for the owner that each
 * server fills in by itself (RFC 1833 §2.2.1). Ours reads `lease=60` there, in seconds.
 */

export const LEASE_SECONDS_MIN = 5
export const LEASE_SECONDS_MAX = 3_600

const FORM = /^putnext lease=([1-9][0-9]{0,3})$/

export function leaseText(leaseSeconds: number): string {
  return `putnext lease=${Math.min(LEASE_SECONDS_MAX, Math.max(LEASE_SECONDS_MIN, Math.ceil(leaseSeconds)))}`
}

/** @returns seconds, or null for an entry that stays until it is taken away */
export function leaseOf(owner: string): number | null {
  const match = FORM.exec(owner)
  if (match === null) return null
  return Math.min(LEASE_SECONDS_MAX, Math.max(LEASE_SECONDS_MIN, Number(match[1])))
}
