import { afterEach, describe, expect, it } from 'vitest'
import {
  allocb,
  CTL_LINK_INFO,
  controlCode,
  freemsg,
  type LinkInfo,
  M_PCPROTO,
  type Mblk,
  makeLinkQuery,
  messageFrom,
  OFFLOAD_CSUM_NEEDED,
  OFFLOAD_GSO_UDP,
  readLinkInfo,
  Stream,
} from '../streams/index.ts'
import { makeTestRuntime, type TestRuntime } from '../streams/testing/index.ts'
import { makeWire, WIRE_CAPABILITIES, type WireEnd, type WireOptions } from './wire.ts'

const runtimes: TestRuntime[] = []
afterEach(() => {
  for (const test of runtimes) for (const stream of [...test.runtime.streams]) stream.close()
  for (const test of runtimes.splice(0)) test.finish()
})

function oneRuntime(options?: WireOptions): { test: TestRuntime; a: Stream; b: Stream } {
  const test = makeTestRuntime({ arenaOptions: { sizeBytes: 32 * 1024 * 1024 } })
  runtimes.push(test)
  const [one, two] = makeWire(options)
  return { test, a: Stream.open(test.runtime, one), b: Stream.open(test.runtime, two) }
}

function packet(stream: Stream, size: number, fill = 0): Mblk {
  return messageFrom(stream.runtime.arena, new Uint8Array(size).fill(fill), 0, size, 'edge')!
}

const counters = (stream: Stream): WireEnd['counters'] => (stream.bottom.state as WireEnd).counters

function listen(stream: Stream): LinkInfo[] {
  const heard: LinkInfo[] = []
  stream.onControl = mp => {
    if (controlCode(mp) === CTL_LINK_INFO) heard.push(readLinkInfo(mp)!)
    freemsg(mp)
  }
  return heard
}

