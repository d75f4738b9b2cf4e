/** The part of a lab that the kernel holds: namespaces, links between them, addresses, routes, settings. */
import { mkdirSync } from 'node:fs'
import { StackError } from '../base/errors.ts'
import { orThrow } from '../host/host-error.ts'
import { LinkControl } from '../host/links.ts'
import {
  createNamespace,
  deleteNamespace,
  NETNS_DIRECTORY,
  namespaceExists,
  namespacePids,
  netnsPath,
} from '../host/namespace.ts'
import type { Shim } from '../host/shim.ts'
import { setSysctl } from '../host/sysctl.ts'
import { asHostRoute, hostOf } from './addressing.ts'
import type { Journal } from './journal.ts'
import { type PlannedRoute, routesOf } from './routes.ts'
import { FABRIC, type LabLink, type LabNode, linksOf, namespaceName, type Topology } from './topology.ts'

/** Where a lab's namespaces are and how they are marked. */
export interface NamespaceSite {
  readonly shim: Shim
  /** `/run/netns`, or a folder of one's own inside a user namespace. */
  readonly directory: string
  readonly mark: string
}

/** Packets between nodes pass through namespaces, and nobody waits for an address to be free. */
const SETTINGS: readonly (readonly [string, number])[] = [
  ['net.ipv4.ip_forward', 1],
  ['net.ipv4.conf.all.rp_filter', 0],
  ['net.ipv4.conf.default.rp_filter', 0],
  ['net.ipv6.conf.all.disable_ipv6', 0],
  ['net.ipv6.conf.default.disable_ipv6', 0],
  ['net.ipv6.conf.all.forwarding', 1],
  ['net.ipv6.conf.default.accept_dad', 0],
  ['net.ipv6.conf.default.accept_ra', 0],
  // Without this a link that goes down loses its IPv6 addresses, and `lab fault` takes links down.
  ['net.ipv6.conf.all.keep_addr_on_down', 1],
  ['net.ipv6.conf.default.keep_addr_on_down', 1],
  // No link-local address by itself: the kernel would send its solicitations and reports into each TUN.
  ['net.ipv6.conf.default.addr_gen_mode', 1],
]

/** Settings that an old or small kernel may lack without harm. */
const OPTIONAL = /keep_addr_on_down|addr_gen_mode|disable_ipv6/

function using<T>(site: NamespaceSite, name: string, act: (control: LinkControl) => T): T {
  const control = new LinkControl(site.shim, netnsPath(name, site.directory))
  try {
    return act(control)
  } finally {
    control.close()
  }
}

/** A folder of one's own is not made a mount: nobody outside of the user namespace would see it, nor could remove it. */
function create(site: NamespaceSite, name: string): string {
  if (site.directory === NETNS_DIRECTORY) return createNamespace(site.shim, name)
  mkdirSync(site.directory, { recursive: true, mode: 0o700 })
  const path = netnsPath(name, site.directory)
  orThrow(site.shim.nsCreate(path), `make the network namespace ${name}`)
  return path
}

/** @throws StackError `ERR_ALREADY` if a namespace of that name is there, whoever made it */
function makeNamespace(site: NamespaceSite, journal: Journal, name: string): void {
  if (namespaceExists(name, site.directory)) {
    throw new StackError(
      'ERR_ALREADY',
      `there is a network namespace ${name} already, and it is not this lab's`,
      {
        hint: `if nobody needs it: ip netns delete ${name}`,
      },
    )
  }
  journal.write({ kind: 'namespace', name })
  const path = create(site, name)
  using(site, name, control => {
    control.set('lo', { alias: site.mark })
    control.setUp('lo')
  })
  for (const [setting, value] of SETTINGS) {
    if (OPTIONAL.test(setting)) setIfThere(site, path, setting, value)
    else setSysctl(site.shim, path, setting, value)
  }
}

function setIfThere(site: NamespaceSite, path: string, setting: string, value: number): void {
  try {
    setSysctl(site.shim, path, setting, value)
  } catch (error) {
    if (!(error instanceof StackError && error.code === 'ERR_NOT_FOUND')) throw error
  }
}

function makeNodeNamespace(site: NamespaceSite, journal: Journal, lab: string, node: LabNode): void {
  const name = namespaceName(lab, node.name)
  makeNamespace(site, journal, name)
  if (node.congestion !== null)
    setSysctl(site.shim, netnsPath(name, site.directory), 'net.ipv4.tcp_congestion_control', node.congestion)
  if (node.kind !== 'linux') return
  using(site, name, control => {
    for (const address of node.addresses) control.addAddress('lo', asHostRoute(address))
  })
}

function makePair(site: NamespaceSite, journal: Journal, lab: string, link: LabLink): void {
  const [first, second] = link.ends
  const from = namespaceName(lab, first!.node)
  const to = namespaceName(lab, second!.node)
  journal.write({ kind: 'link', namespace: from, name: first!.interface })
  using(site, from, control => {
    const peer = { name: second!.interface, namespace: netnsPath(to, site.directory), mtu: link.mtu }
    control.createVeth(first!.interface, peer, { mtu: link.mtu })
  })
  for (const end of link.ends) finishEnd(site, lab, end.node, end.interface, end.addresses)
}

/** The port of a segment's member on the bridge: its number in the segment, since names are short. */
export function portName(segment: LabLink, index: number): string {
  return `${segment.name.slice(0, 10)}.${index}`
}

export function bridgeName(segment: LabLink, part = 0): string {
  return part === 0 ? segment.name : `${segment.name.slice(0, 12)}.p${part}`
}

