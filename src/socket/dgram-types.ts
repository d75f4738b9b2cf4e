/** The shapes that a datagram socket and its program exchange: those of node:dgram. */
export type SocketType = 'udp4' | 'udp6'

/** Finds the address of a name, as `dns.lookup` does. */
export type Lookup = (
  hostname: string,
  family: 4 | 6,
  callback: (error: Error | null, address: string, family: number) => void,
) => void

export interface SocketOptions {
  readonly type: SocketType
  readonly reuseAddr?: boolean
  readonly ipv6Only?: boolean
  readonly recvBufferSize?: number
  readonly sendBufferSize?: number
  /** This stack asks no name server: without a function of the program's, only addresses and `localhost` are known. */
  readonly lookup?: Lookup
  /** Closes the socket when it is aborted. */
  readonly signal?: AbortSignal
}

/** Where a socket is bound or connected. */
export interface AddressInfo {
  readonly address: string
  readonly family: 'IPv4' | 'IPv6'
  readonly port: number
}

export interface RemoteInfo extends AddressInfo {
  readonly size: number
}

export interface SocketEvents {
  close: []
  connect: []
  error: [error: Error]
  listening: []
  message: [data: Buffer, remote: RemoteInfo]
}
