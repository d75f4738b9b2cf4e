import { afterEach, describe, expect, it } from 'vitest'
import { allocb, esballoc, freemsg } from '../../streams/mblk/alloc.ts'
import type { Mblk } from '../../streams/mblk/mblk.ts'
import { abort, shutdown } from './close.ts'
import { resume } from './output.ts'
import { send, sendRoom } from './send.ts'
import { F_ACK_NOW, F_WANTS_ROOM } from './tcb.ts'
import type { Peer, PeerOptions } from './testing/peer.ts'
import { established } from './testing/peer.ts'
import { brief, makeTcpTest, type TcpTest, type TcpTestOptions } from './testing/tcp-test.ts'

let t: TcpTest

afterEach(() => t.finish())

function begin(options: TcpTestOptions = {}, peer: PeerOptions = {}): Peer {
  t = makeTcpTest(options)
  return established(t, peer)
}

const lengths = (): number[] => t.take().map(s => s.data.length)

describe('tcp/output: sizes', () => {
  it('one super-segment, a multiple of the MSS, views of the program’s bytes: nothing is copied', () => {
    const peer = begin({}, { windowScale: 7, window: 5_000 })
    peer.tcb.cwnd = 1_000_000
    peer.send('A', { window: 5_000 })
    const bytes = Uint8Array.from({ length: 200_000 }, (_, i) => i * 7)
    let released = 0
    send(t.tcp, peer.tcb, esballoc(t.arena, bytes, () => released++)!)
    t.flush()
    const sent = t.take()
    expect(sent.map(s => [s.data.length, s.gsoSize, s.flags])).toEqual([
      [44 * 1_460, 1_460, 'A'],
      [44 * 1_460, 1_460, 'A'],
      [44 * 1_460, 1_460, 'A'],
      [200_000 - 132 * 1_460, 1_460, 'PA'],
    ])
    expect(Buffer.concat(sent.map(s => s.data)).equals(bytes)).toBe(true)
    expect(t.arena.copies.stack.bytes).toBe(0)
    expect(released).toBe(0)
    peer.send('A', { ack: peer.ack + 200_000 })
    expect(released).toBe(1)
  })

  it('MUST-49, IPv6: the packet stays within 65,535 bytes with all its headers', () => {
    const peer = begin({}, { family: 6, windowScale: 7, timestamps: true, window: 5_000 })
    peer.tcb.cwnd = 1_000_000
    peer.send('A', { window: 5_000 })
    t.write(peer.tcb, new Uint8Array(100_000))
    const [first] = t.take()
    expect(first!.data.length % peer.tcb.sndMss).toBe(0)
    expect(first!.data.length + 40 + 32).toBeLessThanOrEqual(65_535)
    expect(first!.data.length + 40 + 32 + peer.tcb.sndMss).toBeGreaterThan(65_535)
  })

  it('without offload segments leave one by one', () => {
    const peer = begin()
    t.tcp.offload = false
    t.write(peer.tcb, new Uint8Array(4_000))
    expect(t.take().map(s => [s.data.length, s.gsoSize])).toEqual([
      [1_460, 0],
      [1_460, 0],
      [1_080, 0],
    ])
  })

  it('MUST-16: never more than the peer’s MSS, the path or the connection’s own bound, options taken off', () => {
    const cases: [PeerOptions, TcpTestOptions, number][] = [
      [{ mss: 700 }, {}, 700],
      [{ mss: 700, timestamps: true }, {}, 688],
      [{ mss: 9_000 }, {}, 1_460],
      [{ mss: 9_000 }, { mtu: 9_000 }, 8_960],
      [{ mss: 1_440, family: 6 }, { mtu: 1_280 }, 1_220],
      [{}, { connection: { maxSegment: 1_000 } }, 1_000],
    ]
    for (const [peerOptions, options, mss] of cases) {
      const peer = begin(options, peerOptions)
      expect(peer.tcb.sndMss).toBe(mss)
      t.tcp.offload = false
      t.write(peer.tcb, new Uint8Array(3 * mss))
      expect(Math.max(...lengths())).toBe(mss)
      t.finish()
    }
    begin()
  })

  it('RFC 6928: ten segments at first, 14,600 bytes at most', () => {
    const peer = begin()
    t.write(peer.tcb, new Uint8Array(50_000))
    expect(lengths().reduce((a, b) => a + b)).toBe(14_600)
    t.finish()
    const jumbo = begin({ mtu: 9_000 }, { mss: 9_000, window: 65_000 })
    t.write(jumbo.tcb, new Uint8Array(50_000))
    expect(lengths().reduce((a, b) => a + b)).toBe(2 * 8_960)
  })

  it('a super-segment is what leaves in a millisecond at the present rate, two segments at least', () => {
    const peer = begin({}, { windowScale: 7, window: 5_000 })
    const { tcb } = peer
    tcb.cwnd = 146_000
    tcb.srtt = 20_000
    tcb.minRtt = 20_000
    peer.send('A', { window: 5_000 })
    t.write(tcb, new Uint8Array(146_000))
    // 146,000 x 2 (slow start) / 20 = 14,600.
    expect(lengths().slice(0, 9)).toEqual(Array(9).fill(14_600))
    peer.send('A', { ack: tcb.sndNxt })
    tcb.cwnd = 14_600
    tcb.ssthresh = 14_600
    tcb.srtt = 200_000
    tcb.minRtt = 200_000
    t.write(tcb, new Uint8Array(14_600))
    expect(lengths()).toEqual(Array(5).fill(2_920))
  })
})

