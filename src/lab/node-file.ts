/** The node file of a lab's stack node: what `putnext node run` is given in the node's namespace. */
import type { NodeConfigInput } from '../node/config-schema.ts'
import { familyOf, hostOf } from './addressing.ts'
import { type ImpairModule, impairModules } from './impairments.ts'
import { type LabNode, type Topology, TUN_DEVICE } from './topology.ts'

/** The link of a stack node in mode netns. */
export const NODE_LINK = TUN_DEVICE

type ModuleInput = string | Record<string, unknown>

export function asModules(impairments: readonly ImpairModule[]): ModuleInput[] {
  return impairments.map(({ options }) => ({ impair: options }))
}

/** Everything beyond the own subnet is behind the kernel's side of the device. */
export function defaultRoutes(node: LabNode): { to: string; via: string; link: string }[] {
  return node.kernel.map(address => ({
    to: familyOf(address) === 4 ? '0.0.0.0/0' : '::/0',
    via: hostOf(address),
    link: NODE_LINK,
  }))
}

/** The seed of a node: another for each, the same each time. */
export function nodeSeed(topology: Topology, node: LabNode): number {
  return (topology.seed * 1_000 + topology.nodes.indexOf(node)) % Number.MAX_SAFE_INTEGER
}

/** Where a node's sockets are. */
export interface NodeSockets {
  readonly control: string | false
  /** Of the port for programs of other processes, where the lab file wants one. */
  readonly ipc: string
}

export function nodeConfigOf(topology: Topology, node: LabNode, sockets: NodeSockets): NodeConfigInput {
  return {
    version: 1,
    name: node.name,
    seed: nodeSeed(topology, node),
    control: sockets.control,
    ...(node.ipc ? { ipc: sockets.ipc } : {}),
    links: [
      {
        name: NODE_LINK,
        driver: 'tun',
        device: TUN_DEVICE,
        addresses: [...node.addresses],
        mtu: node.mtu,
        offload: node.offload ? 'auto' : 'off',
        modules: [...node.modules, ...asModules(impairModules(topology, node))],
        kernel: { addresses: [...node.kernel] },
      },
    ],
    routes: defaultRoutes(node),
    services: { ...node.services },
  } as NodeConfigInput
}
