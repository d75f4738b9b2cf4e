/** Ends of connections, state by state (RFC 9293 §3.6). */
import { describe, expect, it } from 'vitest'
import { esballoc } from '../../streams/mblk/alloc.ts'
import { abort, release, shutdown } from './close.ts'
import { send } from './send.ts'
import { stateName } from './states.ts'
import { established, type OpenState } from './testing/peer.ts'
import { makeTcpTest } from './testing/tcp-test.ts'
import { TW_WORDS } from './time-wait.ts'

const OPEN: readonly OpenState[] = [
  'ESTABLISHED',
  'FIN-WAIT-1',
  'FIN-WAIT-2',
  'CLOSE-WAIT',
  'CLOSING',
  'LAST-ACK',
]

describe('inet/tcp: closing', () => {
  it('RFC 9293 §3.6 figure 12: we close first; the state passes through FIN-WAIT-1 and 2 to TIME-WAIT', () => {
    const t = makeTcpTest()
    const peer = established(t)
    const { tcb } = peer
    shutdown(t.tcp, tcb)
    t.flush()
    const [fin] = peer.hear()
    expect(fin!.flags).toBe('FA')
    expect(stateName(tcb.state)).toBe('FIN-WAIT-1')
    peer.send('A')
    expect(stateName(tcb.state)).toBe('FIN-WAIT-2')
    peer.send('FA')
    const ack = t.takeOne()
    expect([ack.flags, ack.ack]).toEqual(['A', peer.next])
    expect(stateName(tcb.state)).toBe('CLOSED')
    expect(t.tcp.timeWait.size).toBe(1)
    expect(t.events).toEqual(['readable', 'closed done'])
    expect(t.atEof(tcb)).toBe(true)
    t.finish()
  })

  it('RFC 9293 §3.6 figure 13: both close at once; CLOSING, then TIME-WAIT', () => {
    const t = makeTcpTest()
    const peer = established(t)
    const tcb = peer.to('FIN-WAIT-1')
    peer.send('FA', { ack: (peer.ack - 1) | 0 })
    expect(stateName(tcb.state)).toBe('CLOSING')
    expect(t.takeOne().ack).toBe(peer.next)
    peer.send('A')
    expect([stateName(tcb.state), t.tcp.timeWait.size]).toEqual(['CLOSED', 1])
    t.finish()
  })

  it('RFC 9293 §3.6: the peer closes first; CLOSE-WAIT, LAST-ACK, and no TIME-WAIT', () => {
    const t = makeTcpTest()
    const peer = established(t)
    const tcb = peer.to('CLOSE-WAIT')
    expect(t.events).toEqual(['readable'])
    shutdown(t.tcp, tcb)
    t.flush()
    expect(stateName(tcb.state)).toBe('LAST-ACK')
    expect(peer.hear().map(s => s.flags)).toEqual(['FA'])
    peer.send('A')
    expect([stateName(tcb.state), t.tcp.timeWait.size, t.tcp.connections.size]).toEqual(['CLOSED', 0, 0])
    expect(t.events).toEqual(['readable', 'closed done'])
    t.finish()
  })

  it('a FIN with an ACK of ours takes FIN-WAIT-1 straight to TIME-WAIT', () => {
    const t = makeTcpTest()
    const peer = established(t)
    const tcb = peer.to('FIN-WAIT-1')
    peer.send('FA')
    expect([stateName(tcb.state), t.tcp.timeWait.size]).toEqual(['CLOSED', 1])
    t.finish()
  })

  it('half-close: after our FIN the peer goes on sending, and is read', () => {
    const t = makeTcpTest()
    const peer = established(t)
    const tcb = peer.to('FIN-WAIT-2')
    peer.data('still here')
    expect(t.readText(tcb)).toBe('still here')
    peer.send('FA', { data: 'bye' })
    expect(t.readText(tcb)).toBe('bye')
    expect(t.atEof(tcb)).toBe(true)
    t.finish()
  })

  it('data that nobody took is there after the end, until it is released', () => {
    const t = makeTcpTest()
    const peer = established(t)
    const tcb = peer.to('FIN-WAIT-2')
    peer.send('FA', { data: 'late' })
    expect(stateName(tcb.state)).toBe('CLOSED')
    expect(t.atEof(tcb)).toBe(false)
    expect(t.readText(tcb)).toBe('late')
    expect([t.atEof(tcb), tcb.intake, t.tcp.intakes.inUse]).toEqual([true, null, 0])
    t.finish()
  })

  it('MUST-12: an ordinary close by the peer is told from an abort', () => {
    const t = makeTcpTest()
    const closed = established(t)
    closed.send('FA')
    expect(t.events).toEqual(['readable'])
    t.take()
    const reset = t.peer({ ourPort: 81 })
    reset.open(t.listen({ port: 81 }))
    t.events.length = 0
    reset.send('R')
    expect(t.events).toEqual(['closed reset'])
    t.finish()
  })

  it('MUST-13: the side that closes first lingers for 2 MSL, in 64 bytes', () => {
    const t = makeTcpTest()
    const peer = established(t)
    peer.to('FIN-WAIT-2')
    peer.send('FA')
    expect(TW_WORDS * 4).toBe(64)
    t.advance(59_999)
    expect(t.tcp.timeWait.size).toBe(1)
    t.advance(1)
    expect(t.tcp.timeWait.size).toBe(0)
    t.finish()
  })

  it.each(OPEN)('RFC 9293 §3.10.5: abort in %s', state => {
    const t = makeTcpTest()
    const peer = established(t)
    const tcb = peer.to(state)
    t.events.length = 0
    abort(t.tcp, tcb)
    const flags = t.take().map(s => [s.flags, s.seq])
    expect(flags).toEqual(state === 'CLOSING' || state === 'LAST-ACK' ? [] : [['RA', peer.ack]])
    expect(t.events).toEqual(['closed aborted'])
    expect([t.tcp.connections.size, t.tcp.timeWait.size]).toEqual([0, 0])
    // RFC 4022, tcpEstabResets: from these two states alone.
    const counted = state === 'ESTABLISHED' || state === 'CLOSE-WAIT' ? 1 : 0
    expect([t.counters['established-resets'], t.counters['opens-failed']]).toEqual([counted, 0])
    t.finish()
  })

  it('SHLD-3, RFC 2525 §2.17, checklist 3.5-53: closed with unread data sends a reset', () => {
    for (const where of ['here', 'above'] as const) {
      const t = makeTcpTest()
      const peer = established(t)
      if (where === 'here') peer.data('unread')
      else t.unreadBytes = 1
      t.take()
      release(t.tcp, peer.tcb)
      expect(t.takeOne().flags).toBe('RA')
      expect(t.tcp.connections.size).toBe(0)
      t.finish()
    }
  })

  it('SHLD-3, RFC 2525 §2.17: data after the program is gone is answered by a reset', () => {
    const t = makeTcpTest()
    const peer = established(t)
    release(t.tcp, peer.tcb)
    t.flush()
    expect(peer.hear().map(s => s.flags)).toEqual(['FA'])
    peer.send('A')
    peer.data('x')
    expect(t.takeOne().flags).toBe('RA')
    expect(t.counters['data-after-close']).toBe(1)
    expect(t.tcp.connections.size).toBe(0)
    t.finish()
  })

  it('checklist 3.5-52: FIN-WAIT-2 of an orphan ends; that of a program that holds it does not', () => {
    for (const orphan of [true, false]) {
      const t = makeTcpTest({ settings: { finWait2Ms: 5_000 } })
      const peer = established(t)
      peer.to('FIN-WAIT-2')
      if (orphan) release(t.tcp, peer.tcb)
      t.advance(4_999)
      expect(t.tcp.connections.size).toBe(1)
      t.advance(2)
      expect(t.tcp.connections.size).toBe(orphan ? 0 : 1)
      expect(t.counters['fin-wait-2-expired']).toBe(orphan ? 1 : 0)
      t.finish()
    }
  })

  it('shutdown before the connection is there: the FIN follows the handshake', () => {
    const t = makeTcpTest()
    const peer = t.peer()
    peer.connectFrom()
    shutdown(t.tcp, peer.tcb)
    t.flush()
    expect(t.take()).toEqual([])
    peer.send('SA', { mss: 1_460 })
    expect(stateName(peer.tcb.state)).toBe('FIN-WAIT-1')
    expect(t.take().at(-1)!.flags).toBe('FA')
    t.finish()
  })

  it('release in SYN-SENT forgets it without a segment', () => {
    const t = makeTcpTest()
    const peer = t.peer()
    peer.connectFrom()
    release(t.tcp, peer.tcb)
    expect([t.take(), t.events, t.tcp.connections.size]).toEqual([[], [], 0])
    peer.send('SA', { mss: 1_460 })
    expect(t.takeOne().flags).toBe('R')
    t.finish()
  })

  it('a FIN that comes again is acknowledged again, in every state behind it', () => {
    for (const state of ['CLOSE-WAIT', 'CLOSING', 'LAST-ACK'] as const) {
      const t = makeTcpTest()
      const peer = established(t)
      peer.to(state)
      peer.send('FA', {
        seq: (peer.next - 1) | 0,
        ack: state === 'CLOSE-WAIT' ? peer.ack : (peer.ack - 1) | 0,
      })
      const [ack] = t.take()
      expect([ack!.flags, ack!.ack]).toEqual(['A', peer.next])
      expect(stateName(peer.tcb.state)).toBe(state)
      t.finish()
    }
  })

  it.each([
    ['writes', 'close'],
    ['closes', 'close'],
    ['aborts', 'close'],
    ['writes', 'reset'],
    ['closes', 'reset'],
  ])(
    'a program that %s when its buffer comes back, because of a %s, finds the connection over',
    (does, cause) => {
      const t = makeTcpTest()
      const peer = established(t)
      const { tcb } = peer
      let released = 0
      const back = (): void => {
        released++
        if (does === 'writes') t.write(tcb, 'more', false)
        else if (does === 'closes') release(t.tcp, tcb)
        else abort(t.tcp, tcb)
      }
      send(t.tcp, tcb, esballoc(t.arena, new Uint8Array(5_000), back)!)
      t.flush()
      t.take()
      if (cause === 'reset') peer.send('R')
      else abort(t.tcp, tcb)
      expect([released, tcb.flight, t.tcp.orphans, t.counters.closed]).toEqual([1, null, 0, 1])
      const told = does === 'closes' ? [] : [cause === 'reset' ? 'closed reset' : 'closed aborted']
      // A program that let go hears nothing; the module has no user to tell then.
      expect(t.events.filter(event => event.startsWith('closed') && tcb.user !== null)).toEqual(told)
      t.finish()
    },
  )
})
