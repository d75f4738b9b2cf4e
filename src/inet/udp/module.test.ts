import { describe, expect, it } from 'vitest'
import { makeFlush } from '../../streams/flush.ts'
import { freemsg } from '../../streams/mblk/alloc.ts'
import { FLUSHRW, M_CTL, M_IOCTL } from '../../streams/mblk/types.ts'
import { WR } from '../../streams/queue.ts'
import type { Stream } from '../../streams/stream.ts'
import { openFakeIp } from '../testing/fake-ip.ts'
import { pattern } from '../testing/packets.ts'
import { LOCAL_PORT } from '../unitdata.ts'
import { address, field, HERE, makeUdpTest, PEER, request, type UdpTest } from './testing/udp-test.ts'

/** Sends until the stream is full. @returns how many went */
function fill(t: UdpTest, s: Stream, size = 1_000): number {
  for (let count = 0; ; count++) {
    const mp = request(t, PEER, 9, pattern(size))
    if (s.putmsg(mp)) continue
    freemsg(mp)
    return count
  }
}

describe('inet/udp/module: flow control', () => {
  it('checklist 3.6-63: with IP full requests wait, with the endpoint full the program does, and all go on', () => {
    const t = makeUdpTest()
    const s = t.open({ bind: { port: 7 } })
    let writable = 0
    s.onWritable = () => writable++
    t.ip.setOpen(false)
    const count = fill(t, s)
    const queue = WR(s.bottom)
    expect(queue.bytes).toBeGreaterThanOrEqual(queue.zero.hiwat)
    expect(queue.bytes).toBeLessThan(queue.zero.hiwat + 1_200)
    expect(WR(t.ip.stream.bottom).count).toBeLessThan(4_096 + 1_200)
    t.settle()
    expect([writable, t.ip.sent.length]).toEqual([0, 0])
    t.ip.setOpen(true)
    t.settle()
    expect(t.ip.sent.length).toBe(count)
    expect(writable).toBeGreaterThan(0)
    expect(s.poll().writable).toBe(true)
    expect(queue.bytes).toBe(0)
    t.finish()
  })

  it('requests of one endpoint keep their order across a jam', () => {
    const t = makeUdpTest({ ipHiwat: 2_048 })
    const s = t.open({ bind: { port: 7 } })
    const sizes: number[] = []
    for (let i = 1; i <= 60; i++) {
      if (i === 10) t.ip.setOpen(false)
      if (i === 40) t.ip.setOpen(true)
      if (i % 13 === 0) t.settle()
      s.putmsg(request(t, PEER, 9, pattern(i * 10)))
      sizes.push(i * 10 + 8)
    }
    t.settle()
    expect(t.ip.sent.map(mp => mp.cont!.wptr - mp.cont!.rptr)).toEqual(sizes)
    t.finish()
  })

  it('what waits goes first, even when there is room below already', () => {
    const t = makeUdpTest({ ipHiwat: 500 })
    const s = t.open({ bind: { port: 7 } })
    t.ip.setOpen(false)
    for (let i = 1; i <= 10; i++) s.putmsg(request(t, PEER, 9, pattern(i * 10)))
    expect(WR(s.bottom).first).not.toBeNull()
    t.ip.setOpen(true)
    // IP works off its queue; the endpoint has not had its turn yet.
    while (WR(t.ip.stream.bottom).first !== null) t.runtime.turn(1)
    expect(WR(s.bottom).first).not.toBeNull()
    s.putmsg(request(t, PEER, 9, pattern(110)))
    t.settle()
    expect(t.ip.sent.map(mp => mp.cont!.wptr - mp.cont!.rptr)).toEqual(
      Array.from({ length: 11 }, (_, i) => 10 * (i + 1) + 8),
    )
    t.finish()
  })

  it('checklist 3.4-26: endpoints that wait for IP take turns; none is starved by one that sends all the time', () => {
    const t = makeUdpTest({ ipHiwat: 4_096, arenaOptions: { sizeBytes: 32 * 1024 * 1024, poison: false } })
    const greedy = t.open({ bind: { port: 1 } })
    const others = [2, 3, 4, 5].map(port => t.open({ bind: { port } }))
    t.ip.setOpen(false)
    fill(t, greedy, 100)
    for (const s of others) s.putmsg(request(t, PEER, 9, 'me too'))
    const firstAt = new Map<number, number>()
    let taken = 0
    t.ip.onMessage = mp => {
      const port = field(mp, LOCAL_PORT)
      if (!firstAt.has(port)) firstAt.set(port, taken)
      taken++
      freemsg(mp)
    }
    t.ip.setOpen(true)
    t.settle()
    // What IP had already taken, and one turn of the greedy one, go first; hundreds are still waiting then.
    for (const port of [2, 3, 4, 5]) expect(firstAt.get(port)).toBeLessThan(64)
    expect(taken).toBeGreaterThan(500)
    t.finish()
  })

  it('an endpoint closed while it waits in line leaves it in order', () => {
    const t = makeUdpTest()
    const all = [1, 2, 3].map(port => t.open({ bind: { port } }))
    t.ip.setOpen(false)
    for (const s of all) {
      fill(t, s, 500)
    }
    all[1]!.close()
    t.ip.setOpen(true)
    t.settle()
    const ports = new Set(t.ip.sent.map(mp => field(mp, LOCAL_PORT)))
    expect([...ports].sort()).toEqual([1, 3])
    t.finish()
  })

  it('unlinked while requests wait: they are freed, and the endpoint works again when IP is back', () => {
    const t = makeUdpTest()
    const s = t.open({ bind: { port: 7 } })
    t.ip.setOpen(false)
    fill(t, s)
    t.control.unlink(t.link)
    t.settle()
    expect(WR(s.bottom).count).toBe(0)
    const other = openFakeIp(t.runtime)
    t.control.link(other.stream)
    s.putmsg(request(t, PEER, 9, 'again'))
    expect(other.sent.length).toBe(1)
    other.clear()
    t.finish()
  })

  it('M_FLUSH frees what waits on the endpoint, both ways', () => {
    const t = makeUdpTest()
    const s = t.open({ bind: { port: 7 } })
    t.receive({ port: 7, data: 'x' })
    t.ip.setOpen(false)
    fill(t, s)
    s.putmsg(makeFlush(t.arena, FLUSHRW)!)
    t.settle()
    expect([WR(s.bottom).count, s.top.count]).toEqual([0, 0])
    t.finish()
  })
})

