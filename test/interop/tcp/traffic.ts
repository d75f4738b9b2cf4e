/** What our end of a connection does in a test: bulk data with its SHA-256, in both directions, and waiting for events. */
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import type { AddressInfo, Server, Socket } from 'node:net'

const POOL_BYTES = 1024 * 1024
const CHUNK_BYTES = 128 * 1024
/** Prime to the pool's size: no two blocks of a stream begin at the same place of the pool. */
const STRIDE = 65_537

export interface Flow {
  readonly bytes: number
  readonly sha256: string
}

/** Sends so many bytes, with the backpressure that `write` tells of, and half-closes. */
export async function pour(socket: Socket, bytes: number, chunk = CHUNK_BYTES): Promise<Flow> {
  const pool = randomBytes(POOL_BYTES + chunk)
  const sha = createHash('sha256')
  for (let left = bytes, at = 0; left > 0; left -= chunk) {
    at = (at + STRIDE) % POOL_BYTES
    const data = pool.subarray(at, at + Math.min(chunk, left))
    sha.update(data)
    if (!socket.write(data)) await drained(socket)
  }
  socket.end()
  return { bytes, sha256: sha.digest('hex') }
}

async function drained(socket: Socket): Promise<void> {
  if (socket.destroyed) throw socket.errored ?? new Error('the socket was destroyed')
  await new Promise<void>((resolve, reject) => {
    const done = (): void => {
      socket.off('drain', done).off('close', failed)
      resolve()
    }
    const failed = (): void => {
      socket.off('drain', done)
      reject(socket.errored ?? new Error('closed while it was written to'))
    }
    socket.once('drain', done).once('close', failed)
  })
}

/** Takes everything to the end. */
export async function drain(socket: Socket): Promise<Flow> {
  const sha = createHash('sha256')
  let bytes = 0
  socket.on('data', chunk => {
    sha.update(chunk)
    bytes += chunk.length
  })
  await ended(socket)
  return { bytes, sha256: sha.digest('hex') }
}

/** Waits for the peer's end of data. @throws what destroyed the socket before it */
export function ended(socket: Socket): Promise<void> {
  if (socket.readableEnded) return Promise.resolve()
  return new Promise((resolve, reject) => {
    socket.once('end', resolve)
    socket.once('close', () => reject(socket.errored ?? new Error('closed before the end of the data')))
  })
}

/** Waits for 'close'. @returns the code of the error before it, or '' */
export function closed(socket: Socket): Promise<string> {
  let code = ''
  socket.on('error', error => {
    code = (error as NodeJS.ErrnoException).code ?? error.message
  })
  return new Promise(resolve => {
    socket.once('close', () => resolve(code))
    socket.resume()
  })
}

/** Waits for a server's first connection. */
export async function accepted(server: Server): Promise<Socket> {
  const [socket] = (await once(server, 'connection')) as [Socket]
  return socket
}

/** A server that listens. @param port - 0 for any */
export async function listening(server: Server, host: string, port = 0): Promise<number> {
  server.listen({ port, host })
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

/** Waits until the connection is there. @throws the error of the connection */
export async function connected(socket: Socket): Promise<Socket> {
  await once(socket, 'connect')
  return socket
}

export const pause = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms))
