/**
 * Network namespaces by name, kept as ip-netns(8) keeps them: a file in `/run/netns` on which the namespace is
 * mounted. What is made here is seen by `ip netns`, and the other way round.
 */

import { closeSync, existsSync, mkdirSync, openSync, readdirSync, type Stats, statSync } from 'node:fs'
import { join } from 'node:path'
import { StackError } from '../base/errors.ts'
import { type Advice, orThrow } from './host-error.ts'
import type { ShimNamespaces } from './shim.ts'

/** Where `ip netns` keeps names. */
export const NETNS_DIRECTORY = '/run/netns'

const ADVICE: Advice = {
  EPERM: {
    meaning: 'it needs CAP_SYS_ADMIN',
    hint: 'run as root, or in a user and mount namespace of your own (unshare -Urnm)',
  },
  EACCES: { meaning: `${NETNS_DIRECTORY} is not yours`, hint: 'run as root' },
  EEXIST: { meaning: 'there is one of that name' },
  ENOENT: { meaning: 'there is none of that name' },
}

/**
 * @param name - as given to `ip netns add`
 * @throws {@link StackError} `ERR_BAD_ARGUMENT` if it cannot be a file's name
 */
export function netnsPath(name: string, directory: string = NETNS_DIRECTORY): string {
  if (name === '' || name === '.' || name === '..' || Buffer.byteLength(name) > 255 || /[/\0]/.test(name)) {
    throw new StackError(
      'ERR_BAD_ARGUMENT',
      `${JSON.stringify(name)} cannot be the name of a network namespace`,
    )
  }
  return join(directory, name)
}

function prepareDirectory(shim: ShimNamespaces, directory: string): void {
  try {
    mkdirSync(directory, { recursive: true, mode: 0o755 })
  } catch (cause) {
    throw new StackError('ERR_ACCESS', `cannot make ${directory}`, { cause, hint: 'run as root' })
  }
  orThrow(shim.nsShareDirectory(directory), `share the mount ${directory}`, ADVICE)
}

/**
 * Makes a namespace; its loopback is down.
 * @returns its path
 * @throws {@link StackError} `ERR_ALREADY`, `ERR_PERMISSION`, `ERR_ACCESS`
 */
export function createNamespace(
  shim: ShimNamespaces,
  name: string,
  directory: string = NETNS_DIRECTORY,
): string {
  const path = netnsPath(name, directory)
  prepareDirectory(shim, directory)
  orThrow(shim.nsCreate(path), `make the network namespace ${name}`, ADVICE)
  return path
}

/**
 * Takes a namespace's name away. It ends with its devices when the last process in it and the last descriptor end.
 * @throws {@link StackError} `ERR_NOT_FOUND`, `ERR_PERMISSION`
 */
export function deleteNamespace(
  shim: ShimNamespaces,
  name: string,
  directory: string = NETNS_DIRECTORY,
): void {
  orThrow(shim.nsDelete(netnsPath(name, directory)), `delete the network namespace ${name}`, ADVICE)
}

export function namespaceExists(name: string, directory: string = NETNS_DIRECTORY): boolean {
  return existsSync(netnsPath(name, directory))
}

/** Names, sorted; empty where there is no directory. */
export function listNamespaces(directory: string = NETNS_DIRECTORY): readonly string[] {
  return existsSync(directory) ? readdirSync(directory).sort() : []
}

/** Processes whose main thread is in the namespace, as `ip netns pids` tells; those of others may stay unseen. */
export function namespacePids(name: string, directory: string = NETNS_DIRECTORY): readonly number[] {
  const { dev, ino } = statSync(netnsPath(name, directory))
  const pids = readdirSync('/proc').filter(entry => /^\d+$/.test(entry))
  return pids.map(Number).filter(pid => {
    const own = namespaceOf(pid)
    return own?.ino === ino && own.dev === dev
  })
}

/** null for a process that has ended or is not ours to look at */
function namespaceOf(pid: number): Stats | null {
  try {
    return statSync(`/proc/${pid}/ns/net`)
  } catch {
    return null
  }
}

/**
 * Runs `act` with this thread in another network namespace. Only what `act` does synchronously happens there.
 * @param path - as from {@link netnsPath}
 * @throws {@link StackError} `ERR_NOT_FOUND`, `ERR_PERMISSION`; an error of `act` passes through
 */
export function insideNamespace<T>(shim: ShimNamespaces, path: string, act: () => T): T {
  const own = openSync('/proc/thread-self/ns/net', 'r')
  try {
    orThrow(shim.nsEnter(path), `enter the network namespace ${path}`, ADVICE)
    try {
      return act()
    } finally {
      orThrow(shim.nsEnter(`/proc/self/fd/${own}`), 'return to the network namespace')
    }
  } finally {
    closeSync(own)
  }
}
