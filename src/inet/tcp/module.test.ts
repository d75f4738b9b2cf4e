import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { milliseconds, seconds } from '../../base/time.ts'
import { allocb, freemsg } from '../../streams/mblk/alloc.ts'
import { type Mblk, OFFLOAD_CSUM_VALID } from '../../streams/mblk/mblk.ts'
import { messageFrom } from '../../streams/mblk/pullup.ts'
import { M_DATA, M_PCPROTO, M_PROTO } from '../../streams/mblk/types.ts'
import { getq } from '../../streams/queue.ts'
import { Stream } from '../../streams/stream.ts'
import { chainOf, flat } from '../../streams/testing/messages.ts'
import { makeTestRuntime, type TestRuntime } from '../../streams/testing/runtime.ts'
import { InetStack } from '../stack.ts'
import { openFakeIp } from '../testing/fake-ip.ts'
import { ipv4Packet } from '../testing/packets.ts'
import { TestLink } from '../testing/test-link.ts'
import { emitTcp, RST, SYN } from '../wire/tcp.ts'
import type { Connection } from './connection.ts'
import type { TcpOpenOptions } from './control.ts'
import type { Listening } from './listening.ts'
import { tcpDriver } from './module.ts'
import {
  CONN_CON,
  CONN_IND,
  DISCON_IND,
  disconnectReason,
  makePrimitive,
  ORDREL_IND,
  ORDREL_REQ,
  primitiveOf,
  TROUBLE_IND,
  URGENT_IND,
} from './primitives.ts'

const PORT = 7_000
const NAMES: Readonly<Record<number, string>> = {
  [CONN_IND]: 'CONN_IND',
  [CONN_CON]: 'CONN_CON',
  [ORDREL_IND]: 'ORDREL_IND',
  [URGENT_IND]: 'URGENT_IND',
  [TROUBLE_IND]: 'TROUBLE_IND',
}

let t: TestRuntime
let stack: InetStack

beforeEach(() => {
  t = makeTestRuntime({ arenaOptions: { sizeBytes: 16 * 1024 * 1024 } })
  stack = new InetStack(t.runtime)
})

afterEach(() => {
  stack.close()
  t.settle()
  t.finish()
})

const open = (options: TcpOpenOptions): Stream => Stream.open(t.runtime, 'tcp', { options })
const counters = () => stack.counters()['tcp'] as Readonly<Record<string, number>>

function data(text: string): Mblk {
  const bytes = new TextEncoder().encode(text)
  return messageFrom(t.arena, bytes, 0, bytes.length, 'edge')!
}

/** What came up a stream: primitives by name, data as text. */
function heard(stream: Stream): string[] {
  t.settle()
  const all: string[] = []
  for (let mp = getq(stream.top); mp !== null; mp = getq(stream.top)) {
    const primitive = primitiveOf(mp)
    if (mp.type === M_DATA) all.push(new TextDecoder().decode(flat(mp)))
    else all.push(primitive === DISCON_IND ? disconnectReason(mp) : (NAMES[primitive] ?? '?'))
    freemsg(mp)
  }
  return all
}

function listenAndConnect(): { listener: Stream; client: Stream; server: Stream } {
  const listener = open({ listen: { port: PORT } })
  const client = open({ connect: { address: '127.0.0.1', port: PORT } })
  expect(heard(client)).toEqual(['CONN_CON'])
  expect(heard(listener)).toEqual(['CONN_IND'])
  const server = open({ accept: listener.bottom.state as Listening })
  t.settle()
  return { listener, client, server }
}

