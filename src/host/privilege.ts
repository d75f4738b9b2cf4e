/** What this process may do and what this machine offers: facts for `putnext doctor`, no judgement. */

import { accessSync, closeSync, constants, openSync, readFileSync, statSync } from 'node:fs'
import { delimiter, join } from 'node:path'

/** Bit numbers of the capabilities that matter here. See capabilities(7). */
export const CAPABILITIES = {
  CAP_NET_BIND_SERVICE: 10,
  CAP_NET_ADMIN: 12,
  CAP_NET_RAW: 13,
  CAP_SYS_PTRACE: 19,
  CAP_SYS_ADMIN: 21,
} as const

export type Capability = keyof typeof CAPABILITIES

export interface TunNode {
  /** `ok` opens; `missing` is not there; `denied` by its mode; `dead` has no driver behind it */
  readonly state: 'ok' | 'missing' | 'denied' | 'dead'
  /** Permission bits as `0600`, '' if missing. */
  readonly mode: string
}

export interface Privileges {
  readonly uid: number
  readonly capabilities: readonly Capability[]
  /** This process is in a user namespace that is not the machine's own; its capabilities count only inside. */
  readonly inUserNamespace: boolean
  /** What keeps an ordinary user from `unshare -Urn`, as far as the kernel's settings tell; '' if nothing. */
  readonly userNamespacesBarredBy: string
  readonly tun: TunNode
  /** First C compiler in PATH, or null. */
  readonly compiler: string | null
  readonly kernelRelease: string
}

/** @param status - text of `/proc/self/status` */
export function parseCapabilities(status: string): Capability[] {
  const hex = /^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? '0'
  const bits = BigInt(`0x${hex}`)
  const names = Object.keys(CAPABILITIES) as Capability[]
  return names.filter(name => ((bits >> BigInt(CAPABILITIES[name])) & 1n) === 1n)
}

/**
 * @param uidMap - text of `/proc/self/uid_map`
 * @returns false for the machine's own user namespace, which maps every id to itself
 */
export function isOwnUserNamespace(uidMap: string): boolean {
  return !/^\s*0\s+0\s+4294967295\s*$/.test(uidMap)
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim()
  } catch {
    return ''
  }
}

/** @param read - the text of a file, '' if there is none */
export function userNamespaceBar(read: (path: string) => string = readText): string {
  if (read('/proc/self/uid_map') === '') return 'a kernel without user namespaces'
  if (read('/proc/sys/user/max_user_namespaces') === '0') return 'user.max_user_namespaces = 0'
  if (read('/proc/sys/kernel/unprivileged_userns_clone') === '0')
    return 'kernel.unprivileged_userns_clone = 0'
  if (read('/proc/sys/kernel/apparmor_restrict_unprivileged_userns') === '1')
    return 'kernel.apparmor_restrict_unprivileged_userns = 1'
  return ''
}

/** Opens and closes the device node; a device is made only by TUNSETIFF, so nothing is left behind. */
export function inspectTunNode(path = '/dev/net/tun'): TunNode {
  const node = statSync(path, { throwIfNoEntry: false })
  if (node === undefined) return { state: 'missing', mode: '' }
  const mode = `0${(node.mode & 0o777).toString(8)}`
  try {
    closeSync(openSync(path, 'r+'))
    return { state: 'ok', mode }
  } catch (error) {
    const denied = ['EACCES', 'EPERM'].includes((error as NodeJS.ErrnoException).code ?? '')
    return { state: denied ? 'denied' : 'dead', mode }
  }
}

/** @returns path of the first of `names` that PATH has, or null */
export function findProgram(names: readonly string[], searchPath = process.env['PATH'] ?? ''): string | null {
  const places = names.flatMap(name => searchPath.split(delimiter).map(directory => join(directory, name)))
  return places.find(isExecutable) ?? null
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return statSync(path).isFile()
  } catch {
    return false
  }
}

/** Reads everything anew each time. */
export function readPrivileges(): Privileges {
  return {
    uid: process.geteuid?.() ?? -1,
    capabilities: parseCapabilities(readText('/proc/self/status')),
    inUserNamespace: isOwnUserNamespace(readText('/proc/self/uid_map')),
    userNamespacesBarredBy: userNamespaceBar(),
    tun: inspectTunNode(),
    compiler: findProgram(['cc', 'gcc', 'clang']),
    kernelRelease: readText('/proc/sys/kernel/osrelease'),
  }
}
