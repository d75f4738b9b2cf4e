import { afterEach, describe, expect, it } from 'vitest'
import { Prng } from '../../base/prng.ts'
import { EVER_RETRANSMITTED, LOST, SACKED } from './scoreboard.ts'
import { established, type Peer } from './testing/peer.ts'
import { makeTcpTest, type TcpTest } from './testing/tcp-test.ts'

const MSS = 1_000
let t: TcpTest

afterEach(() => t.finish())

/** A connection with so many segments in flight, in super-segments; `at(n)` is the number of the n-th. */
function inFlight(segments: number, timestamps = false): [Peer, (n: number) => number] {
  t = makeTcpTest({ connection: { sendBytes: 1_000_000 } })
  const peer = established(t, {
    mss: timestamps ? MSS + 12 : MSS,
    sack: true,
    timestamps,
    windowScale: 7,
    window: 5_000,
  })
  peer.send('A')
  Object.assign(peer.tcb, { cwnd: 1_000_000, srtt: 40_000, minRtt: 40_000 })
  t.write(peer.tcb, new Uint8Array(segments * MSS))
  const first = peer.ack
  peer.hear()
  t.advance(10)
  peer.ack = first
  return [peer, n => (first + n * MSS) | 0]
}

/** 's' SACKed, 'l' lost, 'r' lost and sent again, '.' in flight; one letter for each segment. */
function picture(peer: Peer): string {
  const { board } = peer.tcb.flight!
  let text = ''
  for (let i = 0; i < board.count; i++) {
    const slot = board.slot(i)
    const flags = board.flags(slot)
    const letter =
      (flags & SACKED) !== 0
        ? 's'
        : (flags & LOST) === 0
          ? '.'
          : (flags & EVER_RETRANSMITTED) !== 0
            ? 'r'
            : 'l'
    text += letter.repeat(board.segmentCount(slot))
  }
  return text
}