describe('inet/udp/module: plumbing', () => {
  it('the first stream is the control stream, and only there IP is linked, once', () => {
    const t = makeUdpTest()
    const s = t.open()
    const other = openFakeIp(t.runtime)
    expect(() => s.link(other.stream)).toThrow(expect.objectContaining({ code: 'ERR_PLUMBING' }))
    expect(() => t.control.link(other.stream)).toThrow(expect.objectContaining({ code: 'ERR_BUSY' }))
    t.finish()
  })

  it('endpoints hear a hangup when the control stream goes', () => {
    const t = makeUdpTest()
    const s = t.open()
    t.control.close()
    expect(s.poll().hangup).toBe(true)
    t.finish()
  })

  it('messages that UDP has no use for are freed', () => {
    const t = makeUdpTest()
    for (const s of [t.open(), t.control]) {
      const control = request(t, PEER, 9, 'x')
      control.type = M_CTL
      s.putmsg(control)
      s.putmsg(request(t, PEER, 9, 'x'))
    }
    expect(t.ip.sent.length).toBe(1)
    t.finish()
  })

  it('a request message too short to be one is refused, nothing breaks', () => {
    const t = makeUdpTest()
    const s = t.open()
    const mp = request(t, PEER, 9, null)
    mp.type = M_IOCTL
    s.putmsg(mp)
    t.settle()
    expect(s.poll().error).toBeNull()
    t.finish()
  })

  it('a module pushed on one endpoint sees what passes, and its queue counts for flow control', () => {
    const t = makeUdpTest()
    const s = t.open({ bind: { port: 7 } })
    let seen = 0
    s.push({
      name: 'counter',
      hiwat: 1_000,
      lowat: 500,
      open: () => null,
      close: () => {},
      read: {
        put: (q, mp) => {
          seen++
          q.next!.put(q.next!, mp)
        },
      },
      write: { put: (q, mp) => q.next!.put(q.next!, mp) },
    })
    t.receive({ port: 7, data: 'x' })
    freemsg(s.getmsg()!)
    expect(seen).toBe(1)
    t.finish()
  })
})

