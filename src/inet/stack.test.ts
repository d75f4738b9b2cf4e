import { describe, expect, it } from 'vitest'
import { allocb, freemsg } from '../streams/mblk/alloc.ts'
import { M_DATA } from '../streams/mblk/types.ts'
import type { DriverInfo } from '../streams/module.ts'
import { put, putnext } from '../streams/putnext.ts'
import { Stream } from '../streams/stream.ts'
import { flat } from '../streams/testing/messages.ts'
import { makeTestRuntime, type TestRuntime } from '../streams/testing/runtime.ts'
import { parseAddress } from './address.ts'
import { ERROR_PORT_UNREACHABLE } from './icmp/errors.ts'
import { InetStack } from './stack.ts'
import { ipv4Packet, udpDatagram } from './testing/packets.ts'
import type { EndpointOptions } from './udp/control.ts'
import { field, request, text } from './udp/testing/udp-test.ts'
import { ERROR_CODE, ERROR_IND, KIND, REMOTE_PORT, SEGMENT_BYTES, turnRound } from './unitdata.ts'

/** A link whose far end is the test. */
function openLink(t: TestRuntime): { stream: Stream; sent: Uint8Array[]; bring(packet: Uint8Array): void } {
  const sent: Uint8Array[] = []
  const info: DriverInfo<null> = {
    name: 'test-link',
    driver: true,
    hiwat: 65_536,
    lowat: 16_384,
    open: () => null,
    close: () => {},
    read: { put: putnext },
    write: {
      put: (_q, mp) => {
        if (mp.type === M_DATA) sent.push(flat(mp))
        freemsg(mp)
      },
    },
  }
  const stream = Stream.open(t.runtime, info)
  return {
    stream,
    sent,
    bring(packet) {
      const mp = allocb(t.arena, packet.length, 128)!
      mp.dblk.bytes.set(packet, mp.wptr)
      mp.wptr += packet.length
      put(stream.bottom.next!, mp)
      t.settle()
    },
  }
}

const open = (t: TestRuntime, options: EndpointOptions): Stream => Stream.open(t.runtime, 'udp', { options })

