/**
 * `netbuf`: an address as a machine's own programs have it (RFC 1833 leaves the form to the machine). C programs expect the socket
 * addresses of Linux: the family in the machine's byte order, here little-endian, then port and address in the network's.
 */
import { fromV4Word, fromWords, type IpAddress } from '../../inet/address.ts'
import type { Netbuf } from './rpcbind-types.ts'
import type { SocketAddress } from './universal-address.ts'

const AF_INET = 2
const AF_INET6 = 10
const SOCKADDR_IN_BYTES = 16
const SOCKADDR_IN6_BYTES = 28
/** Family, port, flow. */
const ADDRESS_4 = 4
const ADDRESS_6 = 8

export function netbufOf({ address, port }: SocketAddress): Netbuf {
  const isV4 = address.family === 4
  const bytes = new Uint8Array(isV4 ? SOCKADDR_IN_BYTES : SOCKADDR_IN6_BYTES)
  const view = new DataView(bytes.buffer)
  view.setUint16(0, isV4 ? AF_INET : AF_INET6, true)
  view.setUint16(2, port)
  if (isV4) view.setInt32(ADDRESS_4, address.words[3])
  else for (const [i, word] of address.words.entries()) view.setInt32(ADDRESS_6 + 4 * i, word)
  return { maxlen: bytes.length, bytes }
}

/** What stands for "no such address" where a netbuf has to be the answer. */
export const NO_NETBUF: Netbuf = { maxlen: 0, bytes: new Uint8Array(0) }

/** @returns null if it is no socket address of IPv4 or IPv6; the family may have either byte order */
export function readNetbuf({ bytes }: Netbuf): SocketAddress | null {
  if (bytes.length < SOCKADDR_IN_BYTES) return null
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const family = [view.getUint16(0, true), view.getUint16(0)].find(one => one === AF_INET || one === AF_INET6)
  const port = view.getUint16(2)
  if (family === AF_INET) return { address: fromV4Word(view.getInt32(ADDRESS_4)), port }
  if (family !== AF_INET6 || bytes.length < SOCKADDR_IN6_BYTES) return null
  const [a, b, c, d] = [0, 4, 8, 12].map(at => view.getInt32(ADDRESS_6 + at))
  const address: IpAddress = fromWords(6, a!, b!, c!, d!)
  return { address, port }
}
