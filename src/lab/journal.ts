/**
 * The journal of a lab: what is about to be made, on the disk before it is made. Whoever finds a lab half made, or
 * left by a command that was killed, learns from it where to look; what is found there is removed only if it also
 * bears the lab's mark (`marks.ts`).
 */
import { closeSync, fdatasyncSync, fsyncSync, openSync, readFileSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'

/** One line of the journal. */
export type JournalEntry =
  /** First of all. `pid` and `startTime` are those of the command that brings the lab up. */
  | {
      readonly kind: 'lab'
      readonly name: string
      readonly id: string
      readonly pid: number
      readonly startTime: string
    }
  /** Processes and devices live in a user namespace that this process holds open. */
  | { readonly kind: 'holder'; readonly pid: number; readonly startTime: string }
  /** A namespace of this name is about to be made; nothing of this name was there before. */
  | { readonly kind: 'namespace'; readonly name: string }
  /** A link is about to be made in one of the lab's namespaces. */
  | { readonly kind: 'link'; readonly namespace: string; readonly name: string }
  /** A process with the lab's mark is about to be started. */
  | { readonly kind: 'process'; readonly node: string }
  | { readonly kind: 'pid'; readonly node: string; readonly pid: number; readonly startTime: string }
  /** A node was ended on purpose. */
  | { readonly kind: 'stopped'; readonly node: string }
  /** All is there. */
  | { readonly kind: 'up' }
  /** A link was cut or joined on purpose, a node paused, an impairment changed: what `lab status` tells. */
  | { readonly kind: 'fault'; readonly what: string; readonly value: unknown }

/** Called after an entry is on the disk: where a test kills the command. */
export type JournalHook = (entry: JournalEntry) => void

export class Journal {
  private fd: number
  private readonly hook: JournalHook | undefined

  /** @param path - made if it is not there; its folder must be */
  constructor(path: string, hook?: JournalHook) {
    this.fd = openSync(path, 'a', 0o600)
    this.hook = hook
    syncDirectory(dirname(path))
  }

  /** On the disk when this returns. */
  write(entry: JournalEntry): void {
    // The leading line end closes a line that a crash left torn.
    writeSync(this.fd, `\n${JSON.stringify(entry)}\n`)
    fdatasyncSync(this.fd)
    this.hook?.(entry)
  }

  close(): void {
    if (this.fd >= 0) closeSync(this.fd)
    this.fd = -1
  }

  [Symbol.dispose](): void {
    this.close()
  }
}

function syncDirectory(path: string): void {
  const fd = openSync(path, 'r')
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}

/** @returns null for a line that a crash has torn: what it was to announce was never made */
function parseLine(line: string): JournalEntry | null {
  try {
    const entry = JSON.parse(line) as JournalEntry
    return typeof entry?.kind === 'string' ? entry : null
  } catch {
    return null
  }
}

/** @returns the entries in order, none if there is no such file */
export function readJournal(path: string): JournalEntry[] {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
  return text
    .split('\n')
    .filter(line => line !== '')
    .flatMap(line => parseLine(line) ?? [])
}

export interface ProcessRecord {
  readonly pid: number
  /** Field 22 of `/proc/PID/stat`: tells a process from a later one with the same number. */
  readonly startTime: string
}

/** What the entries say, taken together. */
export interface JournalSummary {
  readonly id: string | null
  /** The command that brings the lab up. */
  readonly owner: ProcessRecord | null
  readonly holder: ProcessRecord | null
  readonly namespaces: readonly string[]
  readonly links: readonly { readonly namespace: string; readonly name: string }[]
  /** The latest process of each node. */
  readonly processes: ReadonlyMap<string, ProcessRecord>
  /** Every process ever recorded. */
  readonly allProcesses: readonly ProcessRecord[]
  /** Nodes that were ended on purpose and not started again. */
  readonly stopped: ReadonlySet<string>
  readonly up: boolean
  /** The latest of each kind of fault. */
  readonly faults: ReadonlyMap<string, unknown>
}

export function summarize(entries: readonly JournalEntry[]): JournalSummary {
  let id: string | null = null
  let owner: ProcessRecord | null = null
  let holder: ProcessRecord | null = null
  let up = false
  const namespaces: string[] = []
  const links: { namespace: string; name: string }[] = []
  const processes = new Map<string, ProcessRecord>()
  const allProcesses: ProcessRecord[] = []
  const stopped = new Set<string>()
  const faults = new Map<string, unknown>()
  for (const entry of entries) {
    switch (entry.kind) {
      case 'lab':
        id = entry.id
        owner = { pid: entry.pid, startTime: entry.startTime }
        break
      case 'holder':
        holder = { pid: entry.pid, startTime: entry.startTime }
        break
      case 'namespace':
        namespaces.push(entry.name)
        break
      case 'link':
        links.push({ namespace: entry.namespace, name: entry.name })
        break
      case 'process':
        stopped.delete(entry.node)
        processes.delete(entry.node)
        break
      case 'pid': {
        const record = { pid: entry.pid, startTime: entry.startTime }
        processes.set(entry.node, record)
        allProcesses.push(record)
        break
      }
      case 'stopped':
        stopped.add(entry.node)
        break
      case 'up':
        up = true
        break
      case 'fault':
        faults.set(entry.what, entry.value)
        break
    }
  }
  return { id, owner, holder, namespaces, links, processes, allProcesses, stopped, up, faults }
}
