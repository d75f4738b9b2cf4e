/**
 * What a connection received, as chunks for a program. A program may keep a chunk for ever, so bytes are copied out of
 * the stack's memory, once; everything that waits goes into one chunk, since each costs a stream of Node about a microsecond.
 */
import { freemsg } from '../streams/mblk/alloc.ts'
import type { Mblk } from '../streams/mblk/mblk.ts'
import { messageBytes } from '../streams/mblk/message.ts'
import { readMessage } from '../streams/mblk/pullup.ts'
import { countChunk } from './net-memory.ts'
import type { TcpConnection } from './tcp-endpoint.ts'

/** Messages of the chunk in the making; empty between calls. */
const gathered: Mblk[] = []

/**
 * Takes what waits.
 * @param most - bytes after which it is enough; the chunk may be one message longer
 * @returns the program's own memory, null if nothing waits
 */
export function takeChunk(connection: TcpConnection, most: number): Buffer | null {
  let size = 0
  while (size < most) {
    const mp = connection.getmsg()
    if (mp === null) break
    gathered.push(mp)
    size += messageBytes(mp)
  }
  if (gathered.length === 0) return null
  // As node:net's, each has memory of its own, which the program may transfer.
  countChunk(size)
  const chunk = Buffer.allocUnsafeSlow(size)
  let at = 0
  for (const mp of gathered) {
    const bytes = messageBytes(mp)
    readMessage(mp, 0, chunk, at, bytes, 'edge')
    freemsg(mp)
    at += bytes
  }
  gathered.length = 0
  return chunk
}
