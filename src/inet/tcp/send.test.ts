/** What a program gives to be sent (RFC 9293 §3.10.2). */
import { afterEach, describe, expect, it } from 'vitest'
import { allocb } from '../../streams/mblk/alloc.ts'
import { linkb } from '../../streams/mblk/message.ts'
import { send } from './send.ts'
import { established } from './testing/peer.ts'
import { makeTcpTest, type TcpTest } from './testing/tcp-test.ts'

let t: TcpTest

afterEach(() => t.finish())

describe('inet/tcp/send', () => {
  it('an empty message is nothing: no segment, no record that stays, whatever its shape', () => {
    t = makeTcpTest()
    const peer = established(t)
    t.take()
    const { freeFlights } = t.tcp
    for (const blocks of [1, 3]) {
      const mp = allocb(t.arena, 10)!
      for (let i = 1; i < blocks; i++) linkb(mp, allocb(t.arena, 10)!)
      send(t.tcp, peer.tcb, mp)
    }
    t.flush()
    expect([peer.tcb.flight, t.tcp.freeFlights, t.take()]).toEqual([null, freeFlights, []])
  })

  it('empty blocks in front of data are left out', () => {
    t = makeTcpTest()
    const peer = established(t)
    const mp = allocb(t.arena, 10)!
    mp.cont = allocb(t.arena, 10)!
    mp.cont.dblk.bytes[mp.cont.wptr++] = 65
    send(t.tcp, peer.tcb, mp)
    t.flush()
    expect(t.take().at(-1)!.data).toEqual(new Uint8Array([65]))
  })

  it('SHLD-27: what a program wrote in pieces, pushed each time, leaves in the largest segments', () => {
    t = makeTcpTest()
    t.tcp.offload = false
    const peer = established(t, { mss: 1_000 })
    t.take()
    for (let i = 0; i < 300; i++) t.write(peer.tcb, new Uint8Array(10), false)
    t.flush()
    expect(t.take().map(s => s.data.length)).toEqual([1_000, 1_000, 1_000])
  })

  it('SHLD-28: segments have the largest size whenever there is so much, and the window takes it', () => {
    t = makeTcpTest()
    t.tcp.offload = false
    const peer = established(t, { mss: 1_000, window: 5_500 })
    t.take()
    t.write(peer.tcb, new Uint8Array(7_300))
    expect(t.take().map(s => s.data.length)).toEqual([1_000, 1_000, 1_000, 1_000, 1_000])
    peer.send('A', { ack: peer.tcb.sndNxt })
    expect(t.take().map(s => s.data.length)).toEqual([1_000, 1_000, 300])
  })
})
