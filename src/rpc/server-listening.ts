/** Where a server is reached: a TCP listener, a UDP port, or both at one number. */
import { StackError } from '../base/errors.ts'
import type { SocketHost } from '../socket/host.ts'
import type { RpcChannel } from './channel.ts'
import { DatagramChannel } from './datagram-channel.ts'
import type { RpcmodOptions } from './rpcmod.ts'
import { StreamListener } from './stream-channel.ts'

/** What carries calls. */
export type RpcTransport = 'tcp' | 'udp'

/** Where a server takes calls. */
export interface RpcListenOptions {
  /** 0: chosen, the same for all transports. */
  readonly port: number
  /** `::` by default, which takes IPv4 too; `0.0.0.0` takes IPv4 alone. */
  readonly address?: string
  /** Both by default. */
  readonly transports?: readonly RpcTransport[]
}

/** One place where a server is reached. */
export interface RpcListening {
  readonly transport: RpcTransport
  readonly address: string
  readonly port: number
}

/** What holds it open. */
export interface ServerDoor {
  readonly at: RpcListening
  /** Takes no more connections; a UDP port is a channel, and ends with those. */
  close(): void
}

export interface DoorEvents {
  channel(channel: RpcChannel): void
  down(error: StackError | null): void
}

/** A port that TCP chose may be taken on UDP: another is tried, so often. */
const PORT_TRIES = 16

/** @throws StackError as the stack refuses; nothing is left open then */
export async function openListening(
  host: SocketHost,
  options: RpcListenOptions,
  records: RpcmodOptions,
  events: DoorEvents,
): Promise<ServerDoor[]> {
  const { transports = ['tcp', 'udp'] } = options
  if (transports.length === 0) throw new StackError('ERR_BAD_ARGUMENT', 'listen: no transport')
  for (let left = PORT_TRIES; ; left--) {
    const doors: ServerDoor[] = []
    const channels: DatagramChannel[] = []
    try {
      if (transports.includes('tcp')) doors.push(await openTcp(host, options, records, events))
      if (transports.includes('udp')) {
        const port = doors[0]?.at.port ?? options.port
        const channel = openUdp(host, { ...options, port })
        channels.push(channel)
        const address = options.address ?? '::'
        doors.push({ at: { transport: 'udp', address, port: channel.port || port }, close: () => {} })
      }
      for (const channel of channels) events.channel(channel)
      return doors
    } catch (error) {
      for (const door of doors) door.close()
      const mayTryAgain = options.port === 0 && doors.length > 0 && left > 1
      if (!(mayTryAgain && error instanceof StackError && error.code === 'ERR_ADDR_IN_USE')) throw error
    }
  }
}

async function openTcp(
  host: SocketHost,
  options: RpcListenOptions,
  records: RpcmodOptions,
  events: DoorEvents,
): Promise<ServerDoor> {
  const { port, address = '::' } = options
  const door = new StreamListener(host, { port, address }, records)
  const { listener } = door
  if (!listener.isOpen) {
    await new Promise<void>((resolve, reject) => {
      listener.onOpen = error => (error === null ? resolve() : reject(error))
    })
  }
  door.onDown = error => events.down(error)
  door.onChannel = channel => events.channel(channel)
  const { local } = listener
  return {
    at: { transport: 'tcp', address: local.address, port: local.port },
    close: () => door.close(),
  }
}

function openUdp(host: SocketHost, { port, address }: RpcListenOptions): DatagramChannel {
  const family = address === undefined || address.includes(':') ? 6 : 4
  return new DatagramChannel(host, {
    family,
    bind: address === undefined || address === '::' ? { port } : { address, port },
  })
}
