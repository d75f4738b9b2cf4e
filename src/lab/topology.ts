/** A lab as plain values with everything filled in: what the file said, and what it left to us. */
import type { ImpairInput } from './schema.ts'

export type LabMode = 'netns' | 'inproc'
export type NodeKind = 'stack' | 'linux'

export interface Dependency {
  readonly node: string
  /** `started`: its process runs; `healthy`: it also answers */
  readonly condition: 'healthy' | 'started'
}

export interface LabNode {
  readonly name: string
  readonly kind: NodeKind
  /** The node's own, as `10.77.1.2/24`: at most one of each family. */
  readonly addresses: readonly string[]
  /** The kernel's side of the TUN device; empty for `linux`. */
  readonly kernel: readonly string[]
  readonly mtu: number
  readonly offload: boolean
  /** As in a node file. */
  readonly services: Readonly<Record<string, boolean | Readonly<Record<string, unknown>>>>
  /** As in a node file; nearest to IP first. */
  readonly modules: readonly (string | Readonly<Record<string, unknown>>)[]
  /** Programs of other processes may use its sockets. */
  readonly ipc: boolean
  readonly exec: readonly string[]
  readonly congestion: string | null
  readonly dependsOn: readonly Dependency[]
}

/** Where a link ends. */
export interface LinkEnd {
  readonly node: string
  /** Name of the interface in the node's namespace. */
  readonly interface: string
  /** As `10.76.0.1/30`, one of each family. */
  readonly addresses: readonly string[]
}

export interface LabLink {
  /** `n1--n2`, or the segment's name. */
  readonly name: string
  /** `pair`: one veth pair; `segment`: a bridge in the fabric */
  readonly kind: 'pair' | 'segment'
  readonly ends: readonly LinkEnd[]
  /** The networks of the ends' addresses. */
  readonly subnets: readonly string[]
  readonly mtu: number
  readonly impair: ImpairInput | null
}

export interface Topology {
  readonly name: string
  readonly seed: number
  readonly mode: LabMode
  readonly nodes: readonly LabNode[]
  readonly links: readonly LabLink[]
}

/** @throws RangeError for a name that the lab does not have */
export function nodeOf(topology: Topology, name: string): LabNode {
  const node = topology.nodes.find(one => one.name === name)
  if (node === undefined) throw new RangeError(`no node ${name}`)
  return node
}

export function linksOf(topology: Topology, node: string): LabLink[] {
  return topology.links.filter(link => link.ends.some(end => end.node === node))
}

/** The namespace of a node, as `ip netns` shows it. */
export function namespaceName(lab: string, node: string): string {
  return `${lab}-${node}`
}

/** The namespace with the bridges; no node may have this name. */
export const FABRIC = 'fabric'

/** The TUN device of a stack node in its namespace. */
export const TUN_DEVICE = 'tun0'