describe('driver/wire', () => {
  it('hands a packet to the other end as it is, offload fields included, from the run queue', () => {
    const { test, a, b } = oneRuntime()
    const sent = packet(a, 9_000, 7)
    sent.offload = OFFLOAD_CSUM_NEEDED | OFFLOAD_GSO_UDP
    sent.csumStart = 20
    sent.csumOffset = 6
    sent.gsoSize = 1_000
    a.putmsg(sent)
    expect(b.getmsg()).toBeNull()
    test.settle()
    const got = b.getmsg()!
    expect(got).toBe(sent)
    expect([got.offload, got.csumStart, got.csumOffset, got.gsoSize]).toEqual([
      OFFLOAD_CSUM_NEEDED | OFFLOAD_GSO_UDP,
      20,
      6,
      1_000,
    ])
    expect(test.arena.copies.stack.bytes).toBe(0)
    freemsg(got)
  })

  it('stops the writer when the far end is full, and lets it go on when that drains; nothing is lost or out of order', () => {
    const { test, a, b } = oneRuntime()
    const count = 3_000
    let next = 0
    const write = (): void => {
      while (next < count) {
        const mp = packet(a, 1_400, next & 0xff)
        if (!a.putmsg(mp)) return freemsg(mp)
        next++
      }
    }
    a.onWritable = write
    for (let before = -1; before !== next; test.settle()) {
      before = next
      write()
    }
    expect(next).toBeLessThan(count)
    expect(a.poll().writable).toBe(false)
    for (const q of [a.bottom.other, b.bottom, b.top]) expect(q.bytes).toBeLessThan(q.zero.hiwat + 1_400)
    let got = 0
    for (let idle = 0; idle < 2; ) {
      const mp = b.getmsg()
      if (mp === null) {
        idle++
        test.settle()
        continue
      }
      idle = 0
      expect(mp.bytes[mp.rptr]).toBe(got++ & 0xff)
      freemsg(mp)
    }
    expect(got).toBe(count)
    expect(a.poll().writable).toBe(true)
  })

  it('lets high-priority messages overtake what waits', () => {
    const { test, a, b } = oneRuntime()
    b.setReadLimits(1_000, 500)
    for (let i = 0; i < 10; i++) a.putmsg(packet(a, 1_400))
    const urgent = allocb(test.arena, 4)!
    urgent.type = M_PCPROTO
    a.putmsg(urgent)
    test.settle()
    expect(b.getmsg()).toBe(urgent)
    freemsg(urgent)
  })

  it('tells MTU, capabilities and whether the other end is open, when asked and when that changes', () => {
    const test = makeTestRuntime()
    runtimes.push(test)
    const [one, two] = makeWire({ mtu: 9_000 })
    const a = Stream.open(test.runtime, one)
    const heard = listen(a)
    a.putmsg(makeLinkQuery(test.arena)!)
    const b = Stream.open(test.runtime, two)
    test.settle()
    b.close()
    expect(heard).toEqual([
      { mtu: 9_000, capabilities: WIRE_CAPABILITIES, up: false },
      { mtu: 9_000, capabilities: WIRE_CAPABILITIES, up: true },
    ])
  })

  it('drops what is longer than the MTU, and what nobody hears, each with its counter', () => {
    const { test, a, b } = oneRuntime()
    a.putmsg(packet(a, 1_501))
    a.putmsg(packet(a, 1_500))
    test.settle()
    freemsg(b.getmsg()!)
    expect(b.getmsg()).toBeNull()
    expect(counters(a)).toMatchObject({ 'dropped-too-long': 1, 'messages-out': 1 })
    b.close()
    a.putmsg(packet(a, 10))
    expect(counters(a)['dropped-no-peer']).toBe(1)
  })

  it('hangs up at the other end when one is closed; both may be opened again after both were closed', () => {
    const test = makeTestRuntime()
    runtimes.push(test)
    const [one, two] = makeWire()
    const a = Stream.open(test.runtime, one)
    const b = Stream.open(test.runtime, two)
    a.putmsg(packet(a, 100))
    test.settle()
    a.close()
    test.settle()
    expect(b.poll().hangup).toBe(true)
    freemsg(b.getmsg()!)
    expect(() => b.putmsg(packet(b, 1))).toThrow(expect.objectContaining({ code: 'ERR_HANGUP' }))
    expect(() => Stream.open(test.runtime, one)).toThrow(expect.objectContaining({ code: 'ERR_BUSY' }))
    b.close()
    const again = [Stream.open(test.runtime, one), Stream.open(test.runtime, two)]
    again[0]!.putmsg(packet(again[0]!, 5))
    test.settle()
    freemsg(again[1]!.getmsg()!)
  })

  it('refuses a request that it does not know', async () => {
    const { test, a } = oneRuntime()
    const answer = a.ioctl('colour')
    test.settle()
    await expect(answer).rejects.toMatchObject({
      code: 'ERR_IOCTL',
      message: 'wire knows no request "colour"',
    })
  })

  it('joins two runtimes that share one arena, and refuses two arenas and a second opening', () => {
    const left = makeTestRuntime()
    const right = makeTestRuntime({ arena: left.arena })
    const strange = makeTestRuntime()
    runtimes.push(left, right, strange)
    const [one, two] = makeWire()
    const a = Stream.open(left.runtime, one)
    expect(() => Stream.open(right.runtime, one)).toThrow(expect.objectContaining({ code: 'ERR_BUSY' }))
    expect(() => Stream.open(strange.runtime, two)).toThrow(expect.objectContaining({ code: 'ERR_PLUMBING' }))
    const b = Stream.open(right.runtime, two)
    b.putmsg(packet(b, 64))
    right.settle()
    expect(a.getmsg()).toBeNull()
    left.settle()
    freemsg(a.getmsg()!)
  })

  it('refuses an MTU that IPv4 does not allow', () => {
    expect(() => makeWire({ mtu: 67 })).toThrow(expect.objectContaining({ code: 'ERR_BAD_CONFIG' }))
  })
})
