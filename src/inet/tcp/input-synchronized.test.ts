/** RFC 9293 §3.10.7.4 in synchronized states, with RFC 5961 and RFC 7323. */
import { describe, expect, it } from 'vitest'
import { CLOSED, stateName } from './states.ts'
import { established, type OpenState, Peer } from './testing/peer.ts'
import { brief, makeTcpTest, type TcpTest } from './testing/tcp-test.ts'

const OPEN: readonly OpenState[] = [
  'ESTABLISHED',
  'FIN-WAIT-1',
  'FIN-WAIT-2',
  'CLOSE-WAIT',
  'CLOSING',
  'LAST-ACK',
]

/** A connection in a state, nothing sent yet to be looked at. */
function inState(
  state: OpenState,
  options: ConstructorParameters<typeof Peer>[1] = {},
): { t: TcpTest; peer: Peer } {
  const t = makeTcpTest()
  const peer = established(t, options)
  peer.to(state)
  t.events.length = 0
  return { t, peer }
}

describe.each(OPEN)('inet/tcp in %s', state => {
  it('checklist 3.5-30, RFC 5961 §3: a reset at exactly RCV.NXT ends it', () => {
    const { t, peer } = inState(state)
    const both = state === 'CLOSING' || state === 'LAST-ACK'
    peer.send('R')
    expect(t.events).toEqual([both ? 'closed done' : 'closed reset'])
    expect(t.take()).toEqual([])
    expect([peer.tcb.state, t.tcp.connections.size]).toEqual([CLOSED, 0])
    t.finish()
  })

  it('SHLD-2: a reset with data ends it as well; nobody reads the data', () => {
    const { t, peer } = inState(state)
    peer.send('R', { data: 'because' })
    expect([t.events.length, peer.tcb.state, t.readText(peer.tcb)]).toEqual([1, CLOSED, ''])
    t.finish()
  })

  it('checklist 3.5-30, RFC 5961 §3: a reset elsewhere in the window is challenged', () => {
    const { t, peer } = inState(state)
    for (const ahead of [1, 1_000, 60_000]) {
      peer.send('R', { seq: (peer.next + ahead) | 0 })
      const ack = t.takeOne()
      expect([ack.flags, ack.ack]).toEqual(['A', peer.next])
    }
    expect([stateName(peer.tcb.state), t.counters['reset-challenged']]).toEqual([state, 3])
    t.finish()
  })

  it('checklist 3.5-30: a reset outside of the window is dropped silently', () => {
    const { t, peer } = inState(state)
    for (const ahead of [-1, -70_000, 1_000_000, 0x7fffffff, -0x80000000])
      peer.send('R', { seq: (peer.next + ahead) | 0 })
    expect([t.take(), stateName(peer.tcb.state), t.counters['reset-out-of-window']]).toEqual([[], state, 5])
    t.finish()
  })

  it('checklist 3.5-31, RFC 5961 §4: a SYN is challenged whatever its number', () => {
    const { t, peer } = inState(state)
    let answered = 0
    for (const [flags, ahead] of [
      ['S', 0],
      ['SA', 0],
      ['S', 100],
      ['S', -5_000_000],
      ['SFPA', 1],
    ] as const) {
      peer.send(flags, { seq: (peer.next + ahead) | 0 })
      const all = t.take()
      answered += all.length
      for (const s of all) expect([s.flags, s.ack]).toEqual(['A', peer.next])
    }
    expect(answered).toBe(5)
    expect([stateName(peer.tcb.state), t.counters['syn-challenged'], t.events]).toEqual([state, 5, []])
    t.finish()
  })

  it('checklist 3.5-32, RFC 5961 §5: an ACK of the future or the far past is discarded with its data, and acknowledged', () => {
    const { t, peer } = inState(state)
    for (const off of [1, 100_000, 0x7fffffff, -200_000]) {
      peer.send('PA', { seq: peer.next, ack: (peer.ack + off) | 0, data: 'forged' })
      expect(t.takeOne().ack).toBe(peer.next)
    }
    expect(stateName(peer.tcb.state)).toBe(state)
    expect([t.readText(peer.tcb), peer.tcb.rcvNxt]).toEqual(['', peer.next])
    t.finish()
  })

  it('RFC 9293 §3.10.7.4, fifth: without ACK it is dropped', () => {
    const { t, peer } = inState(state)
    for (const flags of ['', 'P', 'F', 'U', 'FPU']) peer.send(flags, { seq: peer.next, data: 'x' })
    expect([t.take(), stateName(peer.tcb.state), t.counters['flags-invalid']]).toEqual([[], state, 5])
    t.finish()
  })

  it('RFC 9293 §3.10.7.4, first: what lies outside of the window is acknowledged and dropped', () => {
    const { t, peer } = inState(state)
    for (const ahead of [-1_000, 70_000, 5_000_000]) {
      peer.send('A', { seq: (peer.next + ahead) | 0, data: 'old' })
      const ack = t.takeOne()
      expect([ack.flags, ack.seq, ack.ack]).toEqual(['A', peer.ack, peer.next])
    }
    expect(t.counters['out-of-window']).toBe(3)
    t.finish()
  })

  it('checklist 3.5-40, RFC 7323 §5.3: an older timestamp is acknowledged and dropped, a reset is not subject to it', () => {
    const { t, peer } = inState(state, { timestamps: true })
    peer.send('PA', { seq: peer.next, data: 'old', timestamps: [(peer.tsNow - 1_000) | 0, peer.tsRecent] })
    expect(t.takeOne().flags).toBe('A')
    expect([t.readText(peer.tcb), t.counters['paws-rejected']]).toEqual(['', 1])
    peer.send('R', { timestamps: [(peer.tsNow - 1_000) | 0, 0] })
    expect(peer.tcb.state).toBe(CLOSED)
    t.finish()
  })
})

