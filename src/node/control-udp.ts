/**
 * GET /udp with `Upgrade: putnext-datagrams`: a UDP endpoint of the node's own stack, for `putnext nc`. After the
 * upgrade both directions carry frames: a length (2 bytes, big-endian), then as many bytes of datagram. The far end is
 * `to` and `toPort` of the query, or whoever sent last.
 */

import { isIPv6 } from 'node:net'
import type { Duplex } from 'node:stream'
import { StackError } from '../base/errors.ts'
import { checkRequest, type UdpRequest, udpRequest } from './control-requests.ts'
import { DATAGRAMS_PROTOCOL, FrameReader, frame } from './datagram-frames.ts'
import type { DatagramEndpoint, DatagramOptions } from './network.ts'
import type { Node } from './node.ts'
import { portInUse } from './port-in-use.ts'

export async function upgradeToDatagrams(node: Node, url: URL, socket: Duplex): Promise<void> {
  const request = udpQuery(url)
  const endpoint = openEndpoint(node, request)
  socket.on('close', () => endpoint.close())
  if (socket.destroyed) return endpoint.close()
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: ${DATAGRAMS_PROTOCOL}\r\nputnext-port: ${endpoint.port}\r\n\r\n`,
  )
  join(node, endpoint, socket, request)
}

function openEndpoint(node: Node, request: UdpRequest): DatagramEndpoint {
  try {
    return node.network.openDatagrams(endpointOptions(request))
  } catch (error) {
    throw portInUse(error, 'udp', request.port ?? 0, node.config.services)
  }
}

function udpQuery(url: URL): UdpRequest {
  const query = Object.fromEntries(url.searchParams)
  const numbers = ['port', 'toPort'].filter(key => key in query).map(key => [key, Number(query[key])])
  const request = checkRequest(udpRequest, { ...query, ...Object.fromEntries(numbers) }) as UdpRequest
  if ((request.to === undefined) !== (request.toPort === undefined))
    throw new StackError('ERR_BAD_ARGUMENT', 'to and toPort go together')
  return request
}

function endpointOptions({ to, toPort, port, address }: UdpRequest): DatagramOptions {
  return {
    family: isIPv6(to ?? address ?? '') ? 6 : 4,
    port,
    ...(address === undefined ? {} : { address }),
    ...(to === undefined ? {} : { connect: { address: to, port: toPort! } }),
  }
}

function join(node: Node, endpoint: DatagramEndpoint, socket: Duplex, request: UdpRequest): void {
  const listens = request.to === undefined
  let peer: { address: string; port: number } | null = null
  endpoint.onDatagram = ({ from, port, data }) => {
    if (listens) peer = { address: from, port }
    // A reader that is slow loses datagrams, as on any socket; nothing piles up here.
    if (!socket.writableNeedDrain) socket.write(frame(data))
  }
  const tell = (error: Error): void => node.events.add('warn', 'udp.error', error.message)
  endpoint.onError = tell
  const reader = new FrameReader()
  const forward = async (): Promise<void> => {
    for await (const chunk of socket as AsyncIterable<Buffer>) {
      for (const data of reader.take(chunk)) {
        // A listener has nobody to answer until somebody has spoken.
        if (!listens || peer !== null) await endpoint.send(data, peer).catch(tell)
      }
    }
  }
  // The end of the input leaves the endpoint open: answers may still come.
  forward().catch(() => socket.destroy())
}
