/** What a test of the host needs, and why it is skipped where that is missing: the reason goes into its name. */

import { readFileSync } from 'node:fs'
import { findProgram, inspectTunNode, parseCapabilities } from '../privilege.ts'
import { type Shim, tryShim } from '../shim.ts'

/** The shim, or null; tests that a {@link missing} reason skips may take it for granted. */
export const shim: Shim | null = tryShim()

export type Requirement = 'shim' | 'namespaces' | 'tun' | 'ip'

const CHECKS: Readonly<Record<Requirement, () => string>> = {
  shim: () => (shim === null ? 'no native shim' : ''),
  namespaces: () => {
    const held = parseCapabilities(readFileSync('/proc/self/status', 'utf8'))
    return held.includes('CAP_SYS_ADMIN') && held.includes('CAP_NET_ADMIN') ? '' : 'not root'
  },
  tun: () => {
    const { state } = inspectTunNode()
    return state === 'ok' ? '' : `/dev/net/tun ${state}`
  },
  ip: () => (findProgram(['ip']) === null ? 'no ip(8)' : ''),
}

/** @returns what is missing, or '' if all is there */
export function missing(...wanted: readonly Requirement[]): string {
  if (process.platform !== 'linux') return 'not Linux'
  return wanted
    .map(one => CHECKS[one]())
    .filter(reason => reason !== '')
    .join(', ')
}

/** A suite's name with the reason why it is skipped. */
export function titled(title: string, reason: string): string {
  return reason === '' ? title : `${title} [skipped: ${reason}]`
}
