/** Active and simultaneous opening (RFC 9293 §3.5, §3.10.1, §3.10.7.3). */
import { describe, expect, it } from 'vitest'
import { connect } from './open.ts'
import { stateName } from './states.ts'
import { F_ECN, F_SACK, F_TIMESTAMPS, F_WINDOW_SCALE } from './tcb.ts'
import { codeOf } from './testing/error-code.ts'
import { address, HERE, HERE6, makeTcpTest, PEER, PEER_PORT, PORT } from './testing/tcp-test.ts'

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

  it('SHLD-5, SHLD-6: every SYN says the size that the link takes at that moment', () => {
    for (const [family, mtu, mss] of [
      [4, 1_500, 1_460],
      [6, 1_500, 1_440],
      [4, 1_000, 960],
      [6, 1_280, 1_220],
    ] as const) {
      const t = makeTcpTest({ mtu: 9_000 })
      t.mtu = mtu
      expect(t.peer({ family }).connectFrom().mss).toBe(mss)
      t.listen()
      expect(t.peer({ family }).halfOpen().mss).toBe(mss)
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
    expect([t.counters['opens-failed'], t.counters['established-resets']]).toEqual([1, 0])
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
    const to = (text: string) => codeOf(() => connect(t.tcp, { remote: address(text), remotePort: 1 }))
    for (const group of ['224.1.2.3', '255.255.255.255', 'ff02::1'])
      expect(to(group)).toBe('ERR_NETWORK_UNREACHABLE')
    for (const nobody of ['0.0.0.0', '::']) expect(to(nobody)).toBe('ERR_BAD_ADDRESS')
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
