/** Fills in what a lab file leaves open (addresses, interface names, defaults) and refuses what does not fit together. */
import { parseImpairOptions } from '../driver/impair-options.ts'
import {
  DEFAULT_POOLS,
  familyOf,
  hostAt,
  hostOf,
  isNetwork,
  lengthOf,
  overlaps,
  type Pool,
  type PoolName,
  readableV6Subnet,
  subnetAt,
  subnetOf,
} from './addressing.ts'
import { dependencyCircle } from './dependencies.ts'
import type { ImpairInput, LabInput, LinkInput, NodeInput } from './schema.ts'
import { FABRIC, type LabLink, type LabMode, type LabNode, type LinkEnd, type Topology } from './topology.ts'

/** Where in the file something is, as the keys that lead to it. */
export type FilePath = readonly (string | number)[]

/** Something that the file's shape allows and its meaning does not. */
export interface Complaint {
  readonly path: FilePath
  readonly message: string
}

export const DEFAULT_MTU_BYTES = 1_500

const ENDPOINT = /^([a-z0-9-]+)(?::([a-z][a-z0-9]{0,14}))?$/
const SHORT_LINK = /^\s*(\S+)\s+--\s+(\S+)\s*$/
const EMPTY: NodeInput = { kind: 'stack' }

/** Gathers complaints; the topology is only good if there are none. */
export function expandLab(input: LabInput, mode: LabMode): { topology: Topology; complaints: Complaint[] } {
  const complaints: Complaint[] = []
  const complain = (path: FilePath, message: string): void => {
    complaints.push({ path, message })
  }
  const nodes = Object.entries(input.nodes).map(([name, node], i) =>
    expandNode(input, name, node ?? EMPTY, i + 1, complain),
  )
  const places = expandLinks(input, nodes, complain)
  const topology: Topology = { name: input.name, seed: input.seed, mode, nodes, links: [...places.keys()] }
  checkNodes(topology, complain)
  checkAddresses(topology, complain)
  checkImpairments(topology, places, complain)
  return { topology, complaints }
}

type Complain = (path: FilePath, message: string) => void

function poolOf(input: LabInput, name: PoolName): Pool {
  const own = input.addressing?.[name]
  return { ipv4: own?.ipv4 ?? DEFAULT_POOLS[name].ipv4, ipv6: own?.ipv6 ?? DEFAULT_POOLS[name].ipv6 }
}

function expandNode(
  input: LabInput,
  name: string,
  node: NodeInput,
  number: number,
  complain: Complain,
): LabNode {
  const defaults = input.defaults?.node ?? {}
  const pool = poolOf(input, 'nodes')
  const assigned = (): string[] => [
    hostAt(subnetAt(pool.ipv4, 24, number), 2),
    hostAt(readableV6Subnet(pool.ipv6, number), 2),
  ]
  const isStack = node.kind === 'stack'
  const addresses = node.addresses ?? attempt(assigned, [], ['addressing', 'nodes'], complain)
  const first = (address: string): string =>
    hostAt(address, hostOf(hostAt(address, 1)) === hostOf(address) ? 2 : 1)
  const kernel = attempt(
    () => (isStack ? (node.kernel ?? addresses.map(first)) : []),
    [],
    ['nodes', name, 'addresses'],
    complain,
  )
  return {
    name,
    kind: node.kind,
    addresses,
    kernel,
    mtu: node.mtu ?? defaults.mtu ?? DEFAULT_MTU_BYTES,
    offload: node.offload ?? defaults.offload ?? true,
    services: node.services ?? (isStack ? (defaults.services ?? {}) : {}),
    modules: node.modules ?? [],
    ipc: node.ipc ?? (isStack && defaults.ipc === true),
    exec: node.exec ?? [],
    congestion: node.congestion ?? defaults.congestion ?? null,
    dependsOn: Object.entries(node.depends_on ?? {}).map(([on, condition]) => ({ node: on, condition })),
  }
}

