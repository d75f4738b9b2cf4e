import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { freemsg } from '../../streams/mblk/alloc.ts'
import { Stream } from '../../streams/stream.ts'
import { IpFixture } from '../testing/ip-fixture.ts'
import {
  DESTINATION4,
  DESTINATION6,
  icmpMessage,
  ipv4Packet,
  ipv6Packet,
  pattern,
  SOURCE4,
  SOURCE6,
} from '../testing/packets.ts'
import {
  ERROR_CODE,
  ERROR_IND,
  KIND,
  LOCAL_PORT,
  REMOTE_PORT,
  UNITDATA_IND,
  unitdataAt,
} from '../unitdata.ts'
import { ERROR_HOP_LIMIT, ERROR_NET_UNREACHABLE } from './errors.ts'
import { makeIcmpDriver } from './module.ts'

let fixture: IpFixture
let control: Stream

beforeEach(() => {
  fixture = new IpFixture({ addresses: ['10.0.0.2/24', 'fd00:0:0:2::2/32'] })
  fixture.test.runtime.registry.register(makeIcmpDriver(fixture.test.runtime))
  control = Stream.open(fixture.test.runtime, 'icmp', { options: { control: true } })
  control.link(fixture.upper(1, 58))
})
afterEach(() => fixture.finish())

const open = (identifier?: number): Stream =>
  Stream.open(fixture.test.runtime, 'icmp', identifier === undefined ? {} : { options: { identifier } })

function ping(stream: Stream, remote: string, sequence: number, payload = pattern(56)): void {
  const mp = fixture.request(payload, { remote })
  fixture.test.arena.words[unitdataAt(mp) + REMOTE_PORT] = sequence
  stream.putmsg(mp)
  fixture.test.settle()
}

const echoBody = (identifier: number, sequence: number, payload: Uint8Array): Uint8Array =>
  Uint8Array.from([identifier >> 8, identifier & 0xff, sequence >> 8, sequence & 0xff, ...payload])

describe('icmp/module', () => {
  it('RFC 792: sends an echo request with its identifier and the sequence number given', () => {
    ping(open(0x1234), '10.0.0.1', 7)
    const [packet] = fixture.link.take()
    const message = icmpMessage(4, 8, 0, echoBody(0x1234, 7, pattern(56)), DESTINATION4, SOURCE4)
    expect(packet!.slice(20)).toEqual(message)
    expect([...packet!.slice(12, 20)]).toEqual([...DESTINATION4, ...SOURCE4])
  })

  it('RFC 4443 §4.1: the same over IPv6, with the pseudo-header in the sum', () => {
    ping(open(0x1234), 'fd00:0:0:1::1', 7)
    const message = icmpMessage(6, 128, 0, echoBody(0x1234, 7, pattern(56)), DESTINATION6, SOURCE6)
    const packet = ipv6Packet(message, { nextHeader: 58, source: DESTINATION6, destination: SOURCE6 })
    expect(fixture.link.take()).toEqual([packet])
  })

  it('a reply reaches the endpoint of its identifier, nobody else', () => {
    const [one, two] = [open(1), open(2)]
    const bring = (identifier: number): void => {
      const message = icmpMessage(4, 0, 0, echoBody(identifier, 9, pattern(20)), SOURCE4, DESTINATION4)
      fixture.link.bring(ipv4Packet(message, { protocol: 1 }))
    }
    bring(2)
    bring(3)
    expect(fixture.receive(one)).toEqual([])
    const [received] = fixture.receive(two)
    expect(received!.data).toEqual(pattern(20))
    expect(received!.words[KIND]).toBe(UNITDATA_IND)
    expect(received!.words[LOCAL_PORT]).toBe(2)
    expect(received!.words[REMOTE_PORT]).toBe(9)
    expect(control.bottom.info.counters!(null)).toMatchObject({ 'replies-in': 1, 'reply-unclaimed': 1 })
  })

  it('pings itself through the loopback, both families', () => {
    const stream = open()
    for (const remote of ['127.0.0.1', '::1', '10.0.0.2', 'fd00:0:0:2::2']) {
      ping(stream, remote, 1)
      const [received] = fixture.receive(stream)
      expect(received?.data, remote).toEqual(pattern(56))
    }
    expect(fixture.link.take()).toEqual([])
  })

  it('an ICMP error that quotes the request reaches the endpoint, with the sequence number', () => {
    const stream = open(5)
    for (const [remote, family] of [
      ['10.0.0.1', 4],
      ['fd00:0:0:1::1', 6],
    ] as const) {
      ping(stream, remote, 77)
      const [request] = fixture.link.take()
      const quote = Uint8Array.from([0, 0, 0, 0, ...request!])
      fixture.link.bring(
        family === 4
          ? ipv4Packet(icmpMessage(4, 11, 0, quote, [10, 0, 0, 9], DESTINATION4), {
              protocol: 1,
              source: [10, 0, 0, 9],
            })
          : ipv6Packet(icmpMessage(6, 3, 0, quote, SOURCE6, DESTINATION6), { nextHeader: 58 }),
      )
      const [received] = fixture.receive(stream)
      expect(received!.words[KIND]).toBe(ERROR_IND)
      expect(received!.words[ERROR_CODE]).toBe(ERROR_HOP_LIMIT)
      expect(received!.words[REMOTE_PORT]).toBe(77)
    }
  })

  it('a request without a route is refused to the endpoint', () => {
    const stream = open(5)
    ping(stream, '192.0.2.1', 3)
    const [received] = fixture.receive(stream)
    expect(received!.words[KIND]).toBe(ERROR_IND)
    expect(received!.words[ERROR_CODE]).toBe(ERROR_NET_UNREACHABLE)
  })

  it('identifiers are not given twice, and are free again after close', () => {
    open(9)
    expect(() => open(9)).toThrow(/identifier 9/)
    expect(() => open(70_000)).toThrow(/0 to 65,535/)
    const third = open(10)
    third.close()
    open(10)
  })

  it('waits while the link is full, and goes on by itself', () => {
    const stream = open(1)
    fixture.link.blocked = true
    for (let i = 0; i < 40; i++) {
      const mp = fixture.request(pattern(1_000), { remote: '10.0.0.1' })
      fixture.test.arena.words[unitdataAt(mp) + REMOTE_PORT] = i
      expect(stream.putmsg(mp)).toBe(true)
    }
    fixture.test.settle()
    expect(fixture.link.take()).toEqual([])
    fixture.link.unblock()
    fixture.test.settle()
    const sequences = fixture.link.take().map(packet => packet[27])
    expect(sequences).toEqual(Array.from({ length: 40 }, (_, i) => i))
  })
  it('checklist 3.6-63: endpoints whose requests wait go on when IP has room again', () => {
    const streams = [open(1), open(2)]
    fixture.link.blocked = true
    let taken = 0
    for (const stream of streams) {
      for (;;) {
        const mp = fixture.request(pattern(30_000), { remote: '10.0.0.1' })
        if (stream.putmsg(mp)) taken++
        else {
          freemsg(mp)
          break
        }
      }
    }
    fixture.link.unblock()
    fixture.test.settle()
    // 30,008 bytes in pieces of 1480.
    expect(fixture.link.take()).toHaveLength(taken * 21)
    expect(streams.map(stream => stream.poll().writable)).toEqual([true, true])
  })
})
