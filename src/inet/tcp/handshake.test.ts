/** Passive opening (RFC 9293 §3.5, §3.10.7.2; §3.10.7.4 for SYN-RECEIVED). */
import { describe, expect, it } from 'vitest'
import { UD_NOT_UNICAST } from '../unitdata.ts'
import { acceptNext } from './listener.ts'
import { connect } from './open.ts'
import { stateName } from './states.ts'
import { F_ECN, F_SACK, F_TIMESTAMPS, F_WINDOW_SCALE } from './tcb.ts'
import { codeOf } from './testing/error-code.ts'
import { established } from './testing/peer.ts'
import { address, HERE, HERE6, makeTcpTest, PEER } from './testing/tcp-test.ts'

const OPTIONS = { windowScale: 7, sack: true, timestamps: true }

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

  it('MUST-1: a window is an unsigned number, however large it is', () => {
    const t = makeTcpTest()
    const peer = t.peer({ windowScale: 14 })
    const listener = t.listen()
    peer.halfOpen()
    peer.send('A', { window: 65_535 })
    expect(acceptNext(t.tcp, listener)!.sndWnd).toBe(65_535 * 2 ** 14)
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
    // What overtook it is younger, and must not make it look old (PAWS).
    peer.send('PA', {
      seq: (peer.next + 5) | 0,
      data: 'world',
      timestamps: [(peer.tsNow + 5) | 0, peer.tsRecent],
    })
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
    expect([t.counters['syn-in'], t.counters['opens-failed']]).toEqual([1, 1])
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
    expect([t.counters['syn-in'], t.counters['opens-failed']]).toEqual([1, 1])
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

  it('as Linux: a connection that is reset while it waits keeps its place until it is accepted, in its turn', () => {
    const t = makeTcpTest()
    const listener = t.listen({ backlog: 2 })
    for (let round = 0; round < 40; round++) {
      const peer = t.peer({ port: 1_000 + round })
      peer.halfOpen()
      peer.send('A')
      if (round % 4 !== 0) peer.send('R')
      expect(listener.waiting).toBe(1)
      const tcb = acceptNext(t.tcp, listener)!
      expect(listener.endOf(tcb)).toBe(round % 4 !== 0 ? 'reset' : null)
    }
    expect([listener.waiting, acceptNext(t.tcp, listener)]).toEqual([0, null])
    expect(t.counters['ended-unaccepted']).toBe(30)
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
