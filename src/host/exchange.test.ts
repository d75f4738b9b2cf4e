import { Worker } from 'node:worker_threads'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { LinkControl } from './links.ts'
import { createNamespace, deleteNamespace } from './namespace.ts'
import {
  DESC_HEAD_CAPACITY,
  DESC_RX_BASE,
  DESC_RX_BYTES,
  DESC_RX_ERRNO,
  DESC_SPILL_BASE,
  DESC_SPILL_CAPACITY,
  DESC_SPILL_COUNT,
  DESC_SPILL_USED,
  DESC_TX_BASE,
  DESC_TX_BYTES,
  DESC_TX_DONE,
  DESC_TX_ERRNO,
  POLL_READABLE,
  type PortId,
  type ReadyCallback,
  type Shim,
} from './shim.ts'
import { setSysctl } from './sysctl.ts'
import { shim as loaded, missing, titled } from './testing/requirements.ts'
import { openTun, VNET_HEADER_SIZE } from './tun.ts'

const EBADF = 9
const EAGAIN = 11
const EBUSY = 16
const EINVAL = 22

const HEAD = 2048
const SPILL = 65_600
const RX = 16
const SPILLS = 200
const TX = 300
const RX_BLOCKS = 0
const SPILL_BLOCKS = 131_072
const TX_BYTES = 524_288

const reason = missing('shim', 'namespaces', 'tun')

/** One end of the kernel's forwarding: a TUN device with the tables of its exchange. */
class End {
  readonly shim = loaded as Shim
  readonly memory = new Uint8Array(1 << 20)
  readonly desc = new Int32Array(1024)
  readonly clock = new Float64Array(1)
  readonly fd: number
  readonly arena: number
  readonly port: PortId
  readonly events: [status: number, events: number][] = []
  ready: ReadyCallback = () => {}

  constructor(namespace: string, name: string) {
    this.fd = openTun(this.shim, { name, namespace }).fd
    this.arena = this.shim.bindArena(this.memory)
    this.port = this.shim.attach(this.fd, this.arena, this.desc, this.clock, (status, events) => {
      this.events.push([status, events])
      this.ready(status, events)
    })
    expect(this.port).toBeGreaterThanOrEqual(0)
    this.desc[DESC_HEAD_CAPACITY] = HEAD
    this.desc[DESC_SPILL_CAPACITY] = SPILL
    this.desc[DESC_RX_BASE] = RX
    this.desc[DESC_SPILL_BASE] = SPILLS
    this.desc[DESC_TX_BASE] = TX
  }

  close(): void {
    this.shim.detach(this.port)
    this.shim.releaseArena(this.arena)
  }

  receive(heads: number, spills = 0, timeoutUs = 0): number {
    for (let i = 0; i < heads; i++) this.desc[RX + i] = RX_BLOCKS + i * HEAD
    for (let i = 0; i < spills; i++) this.desc[SPILLS + i] = SPILL_BLOCKS + i * SPILL
    this.desc[DESC_SPILL_COUNT] = spills
    return this.shim.exchange(this.port, 0, heads, timeoutUs)
  }

  /** Writes packets that stand in the arena one after the other. */
  send(packets: readonly Uint8Array[]): number {
    let at = TX_BYTES
    packets.forEach((packet, i) => {
      this.memory.set(packet, at)
      this.desc.set([1, 0, at, packet.length], TX + i * 4)
      at += packet.length
    })
    return this.shim.exchange(this.port, packets.length, 0, 0)
  }

  head(index: number): Uint8Array {
    const start = RX_BLOCKS + index * HEAD
    return this.memory.slice(start, start + Math.min(this.desc[RX + index]!, HEAD))
  }
}

function ipv4(protocol: number, payload: Uint8Array): Uint8Array {
  const shim = loaded as Shim
  const packet = new Uint8Array(20 + payload.length)
  const view = new DataView(packet.buffer)
  packet.set([0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, protocol, 0, 0, 10, 81, 1, 2, 10, 81, 2, 2])
  view.setUint16(2, packet.length)
  view.setUint16(10, ~shim.checksumBytes(packet, 0, 20, 0) & 0xffff)
  packet.set(payload, 20)
  return packet
}

/** A datagram 10.81.1.2 -> 10.81.2.2 without UDP checksum, after an empty virtio header. */
function datagram(text: string): Uint8Array {
  const body = new TextEncoder().encode(text)
  const udp = new Uint8Array(8 + body.length)
  new DataView(udp.buffer).setUint16(0, 1000)
  new DataView(udp.buffer).setUint16(2, 7)
  new DataView(udp.buffer).setUint16(4, udp.length)
  udp.set(body, 8)
  const packet = ipv4(17, udp)
  const frame = new Uint8Array(VNET_HEADER_SIZE + packet.length)
  frame.set(packet, VNET_HEADER_SIZE)
  return frame
}

