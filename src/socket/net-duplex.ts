/** What a socket of node:net is beside a Duplex, in functions over any socket: see `net-socket.ts`. */
import type { Socket } from 'node:net'
import { Duplex, type DuplexOptions } from 'node:stream'
import { coded } from './errors.ts'

/**
 * For the compiler a `net.Socket`, which it can stand in for; at run time no more than a Duplex: TLS takes whatever is an
 * instance of `net.Socket` for a descriptor of the kernel.
 */
export const SocketBase = Duplex as unknown as new (options: DuplexOptions) => Socket

/** In the place of `write` once the peer has ended, and with it this socket. */
function writeAfterEnd(this: Socket, chunk: unknown, encoding?: unknown, callback?: unknown): boolean {
  const write = Duplex.prototype.write as (...args: unknown[]) => boolean
  if (!this.writableEnded) return write.call(this, chunk, encoding, callback)
  const error = coded(Error, 'EPIPE', 'This socket has been ended by the other party')
  const told = typeof encoding === 'function' ? encoding : callback
  if (typeof told === 'function') process.nextTick(told as (error: Error) => void, error)
  this.destroy(error)
  return false
}

/** Listens to `end`: from then on a write says who ended the connection. */
export function refuseWrites(this: Socket): void {
  if (!this.allowHalfOpen) this.write = writeAfterEnd as Socket['write']
}

/** A stream that was destroyed begins again. */
export const undestroy = (socket: Duplex): void => (socket as unknown as { _undestroy(): void })._undestroy()

export function readyState({ connecting, readable, writable }: Socket): Socket['readyState'] {
  if (connecting) return 'opening'
  if (readable) return writable ? 'open' : 'readOnly'
  return writable ? 'writeOnly' : 'closed'
}

export const bytesOf = (chunk: Buffer | string, encoding: BufferEncoding): Buffer =>
  typeof chunk === 'string' ? Buffer.from(chunk, encoding) : chunk

/** Bytes that wait in the Writable. */
export function bufferedBytes(socket: Duplex): number {
  const { writableBuffer } = socket as unknown as {
    writableBuffer: { chunk: Buffer | string; encoding: BufferEncoding }[] | undefined
  }
  let bytes = 0
  for (const { chunk, encoding } of writableBuffer ?? [])
    bytes += typeof chunk === 'string' ? Buffer.byteLength(chunk, encoding) : chunk.length
  return bytes
}
