import { describe, expect, it } from 'vitest'
import { freemsg } from '../../streams/mblk/alloc.ts'
import { messageBytes } from '../../streams/mblk/message.ts'
import { UNSPECIFIED_V4, UNSPECIFIED_V6 } from '../address.ts'
import { abort, release } from './close.ts'
import { acceptNext, closeListener, type ListenRequest } from './listener.ts'
import { takeData } from './receive.ts'
import { CLOSED, ESTABLISHED } from './states.ts'
import { codeOf } from './testing/error-code.ts'
import { Peer } from './testing/peer.ts'
import { address, HERE, HERE6, makeTcpTest, type TcpTest } from './testing/tcp-test.ts'

const attempt = (t: TcpTest, request: Partial<ListenRequest>): string => codeOf(() => t.listen(request))

describe('inet/tcp/listener', () => {
  it('what a caller cannot have is an error with a code', () => {
    const t = makeTcpTest()
    expect(attempt(t, { port: -1 })).toBe('ERR_BAD_ARGUMENT')
    expect(attempt(t, { port: 65_536 })).toBe('ERR_BAD_ARGUMENT')
    expect(attempt(t, { port: 1.5 })).toBe('ERR_BAD_ARGUMENT')
    expect(attempt(t, { address: address('10.1.1.1') })).toBe('ERR_ADDR_NOT_AVAILABLE')
    expect(attempt(t, { address: address('224.0.0.1') })).toBe('ERR_BAD_ADDRESS')
    expect(attempt(t, { address: address('255.255.255.255') })).toBe('ERR_BAD_ADDRESS')
    expect(attempt(t, { address: HERE6, family: 4 })).toBe('ERR_BAD_ADDRESS')
    expect(attempt(t, { address: HERE, family: 6, ipv6Only: true })).toBe('ERR_BAD_ADDRESS')
    expect(t.tcp.listeners.size).toBe(0)
    t.finish()
  })

  it('one address and port has one listener, unless both share', () => {
    const t = makeTcpTest()
    expect(attempt(t, { address: HERE })).toBe('none')
    expect(attempt(t, { address: HERE })).toBe('ERR_ADDR_IN_USE')
    expect(attempt(t, {})).toBe('ERR_ADDR_IN_USE')
    expect(attempt(t, { address: HERE6 })).toBe('none')
    expect(attempt(t, { port: 81, reuseAddress: true })).toBe('none')
    expect(attempt(t, { port: 81, reuseAddress: true })).toBe('none')
    t.finish()
  })

  it.each([
    ['any', {}, true, true],
    ['any, IPv6 only', { ipv6Only: true }, false, true],
    ['0.0.0.0', { address: UNSPECIFIED_V4 }, true, false],
    ['::', { address: UNSPECIFIED_V6 }, true, true],
    ['an IPv4 address', { address: HERE }, true, false],
    ['an IPv6 address', { address: HERE6 }, false, true],
  ] as const)('RFC 3493 §3.7: %s', (_, request, v4, v6) => {
    const t = makeTcpTest()
    t.listen(request)
    for (const [family, taken] of [
      [4, v4],
      [6, v6],
    ] as const) {
      new Peer(t, { family }).syn()
      expect(t.takeOne().flags).toBe(taken ? 'SA' : 'RA')
    }
    t.finish()
  })

  it('port 0 is a free one; none is free when all are taken', () => {
    const t = makeTcpTest({ settings: { portFirst: 40_000, portLast: 40_002 } })
    const ports = [t.listen({ port: 0 }), t.listen({ port: 0 }), t.listen({ port: 0 })].map(l => l.port)
    expect(ports.sort()).toEqual([40_000, 40_001, 40_002])
    expect(attempt(t, { port: 0 })).toBe('ERR_ADDR_IN_USE')
    t.finish()
  })

  it('Linux: what is reset in line keeps its place and its data, is counted, and is accepted with its reason', () => {
    const t = makeTcpTest()
    const listener = t.listen({ backlog: 2 })
    const [first, second] = [new Peer(t), new Peer(t, { port: 5_001 })]
    for (const peer of [first, second]) {
      peer.halfOpen()
      peer.send('A')
      t.take()
    }
    first.data('abc')
    t.take()
    first.send('R')
    expect([listener.waiting, listener.hasRoom, t.counters['ended-unaccepted']]).toEqual([2, false, 1])
    const one = acceptNext(t.tcp, listener)!
    expect([one.state, listener.endOf(one)]).toEqual([CLOSED, 'reset'])
    const mp = takeData(t.tcp, one)!
    expect(messageBytes(mp)).toBe(3)
    freemsg(mp)
    release(t.tcp, one)
    const two = acceptNext(t.tcp, listener)!
    expect([two.state, listener.endOf(two), acceptNext(t.tcp, listener)]).toEqual([ESTABLISHED, null, null])
    abort(t.tcp, two)
    t.take()
    t.finish()
  })

  it('a listener that closes frees what those that ended in line had brought', () => {
    const t = makeTcpTest()
    const listener = t.listen({})
    const peer = new Peer(t)
    peer.halfOpen()
    peer.send('A')
    peer.data('abc')
    peer.send('R')
    t.take()
    closeListener(t.tcp, listener)
    t.finish()
  })

  it('the backlog is what was asked for, within bounds', () => {
    const t = makeTcpTest()
    const sizes = [undefined, 0, 5, 1e9].map(
      (backlog, i) => t.listen({ port: 1 + i, ...(backlog === undefined ? {} : { backlog }) }).backlog,
    )
    expect(sizes).toEqual([511, 1, 5, 4_096])
    t.finish()
  })
})
