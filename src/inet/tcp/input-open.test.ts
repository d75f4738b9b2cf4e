/** Openings, passive, active and simultaneous (RFC 9293 §3.5, §3.10.1, §3.10.7.2, §3.10.7.3). */
import { describe, expect, it } from 'vitest'
import { StackError } from '../../base/errors.ts'
import { LIMITED_BROADCAST } from '../address.ts'
import { UD_NOT_UNICAST } from '../unitdata.ts'
import { acceptNext } from './listener.ts'
import { connect } from './open.ts'
import { stateName } from './states.ts'
import { F_ECN, F_SACK, F_TIMESTAMPS, F_WINDOW_SCALE } from './tcb.ts'
import { established } from './testing/peer.ts'
import { address, HERE, HERE6, makeTcpTest, PEER, PEER_PORT, PORT } from './testing/tcp-test.ts'

const OPTIONS = { windowScale: 7, sack: true, timestamps: true }

function codeOf(fn: () => unknown): string {
  try {
    fn()
  } catch (error) {
    if (error instanceof StackError) return error.code
    throw error
  }
  return 'none'
}

describe('inet/tcp: passive opening', () => {
  it('RFC 9293 §3.5 figure 6: SYN, SYN-ACK, ACK; then it can be accepted', () => {
    const t = makeTcpTest()
    const listener = t.listen()
    const peer = t.peer()
    const synAck = peer.halfOpen()
    expect([synAck.ack, synAck.mss, synAck.windowScale, synAck.sackPermitted, synAck.timestamps]).toEqual([
      peer.iss + 1,
      1_460,
      null,
      false,
      null,
    ])
    expect([t.tcp.halfOpen.size, t.tcp.connections.size, listener.waiting]).toEqual([1, 0, 0])
    peer.send('A')
    expect([t.tcp.halfOpen.size, t.tcp.connections.size, listener.waiting]).toEqual([0, 1, 1])
    expect(t.take()).toEqual([])
    expect(t.events).toEqual(['acceptable'])
    const tcb = acceptNext(t.tcp, listener)!
    expect([stateName(tcb.state), tcb.sndWnd, tcb.peerMss]).toEqual(['ESTABLISHED', 65_535, 1_460])
    expect(acceptNext(t.tcp, listener)).toBeNull()
    t.finish()
  })

  it('RFC 7323 §2.2, §3.2, RFC 2018 §2: options hold if both SYNs have them', () => {
    const t = makeTcpTest()
    const peer = t.peer(OPTIONS)
    const listener = t.listen()
    const synAck = peer.halfOpen()
    expect([synAck.sackPermitted, synAck.windowScale]).toEqual([true, 8])
    expect(synAck.timestamps![1]).toBe(peer.tsNow)
    peer.send('A', { window: 500 })
    const tcb = acceptNext(t.tcp, listener)!
    expect(tcb.flags & (F_SACK | F_TIMESTAMPS | F_WINDOW_SCALE)).toBe(F_SACK | F_TIMESTAMPS | F_WINDOW_SCALE)
    expect([tcb.sndScale, tcb.rcvScale, tcb.sndWnd]).toEqual([7, 8, 500 << 7])
    t.finish()
  })

  it('what the stack has turned off is not agreed on', () => {
    const t = makeTcpTest({ settings: { timestamps: 0, sack: 0, windowScaling: 0, ecn: 0 } })
    const peer = t.peer(OPTIONS)
    const listener = t.listen()
    const synAck = peer.halfOpen()
    expect([synAck.sackPermitted, synAck.windowScale, synAck.timestamps]).toEqual([false, null, null])
    peer.send('A')
    expect(acceptNext(t.tcp, listener)!.flags & (F_SACK | F_TIMESTAMPS | F_WINDOW_SCALE | F_ECN)).toBe(0)
    t.finish()
  })

  it('RFC 3168 §6.1.1: an ECN-setup SYN is answered by ECE alone', () => {
    const t = makeTcpTest()
    const peer = t.peer()
    const listener = t.listen()
    peer.send('SEC', { mss: 1_460 })
    expect(t.take()[0]!.flags).toBe('SAE')
    t.finish()
    expect(listener.closed).toBe(true)
  })

  it('checklist 3.5-53: data and FIN on the ACK that completes the handshake', () => {
    const t = makeTcpTest()
    const listener = t.listen()
    const peer = t.peer()
    peer.halfOpen()
    peer.send('FA', { data: 'all at once' })
    const tcb = acceptNext(t.tcp, listener)!
    expect([stateName(tcb.state), t.readText(tcb), t.atEof(tcb)]).toEqual(['CLOSE-WAIT', 'all at once', true])
    expect(t.takeOne().ack).toBe(peer.next)
    t.finish()
  })

  it('checklist 3.5-53: data on a SYN is left for the peer to send again', () => {
    const t = makeTcpTest()
    t.listen()
    const peer = t.peer()
    peer.send('S', { seq: peer.iss, data: 'early' })
    expect(t.takeOne().ack).toBe(peer.iss + 1)
    t.finish()
  })

  it('the final ACK was lost, the data comes: that completes it too', () => {
    const t = makeTcpTest()
    const listener = t.listen()
    const peer = t.peer(OPTIONS)
    peer.halfOpen()
    peer.send('PA', { seq: (peer.next + 5) | 0, data: 'world' })
    peer.send('PA', { data: 'hello' })
    const tcb = acceptNext(t.tcp, listener)!
    expect(t.readText(tcb)).toBe('helloworld')
    t.finish()
  })

  it('checklist 3.5-50: SYN-ACKs are sent again with doubled waiting, five times, then the record goes', () => {
    const t = makeTcpTest()
    t.listen()
    const peer = t.peer()
    peer.halfOpen()
    const begin = t.nowMs
    t.advance(120_000)
    expect(t.take().map(s => [s.flags, s.atMs - begin])).toEqual([
      ['SA', 1_000],
      ['SA', 3_000],
      ['SA', 7_000],
      ['SA', 15_000],
      ['SA', 31_000],
    ])
    expect([t.tcp.halfOpen.size, t.counters['half-open-expired']]).toEqual([0, 1])
    t.finish()
  })

  it('a SYN that comes again gets the same answer again, a few times a second', () => {
    const t = makeTcpTest()
    t.listen()
    const peer = t.peer()
    const first = peer.halfOpen()
    for (let i = 0; i < 50; i++) peer.send('S', { seq: peer.iss, mss: 1_460 })
    const again = t.take()
    expect(again.length).toBeGreaterThan(0)
    expect(again.length).toBeLessThanOrEqual(10)
    for (const s of again) expect([s.flags, s.seq, s.ack]).toEqual(['SA', first.seq, first.ack])
    t.finish()
  })

  it('MUST-11: a reset in SYN-RECEIVED of a passive opening goes back to LISTEN, and nobody hears of it', () => {
    const t = makeTcpTest()
    const listener = t.listen()
    const peer = t.peer()
    peer.halfOpen()
    peer.send('R')
    expect([t.tcp.halfOpen.size, t.events, t.take()]).toEqual([0, [], []])
    const again = t.peer({ port: 4_000 })
    again.open(listener)
    t.finish()
  })

  it('RFC 9293 §3.10.7.4, RFC 5961: in SYN-RECEIVED, by sequence number and by ACK', () => {
    const t = makeTcpTest()
    t.listen()
    const peer = t.peer()
    peer.halfOpen()
    const before = { ...t.counters }
    peer.send('R', { seq: (peer.next + 1) | 0 })
    expect(t.takeOne().flags).toBe('A')
    expect(t.counters['reset-challenged'] - before['reset-challenged']).toBe(1)
    peer.send('R', { seq: (peer.next + 100_000) | 0 })
    expect(t.take()).toEqual([])
    expect(t.counters['reset-out-of-window']).toBe(1)
    peer.send('A', { seq: (peer.next + 100_000) | 0 })
    expect(t.takeOne().flags).toBe('A')
    expect(t.counters['out-of-window']).toBe(1)
    peer.send('A', { ack: (peer.ack + 1) | 0 })
    const reset = t.takeOne()
    expect([reset.flags, reset.seq]).toEqual(['R', peer.ack + 1])
    peer.send('', {})
    expect(t.take()).toEqual([])
    expect(t.tcp.halfOpen.size).toBe(1)
    peer.send('S', { seq: (peer.next + 5) | 0 })
    expect(t.tcp.halfOpen.size).toBe(0)
    t.finish()
  })

  it('MUST-41: a passive opening leaves every connection as it is', () => {
    const t = makeTcpTest()
    const peer = established(t)
    t.listen({ port: 81 })
    peer.data('same')
    expect(t.readText(peer.tcb)).toBe('same')
    t.finish()
  })

  it('MUST-42: many connections to one port, in SYN-SENT and SYN-RECEIVED too, do not disturb the listener', () => {
    const t = makeTcpTest()
    const listener = t.listen()
    const peers = [1, 2, 3, 4].map(port => t.peer({ port }))
    peers[0]!.halfOpen()
    peers[1]!.halfOpen()
    t.peer({ port: 9_000 }).connectFrom()
    peers[2]!.open(listener)
    peers[3]!.open(listener)
    peers[0]!.open
    peers[1]!.send('A')
    expect(listener.waiting).toBe(1)
    t.finish()
  })

  it('MUST-57, MUST-63, checklist 3.5-39: SYNs from or to an address of many are dropped without a word', () => {
    const t = makeTcpTest()
    t.listen()
    const peer = t.peer()
    peer.send('S', { seq: 1 }, { flags: UD_NOT_UNICAST })
    for (const text of ['224.0.0.1', '255.255.255.255', '0.0.0.0'])
      peer.send('S', { seq: 1 }, { from: address(text), to: HERE })
    peer.send('S', { seq: 1 }, { from: address('ff02::1'), to: HERE6 })
    expect(t.take()).toEqual([])
    expect(t.counters['not-unicast']).toBe(5)
    expect(t.tcp.halfOpen.size).toBe(0)
    t.finish()
  })

  it('RFC 9293 §3.10.7.2: in LISTEN a reset is ignored, an ACK reset, SYN and FIN together or nothing dropped', () => {
    const t = makeTcpTest()
    t.listen()
    const peer = t.peer()
    peer.send('R', { seq: 1 })
    expect(t.take()).toEqual([])
    for (const flags of ['A', 'SA', 'FA', 'PA', 'FPAU']) {
      peer.send(flags, { seq: 1, ack: 77 })
      const reset = t.takeOne()
      expect([reset.flags, reset.seq, reset.ack]).toEqual(['R', 77, 0])
    }
    for (const flags of ['', 'F', 'SF', 'FPU', 'SFPU', 'P', 'U']) peer.send(flags, { seq: 1 })
    expect(t.take()).toEqual([])
    expect(t.counters['flags-invalid']).toBe(7)
    t.finish()
  })

  it('checklist 3.5-55: with a full accept queue nothing is answered, and the final ACK waits for the next SYN-ACK', () => {
    const t = makeTcpTest()
    const listener = t.listen({ backlog: 1 })
    const peers = [1, 2, 3].map(port => t.peer({ port }))
    peers[0]!.halfOpen()
    peers[1]!.halfOpen()
    peers[0]!.send('A')
    peers[1]!.send('A')
    peers[2]!.syn()
    expect(t.take()).toEqual([])
    expect([t.counters['accept-queue-full'], listener.overflowed, listener.waiting]).toEqual([2, 2, 1])
    acceptNext(t.tcp, listener)
    t.advance(1_000)
    expect(t.takeOne().flags).toBe('SA')
    peers[1]!.send('A')
    expect(listener.waiting).toBe(1)
    t.finish()
  })

  it('a connection that is reset while it waits is not accepted, and makes room', () => {
    const t = makeTcpTest()
    const listener = t.listen({ backlog: 2 })
    for (let round = 0; round < 40; round++) {
      const peer = t.peer({ port: 1_000 + round })
      peer.halfOpen()
      peer.send('A')
      if (round % 4 !== 0) peer.send('R')
      else expect(acceptNext(t.tcp, listener)).not.toBeNull()
    }
    expect([listener.waiting, acceptNext(t.tcp, listener)]).toEqual([0, null])
    expect(t.events.filter(e => e.startsWith('closed'))).toEqual([])
    t.finish()
  })

  it('a limit of connections holds', () => {
    const t = makeTcpTest({ settings: { connectionsMax: 1 } })
    const listener = t.listen()
    t.peer().open(listener)
    t.peer({ port: 1 }).syn()
    expect(t.take()).toEqual([])
    expect(t.counters['connections-full']).toBe(1)
    expect(codeOf(() => connect(t.tcp, { remote: PEER, remotePort: 1 }))).toBe('ERR_NO_BUFFERS')
    t.finish()
  })

  it('a listener that closes takes with it what nobody accepted', () => {
    const t = makeTcpTest()
    const listener = t.listen()
    const [waiting, half] = [t.peer({ port: 1 }), t.peer({ port: 2 })]
    waiting.halfOpen()
    waiting.send('A')
    half.halfOpen()
    t.finish()
    expect(listener.closed).toBe(true)
    expect([t.tcp.halfOpen.size, t.tcp.connections.size, t.tcp.listeners.size]).toEqual([0, 0, 0])
  })
})

