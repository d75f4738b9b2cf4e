/** Devices that take back what they offered: kernels from 6.10.3 on refuse some super-packets with EINVAL. */
import { describe, expect, it } from 'vitest'
import { milliseconds } from '../../src/base/time.ts'
import { FakeTun } from '../../src/driver/testing/fake-tun.ts'
import { tunDriver } from '../../src/driver/tun.ts'
import { VIRTIO_HEADER_SIZE } from '../../src/driver/virtio.ts'
import { ERRNO } from '../../src/host/host-error.ts'
import { POLL_READABLE } from '../../src/host/shim.ts'
import { InetStack } from '../../src/inet/stack.ts'
import { TcpConnection, TcpListener } from '../../src/socket/tcp-endpoint.ts'
import { freemsg } from '../../src/streams/mblk/alloc.ts'
import { Arena } from '../../src/streams/mblk/arena.ts'
import { Stream } from '../../src/streams/stream.ts'
import { makeTestRuntime, type TestRuntime } from '../../src/streams/testing/runtime.ts'
import { bytesAt, checkMessage } from './bytes.ts'

interface End {
  readonly test: TestRuntime
  readonly device: FakeTun
  readonly stack: InetStack
  readonly link: Stream
}

function makeEnd(address: string, seed: number): End {
  const test = makeTestRuntime({ seed, arena: new Arena({ sizeBytes: 16 * 1024 * 1024 }) })
  const device = new FakeTun(test.arena)
  const link = Stream.open(test.runtime, tunDriver(device.host), { name: 'tun0', options: { name: 'tun0' } })
  const stack = new InetStack(test.runtime)
  stack.attachLink(link, { name: 'tun0', addresses: [`${address}/24`] })
  test.settle()
  return { test, device, stack, link }
}

/** What one device wrote, the other has to read, virtio headers and all, until both are quiet. */
function settle(a: End, b: End): void {
  for (let moved = true; moved; ) {
    moved = false
    for (const [from, to] of [
      [a, b],
      [b, a],
    ] as const) {
      from.test.settle()
      if (from.device.written.length === 0) continue
      to.device.toRead.push(...from.device.written.splice(0))
      to.device.ready(0, POLL_READABLE)
      to.test.settle()
      moved = true
    }
  }
}

const isSuper = (frame: Uint8Array): boolean => frame[1] !== 0

describe('inet/tcp: a device that refuses a super-segment', () => {
  it('it is said once, and the bytes go on in single segments that are summed here', () => {
    const [a, b] = [makeEnd('10.77.0.1', 1), makeEnd('10.77.0.2', 2)]
    const listener = TcpListener.open(b.test.runtime, { port: 80 })
    const client = TcpConnection.connect(a.test.runtime, { address: '10.77.0.2', port: 80 })
    settle(a, b)
    const server = listener.accept()!
    const total = 300_000
    let received = 0
    server.onReadable = () => {
      for (let mp = server.getmsg(); mp !== null; mp = server.getmsg()) {
        received += checkMessage(mp, received)
        freemsg(mp)
      }
    }
    // The next write meets it; it holds a super-segment.
    a.device.writeErrnos.push(ERRNO.EINVAL)
    let sent = 0
    const go = (): void => {
      while (sent < total) {
        const taken = client.write(bytesAt(sent, Math.min(50_000, total - sent)))
        if (taken === 0) return
        sent += taken
      }
    }
    client.onWritable = go
    go()
    a.test.settle()
    expect(a.device.written.filter(isSuper)).toEqual([])
    const seen: Uint8Array[] = []
    for (let i = 0; i < 200 && received < total; i++) {
      seen.push(...a.device.written)
      settle(a, b)
      a.test.advance(milliseconds(50))
      b.test.advance(milliseconds(50))
    }
    expect(received).toBe(total)
    expect(seen.filter(isSuper)).toEqual([])
    expect(Math.max(...seen.map(frame => frame.length))).toBeLessThanOrEqual(1_500 + VIRTIO_HEADER_SIZE)
    expect(a.test.events.filter(({ name }) => name === 'tun.offload-refused')).toHaveLength(1)
    expect(a.stack.counters()['ip']!['checksums-in-software']).toBeGreaterThan(100)
    for (const end of [a, b]) {
      end.stack.close()
      end.link.close()
      end.test.finish()
    }
  })
})
