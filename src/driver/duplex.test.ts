import { Duplex, duplexPair } from 'node:stream'
import { setImmediate } from 'node:timers/promises'
import { afterEach, describe, expect, it } from 'vitest'
import { freemsg, Stream } from '../streams/index.ts'
import {
  flat,
  makeTestRuntime,
  numberedPacket,
  packetNumber,
  type TestRuntime,
} from '../streams/testing/index.ts'
import { type DuplexLink, type DuplexOptions, makeDuplexDriver } from './duplex.ts'

const open: TestRuntime[] = []
afterEach(() => {
  for (const test of open.splice(0)) test.finish()
})

interface Rig {
  readonly test: TestRuntime
  readonly stream: Stream
  readonly link: DuplexLink
  /** The other side. */
  readonly far: Duplex
  readonly got: Buffer[]
}

function rig(options?: DuplexOptions): Rig {
  const test = makeTestRuntime()
  open.push(test)
  const [near, far] = duplexPair()
  const stream = Stream.open(test.runtime, makeDuplexDriver(near, options))
  const got: Buffer[] = []
  far.on('data', (chunk: Buffer) => got.push(chunk))
  return { test, stream, link: stream.bottom.state as DuplexLink, far, got }
}

/** Bytes of a packet as a program outside has them. */
function packet(test: TestRuntime, index: number, size = 64): Buffer {
  const mp = numberedPacket(test.arena, index, size)
  const bytes = Buffer.from(flat(mp))
  freemsg(mp)
  return bytes
}

/** Lets Node's loop and the stack take turns until both have nothing left to do. */
async function settle({ test }: Rig, turns = 20): Promise<void> {
  for (let i = 0; i < turns; i++) {
    await setImmediate()
    test.settle()
  }
}

function readAll(stream: Stream): number[] {
  const numbers: number[] = []
  for (let mp = stream.getmsg(); mp !== null; mp = stream.getmsg()) {
    numbers.push(packetNumber(mp))
    freemsg(mp)
  }
  return numbers
}

describe('driver/duplex', () => {
  it('takes a chunk for a packet and writes a packet as a chunk, also when many wait', async () => {
    const link = rig()
    for (let i = 0; i < 10; i++) {
      link.far.write(packet(link.test, i))
      link.stream.putmsg(numberedPacket(link.test.arena, 100 + i))
    }
    await settle(link)
    expect(readAll(link.stream)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    expect(link.got.map(chunk => [chunk.length, chunk.readUInt32BE(88)])).toEqual(
      Array.from({ length: 10 }, (_, i) => [92, 100 + i]),
    )
    expect(link.test.arena.copies.edge.bytes).toBe(20 * 92)
    expect(link.test.arena.copies.stack.bytes).toBe(0)
  })

  it('puts the four bytes of struct tun_pi before each packet, and takes them off, if asked', async () => {
    const link = rig({ protocolHeader: true })
    link.far.write(Buffer.concat([Buffer.of(0, 0, 8, 0), packet(link.test, 3)]))
    link.stream.putmsg(numberedPacket(link.test.arena, 4))
    await settle(link)
    expect(readAll(link.stream)).toEqual([3])
    expect([...link.got[0]!.subarray(0, 5)]).toEqual([0, 0, 8, 0, 0x45])
  })

  it('stops the writer while the duplex has enough, and loses nothing', async () => {
    const link = rig()
    link.far.pause()
    let sent = 0
    for (let idle = 0; idle < 3; ) {
      const mp = numberedPacket(link.test.arena, sent, 1_000)
      if (link.stream.putmsg(mp)) {
        sent++
        idle = 0
      } else {
        freemsg(mp)
        idle++
        await settle(link, 3)
      }
      if (sent > 2_000) break
    }
    expect(sent).toBeLessThan(2_000)
    expect(link.stream.poll().writable).toBe(false)
    link.far.resume()
    await settle(link, 300)
    expect(link.got.map(chunk => chunk.readUInt32BE(1_024))).toEqual(
      Array.from({ length: sent }, (_, i) => i),
    )
    expect(link.stream.poll().writable).toBe(true)
  })

  it('lets the duplex wait while the stack has enough, and loses nothing', async () => {
    const link = rig()
    let sent = 0
    while (sent < 3_000) {
      const room = link.far.write(packet(link.test, sent++, 1_000))
      if (room) continue
      await settle(link, 3)
      if (link.link.paused) break
    }
    await settle(link)
    expect(link.link.paused).toBe(true)
    expect(sent).toBeLessThan(3_000)
    const held = link.stream.bottom.zero
    expect(held.count).toBeLessThan(held.hiwat + 1_028)
    const got: number[] = []
    for (let i = 0; i < 100; i++) {
      got.push(...readAll(link.stream))
      await settle(link, 2)
    }
    expect(got).toEqual(Array.from({ length: sent }, (_, i) => i))
  })

  it('drops what is no packet of its MTU, each with its counter', async () => {
    const link = rig({ mtu: 100 })
    for (const chunk of [packet(link.test, 1, 200), Buffer.of(0x12, 3), Buffer.of()]) link.far.write(chunk)
    link.stream.putmsg(numberedPacket(link.test.arena, 1, 200))
    await settle(link)
    expect(readAll(link.stream)).toEqual([])
    expect(link.link.counters).toMatchObject({ 'rx-too-long': 1, 'rx-not-ip': 1, 'tx-too-long': 1 })
  })

  it('hangs up when the duplex ends, and reports an error when it fails, once', async () => {
    const ended = rig()
    ended.far.write(packet(ended.test, 1))
    ended.far.end()
    await settle(ended)
    expect(readAll(ended.stream)).toEqual([1])
    expect(ended.stream.poll()).toMatchObject({ hangup: true, error: null })
    const failed = rig()
    failed.link.duplex.destroy(new Error('the cable is gone'))
    await settle(failed)
    expect(failed.stream.poll().error).toMatchObject({
      code: 'ERR_DEVICE_GONE',
      message: 'duplex: the cable is gone',
    })
  })

  it('destroys the duplex when the stream is closed, and is opened once', async () => {
    const link = rig()
    link.stream.putmsg(numberedPacket(link.test.arena, 1))
    link.stream.close()
    expect(link.link.duplex.destroyed).toBe(true)
    expect(link.link.duplex.listenerCount('data')).toBe(0)
    const driver = makeDuplexDriver(link.link.duplex)
    expect(() => Stream.open(link.test.runtime, driver)).toThrow(
      expect.objectContaining({ code: 'ERR_BUSY' }),
    )
    await settle(link)
  })

  it('takes chunks of an object stream that are bytes, and counts others', async () => {
    const test = makeTestRuntime()
    open.push(test)
    const duplex = new Duplex({ objectMode: true, read() {}, write: (_chunk, _encoding, done) => done() })
    const stream = Stream.open(test.runtime, makeDuplexDriver(duplex))
    duplex.push(packet(test, 5))
    duplex.push('text')
    await settle({ test } as Rig)
    expect(readAll(stream)).toEqual([5])
    expect((stream.bottom.state as DuplexLink).counters['rx-not-bytes']).toBe(1)
  })

  it('refuses an MTU out of range', () => {
    expect(() => rig({ mtu: 67 })).toThrow(expect.objectContaining({ code: 'ERR_BAD_CONFIG' }))
  })
})
