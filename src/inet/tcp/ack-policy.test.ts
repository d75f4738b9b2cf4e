/** When acknowledgments wait, and when not (RFC 9293 §3.8.6.3, RFC 5681 §4.2). */
import { afterEach, describe, expect, it } from 'vitest'
import { QUICK_ACKS } from './intake.ts'
import { established, type Peer } from './testing/peer.ts'
import { makeTcpTest, type TcpTest } from './testing/tcp-test.ts'

let t: TcpTest

afterEach(() => t.finish())

/** A short segment comes. @returns whether it was acknowledged at once */
function quick(peer: Peer): boolean {
  peer.data('x')
  t.discard(peer.tcb)
  const acked = t.take().length > 0
  if (!acked) {
    t.advance(50)
    t.take()
  }
  return acked
}

function begin(): Peer {
  t = makeTcpTest()
  const peer = established(t)
  peer.tcb.rtoMs = 240
  t.take()
  return peer
}

describe('inet/tcp/ack-policy: quick acknowledgments', () => {
  it('the first ones, as the peer is in slow start; then they are delayed', () => {
    const peer = begin()
    for (let i = 0; i < QUICK_ACKS; i++) expect(quick(peer)).toBe(true)
    expect(t.counters['acks-delayed']).toBe(0)
    for (let i = 0; i < 10; i++) expect(quick(peer)).toBe(false)
    expect(t.counters['acks-delayed']).toBe(10)
  })

  it('RFC 5681 §4.1: again after a timeout’s silence, when the peer is in slow start again (as Linux)', () => {
    const peer = begin()
    for (let i = 0; i < QUICK_ACKS; i++) quick(peer)
    t.advance(180)
    expect(quick(peer)).toBe(false)
    t.advance(191)
    for (let i = 0; i < QUICK_ACKS; i++) expect(quick(peer)).toBe(true)
    expect(quick(peer)).toBe(false)
  })

  it('not while the program answers: its answers carry them', () => {
    const peer = begin()
    for (let i = 0; i < 5; i++) {
      peer.data('question', {}, false)
      t.discard(peer.tcb)
      t.write(peer.tcb, 'answer')
      peer.hear()
      peer.send('A')
      t.take()
      t.advance(300)
    }
    expect(quick(peer)).toBe(false)
    // That one had no answer: the next question after a silence may have none either.
    t.advance(300)
    expect(quick(peer)).toBe(true)
  })
})
