import { EventEmitter } from 'node:events'
import { describe, expect, it } from 'vitest'
import type { OptionalPackage } from '../host/optional-package.ts'
import { startKernelCapture } from './kernel-capture.ts'
import { readPcapng } from './pcapng-reader.ts'

/** Stands in for the package: what its socket was asked, and a way to make it see packets. */
function fakeCap(refuse?: string) {
  const seen: { socket: FakeSocket | null } = { socket: null }
  class FakeSocket extends EventEmitter {
    packet: Buffer = Buffer.alloc(0)
    opened: unknown[] = []
    closed = 0
    open(device: string, filter: string, size: number, packet: Buffer): string {
      if (refuse !== undefined) throw new Error(refuse)
      this.opened = [device, filter, size]
      this.packet = packet
      seen.socket = this
      return 'ETHERNET'
    }
    close(): void {
      this.closed++
    }
    see(text: string): void {
      this.packet.write(text)
      this.emit('packet', text.length, false)
    }
  }
  const load = (): OptionalPackage => ({ kind: 'loaded', exports: { Cap: FakeSocket }, from: 'here' })
  return { seen, load }
}

function memory() {
  const parts: Uint8Array[] = []
  const sink = { startedAtUs: 0, write: (bytes: Uint8Array) => void parts.push(bytes.slice()) }
  return { sink, file: () => readPcapng(Buffer.concat(parts)) }
}

describe('driver/kernel-capture', () => {
  it('writes what the package hands over, cut to the snap length, until its limit', async () => {
    const { seen, load } = fakeCap()
    const { sink, file } = memory()
    const capture = startKernelCapture({
      interface: 'veth0',
      sink,
      filter: 'udp',
      snaplen: 4,
      packets: 2,
      load,
    })
    expect(seen.socket!.opened.slice(0, 2)).toEqual(['veth0', 'udp'])
    for (const text of ['first', 'two', 'third']) seen.socket!.see(text)
    expect(await capture.done).toEqual({ seen: 2, recorded: 2, bytes: 7, notRecorded: 0 })
    expect(seen.socket!.closed).toBe(1)
    const { interfaces, packets, statistics } = file()
    expect(interfaces).toMatchObject([{ name: 'veth0', linkType: 1, snaplen: 4 }])
    expect(packets.map(({ bytes, original }) => [Buffer.from(bytes).toString(), original])).toEqual([
      ['firs', 5],
      ['two', 3],
    ])
    expect(statistics).toEqual([{ interfaceId: 0, received: 2, dropped: 0 }])
    expect(capture.stop().recorded).toBe(2)
  })

  it('ends with an error when the interface goes away', async () => {
    const { seen, load } = fakeCap()
    const capture = startKernelCapture({ interface: 'veth0', sink: memory().sink, load })
    seen.socket!.emit('error', new Error('The interface went down'))
    await expect(capture.done).rejects.toMatchObject({ code: 'ERR_DEVICE_GONE' })
  })

  it.each([
    ['no such device exists', 'ERR_NOT_FOUND'],
    ['Operation not permitted', 'ERR_PERMISSION'],
    ['syntax error in filter expression', 'ERR_BAD_CONFIG'],
  ])('%j from libpcap is %s', (text, code) => {
    const { load } = fakeCap(text)
    expect(() => startKernelCapture({ interface: 'x', sink: memory().sink, load })).toThrow(
      expect.objectContaining({ code }),
    )
  })

  it('says what to install when the package is missing', () => {
    const load = (): OptionalPackage => ({
      kind: 'missing',
      reason: 'Cannot find module',
      remedy: 'install it',
    })
    expect(() => startKernelCapture({ interface: 'x', sink: memory().sink, load })).toThrow(
      expect.objectContaining({ code: 'ERR_NOT_SUPPORTED', hint: 'install it' }),
    )
  })
})
