/** Hand-made packets from the kernel's side of a link, by the optional package `raw-socket`. */
import { loadOptionalPackage } from '../../src/host/optional-package.ts'

/** What we use of the package. */
interface RawSocket {
  send(
    buffer: Buffer,
    offset: number,
    length: number,
    address: string,
    done: (error: Error | null, bytes: number) => void,
  ): void
  close(): void
  on(event: 'error', listener: (error: Error) => void): void
}

interface RawPackage {
  readonly AddressFamily: Readonly<Record<'IPv4' | 'IPv6', number>>
  createSocket(options: { readonly addressFamily: number; readonly protocol: number }): RawSocket
}

/** IPPROTO_RAW: the packet brings its own IP header, see raw(7). */
const PROTOCOL_RAW = 255

const loaded = loadOptionalPackage('raw-socket')

/** Why packets cannot be injected, or ''. */
export const rawInjectMissing = loaded.kind === 'missing' ? `package raw-socket: ${loaded.reason}` : ''

/** Sends packets with a header of their own from the namespace in which it was made. */
export class RawInjector {
  private readonly socket: RawSocket

  /** Call it inside the namespace. @throws Error without the package, or without CAP_NET_RAW */
  constructor(family: 'IPv4' | 'IPv6') {
    if (loaded.kind === 'missing') throw new Error(loaded.reason)
    const raw = loaded.exports as RawPackage
    this.socket = raw.createSocket({ addressFamily: raw.AddressFamily[family], protocol: PROTOCOL_RAW })
    this.socket.on('error', () => {})
  }

  /**
   * Sends a whole packet. The kernel sets the total length and the header checksum of IPv4, and the identification if it is 0.
   * @param to - decides the route; the header says the rest
   */
  send(packet: Uint8Array, to: string): Promise<void> {
    const buffer = Buffer.from(packet)
    return new Promise((resolve, reject) => {
      this.socket.send(buffer, 0, buffer.length, to, error => (error === null ? resolve() : reject(error)))
    })
  }

  close(): void {
    this.socket.close()
  }
}
