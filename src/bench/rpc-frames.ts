/** The least that can be called remote over `node:net`: a length, a number, some bytes, sent back as they came. */
import { connect, createServer, type Socket } from 'node:net'
import type { OneCall } from './rpc-loads.ts'

/** As long as a null call of ONC RPC, with its mark. */
const FRAME_BYTES = 44
const LENGTH_BYTES = 4

/** Cuts what comes into frames, and keeps what is not a whole one. */
class FrameReader {
  private rest: Buffer = Buffer.alloc(0)

  /** @returns whole frames, one behind the other */
  take(chunk: Buffer): Buffer {
    const all = this.rest.length === 0 ? chunk : Buffer.concat([this.rest, chunk])
    let at = 0
    while (at + LENGTH_BYTES <= all.length) {
      const end = at + LENGTH_BYTES + all.readUInt32BE(at)
      if (end > all.length) break
      at = end
    }
    this.rest = all.subarray(at)
    return all.subarray(0, at)
  }
}

export function serveFrames(address: string, port: number): Promise<void> {
  const server = createServer({ noDelay: true }, socket => {
    const reader = new FrameReader()
    socket.on('error', () => socket.destroy())
    socket.on('data', chunk => {
      const frames = reader.take(chunk)
      if (frames.length > 0) socket.write(frames)
    })
  })
  return new Promise(resolve => server.listen(port, address, () => resolve()))
}

export async function callFrames(address: string, port: number): Promise<{ call: OneCall; end(): void }> {
  const socket = await new Promise<Socket>((resolve, reject) => {
    const one = connect({ host: address, port, noDelay: true }, () => resolve(one))
    one.on('error', reject)
  })
  const waiting = new Map<number, () => void>()
  const reader = new FrameReader()
  socket.on('data', chunk => {
    const frames = reader.take(chunk)
    for (let at = 0; at < frames.length; at += FRAME_BYTES) {
      const id = frames.readUInt32BE(at + LENGTH_BYTES)
      const resolve = waiting.get(id)!
      waiting.delete(id)
      resolve()
    }
  })
  // Calls that are made together leave together.
  let [pending, isDue, next] = [[] as Buffer[], false, 0]
  const flush = (): void => {
    socket.write(pending.length === 1 ? pending[0]! : Buffer.concat(pending))
    pending = []
    isDue = false
  }
  const call = (): Promise<void> => {
    const frame = Buffer.alloc(FRAME_BYTES)
    frame.writeUInt32BE(FRAME_BYTES - LENGTH_BYTES, 0)
    const id = next++ >>> 0
    frame.writeUInt32BE(id, LENGTH_BYTES)
    pending.push(frame)
    if (!isDue) {
      isDue = true
      process.nextTick(flush)
    }
    return new Promise(resolve => waiting.set(id, resolve))
  }
  return { call, end: () => socket.destroy() }
}
