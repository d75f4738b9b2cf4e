/** Who is reached through whom: shortest paths over the links, and the routes that they need in each namespace. */
import { asHostRoute, familyOf, hostOf, subnetOf } from './addressing.ts'
import { type LabLink, type LabNode, linksOf, type Topology } from './topology.ts'

/** One step of a path: over this link to that neighbour. */
export interface Hop {
  readonly link: LabLink
  readonly node: string
}

/** For each other node that can be reached: the hops on the way, the last of which is the node itself. */
export type Paths = ReadonlyMap<string, readonly Hop[]>

/** A route of a namespace. */
export interface PlannedRoute {
  readonly to: string
  readonly via: string
  readonly device: string
}

/**
 * Fewest links win; between equals, the link that stands first in the file.
 * @param usable - which links count; all by default
 */
export function pathsFrom(
  topology: Topology,
  start: string,
  usable: (link: LabLink) => boolean = () => true,
): Paths {
  const paths = new Map<string, readonly Hop[]>([[start, []]])
  const waiting = [start]
  for (let here = waiting.shift(); here !== undefined; here = waiting.shift()) {
    for (const link of linksOf(topology, here)) {
      if (!usable(link)) continue
      for (const { node } of link.ends) {
        if (paths.has(node)) continue
        paths.set(node, [...paths.get(here)!, { link, node }])
        waiting.push(node)
      }
    }
  }
  paths.delete(start)
  return paths
}

/** What a node is reached at beyond its links: the subnets of a stack, the addresses of a kernel host. */
export function prefixesOf(node: LabNode): string[] {
  return node.addresses.map(node.kind === 'stack' ? subnetOf : asHostRoute)
}

function route(start: LabNode, first: Hop, to: string): PlannedRoute[] {
  const family = familyOf(to)
  const own = first.link.ends.find(end => end.node === start.name)!
  const next = first.link.ends.find(end => end.node === first.node)!
  const via = next.addresses.find(address => familyOf(address) === family)
  return via === undefined ? [] : [{ to, via: hostOf(via), device: own.interface }]
}

/** Routes of a namespace to every other node and every link that is not its own. */
export function routesOf(topology: Topology, start: LabNode): PlannedRoute[] {
  const paths = pathsFrom(topology, start.name)
  const toNodes = topology.nodes.flatMap(node => {
    const first = paths.get(node.name)?.[0]
    return first === undefined ? [] : prefixesOf(node).flatMap(to => route(start, first, to))
  })
  const own = new Set(linksOf(topology, start.name))
  const toLinks = topology.links
    .filter(link => !own.has(link))
    .flatMap(link => {
      const first = firstHopTowards(paths, link)
      return first === undefined ? [] : link.subnets.flatMap(to => route(start, first, to))
    })
  return [...toNodes, ...toLinks]
}

/** A link's subnet is behind whichever of its ends is nearest. */
function firstHopTowards(paths: Paths, link: LabLink): Hop | undefined {
  const ways = link.ends.flatMap(end => {
    const path = paths.get(end.node)
    return path === undefined ? [] : [path]
  })
  ways.sort((a, b) => a.length - b.length)
  return ways[0]?.[0]
}