describe('inet/tcp/module: streams', () => {
  it('opening, data, orderly ends: all of it is messages, in order', () => {
    const { client, server } = listenAndConnect()
    client.putmsg(data('one '))
    client.putmsg(data('two'))
    client.putmsg(makePrimitive(t.arena, ORDREL_REQ)!)
    const up = heard(server)
    expect(up.slice(0, -1).join('')).toBe('one two')
    expect(up.at(-1)).toBe('ORDREL_IND')
    server.putmsg(data('three'))
    server.putmsg(makePrimitive(t.arena, ORDREL_REQ)!)
    expect(heard(client)).toEqual(['three', 'ORDREL_IND', 'done'])
    expect(heard(server)).toEqual(['done'])
  })

  it('a listener is told once for all that wait, and again when it found none left', () => {
    const listener = open({ listen: { port: PORT } })
    const listening = listener.bottom.state as Listening
    const connect = (): Stream => open({ connect: { address: '127.0.0.1', port: PORT } })
    connect()
    connect()
    expect(heard(listener)).toEqual(['CONN_IND'])
    connect()
    expect(heard(listener)).toEqual([])
    for (let i = 0; i < 3; i++) open({ accept: listening })
    expect(listening.hasNext).toBe(false)
    expect(() => open({ accept: listening })).toThrow(expect.objectContaining({ code: 'ERR_WOULD_BLOCK' }))
    connect()
    expect(heard(listener)).toEqual(['CONN_IND'])
  })

  it('what makes no sense on its stream is freed', () => {
    const { listener, client } = listenAndConnect()
    const proto = data('not a primitive')
    proto.type = M_PROTO
    client.putmsg(proto)
    client.putmsg(makePrimitive(t.arena, 77)!)
    listener.putmsg(data('nobody reads this'))
    t.settle()
    client.putmsg(makePrimitive(t.arena, ORDREL_REQ)!)
    client.putmsg(data('after the end'))
    t.settle()
    expect(counters()['bytes-out']).toBe(0)
  })

  it('ioctls: a snapshot, settings, and what nobody knows', async () => {
    const { client, listener } = listenAndConnect()
    const ask = async (stream: Stream, command: string, argument?: unknown): Promise<unknown> => {
      const answer = stream.ioctl(command, argument)
      t.settle()
      return answer
    }
    expect(await ask(client, 'tcp.info')).toMatchObject({ state: 'ESTABLISHED', congestion: 'cubic' })
    expect(await ask(client, 'tcp.set', { noDelay: true, keepAlive: true })).toMatchObject({ noDelay: true })
    await expect(ask(client, 'tcp.set', { ttl: -1 })).rejects.toMatchObject({ code: 'ERR_BAD_ARGUMENT' })
    await expect(ask(client, 'tcp.fly')).rejects.toMatchObject({ code: 'ERR_IOCTL' })
    await expect(ask(listener, 'tcp.info')).rejects.toMatchObject({ code: 'ERR_IOCTL' })
    const control = [...t.runtime.streams].find(({ name }) => name === 'tcp')!
    expect(await ask(control, 'tcp.set', { ecn: 0 })).toMatchObject({ ecn: 0 })
    expect(await ask(control, 'tcp.settings')).toMatchObject({ ecn: 0 })
  })

  it('few messages are ahead of a program that does not read; the rest stays with the core', () => {
    const { client, server } = listenAndConnect()
    client.ioctl('tcp.set', { noDelay: true })
    let all = ''
    for (let i = 0; i < 200; i++) {
      all += `${i} `
      client.putmsg(data(`${i} `))
      t.settle()
    }
    expect(server.top.messages).toBe(32)
    let read = ''
    for (let part = heard(server); part.length > 0; part = heard(server)) {
      expect(part.length).toBeLessThanOrEqual(32)
      read += part.join('')
    }
    expect(read).toBe(all)
  })

  it('an end that no block is left for is told when there is one', () => {
    const { client } = listenAndConnect()
    const c = client.bottom.state as Connection
    const taken: Mblk[] = []
    for (let mp = allocb(t.arena, 1); mp !== null; mp = allocb(t.arena, 1)) taken.push(mp)
    c.abort()
    expect(heard(client)).toEqual([])
    t.advance(milliseconds(50))
    expect(heard(client)).toEqual([])
    for (const mp of taken) freemsg(mp)
    t.advance(milliseconds(20))
    expect(heard(client)).toEqual(['aborted'])
  })

  it('RFC 2525 §2.17: an end or an announcement that was not read is no data, and makes no reset', () => {
    const { client, server } = listenAndConnect()
    client.putmsg(data('question'))
    client.putmsg(makePrimitive(t.arena, ORDREL_REQ)!)
    t.settle()
    const connection = server.bottom.state as Connection
    expect(connection.unread()).toBe('question'.length)
    freemsg(getq(server.top)!)
    // The end waits in front of the program, which answers and closes without having heard it.
    expect(server.top.first!.type).toBe(M_PROTO)
    expect(connection.unread()).toBe(0)
    server.putmsg(data('answer'))
    server.close()
    expect(heard(client)).toEqual(['answer', 'ORDREL_IND', 'done'])
    expect(counters()['resets-out']).toBe(0)
  })

  it('MUST-32: urgent data is announced in front of what waits', () => {
    const { client } = listenAndConnect()
    const c = client.bottom.state as Connection
    c.urgent()
    t.settle()
    expect(client.top.first?.type).toBe(M_PCPROTO)
    expect(heard(client)).toEqual(['URGENT_IND'])
  })
})

