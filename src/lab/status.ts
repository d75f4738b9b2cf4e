/** How a lab is doing, node by node and link by link. */
import { hostOf } from './addressing.ts'
import { controlAnswers } from './health.ts'
import { IMPAIR_FAULT } from './impairments.ts'
import { readJournal, summarize } from './journal.ts'
import type { LabDirectory } from './lab-directory.ts'
import { isDown, linkFaults, type Partition } from './link-faults.ts'
import { type ProcessState, processState } from './node-faults.ts'
import type { RunningLab } from './running-lab.ts'
import { type LabNode, type NodeKind, namespaceName, type Topology } from './topology.ts'

export interface NodeStatus {
  readonly name: string
  readonly kind: NodeKind
  /** `up` for a kernel host, which has no process */
  readonly state: ProcessState | 'up'
  /** The control port answers; a paused node's does not. */
  readonly healthy: boolean
  readonly pid: number | null
  readonly namespace: string
  readonly addresses: readonly string[]
  readonly control: string | null
  readonly log: string
}

export interface LinkStatus {
  readonly name: string
  readonly kind: 'pair' | 'segment'
  readonly ends: readonly string[]
  readonly state: 'up' | 'down'
  readonly impair: unknown
}

export interface LabStatus {
  readonly name: string
  readonly mode: 'netns' | 'inproc'
  readonly nodes: readonly NodeStatus[]
  readonly links: readonly LinkStatus[]
  readonly partition: Partition | null
}

async function nodeStatus(lab: RunningLab, node: LabNode): Promise<NodeStatus> {
  const isStack = node.kind === 'stack'
  const control = lab.directory.socket(node.name)
  const state = isStack ? processState(lab, node.name) : 'up'
  return {
    name: node.name,
    kind: node.kind,
    state,
    healthy: state === 'up' || (state === 'running' && (await controlAnswers(control))),
    pid: lab.process(node.name)?.pid ?? null,
    namespace: namespaceName(lab.name, node.name),
    addresses: node.addresses.map(hostOf),
    control: isStack ? control : null,
    log: lab.directory.log(node.name),
  }
}

export async function labStatus(lab: RunningLab): Promise<LabStatus> {
  const summary = lab.summary()
  const faults = linkFaults(summary)
  const links = lab.topology.links.map(link => {
    const changed = summary.faults.get(`${IMPAIR_FAULT}${link.name}`)
    return {
      name: link.name,
      kind: link.kind,
      ends: link.ends.map(end => `${end.node}:${end.interface}`),
      state: isDown(link, faults) ? ('down' as const) : ('up' as const),
      impair: changed === undefined ? link.impair : changed,
    }
  })
  return {
    name: lab.name,
    mode: 'netns',
    nodes: await Promise.all(lab.topology.nodes.map(node => nodeStatus(lab, node))),
    links,
    partition: faults.partition,
  }
}

/** A lab in one process: what its control sockets answer. */
export async function inprocStatus(directory: LabDirectory, topology: Topology): Promise<LabStatus> {
  const { owner } = summarize(readJournal(directory.journal))
  const nodes = topology.nodes.map(async (node): Promise<NodeStatus> => {
    const control = directory.socket(node.name)
    const healthy = await controlAnswers(control)
    return {
      name: node.name,
      kind: 'stack',
      state: healthy ? 'running' : 'dead',
      healthy,
      pid: owner?.pid ?? null,
      namespace: '-',
      addresses: node.addresses.map(hostOf),
      control,
      log: '',
    }
  })
  const links = topology.links.map(({ name, kind, ends, impair }) => ({
    name,
    kind,
    ends: ends.map(end => `${end.node}:${end.interface}`),
    state: 'up' as const,
    impair,
  }))
  return { name: topology.name, mode: 'inproc', nodes: await Promise.all(nodes), links, partition: null }
}

export function isHealthy(status: LabStatus): boolean {
  return status.nodes.every(node => node.healthy)
}
