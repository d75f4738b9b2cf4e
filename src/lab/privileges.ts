/**
 * What a lab in namespaces needs of the host, and the way to have it without being root: a user namespace, in which
 * an ordinary user has all capabilities over the namespaces that are made there.
 */
import { spawn } from 'node:child_process'
import { StackError } from '../base/errors.ts'
import { findProgram, type Privileges, readPrivileges } from '../host/privilege.ts'
import { stateDirectory } from '../node/state-dir.ts'
import { holderOf, LabDirectory } from './lab-directory.ts'
import { isAlive } from './marks.ts'
import type { Topology } from './topology.ts'

/** Set in commands that run inside a lab's user namespace. */
export const INSIDE_VARIABLE = 'PUTNEXT_USER_NAMESPACE'

export type Access =
  /** This process may make namespaces and devices. */
  | { readonly way: 'direct' }
  /** It may do so in a user namespace of its own. */
  | { readonly way: 'user-namespace' }
  | { readonly way: 'none'; readonly missing: string; readonly remedy: string }

const TUN_REMEDY = {
  missing: 'load the driver (modprobe tun); in a container pass the device (--device /dev/net/tun)',
  denied:
    'run as root, or let users open the device: chmod 666 /dev/net/tun (the kernel still checks capabilities)',
  dead: 'load the driver (modprobe tun)',
} as const

/** @param needsTun - the lab has nodes with a stack of their own */
export function judgeAccess(
  privileges: Privileges,
  programs: { readonly unshare: boolean; readonly nsenter: boolean },
  needsTun: boolean,
): Access {
  const { capabilities, tun, userNamespacesBarredBy } = privileges
  if (needsTun && tun.state !== 'ok') {
    return { way: 'none', missing: `/dev/net/tun is ${tun.state}`, remedy: TUN_REMEDY[tun.state] }
  }
  const has = capabilities.includes('CAP_NET_ADMIN') && capabilities.includes('CAP_SYS_ADMIN')
  if (has) return { way: 'direct' }
  const lacking = (['CAP_NET_ADMIN', 'CAP_SYS_ADMIN'] as const).filter(one => !capabilities.includes(one))
  const without = `${lacking.join(' and ')} ${lacking.length > 1 ? 'are' : 'is'} missing`
  if (userNamespacesBarredBy !== '') {
    return {
      way: 'none',
      missing: `${without}, and ordinary users cannot have user namespaces here (${userNamespacesBarredBy})`,
      remedy: 'run as root (sudo), or change that setting',
    }
  }
  if (!programs.unshare || !programs.nsenter) {
    return {
      way: 'none',
      missing: `${without}, and so are unshare and nsenter, which would do without`,
      remedy: 'run as root (sudo), or install util-linux',
    }
  }
  return { way: 'user-namespace' }
}

/** @throws StackError `ERR_PERMISSION` with what is missing and what helps */
export function accessFor(topology: Topology): Exclude<Access, { way: 'none' }> {
  const programs = {
    unshare: findProgram(['unshare']) !== null,
    nsenter: findProgram(['nsenter']) !== null,
  }
  const needsTun = topology.nodes.some(node => node.kind === 'stack')
  const access = judgeAccess(readPrivileges(), programs, needsTun)
  if (access.way !== 'none') return access
  throw new StackError('ERR_PERMISSION', `a lab in namespaces is not possible: ${access.missing}`, {
    hint: `${access.remedy}; or use --mode inproc, which needs nothing`,
  })
}

export function isInside(env: NodeJS.ProcessEnv = process.env): boolean {
  return env[INSIDE_VARIABLE] === '1'
}

/**
 * Runs this very command once more with other words in front of it, its streams passed on.
 * @returns its exit code
 */
function runAgain(before: readonly string[], signal: AbortSignal): Promise<number> {
  const [program, ...args] = [...before, process.execPath, ...process.execArgv, ...process.argv.slice(1)]
  return new Promise((resolve, reject) => {
    const child = spawn(program!, args, {
      stdio: 'inherit',
      env: { ...process.env, [INSIDE_VARIABLE]: '1', PUTNEXT_STATE_DIR: stateDirectory() },
    })
    // A terminal tells the whole group, but a lone SIGTERM would stop here.
    const stop = (): boolean => child.kill('SIGTERM')
    signal.addEventListener('abort', stop, { once: true })
    child.on('error', reject)
    child.on('exit', (code, by) => {
      signal.removeEventListener('abort', stop)
      resolve(code ?? (by === null ? 1 : 130))
    })
  })
}

/** Runs this command in a new user namespace, in which its user is root. @returns its exit code */
export function runInNewUserNamespace(signal: AbortSignal): Promise<number> {
  return runAgain(['unshare', '-U', '-r', '-n', '-m', '--'], signal)
}

/**
 * Runs this command in the user namespace of a lab, if the lab has one and we are outside of it.
 * @returns its exit code, or null if there is no need
 */
export function runInLab(lab: string, signal: AbortSignal): Promise<number> | null {
  if (isInside()) return null
  const holder = holderOf(new LabDirectory(lab))
  if (holder === null) return null
  if (!isAlive(holder)) {
    throw new StackError('ERR_NOT_FOUND', `the lab ${lab} has lost its user namespace`, {
      hint: 'remove it with: putnext lab prune',
    })
  }
  const enter = ['nsenter', '-t', String(holder.pid), '-U', '-n', '-m', '--preserve-credentials', '--']
  // Entering a mount namespace leaves one at its root.
  return runAgain([...enter, 'sh', '-c', 'cd "$0" && exec "$@"', process.cwd()], signal)
}
