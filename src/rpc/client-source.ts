/** Where a client's channels come from: TCP or UDP to an address, the port given or looked up. */
import { StackError } from '../base/errors.ts'
import type { SocketHost } from '../socket/host.ts'
import type { RpcChannel } from './channel.ts'
import type { ChannelSource } from './client-connection.ts'
import type { RpcConnectOptions } from './client-options.ts'
import { DatagramChannel } from './datagram-channel.ts'
import { StreamChannel } from './stream-channel.ts'

const MAX_MESSAGE_BYTES = 4 * 1024 * 1024

/** @throws StackError `ERR_BAD_ARGUMENT` if nothing says where the server is */
export function channelSource(host: SocketHost, options: RpcConnectOptions): ChannelSource {
  const { address, port, program, version, lookup, transport } = options
  const open = (at: number): RpcChannel => openChannel(host, options, address, at)
  if (transport !== 'tcp' && transport !== 'udp')
    throw new StackError('ERR_BAD_ARGUMENT', `transport is 'tcp' or 'udp', not ${JSON.stringify(transport)}`)
  if (port !== undefined) return () => open(port)
  if (lookup === undefined || program === undefined || version === undefined) {
    throw new StackError(
      'ERR_BAD_ARGUMENT',
      'where is the server? Without a port, program, version and lookup are needed',
      {
        hint: 'a server that registers with rpcbind is found by rpcbindLookup',
      },
    )
  }
  return async () => open(await lookup(program, version, transport))
}

function openChannel(
  host: SocketHost,
  options: RpcConnectOptions,
  address: string,
  port: number,
): RpcChannel {
  const { maxMessageBytes = MAX_MESSAGE_BYTES } = options
  if (options.transport === 'tcp')
    return StreamChannel.connect(host, { address, port }, { maxRecordBytes: maxMessageBytes })
  const family = address.includes(':') ? 6 : 4
  return new DatagramChannel(host, { connect: { address, port }, family })
}