describe('inet/udp/control', () => {
  it('bind, connect, name, disconnect', async () => {
    const t = makeUdpTest({ sources: { isLocal: a => a.words[3] === HERE.words[3], sourceFor: () => HERE } })
    const s = t.open({ family: 4 })
    expect(await s.ioctl('udp.name')).toEqual({ local: null, remote: null })
    expect(await s.ioctl('udp.bind', { port: 53 })).toEqual({
      local: { address: '0.0.0.0', family: 4, port: 53 },
      remote: null,
    })
    // The source is chosen when it connects, as connect(2) does.
    expect(await s.ioctl('udp.connect', { address: '10.0.0.1', port: 7 })).toEqual({
      local: { address: '10.0.0.2', family: 4, port: 53 },
      remote: { address: '10.0.0.1', family: 4, port: 7 },
    })
    t.receive({ port: 53, fromPort: 7, data: 'from the peer' })
    freemsg(s.getmsg()!)
    t.receive({ port: 53, fromPort: 8, data: 'from another' })
    expect(s.getmsg()).toBeNull()
    expect(await s.ioctl('udp.disconnect')).toEqual({
      local: { address: '0.0.0.0', family: 4, port: 53 },
      remote: null,
    })
    t.receive({ port: 53, fromPort: 8, data: 'from another' })
    freemsg(s.getmsg()!)
    t.finish()
  })

  it('an endpoint of both families shows IPv4 as v4-mapped, and takes mapped text', async () => {
    const t = makeUdpTest()
    const s = t.open()
    const names = await s.ioctl('udp.connect', { address: '::ffff:10.0.0.1', port: 7 })
    expect(names).toMatchObject({ remote: { address: '::ffff:10.0.0.1', family: 6, port: 7 } })
    t.finish()
  })

  it.each([
    ['udp.bind', { port: 65_536 }, 'ERR_BAD_ARGUMENT'],
    ['udp.bind', { port: '7' }, 'ERR_BAD_ARGUMENT'],
    ['udp.bind', { address: 'nowhere' }, 'ERR_BAD_ADDRESS'],
    ['udp.bind', { address: 'fd00::2' }, 'ERR_BAD_ADDRESS'],
    ['udp.bind', { address: '10.0.0.77' }, 'ERR_ADDR_NOT_AVAILABLE'],
    ['udp.bind', { port: 7 }, 'ERR_ADDR_IN_USE'],
    ['udp.bind', { prot: 7 }, 'ERR_BAD_ARGUMENT'],
    ['udp.bind', [7], 'ERR_BAD_ARGUMENT'],
    ['udp.connect', { address: '10.0.0.1' }, 'ERR_BAD_ARGUMENT'],
    ['udp.connect', { address: '10.0.0.1', port: 0 }, 'ERR_BAD_ARGUMENT'],
    ['udp.connect', { address: '0.0.0.0', port: 1 }, 'ERR_BAD_ADDRESS'],
    ['udp.connect', { address: 'fd00::1', port: 1 }, 'ERR_BAD_ADDRESS'],
    ['udp.connect', { address: '192.0.2.1', port: 1 }, 'ERR_NETWORK_UNREACHABLE'],
    ['udp.disconnect', undefined, 'ERR_NOT_CONNECTED'],
    ['udp.set', { ttl: 256 }, 'ERR_BAD_ARGUMENT'],
    ['udp.set', { broadcast: 1 }, 'ERR_BAD_ARGUMENT'],
    ['udp.set', { receiveBytes: 1 }, 'ERR_BAD_ARGUMENT'],
    ['udp.set', { color: 1 }, 'ERR_BAD_ARGUMENT'],
    ['udp.sing', undefined, 'ERR_IOCTL'],
  ])('%s %j is refused with %s and changes nothing', async (command, argument, code) => {
    const t = makeUdpTest({
      sources: {
        isLocal: a => a.words[3] === HERE.words[3],
        sourceFor: a => (a.words[3] === PEER.words[3] ? HERE : null),
      },
    })
    t.open({ family: 4, bind: { port: 7 } })
    const s = t.open({ family: 4 })
    await expect(s.ioctl(command, argument)).rejects.toMatchObject({ code })
    expect(await s.ioctl('udp.name')).toEqual({ local: null, remote: null })
    t.finish()
  })

  it('binds once', async () => {
    const t = makeUdpTest()
    const s = t.open({ bind: { port: 7 } })
    await expect(s.ioctl('udp.bind', { port: 8 })).rejects.toMatchObject({ code: 'ERR_BAD_ARGUMENT' })
    expect(await s.ioctl('udp.name')).toMatchObject({ local: { port: 7 } })
    t.finish()
  })

  it('options that are wrong open nothing and leave no port taken', () => {
    const t = makeUdpTest()
    const before = t.runtime.streams.size
    for (const options of [
      { bind: { port: 7 }, connect: { address: 'x', port: 1 } },
      { family: 5 },
      { ttl: -1 },
      { colour: 'red' },
      { reuseAddress: 'yes' },
    ])
      expect(() => t.open(options as never)).toThrow(expect.objectContaining({ name: 'StackError' }))
    expect(t.runtime.streams.size).toBe(before)
    t.open({ bind: { port: 7 } })
    t.finish()
  })

  it('a closed endpoint gives its port back', () => {
    const t = makeUdpTest()
    t.open({ bind: { port: 7 } }).close()
    t.open({ bind: { port: 7 } })
    t.receive({ port: 8, data: 'x' })
    expect(t.counters['no-listener']).toBe(1)
    t.finish()
  })

  it('the range of ephemeral ports is a setting of the control stream', async () => {
    const t = makeUdpTest()
    await t.control.ioctl('udp.ports', { first: 50_000, last: 50_001 })
    const ports = [t.open({ bind: {} }), t.open({ bind: {} })].map(
      s => (s.bottom.info.describe!(s.bottom.state) as { local: { port: number } }).local.port,
    )
    expect(ports.sort()).toEqual([50_000, 50_001])
    expect(() => t.open({ bind: {} })).toThrow(expect.objectContaining({ code: 'ERR_ADDR_IN_USE' }))
    await expect(t.control.ioctl('udp.ports', { first: 9, last: 8 })).rejects.toMatchObject({
      code: 'ERR_BAD_ARGUMENT',
    })
    await expect(t.control.ioctl('udp.bind', {})).rejects.toMatchObject({ code: 'ERR_IOCTL' })
    t.finish()
  })

  it('describes itself as JSON', () => {
    const t = makeUdpTest()
    t.open({ family: 4, bind: { address: '10.0.0.2', port: 7 } })
    t.receive({ port: 7, data: 'x' })
    const told = t.control.bottom.info.describe!(t.control.bottom.state)
    expect(JSON.parse(JSON.stringify(told))).toMatchObject({
      linked: true,
      endpoints: [{ local: { address: '10.0.0.2', port: 7 }, remote: null, waitingMessages: 1 }],
    })
    expect(address('10.0.0.2').family).toBe(4)
    t.finish()
  })
})