describe('tcp/output: pieces', () => {
  /** Sixty segments in flight, which fill the window, and more to send; `ageMs` later one is acknowledged. */
  function freed(segments: number, ageMs: number): number[] {
    const peer = begin(
      { connection: { sendBytes: 1_000_000 } },
      { mss: 1_000, windowScale: 7, window: 5_000 },
    )
    const { tcb } = peer
    peer.send('A', { window: 5_000 })
    Object.assign(tcb, { cwnd: 60_000, ssthresh: 60_000, srtt: 20_000, minRtt: 100 })
    t.write(tcb, new Uint8Array(200_000))
    t.take()
    t.advance(ageMs - 1)
    tcb.lastOutAt = t.tcp.nowMs
    t.advance(1)
    const { cwnd } = tcb
    peer.send('A', { ack: peer.ack + segments * 1_000 }, {}, false)
    tcb.cwnd = cwnd
    t.flush()
    const sent = lengths()
    t.finish()
    return sent
  }

  it('a small part of the window waits for more, while the next ACK is near; a third of it leaves', () => {
    expect(freed(3, 15)).toEqual([])
    expect(freed(20, 15)).toEqual([20_000])
    begin()
  })

  it('it does not wait if the next ACK is far', () => {
    expect(freed(3, 5)).toEqual([3_000])
    begin()
  })
})

