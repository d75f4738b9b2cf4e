/** Much data over the kernel's TCP: nothing lost or changed, nothing copied here, and memory bounded by flow control both ways. */
import { createHash } from 'node:crypto'
import type net from 'node:net'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { TcpConnection } from '../socket/tcp-connection.ts'
import { allocb, freemsg } from '../streams/mblk/alloc.ts'
import type { Mblk } from '../streams/mblk/mblk.ts'
import { type KernelHost, kernelHost } from './host.ts'
import { Plain } from './testing/plain.ts'
import { until } from './testing/until.ts'

const TOTAL_BYTES = 16 * 1024 * 1024
const PART_BYTES = 64 * 1024
const PARTS = TOTAL_BYTES / PART_BYTES

let host: KernelHost
let plain: Plain

beforeEach(() => {
  host = kernelHost({ arenaBytes: 8 * 1024 * 1024 })
  plain = new Plain()
})

afterEach(async () => {
  await host.close()
  plain.close()
  host.runtime.arena.assertWhole()
})

/** Part `index` of what is sent: no two are alike. */
function part(index: number, into: Uint8Array, at: number): void {
  for (let i = 0; i < PART_BYTES; i++) into[at + i] = (i * 7 + index * 13 + (i >> 8)) & 0xff
}

function wholeHash(): string {
  const hash = createHash('sha256')
  const bytes = new Uint8Array(PART_BYTES)
  for (let i = 0; i < PARTS; i++) {
    part(i, bytes, 0)
    hash.update(bytes)
  }
  return hash.digest('hex')
}

/** Sends all parts from blocks of the arena, and ends. */
function sendAll(connection: TcpConnection): void {
  let index = 0
  let held: Mblk | null = null
  const pump = (): void => {
    for (; index < PARTS; index++) {
      if (held === null) {
        held = allocb(host.runtime.arena, PART_BYTES)!
        part(index, held.dblk.bytes, held.wptr)
        held.wptr += PART_BYTES
      }
      if (!connection.putmsg(held)) return
      held = null
    }
    connection.shutdown()
  }
  connection.onWritable = pump
  connection.onConnect = pump
}

/** Reads a little at a time, with pauses. */
function readSlowly(socket: net.Socket): { hash: string; bytes: number } {
  const got = { hash: '', bytes: 0 }
  const hash = createHash('sha256')
  socket.on('data', data => {
    hash.update(data)
    got.bytes += data.length
    socket.pause()
    setTimeout(() => socket.resume(), 1)
  })
  socket.on('end', () => {
    got.hash = hash.digest('hex')
  })
  return got
}

async function writeAll(socket: net.Socket): Promise<void> {
  for (let i = 0; i < PARTS; i++) {
    const bytes = Buffer.alloc(PART_BYTES)
    part(i, bytes, 0)
    if (!socket.write(bytes)) await new Promise<void>(resolve => socket.once('drain', resolve))
  }
  socket.end()
}

it('16 MiB both ways at once between slow readers: exact, bounded, no copy in user space', async () => {
  let theirs = { hash: '', bytes: 0 }
  const port = await plain.listen('127.0.0.1', socket => {
    theirs = readSlowly(socket)
    void writeAll(socket)
  })
  const connection = TcpConnection.connect(host.runtime, { address: '127.0.0.1', port })
  sendAll(connection)
  const { arena } = host.runtime
  const hash = createHash('sha256')
  let bytes = 0
  let mostWaiting = 0
  const timer = setInterval(() => {
    mostWaiting = Math.max(mostWaiting, connection.stream.top.count + connection.stream.bottom.count)
    const mp = connection.getmsg()
    if (mp === null) return
    for (let bp: Mblk | null = mp; bp !== null; bp = bp.cont) {
      hash.update(bp.dblk.bytes.subarray(bp.rptr, bp.wptr))
      bytes += bp.wptr - bp.rptr
    }
    freemsg(mp)
  }, 1)
  connection.onReadable = () => {}
  await until('all', () => theirs.hash !== '' && connection.ended, 25_000)
  clearInterval(timer)
  const whole = wholeHash()
  expect([theirs.bytes, theirs.hash]).toEqual([TOTAL_BYTES, whole])
  expect([bytes, hash.digest('hex')]).toEqual([TOTAL_BYTES, whole])
  // What Node had in hand when the head was full came on top.
  expect(mostWaiting).toBeGreaterThan(128 * 1024)
  expect(mostWaiting).toBeLessThan(512 * 1024)
  // 256 KiB and a message, and the one that the program has in hand.
  const peak = arena.classes.find(({ name }) => name === 'super')!.peak
  expect(peak).toBeLessThanOrEqual(7)
  expect(arena.copies.stack.bytes + arena.copies.edge.bytes).toBe(0)
  expect(arena.copies.kernel.bytes).toBe(2 * TOTAL_BYTES)
  connection.close()
  await until('everything is home', () => arena.state().blocksInUse + arena.state().foreignInUse === 0)
}, 30_000)

it('closed with much to send: what the peer says then resets it, and nothing is held any longer', async () => {
  let peer: net.Socket | null = null
  const port = await plain.listen('127.0.0.1', socket => {
    peer = socket.pause()
  })
  const connection = TcpConnection.connect(host.runtime, { address: '127.0.0.1', port })
  let released = 0
  await until('connected', () => connection.state === 'ESTABLISHED' && peer !== null)
  connection.sendOwned(new Uint8Array(16 * 1024 * 1024), () => released++)
  connection.close()
  await new Promise(resolve => setTimeout(resolve, 20))
  // It goes on without its program.
  expect([released, peer!.destroyed]).toEqual([0, false])
  peer!.write('is anybody there?')
  await until('given back', () => released === 1)
})

it('memory that the program lends is given back when the kernel has taken it, or the connection broke', async () => {
  const port = await plain.listen('127.0.0.1', socket => socket.pause())
  const connection = TcpConnection.connect(host.runtime, { address: '127.0.0.1', port })
  const bytes = new Uint8Array(16 * 1024 * 1024)
  let released = 0
  await until('connected', () => connection.state === 'ESTABLISHED')
  // One message is taken whole, whatever its size, and none after it.
  expect(connection.sendOwned(bytes, () => released++)).toBe(true)
  expect(connection.sendOwned(bytes, () => released++)).toBe(false)
  await new Promise(resolve => setTimeout(resolve, 50))
  // The peer does not read, and the kernel has no room for all of it.
  expect(released).toBe(0)
  connection.abort()
  await until('given back', () => released === 1)
})