describe('inet/tcp/module: trouble (RFC 9293 §3.8.3, §3.9.1.8)', () => {
  /** Two connections over a link that loses everything from now on, and what was written on each. */
  function lose(troubleReports: boolean): { streams: Stream[]; link: TestLink } {
    const link = new TestLink(t.runtime)
    stack.attachLink(link.stream, { name: 'tun0', addresses: ['10.0.0.2/24'] })
    const streams = [1, 2].map(port =>
      open({ connect: { address: '10.0.0.1', port, settings: { troubleReports } } }),
    )
    t.settle()
    link.take()
    t.advance(seconds(8))
    return { streams, link }
  }

  it('SHLD-9, MUST-20 (R1): the program, the log and IP hear of it; the log once in a second', () => {
    const { streams, link } = lose(true)
    expect(streams.map(heard)).toEqual([['TROUBLE_IND'], ['TROUBLE_IND']])
    const told = t.events.filter(({ name }) => name === 'tcp.trouble')
    expect(told.length).toBe(1)
    expect(told[0]!.text).toMatch(/^10\.0\.0\.2:\d+-10\.0\.0\.1:1: what is sent is not acknowledged$/)
    expect(counters()['delivery-doubted']).toBe(2)
    expect((stack.counters()['ip'] as Readonly<Record<string, number>>)['paths-doubted']).toBe(2)
    stack.detachLink('tun0')
    link.stream.close()
  })

  it('SHLD-20: a program that does not want to hear of it does not', () => {
    const { streams, link } = lose(false)
    expect(streams.map(heard)).toEqual([[], []])
    expect(counters()['delivery-doubted']).toBe(2)
    stack.detachLink('tun0')
    link.stream.close()
  })
})

