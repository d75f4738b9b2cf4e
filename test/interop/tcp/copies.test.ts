/** Bytes between the kernel and a program of ours, by the counters: none is copied in user space, whatever is lost on the way. */
import { createHash } from 'node:crypto'
import { afterEach, describe, expect, it } from 'vitest'
import { titled } from '../../../src/host/testing/requirements.ts'
import { type TcpConnection, TcpListener } from '../../../src/socket/tcp-endpoint.ts'
import { type Arena, freemsg, type Mblk } from '../../../src/streams/index.ts'
import { blockAt } from '../../tcp/bytes.ts'
import { KernelPeer } from './kernel-peer.ts'
import { lacking, ON_KERNEL, type SiteOptions, STACK4, TcpSite } from './site.ts'
import type { Flow } from './traffic.ts'

const reason = ON_KERNEL ? 'looks into our stack' : lacking('python3')
const MIB = 1024 * 1024
/** No multiple of anything: the kernel's writes end in small segments. */
const CHUNK_BYTES = 100_240
/** IPv4 and TCP with timestamps. */
const HEADER_BYTES = 52

let site: TcpSite

/** Sends messages of 64 KiB, with a short one after every second, and half-closes. */
function pour(to: TcpConnection, arena: Arena, total: number): Promise<Flow> {
  const sha = createHash('sha256')
  let sent = 0
  let turn = 0
  return new Promise(resolve => {
    const go = (): void => {
      while (sent < total) {
        const size = Math.min(turn % 3 === 2 ? 240 : 65_536, total - sent)
        const mp = blockAt(arena, sent, size)
        // All blocks are on the way to the kernel.
        if (mp === null) return void setImmediate(go)
        const bytes = Buffer.from(shown(mp))
        if (!to.putmsg(mp)) return freemsg(mp)
        sha.update(bytes)
        sent += size
        turn++
      }
      to.shutdown()
      to.onWritable = null
      resolve({ bytes: total, sha256: sha.digest('hex') })
    }
    to.onWritable = go
    go()
  })
}

/** Takes all to the end. */
function drain(from: TcpConnection): Promise<Flow> {
  const sha = createHash('sha256')
  let bytes = 0
  return new Promise((resolve, reject) => {
    from.onReadable = () => {
      for (let mp = from.getmsg(); mp !== null; mp = from.getmsg()) {
        for (let bp: Mblk | null = mp; bp !== null; bp = bp.cont) {
          sha.update(shown(bp))
          bytes += bp.wptr - bp.rptr
        }
        freemsg(mp)
      }
    }
    from.onEnd = () => resolve({ bytes, sha256: sha.digest('hex') })
    from.onClosed = (_, error) => reject(error ?? new Error('closed before the end of the data'))
  })
}

const shown = (bp: Mblk): Uint8Array => (bp.bytes as Uint8Array).subarray(bp.rptr, bp.wptr)

function accepted(listener: TcpListener): Promise<TcpConnection> {
  return new Promise(resolve => {
    listener.onConnection = () => {
      const connection = listener.accept()
      if (connection !== null) resolve(connection)
    }
  })
}

describe.skipIf(reason !== '')(titled('copies between the device and a program', reason), () => {
  afterEach(() => site?.close())

  const BAD = { loss: '1%', delay: '5ms' }
  const links: readonly (SiteOptions & { title: string; bytes: number })[] = [
    { title: 'super-segments', bytes: 64 * MIB },
    {
      title: 'super-segments of which the kernel’s are lost',
      bytes: 16 * MIB,
      modules: [{ impair: { direction: 'in', seed: 1, ...BAD } }],
    },
    {
      title: 'both sides’ segments are lost',
      bytes: 4 * MIB,
      offload: 'off',
      modules: [{ impair: { direction: 'both', seed: 2, ...BAD } }],
    },
  ]

  it.each(links)('both ways at once: $title', async ({ title: _, bytes, ...options }) => {
    site = await TcpSite.open(options)
    const { runtime } = site.side.node!
    const listener = TcpListener.open(runtime, { port: 0 })
    const peer = new KernelPeer(site, [
      { do: 'connect', address: STACK4, port: listener.local.port },
      { do: 'exchange', bytes, chunk: CHUNK_BYTES },
    ])
    const connection = await accepted(listener)
    const [sent, got] = await Promise.all([pour(connection, runtime.arena, bytes), drain(connection)])
    const events = await peer.end()
    expect(events.find(({ event }) => event === 'received')).toMatchObject(sent)
    expect(events.find(({ event }) => event === 'sent')).toMatchObject(got)
    const counters = site.counters()
    if (options.modules !== undefined) expect(counters['out-of-order-in']).toBeGreaterThan(5)
    const { stack, edge } = runtime.arena.copies
    expect([counters['condensed'] ?? 0, edge.bytes]).toEqual([0, 0])
    // Without offload the headers of each segment are written here; no payload is moved.
    expect(stack.bytes).toBe(options.offload === 'off' ? stack.calls * HEADER_BYTES : 0)
    connection.close()
    listener.close()
  })
})
