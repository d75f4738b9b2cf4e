/** One connection between the kernel's sockets and ours, opened by either. */
import type { Socket } from 'node:net'
import { KernelPeer, type Step } from './kernel-peer.ts'
import { KERNEL4, STACK4, type TcpSite } from './site.ts'
import { accepted, connected, listening } from './traffic.ts'

export interface Connection {
  readonly socket: Socket
  readonly peer: KernelPeer
}

export interface Opening {
  /** Ours or the kernel's; IPv4 by default. */
  readonly address?: string
  /** What the kernel's end does before it connects or listens. */
  readonly before?: readonly Step[]
  /** Data may wait at our end before it is read. */
  readonly pauseOnConnect?: boolean
}

/** The kernel connects to us and does `steps`. */
export async function fromKernel(
  site: TcpSite,
  steps: readonly Step[],
  { address = STACK4, before = [], pauseOnConnect = false }: Opening = {},
): Promise<Connection> {
  const server = site.net.createServer({ allowHalfOpen: true, pauseOnConnect })
  const port = await listening(server, address)
  const peer = new KernelPeer(site, [...before, { do: 'connect', address, port }, ...steps])
  const socket = await accepted(server)
  server.close()
  await peer.event('connected')
  return { socket, peer }
}

/** We connect to the kernel, which does `steps`. */
export async function toKernel(
  site: TcpSite,
  steps: readonly Step[],
  { address = KERNEL4, before = [] }: Opening = {},
): Promise<Connection> {
  const listen: Step[] = [{ do: 'listen', address, port: 0 }, { do: 'accept' }]
  const peer = new KernelPeer(site, [...before, ...listen, ...steps])
  const { port } = await peer.event('listening')
  const socket = await connected(site.net.connect({ host: address, port: port!, allowHalfOpen: true }))
  await peer.event('accepted')
  return { socket, peer }
}