describe('inet/tcp/module: turns', () => {
  /** Both ends answer each other, from their callbacks. */
  function pingPong(pairs: number, rounds: number): void {
    const listener = open({ listen: { port: PORT } })
    let left = pairs * rounds
    const answer = (stream: Stream): void => {
      stream.onReadable = () => {
        for (let mp = getq(stream.top); mp !== null; mp = getq(stream.top)) {
          if (mp.type === M_DATA && left-- > 0) stream.putmsg(mp)
          else freemsg(mp)
        }
      }
    }
    const clients = Array.from({ length: pairs }, () =>
      open({ connect: { address: '127.0.0.1', port: PORT } }),
    )
    t.settle()
    for (let i = 0; i < pairs; i++) answer(open({ accept: listener.bottom.state as Listening }))
    clients.forEach(answer)
    t.settle()
    const before = counters()['pure-acks-out']!
    const arms = t.runtime.timers.arm
    let armed = 0
    t.runtime.timers.arm = (timer, at) => {
      armed++
      arms.call(t.runtime.timers, timer, at)
    }
    for (const client of clients) client.putmsg(data('ping'))
    t.settle()
    t.runtime.timers.arm = arms
    expect(left).toBeLessThanOrEqual(0)
    // Answers carry the acknowledgment (RFC 9293 §3.8.6.3): what is left is the last of each.
    expect(counters()['pure-acks-out']! - before).toBeLessThanOrEqual(pairs)
    expect(armed).toBeLessThan(20)
  }

  it('an answer of the program in the same turn carries the acknowledgment, and no timer is moved for it', () => {
    pingPong(1, 1_000)
  })

  it('so do those of many programs that a burst is for', () => {
    pingPong(40, 100)
  })

  it('the name of a stream is that of its connection, whoever asks, whenever', () => {
    const { client, server, listener } = listenAndConnect()
    expect(listener.name).toBe(`tcp:[::]:${PORT}`)
    expect(client.name).toMatch(/^tcp:127\.0\.0\.1:\d+-127\.0\.0\.1:7000$/)
    expect(server.name).toBe(client.name.replace(/tcp:(.*)-(.*)/, 'tcp:$2-$1'))
    const name = client.name
    ;(client.bottom.state as Connection).abort()
    t.settle()
    expect(client.name).toBe(name)
  })
})

describe('inet/tcp/module: plumbing by hand', () => {
  it('the control stream comes first, IP below it, once', () => {
    const own = makeTestRuntime({ seed: 2 })
    own.runtime.registry.register(tcpDriver())
    const asConnection = (): Stream =>
      Stream.open(own.runtime, 'tcp', { options: { connect: { address: '127.0.0.1', port: 1 } } })
    expect(asConnection).toThrow(expect.objectContaining({ code: 'ERR_PLUMBING' }))
    const control = Stream.open(own.runtime, 'tcp')
    expect(asConnection).toThrow(expect.objectContaining({ code: 'ERR_NETWORK_UNREACHABLE' }))
    control.link(openFakeIp(own.runtime).stream)
    expect(() => control.link(openFakeIp(own.runtime).stream)).toThrow(
      expect.objectContaining({ code: 'ERR_BUSY' }),
    )
    const listener = Stream.open(own.runtime, 'tcp', { options: { listen: { port: 1 } } })
    expect(() => listener.link(openFakeIp(own.runtime).stream)).toThrow(
      expect.objectContaining({ code: 'ERR_PLUMBING' }),
    )
    own.finish()
  })

  it("a driver is one stack's", () => {
    const [one, two] = [makeTestRuntime(), makeTestRuntime()]
    const info = tcpDriver()
    Stream.open(one.runtime, info)
    expect(() => Stream.open(two.runtime, info)).toThrow(expect.objectContaining({ code: 'ERR_PLUMBING' }))
    one.finish()
    two.finish()
  })

  it('a link that answers at once, from within the sending, comes in when the segment in hand is done', () => {
    const link = new TestLink(t.runtime)
    stack.attachLink(link.stream, { name: 'l0', addresses: ['10.0.0.2/24'] })
    open({ listen: { port: PORT } })
    t.settle()
    const bring = (flags: number, seq: number, payload = ''): void => {
      const segment = new Uint8Array(20 + payload.length)
      emitTcp(segment, 0, 5_000, PORT, seq, 0, 20, flags, 1_000)
      segment.set(new TextEncoder().encode(payload), 20)
      const mp = chainOf(t.arena, ipv4Packet(segment, { protocol: 6 }), [], 64)
      mp.offload = OFFLOAD_CSUM_VALID
      link.bringMessage(mp)
    }
    let answers = 0
    link.onPacket = mp => {
      freemsg(mp)
      if (answers++ === 0) bring(RST, 1_001)
    }
    bring(SYN, 1_000, 'with data')
    t.settle()
    expect([answers, counters()['reset-accepted']]).toEqual([1, 1])
    stack.detachLink('l0')
    link.stream.close()
  })
})
