/**
 * A lab without namespaces: every node is a stack, every link a wire between two of them, a segment a wire between
 * each two of its members. Stacks pass packets on themselves, since there is no kernel between them to do it.
 */
import type { NodeConfigInput } from '../node/config-schema.ts'
import { asHostRoute } from './addressing.ts'
import { type NodeSockets, nodeSeed } from './node-file.ts'
import { type Paths, pathsFrom, prefixesOf } from './routes.ts'
import { type LabLink, type LabNode, linksOf, type Topology } from './topology.ts'

/** One wire, of the two links that are its ends. */
export interface PlannedWire {
  readonly name: string
  readonly link: LabLink
  readonly nodes: readonly [string, string]
}

/** The link on which a node's own addresses are: a wire of which nobody has the other end. */
export const SELF_LINK = 'self'

export function wiresOf(topology: Topology): PlannedWire[] {
  const wires: PlannedWire[] = []
  for (const link of topology.links) {
    const names = link.ends.map(end => end.node)
    for (const [i, from] of names.entries())
      for (const to of names.slice(i + 1)) wires.push({ name: `w${wires.length}`, link, nodes: [from, to] })
  }
  return wires
}

/** What a node calls a wire: by the interface of the lab file, numbered where a segment needs several. */
export function wireLinkName(wires: readonly PlannedWire[], wire: PlannedWire, node: string): string {
  const name = wire.link.ends.find(end => end.node === node)!.interface
  if (wire.link.kind === 'pair') return name
  const same = wires.filter(one => one.link === wire.link && one.nodes.includes(node))
  return `${name}.${same.indexOf(wire)}`
}

/** Modules for a wire's end: each end spoils what it sends. */
function endModules(link: LabLink): Record<string, unknown>[] {
  return link.impair === null ? [] : [{ impair: { ...link.impair, direction: 'out' } }]
}

/**
 * The node file of a lab's node in mode inproc.
 * @param wires - all of the lab's
 * @param sockets - null for none
 */
export function inprocConfigOf(
  topology: Topology,
  node: LabNode,
  wires: readonly PlannedWire[],
  sockets: NodeSockets | null,
): NodeConfigInput {
  const own = wires.filter(wire => wire.nodes.includes(node.name))
  const links = own.map(wire => {
    const first = own.find(one => one.link === wire.link) === wire
    const { addresses } = wire.link.ends.find(end => end.node === node.name)!
    return {
      name: wireLinkName(wires, wire, node.name),
      driver: 'wire' as const,
      wire: wire.name,
      mtu: wire.link.mtu,
      // The members of a segment have one address on all of its wires, which can stand on one only.
      addresses: wire.link.kind === 'pair' ? [...addresses] : first ? addresses.map(asHostRoute) : [],
      modules: endModules(wire.link),
    }
  })
  const self = {
    name: SELF_LINK,
    driver: 'wire' as const,
    wire: `self.${node.name}`,
    mtu: node.mtu,
    addresses: node.addresses.map(asHostRoute),
    modules: [...node.modules],
  }
  return {
    version: 1,
    name: node.name,
    seed: nodeSeed(topology, node),
    control: sockets?.control ?? false,
    ...(node.ipc && sockets !== null ? { ipc: sockets.ipc } : {}),
    forwarding: true,
    links: [self, ...links],
    routes: wireRoutes(topology, node, wires),
    services: { ...node.services },
  } as NodeConfigInput
}

/** On a wire there is one neighbour, so a route needs no next hop. */
function wireRoutes(
  topology: Topology,
  node: LabNode,
  wires: readonly PlannedWire[],
): { to: string; link: string }[] {
  const paths = pathsFrom(topology, node.name)
  const linkTo = (name: string): string | null => {
    const hop = paths.get(name)?.[0]
    const wire = wires.find(
      one => one.link === hop?.link && one.nodes.includes(node.name) && one.nodes.includes(hop.node),
    )
    return wire === undefined ? null : wireLinkName(wires, wire, node.name)
  }
  const routes = topology.nodes.flatMap(other => {
    const link = linkTo(other.name)
    return link === null ? [] : prefixesOf(other).map(to => ({ to, link }))
  })
  const own = new Set(linksOf(topology, node.name))
  return [...routes, ...topology.links.flatMap(link => linkRoutes(link, own.has(link), node, paths, linkTo))]
}

/** To the ends of a link: single addresses in a segment that is one's own, else the subnet by its nearest end. */
function linkRoutes(
  link: LabLink,
  isOwn: boolean,
  node: LabNode,
  paths: Paths,
  linkTo: (name: string) => string | null,
): { to: string; link: string }[] {
  if (isOwn && link.kind === 'pair') return []
  if (isOwn) {
    return link.ends
      .filter(end => end.node !== node.name)
      .flatMap(end => end.addresses.map(to => ({ to: asHostRoute(to), link: linkTo(end.node) ?? SELF_LINK })))
  }
  const ends = link.ends
    .filter(end => paths.has(end.node))
    .sort((a, b) => paths.get(a.node)!.length - paths.get(b.node)!.length)
  const way = ends[0] === undefined ? null : linkTo(ends[0].node)
  return way === null ? [] : link.subnets.map(to => ({ to, link: way }))
}