describe('tcp/output: small segments', () => {
  it('SHLD-7 (Nagle, RFC 1122 §4.2.3.4): a short segment waits for the ACK of another, full ones do not', () => {
    const peer = begin()
    t.write(peer.tcb, 'a')
    expect(lengths()).toEqual([1])
    t.write(peer.tcb, 'b')
    t.write(peer.tcb, 'c')
    expect(lengths()).toEqual([])
    t.write(peer.tcb, new Uint8Array(1_460))
    expect(lengths()).toEqual([1_460])
    peer.send('A', { ack: peer.tcb.sndNxt })
    expect(lengths()).toEqual([2])
  })

  it('Minshall: the last piece of a large write does not wait for full segments in flight', () => {
    const peer = begin()
    t.write(peer.tcb, new Uint8Array(2_000))
    expect(lengths()).toEqual([2_000])
    t.write(peer.tcb, new Uint8Array(2_000))
    expect(lengths()).toEqual([1_460])
  })

  it('MUST-17: a program can turn it off', () => {
    begin({ connection: { noDelay: true } })
    const peer = established(t, { port: 40_001, ourPort: 81 })
    t.take()
    for (const text of ['a', 'b', 'c']) t.write(peer.tcb, text)
    expect(lengths()).toEqual([1, 1, 1])
  })

  it('cork holds a short segment even if nothing is in flight; a FIN lets it go', () => {
    const peer = begin({ connection: { noDelay: true, cork: true } })
    t.write(peer.tcb, new Uint8Array(1_500))
    expect(lengths()).toEqual([1_460])
    peer.send('A', { ack: peer.tcb.sndNxt })
    expect(lengths()).toEqual([])
    shutdown(t.tcp, peer.tcb)
    t.flush()
    expect(t.takeOne()).toMatchObject({ flags: 'FPA' })
  })

  it('MUST-60, 61: PSH is on the last segment of what is queued, and on no other', () => {
    const peer = begin()
    t.tcp.offload = false
    t.write(peer.tcb, new Uint8Array(3_000))
    expect(t.take().map(s => s.flags)).toEqual(['A', 'A', 'PA'])
  })

  it('a burst of writes in one turn leaves as one segment', () => {
    const peer = begin()
    for (const text of ['GET ', '/ ', 'HTTP/1.1']) t.write(peer.tcb, text, false)
    t.flush()
    expect(new TextDecoder().decode(t.takeOne().data)).toBe('GET / HTTP/1.1')
  })
})

describe('tcp/output: windows', () => {
  it('MUST-38 (RFC 9293 §3.8.6.2.1): no sliver while more data waits: a segment, or half of the largest window', () => {
    const peer = begin({}, { window: 4_000 })
    t.write(peer.tcb, new Uint8Array(10_000))
    // Two whole ones, then 1,080 bytes of window: less than a segment and than half of 4,000.
    expect(lengths()).toEqual([2_920])
    peer.send('A', { ack: peer.tcb.sndUna + 1_460, window: 2_540 })
    expect(lengths()).toEqual([])
    peer.send('A', { ack: peer.tcb.sndNxt, window: 2_100 })
    expect(lengths()).toEqual([1_460])
    peer.send('A', { ack: peer.tcb.sndNxt, window: 640 })
    expect(lengths()).toEqual([])
    peer.send('A', { ack: peer.tcb.sndNxt, window: 2_000 })
    expect(lengths()).toEqual([1_460])
  })

  it('a window that never is a whole segment is used when half of it is open', () => {
    const peer = begin({}, { window: 1_000 })
    t.write(peer.tcb, new Uint8Array(5_000))
    expect(lengths()).toEqual([1_000])
    peer.send('A', { ack: peer.tcb.sndNxt, window: 499 })
    expect(lengths()).toEqual([])
    peer.send('A', { ack: peer.tcb.sndNxt, window: 500 })
    expect(lengths()).toEqual([500])
  })

  it('all that is left leaves if the window takes it, however little it is', () => {
    const peer = begin({}, { window: 4_000 })
    t.write(peer.tcb, new Uint8Array(4_000))
    expect(lengths()).toEqual([4_000])
  })

  it('MUST-34, SHLD-15, checklist 3.5-45: a window that shrinks below what is in flight stops new data, and nothing breaks', () => {
    const peer = begin({}, { window: 8_000 })
    t.write(peer.tcb, new Uint8Array(20_000))
    const sent = lengths().reduce((a, b) => a + b)
    expect(sent).toBe(7_300)
    peer.send('A', { ack: peer.ack + 1_460, window: 1_000 })
    expect(lengths()).toEqual([])
    peer.send('A', { ack: peer.ack + 7_300, window: 8_000 })
    expect(lengths().reduce((a, b) => a + b)).toBe(7_300)
  })

  it('an ACK carried by data needs no segment of its own; what came in a burst is acknowledged once (MUST-58, 59)', () => {
    const peer = begin()
    for (let i = 0; i < 5; i++) peer.data(new Uint8Array(1_460), {}, false)
    t.write(peer.tcb, 'answer')
    expect(t.takeOne()).toMatchObject({ flags: 'PA', ack: peer.next })
  })
})

