/** TIME-WAIT (RFC 9293 §3.10.7.4, §3.6.1; RFC 1337; RFC 6191). */
import { describe, expect, it } from 'vitest'
import { acceptNext } from './listener.ts'
import { established, Peer, type PeerOptions } from './testing/peer.ts'
import { brief, makeTcpTest, type TcpTest } from './testing/tcp-test.ts'

function inTimeWait(options: PeerOptions = {}, settings = {}): { t: TcpTest; peer: Peer } {
  const t = makeTcpTest({ settings })
  const peer = established(t, options)
  peer.to('FIN-WAIT-2')
  peer.send('FA')
  t.take()
  t.events.length = 0
  return { t, peer }
}

describe('inet/tcp: TIME-WAIT', () => {
  it('RFC 9293 §3.10.7.4: the FIN again is acknowledged and begins 2 MSL anew', () => {
    const { t, peer } = inTimeWait()
    t.advance(50_000)
    peer.send('FA', { seq: (peer.next - 1) | 0 })
    expect(brief(t.takeOne())).toBe(`A seq ${peer.ack} ack ${peer.next} win 65535 len 0`)
    t.advance(50_000)
    expect(t.tcp.timeWait.size).toBe(1)
    t.advance(10_000)
    expect(t.tcp.timeWait.size).toBe(0)
    t.finish()
  })

  it('checklist 3.5-41, RFC 1337: resets are ignored', () => {
    const { t, peer } = inTimeWait()
    for (const ahead of [0, 1, 1_000, -1]) peer.send('R', { seq: (peer.next + ahead) | 0 })
    expect([t.take(), t.tcp.timeWait.size, t.counters['time-wait-reset-ignored']]).toEqual([[], 1, 4])
    t.finish()
  })

  it('an ACK that fits is not answered; what does not fit is, a few times a second', () => {
    const { t, peer } = inTimeWait()
    peer.send('A')
    expect(t.take()).toEqual([])
    peer.send('PA', { seq: (peer.next - 100) | 0, data: 'old' })
    expect(t.takeOne().ack).toBe(peer.next)
    for (let i = 0; i < 1_000; i++) peer.send('PA', { seq: peer.next, data: 'new' })
    expect(t.take().length).toBeLessThan(10)
    t.advance(1_000)
    peer.send('PA', { seq: peer.next, data: 'new' })
    expect(t.take().length).toBe(1)
    t.finish()
  })

  it('timestamps: the answer carries ours and echoes the last', () => {
    const { t, peer } = inTimeWait({ timestamps: true })
    const echo = peer.tsNow
    t.advance(500)
    peer.send('PA', { seq: peer.next, data: 'old', timestamps: [(echo - 9) | 0, 0] })
    const ack = t.takeOne()
    expect(ack.timestamps![1]).toBe(echo)
    expect((ack.timestamps![0] - peer.tsRecent) | 0).toBeGreaterThan(0)
    expect(t.counters['paws-rejected']).toBe(1)
    t.finish()
  })

  it('checklist 3.5-31, RFC 9293 §3.6.1: a newer SYN begins a new connection with larger numbers', () => {
    const { t, peer } = inTimeWait()
    const again = new Peer(t, { iss: (peer.next + 10) | 0 })
    const synAck = again.halfOpen()
    expect((synAck.seq - peer.ack) | 0).toBeGreaterThan(0)
    expect([t.tcp.timeWait.size, t.counters['time-wait-recycled']]).toEqual([0, 1])
    again.send('A')
    expect(t.events).toEqual(['acceptable'])
    t.finish()
  })

  it('SHLD-4, RFC 6191 §2: by the timestamp, if both have them, else by the number', () => {
    const older = { timestamps: true, sack: true } as const
    for (const [later, seq, taken] of [
      [1_000, -50_000, true],
      [0, 10, true],
      [0, -10, false],
      [-1_000, 10, false],
    ] as const) {
      const { t, peer } = inTimeWait(older)
      const again = new Peer(t, { ...older, iss: (peer.next + seq) | 0 })
      again.tsOffset = peer.tsOffset + later
      again.syn()
      const answer = t.takeOne()
      expect(answer.flags).toBe(taken ? 'SA' : 'A')
      expect(t.tcp.timeWait.size).toBe(taken ? 0 : 1)
      t.finish()
    }
  })

  it('an old SYN is answered by an ACK', () => {
    const { t, peer } = inTimeWait()
    peer.send('S', { seq: (peer.next - 10) | 0 })
    expect(brief(t.takeOne())).toContain(`A seq ${peer.ack} ack ${peer.next}`)
    t.finish()
  })

  it('checklist 3.5-41: the table is bounded, the oldest goes', () => {
    const t = makeTcpTest({ settings: { timeWaitMax: 3 } })
    const listener = t.listen()
    for (let port = 1; port <= 5; port++) {
      const peer = new Peer(t, { port })
      peer.open(listener)
      peer.to('FIN-WAIT-2')
      peer.send('FA')
      t.take()
    }
    expect([t.tcp.timeWait.size, t.counters['time-wait-evicted'], t.counters['time-wait-entered']]).toEqual([
      3, 2, 5,
    ])
    expect(acceptNext(t.tcp, listener)).toBeNull()
    t.finish()
  })
})