function attempt<T>(make: () => T, otherwise: T, path: FilePath, complain: Complain): T {
  try {
    return make()
  } catch (error) {
    complain(path, (error as Error).message)
    return otherwise
  }
}

interface RawLink {
  readonly name: string | null
  readonly endpoints: readonly string[]
  readonly mtu: number | undefined
  readonly impair: ImpairInput | undefined
}

function rawLink(link: LinkInput): RawLink | null {
  if (typeof link === 'string') {
    const match = SHORT_LINK.exec(link)
    return match === null
      ? null
      : { name: null, endpoints: [match[1]!, match[2]!], mtu: undefined, impair: undefined }
  }
  if ('segment' in link)
    return { name: link.segment, endpoints: link.members, mtu: link.mtu, impair: link.impair }
  return { name: null, endpoints: link.endpoints, mtu: link.mtu, impair: link.impair }
}

/** @returns links with their places in the file */
function expandLinks(input: LabInput, nodes: readonly LabNode[], complain: Complain): Map<LabLink, number> {
  const known = new Map(nodes.map(node => [node.name, new Set<string>()]))
  const names = new Set<string>()
  const links = new Map<LabLink, number>()
  let pairs = 0
  let segments = 0
  for (const [i, one] of input.links.entries()) {
    const path: FilePath = ['links', i]
    const raw = rawLink(one)
    if (raw === null) {
      complain(path, 'a link is written "n1 -- n2", or as {endpoints: [n1, n2]}')
      continue
    }
    const ends = raw.endpoints.map(text => readEndpoint(text, known, path, complain))
    if (ends.some(end => end === null)) continue
    const found = ends.map(end => end!)
    if (new Set(found.map(end => end.node)).size < found.length) {
      complain(path, 'a link joins different nodes')
      continue
    }
    const isPair = raw.name === null
    const name = freeName(raw.name ?? found.map(end => end.node).join('--'), names)
    const number = isPair ? pairs++ : segments++
    const subnets = attempt(() => linkSubnets(input, isPair, number), [], path, complain)
    if (subnets.length === 0) continue
    const link: LabLink = {
      name,
      kind: isPair ? 'pair' : 'segment',
      ends: attempt(() => found.map((end, at) => withAddresses(end, subnets, at + 1)), [], path, complain),
      subnets,
      mtu: raw.mtu ?? input.defaults?.link?.mtu ?? DEFAULT_MTU_BYTES,
      impair: raw.impair ?? input.defaults?.link?.impair ?? null,
    }
    links.set(link, i)
  }
  return links
}

/** Two links between the same nodes: the second is `n1--n2-2`. */
function freeName(wanted: string, taken: Set<string>): string {
  let name = wanted
  for (let n = 2; taken.has(name); n++) name = `${wanted}-${n}`
  taken.add(name)
  return name
}

function linkSubnets(input: LabInput, isPair: boolean, number: number): string[] {
  const pool = poolOf(input, isPair ? 'links' : 'segments')
  const v4 = isPair ? subnetAt(pool.ipv4, 30, number) : subnetAt(pool.ipv4, 24, number + 1)
  return [v4, readableV6Subnet(pool.ipv6, number + 1)]
}

function withAddresses(
  end: { readonly node: string; readonly interface: string },
  subnets: readonly string[],
  number: number,
): LinkEnd {
  return { ...end, addresses: subnets.map(subnet => hostAt(subnet, number)) }
}

function readEndpoint(
  text: string,
  known: ReadonlyMap<string, Set<string>>,
  path: FilePath,
  complain: Complain,
): { node: string; interface: string } | null {
  const match = ENDPOINT.exec(text)
  const node = match?.[1] ?? ''
  const interfaces = known.get(node)
  if (match === null || interfaces === undefined) {
    complain(path, `${JSON.stringify(text)} is no node of this lab (nodes: ${[...known.keys()].join(', ')})`)
    return null
  }
  let name = match[2]
  if (name === undefined) {
    for (let n = 0; name === undefined || interfaces.has(name); n++) name = `eth${n}`
  } else if (interfaces.has(name) || name === 'lo' || name.startsWith('tun')) {
    complain(path, `the interface ${name} of ${node} is taken`)
    return null
  }
  interfaces.add(name)
  return { node, interface: name }
}

