/**
 * Which stack impairs what. A link of a lab is a veth pair, which delays and loses nothing; what its file asks for is
 * done by the module `impair` on the TUN link of the stacks, for the addresses whose path leads over that link:
 * what a stack sends is impaired as it leaves it, what a kernel sends to a stack is impaired as it arrives there.
 */
import { asHostRoute } from './addressing.ts'
import { pathsFrom, prefixesOf } from './routes.ts'
import type { ImpairInput } from './schema.ts'
import type { LabLink, LabNode, Topology } from './topology.ts'

/** In the journal: what a link was changed to while the lab ran stands under this, followed by its name. */
export const IMPAIR_FAULT = 'impair '

/** One instance of `impair`, with what the link's file said and whom it concerns. */
export interface ImpairModule {
  readonly link: string
  readonly direction: 'out' | 'in'
  readonly options: Readonly<Record<string, unknown>>
}

/** Addresses of the kernel in a node's namespace: what is sent from there has passed no stack. */
function kernelAddresses(topology: Topology, node: LabNode): string[] {
  const ends = topology.links.flatMap(link => link.ends.filter(end => end.node === node.name))
  const own = node.kind === 'linux' ? node.addresses : node.kernel
  return [...own, ...ends.flatMap(end => end.addresses)].map(asHostRoute)
}

/** Whom a stack reaches over a link, as prefixes: to send to, and kernels to hear from. */
export function behindLink(
  topology: Topology,
  node: LabNode,
  link: LabLink,
): { readonly out: string[]; readonly in: string[] } {
  const beyond = [...pathsFrom(topology, node.name)]
    .filter(([, hops]) => hops.some(hop => hop.link === link))
    .map(([name]) => topology.nodes.find(one => one.name === name)!)
  return {
    out: beyond.flatMap(one => [...prefixesOf(one), ...kernelAddresses(topology, one)]),
    in: beyond.flatMap(one => kernelAddresses(topology, one)),
  }
}

/** The modules for one link on a stack's TUN link; none if nobody is reached over it. */
export function modulesForLink(
  topology: Topology,
  node: LabNode,
  link: LabLink,
  impair: ImpairInput,
): ImpairModule[] {
  const behind = behindLink(topology, node, link)
  return (['out', 'in'] as const)
    .filter(direction => behind[direction].length > 0)
    .map(direction => ({
      link: link.name,
      direction,
      options: { ...impair, direction, match: behind[direction] },
    }))
}

/** All modules that a stack needs when the lab starts. */
export function impairModules(topology: Topology, node: LabNode): ImpairModule[] {
  return topology.links.flatMap(link =>
    link.impair === null ? [] : modulesForLink(topology, node, link, link.impair),
  )
}
