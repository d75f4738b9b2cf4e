/** A lab that is up in namespaces, found by its name: its journal, its place, what state it is in. */
import { StackError } from '../base/errors.ts'
import { LinkControl } from '../host/links.ts'
import { netnsPath } from '../host/namespace.ts'
import type { Shim } from '../host/shim.ts'
import { didYouMean } from '../node/did-you-mean.ts'
import { Journal, type JournalSummary, type ProcessRecord, readJournal, summarize } from './journal.ts'
import { knownLabs, LabDirectory } from './lab-directory.ts'
import { isAlive, labMark } from './marks.ts'
import type { NamespaceSite } from './namespaces.ts'
import type { LabPlace } from './node-process.ts'
import { type LabLink, type LabNode, namespaceName, type Topology } from './topology.ts'

export class RunningLab {
  readonly directory: LabDirectory
  readonly topology: Topology
  readonly site: NamespaceSite
  private readonly id: string

  /**
   * @param state - the state directory, if not the usual one
   * @throws StackError `ERR_NOT_FOUND` if no such lab is there, `ERR_BUSY` if it is not up yet or only half there
   */
  constructor(name: string, shim: Shim, state?: string) {
    this.directory = new LabDirectory(name, state)
    const summary = summarize(readJournal(this.directory.journal))
    const topology = this.directory.readTopology()
    if (summary.id === null) throw noSuchLab(name, state)
    if (!summary.up || topology === null) {
      const coming = summary.owner !== null && isAlive(summary.owner)
      throw new StackError('ERR_BUSY', `the lab ${name} is ${coming ? 'not up yet' : 'only half there'}`, {
        hint: coming ? 'wait for its lab up' : 'remove it with: putnext lab prune',
      })
    }
    if (topology.mode === 'inproc') {
      throw new StackError(
        'ERR_NOT_SUPPORTED',
        `the lab ${name} is in one process: it has no namespaces or node processes`,
        {
          hint: 'ping, plumb and capture work; for the rest bring it up with --mode netns',
        },
      )
    }
    this.id = summary.id
    this.topology = topology
    const mark = labMark(name, this.id)
    this.site = { shim, directory: this.directory.namespaces(summary.holder !== null), mark }
  }

  get name(): string {
    return this.topology.name
  }

  get place(): LabPlace {
    return { site: this.site, directory: this.directory, topology: this.topology }
  }

  /** What the journal says now. */
  summary(): JournalSummary {
    return summarize(readJournal(this.directory.journal))
  }

  record<T>(act: (journal: Journal) => T): T {
    const journal = new Journal(this.directory.journal)
    try {
      return act(journal)
    } finally {
      journal.close()
    }
  }

  /** @throws StackError `ERR_NOT_FOUND`, naming what there is */
  node(name: string): LabNode {
    const node = this.topology.nodes.find(one => one.name === name)
    if (node !== undefined) return node
    const known = this.topology.nodes.map(one => one.name)
    throw new StackError('ERR_NOT_FOUND', `the lab ${this.name} has no node ${name}`, {
      hint: didYouMean(name, known),
    })
  }

  /** @throws StackError `ERR_NOT_FOUND`, naming what there is; a pair is also found with its ends turned round */
  link(name: string): LabLink {
    const turned = name.split('--').reverse().join('--')
    const link = this.topology.links.find(one => one.name === name || one.name === turned)
    if (link !== undefined) return link
    const known = this.topology.links.map(one => one.name)
    throw new StackError('ERR_NOT_FOUND', `the lab ${this.name} has no link ${name}`, {
      hint: didYouMean(name, known),
    })
  }

  /** @throws StackError `ERR_NOT_SUPPORTED` for a kernel host, which has no process of ours */
  stackNode(name: string): LabNode {
    const node = this.node(name)
    if (node.kind === 'stack') return node
    throw new StackError(
      'ERR_NOT_SUPPORTED',
      `${name} is a host of the kernel's stack: there is no process to act on`,
    )
  }

  /** The process of a node, or null if it has ended. */
  process(node: string): ProcessRecord | null {
    const record = this.summary().processes.get(node)
    return record !== undefined && isAlive(record) ? record : null
  }

  namespacePath(node: string): string {
    return netnsPath(namespaceName(this.name, node), this.site.directory)
  }

  /** Runs `act` with the links of a node's namespace, or of the fabric. */
  links<T>(node: string, act: (control: LinkControl) => T): T {
    const control = new LinkControl(this.site.shim, this.namespacePath(node))
    try {
      return act(control)
    } finally {
      control.close()
    }
  }
}

export function noSuchLab(name: string, state?: string): StackError {
  const known = knownLabs(state)
  return new StackError('ERR_NOT_FOUND', `there is no lab ${name}`, {
    hint: known.length === 0 ? 'no lab is there' : didYouMean(name, known),
  })
}
