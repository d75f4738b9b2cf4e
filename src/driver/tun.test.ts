import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { milliseconds } from '../base/time.ts'
import { ERRNO } from '../host/host-error.ts'
import { POLL_READABLE, POLL_WRITABLE } from '../host/shim.ts'
import {
  allocb,
  CTL_LINK_INFO,
  controlCode,
  freemsg,
  LINK_CSUM,
  LINK_TSO4,
  type LinkInfo,
  messageBytes,
  readLinkInfo,
  Stream,
} from '../streams/index.ts'
import { OFFLOAD_CSUM_NEEDED, OFFLOAD_GSO_UDP } from '../streams/mblk/mblk.ts'
import { numberedPacket } from '../streams/testing/packets.ts'
import { makeTestRuntime, type TestRuntime } from '../streams/testing/runtime.ts'
import { FakeTun } from './testing/fake-tun.ts'
import { type Tun, tunDriver } from './tun.ts'
import { VIRTIO_HEADER_SIZE } from './virtio.ts'

/** A file descriptor in bad state: what Linux says of a TUN device that is gone. Node has no name for it. */
const EBADFD = 77

describe('driver/tun on a device that does what kernels do rarely', () => {
  let test: TestRuntime
  let device: FakeTun
  let stream: Stream
  let tun: Tun
  let told: LinkInfo[]

  beforeEach(() => {
    test = makeTestRuntime()
    device = new FakeTun(test.arena)
    stream = Stream.open(test.runtime, tunDriver(device.host), { options: { name: 'tun0' } })
    tun = stream.bottom.state as Tun
    told = []
    stream.onControl = mp => {
      if (controlCode(mp) === CTL_LINK_INFO) told.push(readLinkInfo(mp)!)
      freemsg(mp)
    }
  })

  afterEach(() => {
    test.finish()
    expect(device.attached).toBe(false)
  })

  /** The kernel has packets to read. */
  function arrive(...packets: Uint8Array[]): void {
    device.toRead.push(...packets)
    device.ready(0, POLL_READABLE)
    test.settle()
  }

  /** An IPv4 packet of so many bytes behind a virtio header that claims nothing. */
  function packet(bytes: number): Uint8Array {
    const all = new Uint8Array(VIRTIO_HEADER_SIZE + bytes).fill(7)
    all.fill(0, 0, VIRTIO_HEADER_SIZE)
    all[VIRTIO_HEADER_SIZE] = 0x45
    return all
  }

  function received(): number[] {
    const sizes: number[] = []
    for (let mp = stream.getmsg(); mp !== null; mp = stream.getmsg()) {
      sizes.push(messageBytes(mp))
      freemsg(mp)
    }
    return sizes
  }

  const send = (...numbers: number[]): void => {
    for (const number of numbers) stream.putmsg(numberedPacket(test.arena, number))
    test.settle()
  }

  function sendSuper(): void {
    const mp = numberedPacket(test.arena, 0)
    mp.offload = OFFLOAD_CSUM_NEEDED | OFFLOAD_GSO_UDP
    mp.gsoSize = 8
    mp.csumStart = 20
    mp.csumOffset = 6
    stream.putmsg(mp)
    test.settle()
  }

  it.each([
    [0, 'nothing at all'],
    [4, 'less than the virtio header'],
    [VIRTIO_HEADER_SIZE, 'the virtio header alone'],
  ])('checklist 3.7-64: a read of %i bytes (%s) is counted, and reading goes on', bytes => {
    arrive(new Uint8Array(bytes), packet(40))
    expect(tun.counters['virtio-short']).toBe(1)
    expect(received()).toEqual([40])
  })

  it('checklist 3.7-64: EAGAIN leaves packets on the queue, in order, until there is room', () => {
    device.writeErrnos.push(0, ERRNO.EAGAIN)
    send(1, 2, 3)
    const early = device.written.length
    expect(early).toBe(1)
    expect(device.polling).toBe(POLL_READABLE | POLL_WRITABLE)
    device.ready(0, POLL_WRITABLE)
    test.settle()
    expect(device.polling).toBe(POLL_READABLE)
    expect(device.written).toHaveLength(3)
    expect(tun.counters).toMatchObject({ 'tx-waits': 1, 'tx-packets': 3, 'tx-errors': 0 })
  })

  it.each([ERRNO.ENOBUFS, ERRNO.EIO])(
    'checklist 3.7-64: errno %i costs the packet it met, no other',
    errno => {
      device.writeErrnos.push(0, errno)
      send(1, 2, 3)
      expect(device.written).toHaveLength(2)
      expect(tun.counters).toMatchObject({ 'tx-errors': 1, 'tx-packets': 2 })
      expect(tun.gone).toBe(false)
    },
  )

  it.each([ERRNO.EIO, ERRNO.ENOBUFS, ERRNO.ENOMEM])(
    'checklist 3.7-64: a read that ends with errno %i is tried again later, not at once',
    errno => {
      device.readErrno = errno
      arrive()
      expect(tun.counters['rx-errors']).toBe(1)
      expect(device.polling).toBe(0)
      device.readErrno = ERRNO.EAGAIN
      test.advance(milliseconds(100))
      arrive(packet(40))
      expect(device.polling).toBe(POLL_READABLE)
      expect(received()).toEqual([40])
    },
  )

  it('checklist 3.7-64: a device that is gone is told once, and what waits is freed', () => {
    let down = 0
    stream.onDown = () => down++
    device.readErrno = EBADFD
    arrive()
    expect(down).toBe(1)
    device.ready(-ERRNO.EBADF, 0)
    expect(down).toBe(1)
    expect(() => send(1)).toThrow('tun0')
  })

  it('checklist 3.7-64: a device whose MTU was raised under us: longer packets come up whole', () => {
    arrive(packet(9_000), packet(40))
    expect(received()).toEqual([9_000, 40])
  })

  it('checklist 3.7-66: EINVAL for a super-packet turns offload off, tells the user once, and loses nothing else', () => {
    expect(tun.capabilities & (LINK_CSUM | LINK_TSO4)).toBe(LINK_CSUM | LINK_TSO4)
    device.writeErrnos.push(ERRNO.EINVAL)
    sendSuper()
    device.writeErrnos.push(ERRNO.EINVAL)
    sendSuper()
    send(1, 2)
    expect(told.map(({ capabilities }) => capabilities)).toEqual([0])
    expect(test.events.filter(({ name }) => name === 'tun.offload-refused')).toHaveLength(1)
    expect(tun.counters).toMatchObject({ 'tx-errors': 2, 'tx-packets': 2 })
    expect(device.written).toHaveLength(2)
  })

  it('a message without a byte is counted and freed, and the device lives on', () => {
    stream.putmsg(allocb(test.arena, 0)!)
    send(1)
    expect(tun.counters).toMatchObject({ 'tx-empty': 1, 'tx-packets': 1 })
    expect(tun.gone).toBe(false)
  })

  it('checklist 3.7-66: EINVAL for a plain packet says nothing about offload', () => {
    device.writeErrnos.push(ERRNO.EINVAL)
    send(1, 2)
    expect(tun.capabilities).not.toBe(0)
    expect(tun.counters).toMatchObject({ 'tx-errors': 1, 'tx-packets': 1 })
  })
})