describe('inet/tcp: active opening', () => {
  it('RFC 9293 §3.5 figure 6: our SYN has all options; the answer settles them', () => {
    const t = makeTcpTest()
    const peer = t.peer({ windowScale: 3, sack: true, timestamps: true })
    const syn = peer.connectFrom()
    expect([syn.flags, syn.mss, syn.sackPermitted, syn.windowScale, syn.window]).toEqual([
      'S',
      1_460,
      true,
      8,
      65_535,
    ])
    expect(syn.timestamps![1]).toBe(0)
    t.advance(5)
    peer.send('SA', { mss: 1_200, windowScale: 3, sackPermitted: true, window: 1_000 })
    const ack = t.takeOne()
    expect([ack.flags, ack.seq, ack.ack]).toEqual(['A', peer.ack, peer.next])
    const { tcb } = peer
    expect(t.events).toEqual(['connected'])
    // RFC 7323 §2.2: the window of a SYN is not scaled.
    expect([stateName(tcb.state), tcb.sndWnd, tcb.peerMss, tcb.sndScale]).toEqual([
      'ESTABLISHED',
      1_000,
      1_200,
      3,
    ])
    t.finish()
  })

  it('MUST-15: without the option the peer takes 536 bytes, over IPv6 1220', () => {
    for (const [family, mss] of [
      [4, 536],
      [6, 1_220],
    ] as const) {
      const t = makeTcpTest()
      const peer = t.peer({ family })
      peer.connectFrom()
      peer.send('SA')
      expect(peer.tcb.peerMss).toBe(mss)
      t.finish()
    }
  })

  it('an answer without the options turns them off', () => {
    const t = makeTcpTest({ settings: { ecn: 2 } })
    const peer = t.peer()
    expect(peer.connectFrom().flags).toBe('SEC')
    peer.send('SA')
    expect(peer.tcb.flags & (F_SACK | F_TIMESTAMPS | F_WINDOW_SCALE | F_ECN)).toBe(0)
    expect(peer.tcb.scales).toBe(0)
    t.finish()
  })

  it('data on the SYN-ACK is taken', () => {
    const t = makeTcpTest()
    const peer = t.peer()
    peer.connectFrom()
    peer.send('SA', { data: 'banner' })
    peer.next = peer.next | 0
    expect(t.readText(peer.tcb)).toBe('banner')
    expect(t.takeOne().ack).toBe(peer.next)
    t.finish()
  })

  it('RFC 9293 §3.10.7.3: an ACK of what was never sent is reset, and the SYN stands', () => {
    const t = makeTcpTest()
    const peer = t.peer()
    peer.connectFrom()
    for (const flags of ['A', 'SA']) {
      peer.send(flags, { seq: 5, ack: (peer.ack + 1) | 0 })
      const reset = t.takeOne()
      expect([reset.flags, reset.seq]).toEqual(['R', peer.ack + 1])
    }
    peer.send('RA', { seq: 5, ack: (peer.ack + 1) | 0 })
    expect(t.take()).toEqual([])
    expect(stateName(peer.tcb.state)).toBe('SYN-SENT')
    t.finish()
  })

  it('RFC 9293 §3.10.7.3: a reset counts with a right ACK only', () => {
    const t = makeTcpTest()
    const peer = t.peer()
    peer.connectFrom()
    peer.send('R', { seq: 5 })
    expect(t.events).toEqual([])
    peer.send('RA', { seq: 0 })
    expect(t.events).toEqual(['closed refused'])
    expect(t.take()).toEqual([])
    t.finish()
  })

  it('RFC 9293 §3.10.7.3: neither SYN nor RST: dropped, FIN as well', () => {
    const t = makeTcpTest()
    const peer = t.peer()
    peer.connectFrom()
    peer.send('A', { seq: 5 })
    peer.send('FA', { seq: 5, data: 'x' })
    expect([t.take(), stateName(peer.tcb.state)]).toEqual([[], 'SYN-SENT'])
    t.finish()
  })

  it('MUST-23: a SYN is given up after three minutes at the earliest', () => {
    const t = makeTcpTest({ settings: { synRetries: 8 } })
    const peer = t.peer()
    peer.connectFrom()
    t.advance(180_000)
    expect(stateName(peer.tcb.state)).toBe('SYN-SENT')
    t.finish()
  })

  it('MUST-43: a program chooses its own address; MUST-44: else IP is asked; MUST-45: it stays the same', () => {
    const second = address('10.0.0.3')
    const t = makeTcpTest({ local: [HERE, second] })
    t.hold(connect(t.tcp, { remote: PEER, remotePort: 7, local: second }))
    t.hold(connect(t.tcp, { remote: PEER, remotePort: 8 }))
    t.advance(1_000)
    const sent = t.take()
    expect(sent.length).toBe(4)
    for (const s of sent) expect(s.from).toEqual(s.toPort === 7 ? second : HERE)
    t.finish()
  })

  it('MUST-46: no opening to broadcast, multicast or nobody', () => {
    const t = makeTcpTest()
    for (const remote of [
      address('224.1.2.3'),
      address('255.255.255.255'),
      address('0.0.0.0'),
      address('::'),
      address('ff02::1'),
    ])
      expect(codeOf(() => connect(t.tcp, { remote, remotePort: 1 }))).toBe('ERR_BAD_ADDRESS')
    expect(LIMITED_BROADCAST).toBe(-1)
    expect(t.take()).toEqual([])
    t.finish()
  })

  it('what a caller cannot have is an error with a code', () => {
    const t = makeTcpTest()
    const to = (fields: object) =>
      codeOf(() => t.hold(connect(t.tcp, { remote: PEER, remotePort: 7, ...fields })))
    expect(to({ remotePort: 0 })).toBe('ERR_BAD_ARGUMENT')
    expect(to({ remotePort: 70_000 })).toBe('ERR_BAD_ARGUMENT')
    expect(to({ localPort: -1 })).toBe('ERR_BAD_ARGUMENT')
    expect(to({ local: address('10.9.9.9') })).toBe('ERR_ADDR_NOT_AVAILABLE')
    expect(to({ local: HERE6 })).toBe('ERR_BAD_ADDRESS')
    expect(to({ remote: HERE, localPort: 7 })).toBe('ERR_ADDR_IN_USE')
    expect(to({ localPort: 5_000 })).toBe('none')
    expect(to({ localPort: 5_000 })).toBe('ERR_ADDR_IN_USE')
    t.routeExists = false
    expect(to({})).toBe('ERR_NETWORK_UNREACHABLE')
    expect(t.tcp.connections.size).toBe(1)
    t.finish()
  })

  it('checklist 3.5-35: the ports of successive openings are spread', () => {
    const t = makeTcpTest()
    const ports = Array.from(
      { length: 50 },
      (_, i) => connect(t.tcp, { remote: PEER, remotePort: 1 + i }).localPort,
    )
    expect(new Set(ports).size).toBeGreaterThan(45)
    expect(ports.filter((port, i) => port === ports[i - 1]! + 1).length).toBeLessThan(3)
    for (const port of ports) expect(port >= 32_768 && port <= 60_999).toBe(true)
    t.finish()
  })

  it('MUST-8, MUST-9: numbers grow with the clock for one tuple, and tell nothing about another', () => {
    const t = makeTcpTest()
    const isn = (remotePort: number): number => {
      const tcb = connect(t.tcp, { remote: PEER, remotePort, localPort: 4_000 })
      const { sndUna } = tcb
      t.hold(tcb)
      return sndUna
    }
    const [one, two] = [isn(1), isn(2)]
    expect(Math.abs((one - two) | 0)).toBeGreaterThan(1_000)
    t.finish()
    const same = makeTcpTest()
    const other = makeTcpTest({ startUs: 1_004_000 })
    const first = connect(same.tcp, { remote: PEER, remotePort: 1, localPort: 4_000 })
    const later = connect(other.tcp, { remote: PEER, remotePort: 1, localPort: 4_000 })
    expect((later.sndUna - first.sndUna) | 0).toBe(1_000)
    same.finish()
    other.finish()
  })
})

