/** The namespaces and links that a measurement makes, and their end: with it, after a failure, or by the next one. */
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { StackError } from '../base/errors.ts'
import { LinkControl } from '../host/links.ts'
import { createNamespace, deleteNamespace, listNamespaces } from '../host/namespace.ts'
import { inspectTunNode, readPrivileges } from '../host/privilege.ts'
import { loadShim, type Shim } from '../host/shim.ts'
import type { Place } from './peers.ts'

const PREFIX = 'putnext-bench'
const NAME = /^putnext-bench-(\d+)-[a-z]+$/

const HINT = 'run it as root, or measure without devices: --inproc'

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

/** Removes what measurements of processes that are no more have left. @returns names of the namespaces removed */
export function pruneSites(shim: Shim): string[] {
  const dead = listNamespaces().filter(name => {
    const pid = NAME.exec(name)?.[1]
    return pid !== undefined && !existsSync(`/proc/${pid}`)
  })
  for (const name of dead) deleteNamespace(shim, name)
  return dead
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
    this.directory = mkdtempSync(join(tmpdir(), `${PREFIX}-`))
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