function checkNodes(topology: Topology, complain: Complain): void {
  const names = new Set(topology.nodes.map(node => node.name))
  for (const node of topology.nodes) {
    const path: FilePath = ['nodes', node.name]
    if (node.name === FABRIC) complain(path, `${FABRIC} is the name of the lab's own namespace`)
    for (const { node: on } of node.dependsOn)
      if (!names.has(on)) complain([...path, 'depends_on', on], `there is no node ${on}`)
    if (node.kind === 'linux') {
      for (const key of ['services', 'modules', 'kernel'] as const)
        if (Object.keys(node[key]).length > 0) complain([...path, key], `${key} are for nodes of kind stack`)
      if (node.ipc) complain([...path, 'ipc'], 'ipc is for nodes of kind stack')
    } else if (node.exec.length > 0) complain([...path, 'exec'], 'exec is for nodes of kind linux')
  }
  const circle = dependencyCircle(topology.nodes)
  if (circle !== null)
    complain(['nodes', circle[0]!, 'depends_on'], `nodes wait for each other: ${circle.join(' -> ')}`)
}

function checkAddresses(topology: Topology, complain: Complain): void {
  const taken: { subnet: string; owner: string }[] = topology.links.flatMap(link =>
    link.subnets.map(subnet => ({ subnet, owner: `the link ${link.name}` })),
  )
  for (const node of topology.nodes) {
    const path: FilePath = ['nodes', node.name, 'addresses']
    checkOwnAddresses(node, path, complain)
    for (const [i, address] of node.addresses.entries()) {
      const subnet = node.kind === 'stack' ? subnetOf(address) : hostOf(address)
      const other = taken.find(one => overlaps(one.subnet, subnet.includes('/') ? subnet : address))
      if (other !== undefined)
        complain([...path, i], `${address} of ${node.name} is inside ${other.subnet} of ${other.owner}`)
      taken.push({ subnet: subnetOf(address), owner: node.name })
    }
  }
}

function checkOwnAddresses(node: LabNode, path: FilePath, complain: Complain): void {
  for (const family of [4, 6])
    if (node.addresses.filter(address => familyOf(address) === family).length > 1)
      complain(path, `${node.name} has more than one IPv${family} address`)
  if (node.kind !== 'stack') return
  for (const [i, address] of node.addresses.entries()) {
    const bits = familyOf(address) === 4 ? 32 : 128
    if (lengthOf(address) > bits - 2)
      complain(
        [...path, i],
        `${address}: a stack's subnet needs room for the kernel's side too (at most /${bits - 2})`,
      )
    else if (isNetwork(address))
      complain([...path, i], `${address} is a network, not the address of a host in it`)
  }
  for (const address of node.kernel)
    if (!node.addresses.some(own => subnetOf(own) === subnetOf(address)))
      complain(['nodes', node.name, 'kernel'], `${address} is in no subnet of ${node.name}`)
  if (node.kernel.some(address => node.addresses.some(own => hostOf(own) === hostOf(address))))
    complain(['nodes', node.name, 'kernel'], 'the stack and the kernel cannot have the same address')
}

function checkImpairments(
  topology: Topology,
  places: ReadonlyMap<LabLink, number>,
  complain: Complain,
): void {
  for (const [link, place] of places) {
    if (link.impair === null) continue
    attempt(() => parseImpairOptions(link.impair), null, ['links', place, 'impair'], complain)
    const kernels = link.ends.filter(
      end => topology.nodes.find(node => node.name === end.node)?.kind === 'linux',
    )
    if (kernels.length > 1)
      complain(
        ['links', place, 'impair'],
        `${link.name} joins the kernel hosts ${kernels.map(end => end.node).join(' and ')}: a link is impaired by the stack at its end, and here is none`,
      )
  }
}