/** Virtio header (GSO TCPv4, MSS 1460, checksum left to the device), IPv4 and TCP, with room for `bytes` of payload. */
function superSegmentHeaders(bytes: number): Uint8Array {
  const packet = ipv4(6, new Uint8Array(20 + bytes)).slice(0, 40)
  const tcp = new DataView(packet.buffer, 20)
  tcp.setUint16(0, 1000)
  tcp.setUint16(2, 80)
  tcp.setUint8(12, 0x50)
  tcp.setUint8(13, 0x10)
  tcp.setUint16(14, 65_535)
  tcp.setUint16(16, (loaded as Shim).checksumBytes(packet, 12, 8, 6 + 20 + bytes))
  const frame = new Uint8Array(VNET_HEADER_SIZE + 40)
  const header = new DataView(frame.buffer)
  header.setUint8(0, 1)
  header.setUint8(1, 1)
  header.setUint16(2, 40, true)
  header.setUint16(4, 1460, true)
  header.setUint16(6, 20, true)
  header.setUint16(8, 16, true)
  frame.set(packet, VNET_HEADER_SIZE)
  return frame
}

describe.skipIf(reason !== '')(titled('host/shim exchange over two TUNs of one namespace', reason), () => {
  const shim = loaded as Shim
  const name = `pnx-exchange-${process.pid}`
  let namespace = ''
  let a: End
  let b: End

  beforeEach(() => {
    namespace = createNamespace(shim, name)
    setSysctl(shim, namespace, 'net.ipv6.conf.default.disable_ipv6', 1)
    setSysctl(shim, namespace, 'net.ipv4.ip_forward', 1)
    a = new End(namespace, 'a0')
    b = new End(namespace, 'b0')
    const links = new LinkControl(shim, namespace)
    links.addAddress('a0', '10.81.1.1/24')
    links.addAddress('b0', '10.81.2.1/24')
    links.setUp('a0')
    links.setUp('b0')
    links.close()
  })
  afterEach(() => {
    a.close()
    b.close()
    deleteNamespace(shim, name)
  })

  it('moves a batch and keeps its order and bytes', () => {
    const texts = ['one', 'two', 'three']
    expect(a.send(texts.map(datagram))).toBe(0)
    expect(a.desc[DESC_TX_DONE]).toBe(3)
    expect(a.desc[DESC_TX_ERRNO]).toBe(0)
    expect(a.desc[DESC_TX_BYTES]).toBe(3 * (VNET_HEADER_SIZE + 28) + 11)
    expect(b.receive(8, 1, 500_000)).toBe(3)
    const got = texts.map((_, i) => new TextDecoder().decode(b.head(i).slice(VNET_HEADER_SIZE + 28)))
    expect(got).toEqual(texts)
    expect(b.head(0)[VNET_HEADER_SIZE + 8]).toBe(63) // the kernel forwarded it: TTL 64 - 1
    expect(b.desc[DESC_RX_ERRNO]).toBe(EAGAIN)
    expect(b.desc[DESC_SPILL_USED]).toBe(0)
    expect(b.desc[DESC_RX_BYTES]).toBe(a.desc[DESC_TX_BYTES])
  })

  it('gathers a super-segment from arena and pinned memory and reads it into head and spill', () => {
    const payload = new Uint8Array(1460 * 44).map((_, i) => (i * 7) & 0xff)
    const headers = superSegmentHeaders(payload.length)
    a.memory.set(headers, TX_BYTES)
    a.desc.set([3, 0, TX_BYTES, headers.length, 9, 0, 1460, 9, 1460, payload.length - 1460], TX)
    expect(shim.pin(a.port, 9, payload)).toBe(0)
    expect(shim.exchange(a.port, 1, 0, 0)).toBe(0)
    expect([a.desc[DESC_TX_DONE], a.desc[DESC_TX_ERRNO]]).toEqual([1, 0])

    expect(b.receive(8, 2, 500_000)).toBe(1)
    const length = b.desc[RX]!
    expect(length).toBe(headers.length + payload.length)
    expect(b.desc[DESC_SPILL_USED]).toBe(1)
    const whole = Buffer.concat([b.head(0), b.memory.slice(SPILL_BLOCKS, SPILL_BLOCKS + length - HEAD)])
    expect(whole.subarray(headers.length).equals(payload)).toBe(true)
    expect(whole[1]).toBe(1) // still one GSO frame
  })

  it('a pin is good for one exchange', () => {
    a.desc.set([1, 9, 0, 4], TX)
    expect(shim.pin(a.port, 9, new Uint8Array(4))).toBe(0)
    shim.exchange(a.port, 1, 0, 0)
    expect(shim.exchange(a.port, 1, 0, 0)).toBe(-EINVAL)
    expect(shim.pin(a.port, 0, new Uint8Array(4))).toBe(-EINVAL)
    expect(shim.pin(a.port, 64, new Uint8Array(4))).toBe(-EINVAL)
  })

  it('a packet that the device refuses stops the batch at its index, and the rest can follow', () => {
    const packets = [datagram('good'), new Uint8Array(30), datagram('later')]
    a.send(packets)
    expect([a.desc[DESC_TX_DONE], a.desc[DESC_TX_ERRNO]]).toEqual([1, EINVAL])
    a.desc[DESC_TX_BASE] = TX + 8
    expect(shim.exchange(a.port, 1, 0, 0)).toBe(0)
    expect([a.desc[DESC_TX_DONE], a.desc[DESC_TX_ERRNO]]).toEqual([1, 0])
    expect(b.receive(8, 0, 500_000)).toBe(2)
  })

  it('reading a dry device says EAGAIN, and waits no longer than asked', () => {
    expect(b.receive(4)).toBe(0)
    expect(b.desc[DESC_RX_ERRNO]).toBe(EAGAIN)
    const start = shim.now()
    expect(b.receive(4, 0, 20_000)).toBe(0)
    expect(shim.now() - start).toBeGreaterThanOrEqual(20_000)
    expect(b.clock[0]).toBeGreaterThanOrEqual(start + 20_000)
    expect(b.clock[0]).toBeLessThanOrEqual(shim.now())
  })

  it('bad descriptors give EINVAL', () => {
    b.desc[DESC_RX_BASE] = 3
    expect(b.receive(1)).toBe(-EINVAL)
    b.desc[DESC_RX_BASE] = RX
    b.desc[RX] = b.memory.length - HEAD + 1
    expect(shim.exchange(b.port, 0, 1, 0)).toBe(-EINVAL)
    b.desc.set([1, 0, b.memory.length, 1], TX)
    expect(shim.exchange(b.port, 1, 0, 0)).toBe(-EINVAL)
    expect(shim.exchange(b.port, -1, 0, 0)).toBe(-EINVAL)
    expect(shim.exchange(b.port, 0, 2_000_000_000, 0)).toBe(-EINVAL)
  })

  it('enters JavaScript once per readiness, however many packets wait', async () => {
    expect(shim.pollStart(b.port, POLL_READABLE)).toBe(0)
    const counts: number[] = []
    const done = new Promise<void>(resolve => {
      b.ready = () => {
        counts.push(b.receive(16))
        resolve()
      }
    })
    a.send(['1', '2', '3', '4', '5'].map(datagram))
    await done
    await new Promise(resolve => setTimeout(resolve, 20))
    expect(counts).toEqual([5])
    expect(b.events).toEqual([[0, POLL_READABLE]])
    expect(shim.pollStop(b.port)).toBe(0)
    a.send([datagram('unheard')])
    await new Promise(resolve => setTimeout(resolve, 20))
    expect(b.events.length).toBe(1)
  })

  it('a device deleted while open ends polling with an error, and nothing crashes', async () => {
    const ended = new Promise<number>(resolve => {
      b.ready = status => resolve(status)
    })
    expect(shim.pollStart(b.port, POLL_READABLE)).toBe(0)
    const links = new LinkControl(shim, namespace)
    links.remove('b0')
    links.close()
    expect(await ended).toBe(-EBADF)
    expect(b.receive(4, 0, 1000)).toBe(0)
    expect([0, EAGAIN]).not.toContain(b.desc[DESC_RX_ERRNO])
    b.send([datagram('gone')])
    expect(b.desc[DESC_TX_DONE]).toBe(0)
    expect([0, EAGAIN]).not.toContain(b.desc[DESC_TX_ERRNO])
  })

  it('a port owns its descriptor; after detach the number is dead and the device gone', () => {
    expect(shim.fdClose(b.fd)).toBe(-EBUSY)
    expect(shim.releaseArena(b.arena)).toBe(-EBUSY)
    expect(shim.attach(b.fd, b.arena, b.desc, b.clock, () => {})).toBe(-17)
    expect(shim.detach(b.port)).toBe(0)
    const calls = [
      shim.detach(b.port),
      shim.exchange(b.port, 0, 0, 0),
      shim.pollStart(b.port, POLL_READABLE),
      shim.pollStop(b.port),
      shim.portRef(b.port, 1),
      shim.pin(b.port, 1, b.memory),
    ]
    expect(calls).toEqual(calls.map(() => -EBADF))
    const links = new LinkControl(shim, namespace)
    expect(links.find('b0')).toBeNull()
    links.close()
  })

  it('detach inside the callback is allowed', async () => {
    const detached = new Promise<number>(resolve => {
      b.ready = () => resolve(shim.detach(b.port))
    })
    shim.pollStart(b.port, POLL_READABLE)
    a.send([datagram('x')])
    expect(await detached).toBe(0)
  })

  it('refuses events and descriptors that cannot be polled', () => {
    expect(shim.pollStart(b.port, 0)).toBe(-EINVAL)
    expect(shim.pollStart(b.port, 64)).toBe(-EINVAL)
    expect(shim.attach(-1, b.arena, b.desc, b.clock, () => {})).toBeLessThan(0)
    expect(shim.attach(9_999, b.arena, b.desc, b.clock, () => {})).toBeLessThan(0)
    expect(shim.attach(b.fd, 77, b.desc, b.clock, () => {})).toBe(-EBADF)
    expect(shim.attach(b.fd, b.arena, b.desc.subarray(0, 8), b.clock, () => {})).toBe(-EINVAL)
  })

  it('an error thrown in the callback is an uncaught one, and the port ends with its worker', async () => {
    const source = `
      const { workerData } = require('node:worker_threads')
      const shim = require(workerData.path)
      const fd = shim.tunOpen(workerData.namespace, 'e0', 0x1001)
      const link = new BroadcastChannel(workerData.namespace)
      const arena = shim.bindArena(new Uint8Array(4096))
      const port = shim.attach(fd, arena, new Int32Array(64), new Float64Array(1), () => { throw new Error('mine') })
      link.onmessage = () => shim.pollStart(port, 2)
      link.postMessage('open')
    `
    const path = new URL('../../build/putnext.node', import.meta.url).pathname
    const link = new BroadcastChannel(namespace)
    const opened = new Promise<void>(resolve => {
      link.onmessage = () => resolve()
    })
    const worker = new Worker(source, { eval: true, workerData: { path, namespace } })
    const thrown = new Promise<Error>(resolve => worker.once('error', resolve))
    await opened
    const links = new LinkControl(shim, namespace)
    links.setUp('e0') // only a device that is up can be written to
    link.postMessage('go')
    expect((await thrown).message).toBe('mine')
    link.close()
    await worker.terminate()
    expect(links.find('e0')).toBeNull()
    links.close()
  })

  it('a worker that ends with an active port takes its device with it', async () => {
    const source = `
      const { parentPort, workerData } = require('node:worker_threads')
      const shim = require(workerData.path)
      const fd = shim.tunOpen(workerData.namespace, 'w0', 0x1001)
      const arena = shim.bindArena(new Uint8Array(4096))
      const port = shim.attach(fd, arena, new Int32Array(64), new Float64Array(1), () => {})
      parentPort.postMessage([fd, port, shim.pollStart(port, 1)])
    `
    const path = new URL('../../build/putnext.node', import.meta.url).pathname
    const worker = new Worker(source, { eval: true, workerData: { path, namespace } })
    const [fd, port, started] = await new Promise<number[]>((resolve, reject) => {
      worker.once('message', resolve)
      worker.once('error', reject)
    })
    expect([fd! >= 0, port! >= 0, started]).toEqual([true, true, 0])
    const links = new LinkControl(shim, namespace)
    expect(links.find('w0')).not.toBeNull()
    await worker.terminate()
    expect(links.find('w0')).toBeNull()
    links.close()
  })
})

describe.skipIf(reason !== '')(titled('host/shim devices in several namespaces', reason), () => {
  it('one process holds a device of the same name in each of two namespaces', () => {
    const shim = loaded as Shim
    const names = [`pnx-left-${process.pid}`, `pnx-right-${process.pid}`]
    const fds: number[] = []
    try {
      for (const name of names) {
        fds.push(openTun(shim, { name: 't0', namespace: createNamespace(shim, name) }).fd)
        const links = new LinkControl(shim, `/run/netns/${name}`)
        expect(links.find('t0')?.kind).toBe('tun')
        links.close()
      }
      const here = new LinkControl(shim)
      expect(here.find('t0')).toBeNull()
      here.close()
    } finally {
      for (const fd of fds) shim.fdClose(fd)
      for (const name of names) deleteNamespace(shim, name)
    }
  })
})
