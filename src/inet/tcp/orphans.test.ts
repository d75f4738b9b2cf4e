/** Checklist 3.5-52, 58; RFC 6429. */
import { describe, expect, it } from 'vitest'
import { esballoc } from '../../streams/mblk/alloc.ts'
import { pattern } from '../testing/packets.ts'
import { release } from './close.ts'
import { acceptNext, closeListener } from './listener.ts'
import { send } from './send.ts'
import { makeTcpTest } from './testing/tcp-test.ts'

describe('tcp/orphans', () => {
  it('a full table has room for a peer that shows where it is, as long as an orphan can go', () => {
    const t = makeTcpTest({ settings: { connectionsMax: 20 } })
    const listener = t.listen({ backlog: 64 })
    const peers = Array.from({ length: 20 }, (_, i) => t.peer({ port: 1_000 + i }))
    for (const [i, peer] of peers.entries()) {
      peer.open(listener)
      // Half of them are closed by their programs; the peers acknowledge the FIN and say nothing more.
      if (i % 2 === 0) continue
      release(t.tcp, peer.tcb)
      t.flush()
      peer.send('A', { ack: peer.tcb.sndNxt })
      t.take()
    }
    expect([t.tcp.connections.size, t.tcp.orphans]).toEqual([20, 10])
    for (let i = 0; i < 10; i++) {
      t.peer({ port: 2_000 + i }).open(listener)
      t.take()
    }
    expect([t.tcp.connections.size, t.tcp.orphans, t.counters['orphans-ended']]).toEqual([20, 0, 10])
    expect(t.counters['resets-out']).toBe(10)
    t.peer({ port: 3_000 }).syn()
    expect([t.take(), t.counters['connections-full']]).toEqual([[], 1])
    // Those that somebody holds are untouched.
    expect(peers.filter(peer => peer.tcb.state !== 0).length).toBe(10)
    while (acceptNext(t.tcp, listener) !== null);
    t.finish()
  })

  it('a listener that is closed when an orphan gives its memory back takes no connection more', () => {
    const t = makeTcpTest({ settings: { connectionsMax: 1 } })
    const listener = t.listen()
    const first = t.peer()
    first.open(listener)
    const { tcb } = first
    send(t.tcp, tcb, esballoc(t.arena, new Uint8Array(1_000), () => closeListener(t.tcp, listener))!)
    release(t.tcp, tcb)
    t.flush()
    t.take()
    const second = t.peer({ port: 2 })
    second.halfOpen()
    second.send('A')
    expect([listener.closed, t.tcp.connections.size, t.tcp.halfOpen.size]).toEqual([true, 0, 0])
    t.finish()
  })

  it('a SYN alone, which anybody can send in anybody’s name, ends no orphan', () => {
    const t = makeTcpTest({ settings: { connectionsMax: 1 } })
    const listener = t.listen()
    const peer = t.peer()
    peer.open(listener)
    release(t.tcp, peer.tcb)
    t.flush()
    for (let i = 0; i < 50; i++) t.peer({ port: 5_000 + i }).syn()
    expect([t.tcp.connections.size, t.counters['orphans-ended']]).toEqual([1, 0])
    t.finish()
  })

  it('while memory is short an orphan ends with its first timeout, and one that somebody holds does not', () => {
    const t = makeTcpTest({ settings: { memoryBytes: 1024 * 1024 } })
    const listener = t.listen()
    const [held, orphan] = [t.peer({ port: 1 }), t.peer({ port: 2 })]
    for (const peer of [held, orphan]) {
      peer.open(listener)
      t.write(peer.tcb, pattern(5_000))
      t.take()
    }
    release(t.tcp, orphan.tcb)
    t.flush()
    t.tcp.memoryUsed += 900_000
    t.advance(3_000)
    t.tcp.memoryUsed -= 900_000
    expect([held.tcb.state !== 0, orphan.tcb.state]).toEqual([true, 0])
    expect(t.counters['orphans-ended']).toBe(1)
    t.finish()
  })
})