function makeSegment(site: NamespaceSite, journal: Journal, lab: string, link: LabLink): void {
  const fabric = namespaceName(lab, FABRIC)
  journal.write({ kind: 'link', namespace: fabric, name: bridgeName(link) })
  using(site, fabric, control => {
    control.createBridge(bridgeName(link), { mtu: link.mtu })
    control.set(bridgeName(link), { alias: site.mark, up: true })
  })
  for (const [i, end] of link.ends.entries()) {
    const node = namespaceName(lab, end.node)
    journal.write({ kind: 'link', namespace: fabric, name: portName(link, i) })
    using(site, fabric, control => {
      const peer = { name: end.interface, namespace: netnsPath(node, site.directory), mtu: link.mtu }
      control.createVeth(portName(link, i), peer, { mtu: link.mtu })
      control.set(portName(link, i), { alias: site.mark, up: true })
      control.setMaster(portName(link, i), bridgeName(link))
    })
    finishEnd(site, lab, end.node, end.interface, end.addresses)
  }
}

function finishEnd(
  site: NamespaceSite,
  lab: string,
  node: string,
  device: string,
  addresses: readonly string[],
): void {
  const path = netnsPath(namespaceName(lab, node), site.directory)
  // A veth does need its link-local address: neighbours are asked from it for packets that come from elsewhere.
  setIfThere(site, path, `net/ipv6/conf/${device}/addr_gen_mode`, 0)
  using(site, namespaceName(lab, node), control => {
    control.set(device, { alias: site.mark, up: true })
    for (const address of addresses) control.addAddress(device, address)
  })
}

/**
 * Sets the routes of a node's namespace; may be called again.
 * @param isDown - links that are down, whose routes the kernel would refuse
 */
export function setRoutes(
  site: NamespaceSite,
  topology: Topology,
  node: LabNode,
  isDown: (device: string) => boolean = () => false,
): void {
  const routes = routesOf(topology, node).filter(route => !isDown(route.device))
  using(site, namespaceName(topology.name, node.name), control => {
    for (const route of routes) control.addRoute(withSource(route, node), { replace: true })
  })
}

/** A kernel host speaks with its own address, whichever link a packet leaves by. */
function withSource(route: PlannedRoute, node: LabNode): PlannedRoute & { readonly source?: string } {
  if (node.kind !== 'linux') return route
  const own = node.addresses.find(address => address.includes(':') === route.to.includes(':'))
  return own === undefined ? route : { ...route, source: hostOf(own) }
}

/** The namespaces of a lab, the fabric only if something needs it. */
export function namespacesOf(topology: Topology): string[] {
  const names = topology.nodes.map(node => namespaceName(topology.name, node.name))
  const needsFabric = topology.links.some(link => link.kind === 'segment')
  return needsFabric ? [...names, namespaceName(topology.name, FABRIC)] : names
}

/**
 * Makes everything, each thing announced in the journal before it is made. Gives way between the steps, so that an
 * interrupt is heard.
 * @throws StackError for what the host refuses; what was made until then is the caller's to remove
 */
export async function makeNamespaces(
  site: NamespaceSite,
  journal: Journal,
  topology: Topology,
  signal?: AbortSignal,
): Promise<void> {
  const lab = topology.name
  const steps: (() => void)[] = topology.nodes.map(node => () => makeNodeNamespace(site, journal, lab, node))
  if (topology.links.some(link => link.kind === 'segment'))
    steps.push(() => makeNamespace(site, journal, namespaceName(lab, FABRIC)))
  for (const link of topology.links)
    steps.push(() => (link.kind === 'pair' ? makePair : makeSegment)(site, journal, lab, link))
  for (const node of topology.nodes)
    if (linksOf(topology, node.name).length > 0) steps.push(() => setRoutes(site, topology, node))
  for (const step of steps) {
    await new Promise(resolve => setImmediate(resolve))
    signal?.throwIfAborted()
    step()
  }
}

/** Whose a namespace is, by the alias of its loopback. */
export type NamespaceOwner = 'ours' | 'unmarked' | 'not a namespace' | 'other' | 'gone'

export function ownerOf(site: NamespaceSite, name: string): NamespaceOwner {
  if (!namespaceExists(name, site.directory)) return 'gone'
  try {
    return using(site, name, control => {
      const links = control.list()
      const alias = links.find(link => link.name === 'lo')?.alias ?? ''
      if (alias === site.mark) return 'ours'
      // The command was killed between making and marking it: nobody has touched it since.
      const untouched = alias === '' && links.length === 1 && !links[0]!.up
      return untouched && namespacePids(name, site.directory).length === 0 ? 'unmarked' : 'other'
    })
  } catch (error) {
    if (error instanceof StackError && error.code === 'ERR_BAD_ARGUMENT') return 'not a namespace'
    throw error
  }
}

/** What is gone already, another hand has removed, or the kernel with its other end. */
function unlessGone(act: () => void): void {
  try {
    act()
  } catch (error) {
    if (!(error instanceof StackError && error.code === 'ERR_NOT_FOUND')) throw error
  }
}

function removeLinks(site: NamespaceSite, name: string): void {
  using(site, name, control => {
    const own = control.list().filter(link => link.alias === site.mark && link.name !== 'lo')
    for (const link of own) unlessGone(() => control.remove(link.name))
  })
}

/**
 * Removes a namespace that the journal names, with its links: those end at once, the namespace when the last process in
 * it has ended.
 * @returns false if it is somebody else's and stays
 */
export function removeNamespace(site: NamespaceSite, name: string): boolean {
  const owner = ownerOf(site, name)
  if (owner === 'gone') return true
  if (owner === 'other') return false
  if (owner === 'ours') unlessGone(() => removeLinks(site, name))
  unlessGone(() => deleteNamespace(site.shim, name, site.directory))
  return true
}