describe('inet/tcp: simultaneous opening', () => {
  it('MUST-10, RFC 9293 §3.5 figure 7: the SYNs cross, the SYN-ACKs cross', () => {
    const t = makeTcpTest()
    const peer = t.peer({ windowScale: 7, sack: true, timestamps: true })
    const syn = peer.connectFrom()
    peer.syn()
    const synAck = t.takeOne()
    expect([synAck.flags, synAck.seq, synAck.ack]).toEqual(['SA', syn.seq, peer.iss + 1])
    expect(stateName(peer.tcb.state)).toBe('SYN-RECEIVED')
    peer.send('SA', { seq: peer.iss, mss: 1_460, window: 9_000 })
    expect([stateName(peer.tcb.state), peer.tcb.sndWnd]).toEqual(['ESTABLISHED', 9_000])
    expect(t.events).toEqual(['connected'])
    peer.data('hi')
    expect(t.readText(peer.tcb)).toBe('hi')
    t.finish()
  })

  it('MUST-10: a plain ACK completes it as well, with data on it', () => {
    const t = makeTcpTest()
    const peer = t.peer()
    peer.connectFrom()
    peer.syn()
    peer.data('hi')
    expect(t.readText(peer.tcb)).toBe('hi')
    expect(t.events).toEqual(['connected', 'readable'])
    t.finish()
  })

  it('MUST-11: a reset in SYN-RECEIVED of an active opening is a refusal that the user hears of', () => {
    const t = makeTcpTest()
    const peer = t.peer()
    peer.connectFrom()
    peer.syn()
    t.take()
    peer.send('R')
    expect(t.events).toEqual(['closed refused'])
    t.finish()
  })

  it('RFC 9293 §3.10.7.4: a wrong ACK in SYN-RECEIVED is reset, and the opening stands', () => {
    const t = makeTcpTest()
    const peer = t.peer()
    peer.connectFrom()
    peer.syn()
    t.take()
    peer.send('A', { ack: (peer.ack + 9) | 0 })
    const reset = t.takeOne()
    expect([reset.flags, reset.seq]).toEqual(['R', peer.ack + 9])
    expect(stateName(peer.tcb.state)).toBe('SYN-RECEIVED')
    t.finish()
  })

  it('checklist 3.5-37 (LAND): from us to us by one port is dropped', () => {
    const t = makeTcpTest()
    t.listen()
    t.inject({ flags: 'S', seq: 1 }, [PORT, PORT], { from: HERE, to: HERE })
    expect([t.take(), t.counters.land]).toEqual([[], 1])
    t.inject({ flags: 'S', seq: 1 }, [PEER_PORT, PORT], { from: HERE, to: HERE })
    expect(t.takeOne().flags).toBe('SA')
    t.finish()
  })
})