describe('tcp/output: the end, and the link', () => {
  it('the FIN is on the last data, takes a sequence number, and nothing follows it', () => {
    const peer = begin()
    t.write(peer.tcb, 'last', false)
    shutdown(t.tcp, peer.tcb)
    t.flush()
    expect(t.takeOne()).toMatchObject({ flags: 'FPA', data: new TextEncoder().encode('last') })
    expect(peer.tcb.sndNxt).toBe((peer.ack + 5) | 0)
    t.write(peer.tcb, 'more')
    expect(lengths()).toEqual([])
  })

  it('the FIN waits until all data has left', () => {
    const peer = begin({}, { window: 2_000 })
    t.write(peer.tcb, new Uint8Array(3_000), false)
    shutdown(t.tcp, peer.tcb)
    t.flush()
    expect(t.take().map(s => [s.flags, s.data.length])).toEqual([['A', 1_460]])
    peer.send('A', { ack: peer.tcb.sndNxt })
    expect(t.take().map(s => [s.flags, s.data.length])).toEqual([['FPA', 1_540]])
  })

  it('a FIN alone: without a flight record, and again after its loss', () => {
    const peer = begin()
    shutdown(t.tcp, peer.tcb)
    t.flush()
    expect(t.takeOne()).toMatchObject({ flags: 'FA', seq: peer.ack })
    t.advance(250)
    expect(t.take().map(brief)).toEqual([`FA seq ${peer.ack} ack ${peer.next} win 65535 len 0`])
  })

  it('a link without room is waited for, and what was held back leaves in order when it has', () => {
    const peer = begin()
    t.linkHasRoom = false
    t.write(peer.tcb, new Uint8Array(3_000))
    peer.data(new Uint8Array(3_000))
    t.flush()
    expect(t.take()).toEqual([])
    expect(t.counters['link-blocked']).toBe(1)
    t.linkHasRoom = true
    resume(t.tcp)
    t.flush()
    expect(t.takeOne()).toMatchObject({ ack: peer.next, data: new Uint8Array(3_000) })
  })

  it('blocks that ran out: nothing is lost, output tries again by itself', () => {
    const peer = begin({ arenaOptions: { sizeBytes: 1024 * 1024 } })
    t.write(peer.tcb, 'first')
    peer.hear()
    peer.send('A')
    t.write(peer.tcb, 'held', false)
    const taken = []
    for (let mp = t.arena.take(1); mp !== null; mp = t.arena.take(1)) taken.push(mp)
    t.flush()
    expect(t.take()).toEqual([])
    expect(t.counters['no-buffers']).toBeGreaterThan(0)
    for (const mp of taken) t.arena.giveBack(mp)
    t.advance(20)
    expect(new TextDecoder().decode(t.takeOne().data)).toBe('held')
  })

  it('checklist 3.5-58: room shrinks with memory; beyond the budget one message each, and its acknowledgment wakes the program', () => {
    const peer = begin({ settings: { memoryBytes: 1024 * 1024 } }, { window: 60_000 })
    const { tcb } = peer
    t.tcp.memoryUsed += 900_000
    expect(sendRoom(t.tcp, tcb)).toBe(65_536)
    t.tcp.memoryUsed += 200_000
    expect(sendRoom(t.tcp, tcb)).toBe(1)
    t.write(tcb, new Uint8Array(2_000))
    expect(sendRoom(t.tcp, tcb)).toBeLessThan(0)
    tcb.flags |= F_WANTS_ROOM
    peer.send('A', { ack: peer.ack + 1_460 })
    expect(t.events).toEqual([])
    peer.send('A', { ack: peer.ack + 2_000 })
    expect(t.events).toEqual(['writable'])
    t.tcp.memoryUsed -= 1_100_000
  })

  it('room: full when the buffer is, and the program is told once a third of it is free', () => {
    const peer = begin({ connection: { sendBytes: 10_000 } }, { window: 60_000 })
    const { tcb } = peer
    expect(sendRoom(t.tcp, tcb)).toBe(10_000)
    t.write(tcb, new Uint8Array(10_000))
    expect(sendRoom(t.tcp, tcb)).toBe(0)
    tcb.flags |= F_WANTS_ROOM
    peer.send('A', { ack: peer.ack + 1_460 })
    expect(t.events).toEqual([])
    peer.send('A', { ack: peer.ack + 4_380 })
    expect(t.events).toEqual(['writable'])
    peer.send('A', { ack: peer.ack + 10_000 })
    expect(t.events).toEqual(['writable'])
  })

  it('RFC 3168 §6.1.2: new data says ECT(0), an acknowledgment and what is sent again do not', () => {
    t = makeTcpTest({ settings: { ecn: 2 } })
    const peer = t.peer({ sack: true, timestamps: true })
    peer.connectFrom()
    peer.send('SAE', { mss: 1_460, sackPermitted: true })
    expect(t.takeOne().trafficClass).toBe(0)
    t.write(peer.tcb, 'data')
    expect(t.takeOne().trafficClass).toBe(2)
    t.advance(1_200)
    const again = t.take()
    expect(again.length).toBeGreaterThan(0)
    expect(again.every(s => s.trafficClass === 0)).toBe(true)
  })

  it('a program that sends more from the release of a small buffer: bytes in order, memory counted', () => {
    const peer = begin({}, { window: 60_000 })
    let sent = 0
    const next = (): void => {
      if (sent === 100) return
      const bytes = new Uint8Array(100).fill(sent++)
      send(t.tcp, peer.tcb, esballoc(t.arena, bytes, next)!)
    }
    for (let i = 0; i < 20; i++) t.write(peer.tcb, new Uint8Array(1), false)
    next()
    expect(sent).toBe(100)
    expect(t.tcp.memoryUsed).toBe(peer.tcb.flight!.queue.weight)
    t.flush()
    const got = Buffer.concat(t.take().map(s => s.data)).subarray(20)
    expect([...got]).toEqual(Array.from({ length: 10_000 }, (_, i) => Math.floor(i / 100)))
  })

  it('a program that aborts from the release of the first of two buffers: the second is not left in a record of the pool', () => {
    const peer = begin()
    for (let i = 0; i < 20; i++) t.write(peer.tcb, new Uint8Array(1), false)
    let released = 0
    const first = esballoc(t.arena, new Uint8Array(10), () => abort(t.tcp, peer.tcb))!
    first.cont = esballoc(t.arena, new Uint8Array(1_000), () => released++)
    send(t.tcp, peer.tcb, first)
    expect([released, t.tcp.memoryUsed, t.tcp.freeFlight!.queue.blocks]).toEqual([1, 0, 0])
  })

  it('RFC 9293 §3.8.6: an acknowledgment for which no block was left leaves when there is one', () => {
    const peer = begin({ arenaOptions: { sizeBytes: 1024 * 1024 } })
    peer.data('x', {}, false)
    const taken: Mblk[] = []
    for (let mp = allocb(t.arena, 8); mp !== null; mp = allocb(t.arena, 8)) taken.push(mp)
    t.tcp.schedule(peer.tcb)
    peer.tcb.flags |= F_ACK_NOW
    t.flush()
    expect([t.take(), t.counters['no-buffers']]).toEqual([[], 1])
    for (const mp of taken) freemsg(mp)
    t.advance(10)
    expect(t.take().map(s => [s.flags, s.ack])).toEqual([['A', peer.next]])
    t.advance(1_000)
    expect(t.take()).toEqual([])
  })
})
