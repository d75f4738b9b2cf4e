/** Links cut and joined while a lab runs: single ones, or all between groups of nodes. */
import { StackError } from '../base/errors.ts'
import type { JournalSummary } from './journal.ts'
import { bridgeName, portName, setRoutes } from './namespaces.ts'
import type { RunningLab } from './running-lab.ts'
import { FABRIC, type LabLink, type Topology } from './topology.ts'

const LINK_FAULT = 'link '
const PARTITION_FAULT = 'partition'

/** Groups of nodes that cannot reach each other; within a group all is well. */
export type Partition = readonly (readonly string[])[]

/** What the journal says of links. */
export interface LinkFaults {
  readonly down: ReadonlySet<string>
  readonly partition: Partition | null
}

export function linkFaults(summary: JournalSummary): LinkFaults {
  const down = [...summary.faults]
    .filter(([what, value]) => what.startsWith(LINK_FAULT) && value === 'down')
    .map(([what]) => what.slice(LINK_FAULT.length))
  const partition = (summary.faults.get(PARTITION_FAULT) ?? null) as Partition | null
  return { down: new Set(down), partition }
}

/** Which group a node is in: nodes that are not named are one more group together. */
function groupOf(partition: Partition | null, node: string): number {
  if (partition === null) return 0
  const index = partition.findIndex(group => group.includes(node))
  return index < 0 ? partition.length : index
}

/** A pair of which the ends are in different groups is cut; a segment falls into parts. */
export function isDown(link: LabLink, faults: LinkFaults): boolean {
  if (faults.down.has(link.name)) return true
  if (link.kind === 'segment') return false
  const groups = link.ends.map(end => groupOf(faults.partition, end.node))
  return groups[0] !== groups[1]
}

/** @throws StackError `ERR_BAD_ARGUMENT` for groups that overlap or leave nothing apart */
export function checkPartition(topology: Topology, groups: Partition): void {
  const named = groups.flat()
  const twice = named.find((name, i) => named.indexOf(name) !== i)
  if (twice !== undefined) throw new StackError('ERR_BAD_ARGUMENT', `${twice} is in two groups`)
  const parts = groups.length + (topology.nodes.some(node => !named.includes(node.name)) ? 1 : 0)
  if (parts < 2) throw new StackError('ERR_BAD_ARGUMENT', 'one group with all nodes parts nothing')
}

/** Takes a link down or up; what the journal remembers is put into effect. */
export function setLink(lab: RunningLab, name: string, state: 'up' | 'down'): void {
  const link = lab.link(name)
  lab.record(journal => journal.write({ kind: 'fault', what: `${LINK_FAULT}${link.name}`, value: state }))
  applyLinkFaults(lab)
}

/** @param groups - null heals */
export function setPartition(lab: RunningLab, groups: Partition | null): void {
  if (groups !== null) {
    for (const name of groups.flat()) lab.node(name)
    checkPartition(lab.topology, groups)
  }
  lab.record(journal => journal.write({ kind: 'fault', what: PARTITION_FAULT, value: groups }))
  applyLinkFaults(lab)
}

/** Makes the kernel's links what the journal says; may be called at any time, again and again. */
export function applyLinkFaults(lab: RunningLab): void {
  const faults = linkFaults(lab.summary())
  for (const link of lab.topology.links) {
    const up = !isDown(link, faults)
    if (link.kind === 'segment') splitSegment(lab, link, faults.partition)
    for (const end of link.ends) lab.links(end.node, control => control.setUp(end.interface, up))
  }
  // A route goes with its link, and comes back only if somebody puts it there.
  for (const node of lab.topology.nodes) {
    const down = lab.topology.links.filter(link => isDown(link, faults))
    const devices = down.flatMap(link =>
      link.ends.filter(end => end.node === node.name).map(end => end.interface),
    )
    setRoutes(lab.site, lab.topology, node, device => devices.includes(device))
  }
}

/** Each group's ports go to a bridge of their own. */
function splitSegment(lab: RunningLab, link: LabLink, partition: Partition | null): void {
  lab.links(FABRIC, control => {
    for (const [i, end] of link.ends.entries()) {
      const bridge = bridgeName(link, groupOf(partition, end.node))
      if (control.find(bridge) === null) {
        lab.record(journal =>
          journal.write({ kind: 'link', namespace: `${lab.name}-${FABRIC}`, name: bridge }),
        )
        control.createBridge(bridge, { mtu: link.mtu })
        control.set(bridge, { alias: lab.site.mark, up: true })
      }
      control.setMaster(portName(link, i), bridge)
    }
  })
}
