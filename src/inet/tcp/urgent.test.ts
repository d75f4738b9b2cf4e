/** RFC 9293 §3.8.5 and RFC 6093. */
import { describe, expect, it } from 'vitest'
import { pattern } from '../testing/packets.ts'
import { established } from './testing/peer.ts'
import { makeTcpTest } from './testing/tcp-test.ts'
import { urgentAhead } from './urgent.ts'

describe('inet/tcp/urgent', () => {
  it('MUST-30, MUST-32: the user hears of urgent data when it begins and when it goes on', () => {
    const t = makeTcpTest()
    const peer = established(t)
    peer.send('PAU', { data: 'abc', urgent: 3 })
    expect(t.events).toEqual(['urgent', 'readable'])
    peer.send('PAU', { data: 'def', urgent: 3 })
    expect(t.events.filter(e => e === 'urgent').length).toBe(2)
    // The same mark again is nothing new, wherever it is said.
    peer.send('AU', { seq: peer.next, urgent: 0 })
    expect(t.events.filter(e => e === 'urgent').length).toBe(2)
    peer.send('AU', { urgent: 100 })
    peer.send('AU', { urgent: 100 })
    peer.send('PAU', { data: 'g', urgent: 50 })
    expect(t.events.filter(e => e === 'urgent').length).toBe(3)
    t.finish()
  })

  it('MUST-33, MUST-62: the mark is behind the last urgent byte, and the user learns how much lies before it', () => {
    const t = makeTcpTest()
    const peer = established(t)
    expect(urgentAhead(t.tcp, peer.tcb)).toBe(0)
    peer.send('PAU', { data: pattern(10), urgent: 4 })
    expect(urgentAhead(t.tcp, peer.tcb)).toBe(4)
    t.unreadBytes = 8
    t.read(peer.tcb)
    expect(urgentAhead(t.tcp, peer.tcb)).toBe(2)
    t.unreadBytes = 0
    expect(urgentAhead(t.tcp, peer.tcb)).toBe(0)
    t.finish()
  })

  it('MUST-31: urgent data may be of any length, beyond the segment and the window', () => {
    const t = makeTcpTest()
    const peer = established(t)
    const marks: number[] = []
    for (let sent = 0; sent < 300_000; sent += 30_000) {
      peer.send('PAU', { data: pattern(30_000), urgent: 65_535 })
      marks.push(urgentAhead(t.tcp, peer.tcb))
      t.read(peer.tcb)
      peer.hear()
    }
    expect(marks[0]).toBe(65_535)
    expect(t.counters['urgent-in']).toBe(10)
    expect(urgentAhead(t.tcp, peer.tcb)).toBe(65_535 - 30_000)
    t.finish()
  })

  it('RFC 6093 §2: the data stays in the stream, none is lost or moved', () => {
    const t = makeTcpTest()
    const peer = established(t)
    for (let i = 0; i < 10; i++) peer.send('PAU', { data: `${i}abc`, urgent: i % 6 })
    expect(t.readText(peer.tcb)).toBe('0abc1abc2abc3abc4abc5abc6abc7abc8abc9abc')
    t.finish()
  })

  it('checklist 3.5-38 (CVE-2019-12255): a pointer of 0, or of the past, is nothing', () => {
    const t = makeTcpTest()
    const peer = established(t)
    peer.send('PAU', { data: 'abc', urgent: 0 })
    peer.send('AU', { seq: peer.next, urgent: 0 })
    expect(t.events).toEqual(['readable'])
    expect(urgentAhead(t.tcp, peer.tcb)).toBe(0)
    t.finish()
  })

  it('RFC 9293 §3.10.7.4, sixth: after the FIN of the peer it is ignored', () => {
    const t = makeTcpTest()
    const peer = established(t)
    peer.to('CLOSE-WAIT')
    t.events.length = 0
    peer.send('AU', { urgent: 100 })
    expect([t.events, t.counters['urgent-in']]).toEqual([[], 0])
    t.finish()
  })
})
