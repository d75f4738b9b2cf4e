/** What is kept of a lab while it lives: `STATE/LAB/` with the journal, the topology, node files, logs, sockets. */
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { StackError } from '../base/errors.ts'
import { NETNS_DIRECTORY } from '../host/namespace.ts'
import { makeStateDirectory, PORT_SUFFIX, SOCKET_PATH_BYTES_MAX, stateDirectory } from '../node/state-dir.ts'
import { Journal, type JournalEntry, type ProcessRecord, readJournal, summarize } from './journal.ts'
import { isAlive } from './marks.ts'
import type { Topology } from './topology.ts'

const JOURNAL = 'journal'
const TOPOLOGY = 'lab.json'
const NAMESPACES = 'netns'
const CLAIM_PREFIX = '.claim-'
const CLAIM = /^\.claim-(\d+)-(\d+)-/

/** The files of one lab. */
export class LabDirectory {
  readonly lab: string
  readonly path: string

  /** @param state - the state directory; see {@link stateDirectory} */
  constructor(lab: string, state: string = stateDirectory()) {
    this.lab = lab
    this.path = join(state, lab)
  }

  get journal(): string {
    return join(this.path, JOURNAL)
  }

  nodeFile(node: string): string {
    return join(this.path, `${node}.yaml`)
  }

  log(node: string): string {
    return join(this.path, `${node}.log`)
  }

  socket(node: string): string {
    return join(this.path, `${node}.sock`)
  }

  /** @returns where a node's control port is, and its port for programs of other processes */
  sockets(node: string): { readonly control: string; readonly ipc: string } {
    return { control: this.socket(node), ipc: join(this.path, `${node}${PORT_SUFFIX}`) }
  }

  /** Where a lab in a user namespace binds its namespaces: `/run/netns` is root's. */
  get ownNamespaces(): string {
    return join(this.path, NAMESPACES)
  }

  namespaces(inUserNamespace: boolean): string {
    return inUserNamespace ? this.ownNamespaces : NETNS_DIRECTORY
  }

  get exists(): boolean {
    return existsSync(this.path)
  }

  /**
   * Takes the lab's name: only one command can. The folder appears with its journal's first line in it, or not at all.
   * @param owner - the command that brings the lab up
   * @returns false if the name is taken
   */
  claim(first: JournalEntry, owner: ProcessRecord): boolean {
    const state = join(this.path, '..')
    makeStateDirectory(state)
    const longest = join(this.path, 'x'.repeat(15)).length + '.sock'.length
    if (longest > SOCKET_PATH_BYTES_MAX) {
      throw new StackError('ERR_BAD_ARGUMENT', `the path ${this.path} is too long for control sockets`, {
        hint: 'choose a shorter one with PUTNEXT_STATE_DIR',
      })
    }
    const claim = join(state, `${CLAIM_PREFIX}${owner.pid}-${owner.startTime}-${this.lab}`)
    try {
      mkdirSync(claim, { mode: 0o700 })
      const journal = new Journal(join(claim, JOURNAL))
      journal.write(first)
      journal.close()
      renameSync(claim, this.path)
      return true
    } catch (error) {
      rmSync(claim, { recursive: true, force: true })
      if (['EEXIST', 'ENOTEMPTY'].includes((error as NodeJS.ErrnoException).code ?? '')) return false
      throw new StackError('ERR_ACCESS', `cannot make the directory ${this.path}`, {
        cause: error,
        hint: 'choose another one with PUTNEXT_STATE_DIR',
      })
    }
  }

  writeTopology(topology: Topology): void {
    writeFileSync(join(this.path, TOPOLOGY), `${JSON.stringify(topology, null, 2)}\n`, { mode: 0o600 })
  }

  /** @returns null if the lab was left before it was written */
  readTopology(): Topology | null {
    try {
      return JSON.parse(readFileSync(join(this.path, TOPOLOGY), 'utf8')) as Topology
    } catch {
      return null
    }
  }

  /** The journal goes last, so that a removal that is cut short can be taken up again. */
  remove(): void {
    if (!existsSync(this.path)) return
    for (const file of readdirSync(this.path))
      if (file !== JOURNAL) rmSync(join(this.path, file), { recursive: true, force: true })
    rmSync(this.path, { recursive: true, force: true })
  }
}

function entriesOf(state: string): string[] {
  if (!existsSync(state)) return []
  return readdirSync(state, { withFileTypes: true })
    .filter(entry => entry.isDirectory())
    .map(entry => entry.name)
    .sort()
}

/** Names of all labs that have left something, whole or not. */
export function knownLabs(state: string = stateDirectory()): string[] {
  return entriesOf(state).filter(
    name => !name.startsWith('.') && existsSync(new LabDirectory(name, state).journal),
  )
}

/** Removes what commands have left that were killed before they had their lab's name. @returns how many */
export function removeStaleClaims(state: string = stateDirectory()): number {
  let removed = 0
  for (const name of entriesOf(state)) {
    const match = CLAIM.exec(name)
    if (match === null || isAlive({ pid: Number(match[1]), startTime: match[2]! })) continue
    rmSync(join(state, name), { recursive: true, force: true })
    removed++
  }
  return removed
}

/** The process that holds a lab's user namespace, or null for a lab of root's. */
export function holderOf(directory: LabDirectory): ProcessRecord | null {
  return summarize(readJournal(directory.journal)).holder
}