describe('tcp/sack', () => {
  it('RFC 6675 §4: what lies behind a gap is marked, a super-segment cut only where a block ends', () => {
    const [peer, at] = inFlight(20)
    peer.send('A', { sack: [[at(2), at(3)]] })
    expect(picture(peer)).toBe('..s.................')
    expect(peer.tcb.flight!.board.count).toBe(3)
    peer.send('A', { sack: [[at(2), at(4)]] })
    expect(picture(peer)).toBe('..ss................')
    expect(peer.tcb.flight!.board.count).toBe(3)
  })

  it('checklist 3.5-46: outside SND.UNA to SND.NXT, reversed, empty, forged D-SACKs: nothing moves, all is counted', () => {
    const [peer, at] = inFlight(10)
    peer.tcb.sndWndMax = 100 * MSS
    const bad: [number, number][] = [
      [at(5), at(11)],
      [at(6), at(4)],
      [at(3), at(3)],
      [at(-1), at(2)],
      [at(0) + 0x7fffffff, at(1) + 0x7fffffff],
      [at(20), at(21)],
      // A D-SACK of what lies further back than any window that the peer ever had.
      [at(-101), at(-100)],
    ]
    for (const block of bad) peer.send('A', { sack: [block] })
    expect(t.counters['sack-blocks-invalid']).toBe(bad.length)
    peer.send('A', {
      sack: [
        [at(11), at(10)],
        [at(2), at(3)],
      ],
    })
    expect(picture(peer)).toBe('..s.......')
    expect(t.counters['dsack-in']).toBe(0)
  })

  it('RFC 2883 §4: a first block below the ACK, or inside the second, tells of a duplicate and SACKs nothing', () => {
    const [peer, at] = inFlight(10)
    peer.send('A', { ack: at(3), sack: [[at(1), at(2)]] })
    expect([picture(peer), t.counters['dsack-in']]).toEqual(['.......', 1])
    peer.send('A', {
      ack: at(3),
      sack: [
        [at(5), at(6)],
        [at(4), at(6)],
      ],
    })
    expect([picture(peer), t.counters['dsack-in']]).toEqual(['.ss....', 2])
  })

  it('a block that ends inside a segment is taken for the whole segments that lie in it', () => {
    const [peer, at] = inFlight(10)
    peer.send('A', { sack: [[at(2) + 300, at(5) + 700]] })
    expect(picture(peer)).toBe('...ss.....')
    peer.send('A', { sack: [[at(7) + 1, at(8) - 1]] })
    expect(picture(peer)).toBe('...ss.....')
  })

  it('a SACK that an ACK overtook still says what arrived', () => {
    const [peer, at] = inFlight(10)
    peer.send('A', { ack: at(2) })
    peer.send('A', { ack: at(1), sack: [[at(4), at(5)]] })
    expect(picture(peer)).toBe('..s.....')
  })

  it('without SACK agreed on, blocks mean nothing', () => {
    t = makeTcpTest()
    const peer = established(t, { mss: MSS })
    peer.tcb.cwnd = 20_000
    t.write(peer.tcb, new Uint8Array(10 * MSS))
    peer.send('A', { sack: [[peer.ack + 2 * MSS, peer.ack + 3 * MSS]] })
    expect(picture(peer)).toBe('.'.repeat(10))
  })

  it.each([...Array(12).keys()])(
    'property: any blocks mark what a list of segments would mark, seed %i',
    seed => {
      const random = new Prng(seed)
      const count = 60
      const [peer, at] = inFlight(count)
      let una = 0
      const sacked = new Array<boolean>(count).fill(false)
      for (let step = 0; step < 60; step++) {
        if (random.below(6) === 0) {
          while (una < count && sacked[una]) una++
          una = Math.min(count - 1, una + random.below(3))
          while (una < count && sacked[una]) una++
        }
        if (una >= count) break
        const blocks: [number, number][] = []
        for (let i = 0; i < 1 + random.below(4); i++) {
          const left = una + 1 + random.below(count - una)
          const right = left + random.below(6)
          blocks.push([at(left), at(right)])
          if (i === 0 && right <= una) continue
          if (left < right && right <= count) for (let n = left; n < right; n++) sacked[n] = true
        }
        // A first block inside the second would be a D-SACK.
        if (
          blocks.length > 1 &&
          ((blocks[0]![0] - blocks[1]![0]) | 0) >= 0 &&
          ((blocks[0]![1] - blocks[1]![1]) | 0) <= 0
        ) {
          const [l, r] = blocks[0]!
          blocks.unshift([l, r])
          blocks[0] = [at(una) - MSS, at(una)]
        }
        peer.send('A', { ack: at(una), sack: blocks.slice(0, 4) })
        t.take()
        const marks = picture(peer).replace(/[^s]/g, '.')
        const expected = sacked
          .slice(una)
          .map(yes => (yes ? 's' : '.'))
          .join('')
        if (marks !== expected && blocks.length <= 4) expect(marks).toBe(expected)
      }
    },
  )

  it('checklist 3.5-46 (CVE-2019-11478, -11479): a thousand holes at the least MSS, ACKs in random order: bounded records, linear work', () => {
    t = makeTcpTest({ connection: { sendBytes: 1_000_000 } })
    const peer = established(t, { mss: 48, sack: true, windowScale: 7, window: 8_000 })
    peer.send('A')
    const { tcb } = peer
    tcb.cwnd = 1_000_000
    expect(tcb.sndMss).toBe(48)
    t.write(tcb, new Uint8Array(400_000))
    t.take()
    const first = peer.ack
    const random = new Prng(5)
    const start = performance.now()
    for (let i = 0; i < 4_000; i++) {
      const sack = Array.from({ length: 4 }, (): [number, number] => {
        const n = 1 + 2 * random.below(4_000)
        return [first + n * 48, first + (n + 1) * 48]
      })
      peer.send('A', { sack }, {}, false)
    }
    expect(tcb.flight!.board.sackedSegments).toBeGreaterThan(3_000)
    expect(performance.now() - start).toBeLessThan(4_000)
    t.flush()
    t.take()
  })

  it('checklist 3.5-46 (CVE-2019-11478): a SACK of every second segment of half a megabyte cuts 8,192 records and no more', () => {
    t = makeTcpTest({ connection: { sendBytes: 1_000_000 } })
    const peer = established(t, { mss: 48, sack: true, windowScale: 7, window: 8_000 })
    peer.send('A')
    const { tcb } = peer
    tcb.cwnd = 1_000_000
    const segments = 10_400
    t.write(tcb, new Uint8Array(segments * 48))
    t.take()
    const first = peer.ack
    const { board } = tcb.flight!
    expect((tcb.sndNxt - tcb.sndUna) | 0).toBe(segments * 48)
    for (let n = 1; n < segments; n += 2) {
      peer.send('A', { sack: [[first + n * 48, first + (n + 1) * 48]] }, {}, false)
      expect(board.count).toBeLessThanOrEqual(8_192)
    }
    expect(board.count).toBe(8_192)
    // Nor is a record cut where a block ends inside of it.
    const rest = board.slot(board.count - 1)
    const seq = board.seq(rest)
    expect(board.segmentCount(rest)).toBeGreaterThan(100)
    peer.send('A', { sack: [[seq, (seq + 48) | 0]] }, {}, false)
    expect(board.count).toBe(8_192)
    // It still takes what covers records whole, and the connection goes on.
    peer.send('A', { sack: [[first + 48, first + segments * 48]] }, {}, false)
    expect(board.sackedSegments).toBe(segments - 1)
    expect(board.count).toBeLessThanOrEqual(8_192)
    peer.send('A', { ack: (first + segments * 48) | 0 }, {}, false)
    expect(tcb.sndUna).toBe(tcb.sndNxt)
    t.flush()
    t.take()
  })

  it('RFC 2018 §8: a peer that SACKed what it now should acknowledge is sent everything again', () => {
    const [peer, at] = inFlight(6)
    peer.send('A', { sack: [[at(2), at(6)]] })
    t.take()
    // It acknowledges up to what it SACKed, and no further: it threw that away.
    peer.send('A', { ack: at(2) })
    t.take()
    t.advance(400)
    expect(t.counters['sack-reneged']).toBe(1)
    const again = t.take()
    expect(again[0]!.seq).toBe(at(2))
    peer.send('A', { ack: at(3) })
    peer.send('A', { ack: at(6) })
    expect(peer.tcb.sndUna).toBe(peer.tcb.sndNxt)
  })
})