describe('inet/tcp in synchronized states', () => {
  it('RFC 7323 §5.3, RFC 2883 §4: an original that comes after its retransmission is dropped, and reported as a duplicate', () => {
    const t = makeTcpTest()
    const peer = established(t, { timestamps: true, sack: true })
    const base = peer.next
    const sentAt = [peer.tsNow, peer.tsRecent] as const
    peer.send('PA', { seq: (base + 5) | 0, data: 'world' })
    t.advance(300)
    t.take()
    // The retransmission overtakes two originals: the one it repeats, and one behind it, which has to be sent again.
    peer.send('PA', { seq: base, data: 'hello' })
    t.take()
    peer.send('PA', { seq: base, data: 'hello', timestamps: sentAt })
    const [answer] = t.take()
    expect([answer!.ack, answer!.sack]).toEqual([base + 10, [[base, base + 5]]])
    expect(t.counters['dsack-out']).toBe(1)
    peer.send('PA', { seq: (base + 10) | 0, data: ', late', timestamps: sentAt })
    expect([t.take().at(-1)!.ack, t.counters['paws-rejected']]).toEqual([base + 10, 2])
    peer.send('PA', { seq: (base + 10) | 0, data: ', again' })
    expect(t.readText(peer.tcb)).toBe('helloworld, again')
    t.finish()
  })

  it('checklist 3.5-40, RFC 7323 §5.5: after 24 days of silence an older timestamp is taken', () => {
    const t = makeTcpTest()
    const peer = established(t, { timestamps: true })
    const before = peer.tsNow
    for (const days of [23, 24, 25]) {
      t.setNow(1_000_000 + (days * 86_400 + 10) * 1e6)
      peer.send('PA', { seq: peer.next, data: 'x', timestamps: [(before - 5) | 0, 0] })
      if (days === 23) expect(t.counters['paws-rejected']).toBe(1)
    }
    expect([t.counters['paws-rejected'], t.readText(peer.tcb)]).toEqual([1, 'x'])
    t.finish()
  })

  it('RFC 7323 §5.3: a pure ACK that another overtook is not answered, one much older is', () => {
    const t = makeTcpTest()
    const peer = established(t, { timestamps: true })
    t.advance(5_000)
    peer.send('A')
    peer.send('A', { timestamps: [(peer.tsNow - 50) | 0, 0] })
    expect([t.take(), t.counters['paws-rejected'], peer.tcb.tsRecent]).toEqual([[], 0, peer.tsNow])
    peer.send('A', { timestamps: [(peer.tsNow - 4_000) | 0, 0] })
    expect([t.take().length, t.counters['paws-rejected']]).toEqual([1, 1])
    t.finish()
  })

  it('RFC 7323 §4.3: the timestamp echoed is that of the segment where the last acknowledgment stood', () => {
    const t = makeTcpTest()
    const peer = established(t, { timestamps: true })
    peer.send('PA', { data: 'a', timestamps: [(peer.tsNow + 10) | 0, 0] }, {}, false)
    peer.send('PA', { data: 'b', timestamps: [(peer.tsNow + 20) | 0, 0] }, {}, false)
    t.flush()
    // A delayed or joint acknowledgment echoes the first segment's, so that the delay is measured too.
    expect(t.takeOne().timestamps![1]).toBe(peer.tsNow + 10)
    peer.send('PA', { seq: (peer.next + 10) | 0, data: 'hole', timestamps: [(peer.tsNow + 30) | 0, 0] })
    expect(t.takeOne().timestamps![1]).toBe(peer.tsNow + 10)
    t.finish()
  })

  it('RFC 7323 §3.2: a segment without the timestamps that were agreed on is dropped', () => {
    const t = makeTcpTest()
    const peer = established(t, { timestamps: true })
    peer.send('PA', { seq: peer.next, data: 'x', options: [] })
    expect([t.take(), t.readText(peer.tcb), t.counters['timestamp-missing']]).toEqual([[], '', 1])
    t.finish()
  })

  it('checklist 3.5-33, 49, RFC 5961 §7: challenge ACKs are counted per connection, and not to a fixed number', () => {
    const t = makeTcpTest()
    const listener = t.listen()
    const peers = Array.from({ length: 8 }, (_, i) => {
      const peer = new Peer(t, { port: 1_000 + i })
      peer.open(listener)
      return peer
    })
    const shares = peers.map(peer => {
      for (let i = 0; i < 100; i++) peer.send('S', { seq: peer.next })
      return t.take().length
    })
    for (const share of shares) expect(share >= 5 && share <= 10).toBe(true)
    expect(new Set(shares).size).toBeGreaterThan(1)
    t.advance(1_000)
    peers[0]!.send('S', { seq: peers[0]!.next })
    expect(t.take().length).toBe(1)
    t.finish()
  })

  it('checklist 3.5-49: pure ACKs outside of the window do not make a storm', () => {
    const t = makeTcpTest()
    const peer = established(t)
    for (let i = 0; i < 1_000; i++) peer.send('A', { seq: (peer.next - 50_000) | 0 })
    expect(t.take().length).toBeLessThanOrEqual(10)
    t.finish()
  })

  it('a keep-alive probe, one before the window and empty, is answered', () => {
    const t = makeTcpTest()
    const peer = established(t)
    peer.send('A', { seq: (peer.next - 1) | 0 })
    expect(brief(t.takeOne())).toBe(`A seq ${peer.ack} ack ${peer.next} win 65535 len 0`)
    t.finish()
  })

  it('an acknowledgment that data overtook is no old duplicate', () => {
    const t = makeTcpTest()
    const peer = established(t)
    const before = peer.next
    t.write(peer.tcb, 'abc')
    peer.hear()
    peer.data('x', {}, false)
    peer.send('A', { seq: before }, {}, false)
    t.flush()
    expect([t.counters['out-of-window'], peer.tcb.sndUna]).toEqual([0, peer.ack])
    t.finish()
  })

  it('MUST-66: with a window of zero, ACK, RST and URG are processed all the same', () => {
    const fill = (): { t: TcpTest; peer: Peer } => {
      const t = makeTcpTest({ connection: { receiveBytes: 2_000 } })
      const peer = established(t)
      peer.data(new Uint8Array(2_000))
      peer.hear()
      return { t, peer }
    }
    const acked = fill()
    acked.t.write(acked.peer.tcb, 'abc')
    acked.peer.hear()
    acked.peer.send('A')
    expect(acked.peer.tcb.sndUna).toBe(acked.peer.ack)
    acked.t.finish()
    const probed = fill()
    probed.t.write(probed.peer.tcb, 'abc')
    probed.peer.hear()
    probed.peer.send('PA', { seq: probed.peer.next, data: 'p' })
    const answer = probed.t.takeOne()
    expect([answer.flags, answer.ack, answer.window]).toEqual(['A', probed.peer.next, 0])
    expect(probed.peer.tcb.sndUna).toBe(probed.peer.ack)
    probed.t.finish()
    const urgent = fill()
    urgent.peer.send('PAU', { seq: urgent.peer.next, data: 'u', urgent: 1 })
    expect(urgent.t.events).toContain('urgent')
    urgent.t.finish()
    const reset = fill()
    reset.peer.send('R')
    expect(reset.t.events).toContain('closed reset')
    reset.t.finish()
  })

  it('checklist 3.5-38: every combination of control bits, in every state, is survived', () => {
    for (const state of OPEN) {
      for (let bits = 0; bits < 256; bits++) {
        const { t, peer } = inState(state)
        const flags = [...'FSRPAUEC'].filter((_, bit) => ((bits >> bit) & 1) !== 0).join('')
        for (const urgent of [0, 1, 65_535]) {
          peer.send(flags, { seq: peer.next, urgent, data: 'ab' })
          peer.send(flags, { seq: (peer.next - 1) | 0, urgent })
        }
        t.finish()
      }
    }
  })

  it('RFC 3168 §6.1.3: Congestion Experienced is echoed until the sender says that it heard', () => {
    const t = makeTcpTest()
    const listener = t.listen()
    const peer = new Peer(t)
    peer.send('SEC', { mss: 1_460 })
    peer.irs = t.sent[0]!.seq
    peer.ack = (peer.irs + 1) | 0
    peer.send('A')
    t.take()
    expect(listener.waiting).toBe(1)
    const flagsFor = (flags: string, ecn: number): string => {
      peer.send(flags, { data: 'x' }, { ecn })
      return t.takeOne().flags
    }
    expect(flagsFor('A', 2)).toBe('A')
    expect(flagsFor('A', 3)).toBe('AE')
    expect(flagsFor('A', 2)).toBe('AE')
    expect(flagsFor('AC', 2)).toBe('A')
    expect(flagsFor('AC', 3)).toBe('AE')
    expect(t.counters['ecn-ce-in']).toBe(2)
    // A mark is told at once, also when acknowledgments are delayed.
    listener.shift()!.intake!.quickAcks = 0
    peer.send('AC', { data: 'x' }, { ecn: 2 })
    t.advance(100)
    t.take()
    peer.send('A', { data: 'x' }, { ecn: 2 })
    expect(t.take()).toEqual([])
    expect(flagsFor('A', 3)).toBe('AE')
    t.finish()
  })
})
