/** The namespaces and links that a measurement makes, and their end: with it, after a failure, or by the next one. */
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { StackError } from '../base/errors.ts'
import { LinkControl } from '../host/links.ts'
import { createNamespace, deleteNamespace, listNamespaces } from '../host/namespace.ts'
import { inspectTunNode, readPrivileges } from '../host/privilege.ts'
import { loadShim, type Shim } from '../host/shim.ts'
import type { Place } from './peers.ts'

const PREFIX = 'putnext-bench'
const NAMESPACE = /^putnext-bench-(\d+)-[a-z]+$/
const DIRECTORY = /^putnext-bench-(\d+)-\w{6}$/

const HINT =
  'run it as root; "putnext bench udp --inproc" and "putnext bench modules" measure without devices'

/** @throws StackError `ERR_PERMISSION` that names what is missing, `ERR_SHIM_MISSING` */
export function requirePrivileges(): Shim {
  const { capabilities } = readPrivileges()
  for (const needed of ['CAP_SYS_ADMIN', 'CAP_NET_ADMIN'] as const) {
    if (!capabilities.includes(needed))
      throw new StackError('ERR_PERMISSION', `measuring in namespaces needs ${needed}`, { hint: HINT })
  }
  const { state } = inspectTunNode()
  if (state !== 'ok')
    throw new StackError('ERR_PERMISSION', `measuring needs /dev/net/tun, which is ${state}`, { hint: HINT })
  return loadShim()
}

/** Whether `name` bears the number of a process that is no more. */
function isLeftOver(name: string, pattern: RegExp): boolean {
  const pid = pattern.exec(name)?.[1]
  return pid !== undefined && !existsSync(`/proc/${pid}`)
}

/** Removes what measurements of processes that are no more have left. @returns names of namespaces and directories */
export function pruneSites(shim: Shim): string[] {
  const namespaces = listNamespaces().filter(name => isLeftOver(name, NAMESPACE))
  for (const name of namespaces) deleteNamespace(shim, name)
  const directories = readdirSync(tmpdir()).filter(name => isLeftOver(name, DIRECTORY))
  for (const name of directories) rmSync(join(tmpdir(), name), { recursive: true, force: true })
  return [...namespaces, ...directories]
}

export class BenchSite {
  readonly shim: Shim
  /** For sockets and configurations. */
  readonly directory: string
  private readonly names: string[] = []
  private closed = false

  /** @throws StackError as {@link requirePrivileges} */
  constructor(shim: Shim = requirePrivileges()) {
    this.shim = shim
    pruneSites(shim)
    this.directory = mkdtempSync(join(tmpdir(), `${PREFIX}-${process.pid}-`))
  }

  /** Makes a namespace with its loopback up. @param label - lower-case letters */
  namespace(label: string): Place {
    const name = `${PREFIX}-${process.pid}-${label}`
    const namespace = createNamespace(this.shim, name)
    this.names.push(name)
    this.control(namespace, control => control.setUp('lo'))
    return { shim: this.shim, namespace }
  }

  /** Changes links, addresses and routes of a namespace. */
  control<T>(namespace: string, change: (control: LinkControl) => T): T {
    const control = new LinkControl(this.shim, namespace)
    try {
      return change(control)
    } finally {
      control.close()
    }
  }

  /** Processes must have ended before. Closing twice is harmless. */
  close(): void {
    if (this.closed) return
    this.closed = true
    for (const name of this.names) deleteNamespace(this.shim, name)
    rmSync(this.directory, { recursive: true, force: true })
  }
}