describe('inet/stack', () => {
  it.each(['127.0.0.1', '::1', '10.77.1.2', 'fd77:1::2'])(
    'a datagram to %s, one of our own, comes back to us',
    where => {
      const t = makeTestRuntime()
      const stack = new InetStack(t.runtime)
      stack.attachLink(openLink(t).stream, { name: 'tun0', addresses: ['10.77.1.2/24', 'fd77:1::2/64'] })
      const server = open(t, { bind: { port: 7 } })
      const client = open(t, {})
      client.putmsg(request(t, parseAddress(where)!, 7, 'hello'))
      t.settle()
      const mp = server.getmsg()!
      expect(text(mp.cont)).toBe('hello')
      turnRound(mp)
      server.putmsg(mp)
      t.settle()
      const answer = client.getmsg()!
      expect([text(answer.cont), field(answer, REMOTE_PORT)]).toEqual(['hello', 7])
      freemsg(answer)
      stack.close()
      t.finish()
    },
  )

  it('a request from the link is answered on the wire with the right addresses, ports and checksums', () => {
    const t = makeTestRuntime()
    const stack = new InetStack(t.runtime)
    const link = openLink(t)
    stack.attachLink(link.stream, { name: 'tun0', addresses: ['10.0.0.2/24'] })
    const server = open(t, { bind: { port: 7 } })
    server.onReadable = () => {
      for (let mp = server.getmsg(); mp !== null; mp = server.getmsg()) {
        turnRound(mp)
        server.putmsg(mp)
      }
    }
    const [from, to] = [
      [10, 0, 0, 1],
      [10, 0, 0, 2],
    ] as const
    const data = new TextEncoder().encode('ping!')
    link.bring(
      ipv4Packet(udpDatagram(data, from, to, [5_000, 7]), { source: from, destination: to, protocol: 17 }),
    )
    expect(link.sent.length).toBe(1)
    expect(link.sent[0]!.subarray(20)).toEqual(udpDatagram(data, to, from, [7, 5_000]))
    expect(t.arena.copies.stack.calls).toBe(0)
    stack.close()
    t.finish()
  })

  it('RFC 1122 §4.1.3.1: a port without a listener is answered by ICMP, and the sender, if connected, hears of it', () => {
    const t = makeTestRuntime()
    const stack = new InetStack(t.runtime)
    for (const address of ['127.0.0.1', '::1']) {
      const s = open(t, { connect: { address, port: 9_999 } })
      const other = open(t, {})
      s.write(Uint8Array.from([1]))
      other.putmsg(request(t, parseAddress(address)!, 9_999, 'x'))
      t.settle()
      const error = s.getmsg()!
      expect([field(error, KIND), field(error, ERROR_CODE)]).toEqual([ERROR_IND, ERROR_PORT_UNREACHABLE])
      expect(other.getmsg()).toBeNull()
      freemsg(error)
    }
    expect(stack.counters()).toMatchObject({ udp: { 'no-listener': 4, 'errors-unmatched': 2 } })
    stack.close()
    t.finish()
  })

  it('connecting chooses the source; no route is an error; binding to a foreign address is one, too', () => {
    const t = makeTestRuntime()
    const stack = new InetStack(t.runtime)
    stack.attachLink(openLink(t).stream, { name: 'tun0', addresses: ['10.77.1.2/24'] })
    const s = open(t, { family: 4, connect: { address: '10.77.1.9', port: 7 } })
    expect(s.bottom.info.describe!(s.bottom.state)).toMatchObject({ local: { address: '10.77.1.2' } })
    expect(() => open(t, { connect: { address: '192.0.2.1', port: 7 } })).toThrow(
      expect.objectContaining({ code: 'ERR_NETWORK_UNREACHABLE' }),
    )
    expect(() => open(t, { bind: { address: '10.77.1.3' } })).toThrow(
      expect.objectContaining({ code: 'ERR_ADDR_NOT_AVAILABLE' }),
    )
    stack.close()
    t.finish()
  })

  it('links come and go with their addresses and routes; names and addresses are taken once', () => {
    const t = makeTestRuntime()
    const stack = new InetStack(t.runtime)
    const link = openLink(t)
    stack.attachLink(link.stream, { name: 'tun0', addresses: ['10.77.1.2/24'], mtu: 1_400 })
    stack.addRoute({ prefix: 'default', gateway: '10.77.1.1' })
    expect(JSON.parse(JSON.stringify(stack.describe()))).toMatchObject({
      interfaces: [{ name: 'lo' }, { name: 'tun0', mtu: 1_400, addresses: ['10.77.1.2/24'] }],
      udp: { linked: true, endpoints: [] },
    })
    const other = openLink(t).stream
    expect(() => stack.attachLink(other, { name: 'tun0', addresses: [] })).toThrow(
      expect.objectContaining({ code: 'ERR_ADDR_IN_USE' }),
    )
    const far = parseAddress('192.0.2.1')!
    expect(stack.sourceFor(far)).toEqual(parseAddress('10.77.1.2'))
    stack.removeRoute({ prefix: '0.0.0.0/0' })
    expect(stack.sourceFor(far)).toBeNull()
    stack.detachLink('tun0')
    expect(stack.isLocal(parseAddress('10.77.1.2')!)).toBe(false)
    expect(() => stack.detachLink('tun0')).toThrow(expect.objectContaining({ code: 'ERR_NOT_FOUND' }))
    // The stream is the caller's still, and may be linked again.
    stack.attachLink(link.stream, { name: 'tun1', addresses: ['10.77.1.2/24'] })
    expect(stack.isLocal(parseAddress('10.77.1.2')!)).toBe(true)
    stack.close()
    t.finish()
  })

  it('closed, it leaves nothing: endpoints hear a hangup, another stack may be made', () => {
    const t = makeTestRuntime()
    const stack = new InetStack(t.runtime)
    const s = open(t, { bind: { port: 7 } })
    expect(() => new InetStack(t.runtime)).toThrow(expect.objectContaining({ code: 'ERR_ADDR_IN_USE' }))
    stack.close()
    stack.close()
    expect(s.poll().hangup).toBe(true)
    s.close()
    expect([...t.runtime.streams].map(each => each.name)).toEqual([])
    new InetStack(t.runtime).close()
    t.finish()
  })

  it('a super-datagram to ourselves arrives whole or in parts, as the receiver likes', () => {
    const t = makeTestRuntime()
    const stack = new InetStack(t.runtime)
    const whole = open(t, { bind: { port: 7 }, superDatagrams: true })
    const parts = open(t, { bind: { port: 8 } })
    const client = open(t, {})
    for (const port of [7, 8]) {
      const mp = request(t, parseAddress('127.0.0.1')!, port, new Uint8Array(5_000))
      t.arena.words[(mp.rptr >> 2) + SEGMENT_BYTES] = 1_000
      client.putmsg(mp)
    }
    t.settle()
    const one = whole.getmsg()!
    expect([flat(one.cont!).length, field(one, SEGMENT_BYTES), whole.getmsg()]).toEqual([5_000, 1_000, null])
    freemsg(one)
    let count = 0
    for (let mp = parts.getmsg(); mp !== null; mp = parts.getmsg()) {
      expect(flat(mp.cont!).length).toBe(1_000)
      freemsg(mp)
      count++
    }
    expect(count).toBe(5)
    stack.close()
    t.finish()
  })
})
