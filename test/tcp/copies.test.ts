/**
 * No byte is copied between the device and the program, whatever is lost, late or doubled on the way: copies are made when
 * memory is short, not when the network is bad.
 */
import { afterEach, describe, expect, it } from 'vitest'
import { impairModule } from '../../src/driver/index.ts'
import type { TcpConnection } from '../../src/socket/tcp-endpoint.ts'
import { freemsg } from '../../src/streams/mblk/alloc.ts'
import { blockAt, checkMessage } from './bytes.ts'
import { TcpStacks } from './stacks.ts'

const MIB = 1024 * 1024
/** IPv4 and TCP with timestamps. */
const HEADER_BYTES = 52

let t: TcpStacks
afterEach(() => t.finish())

interface Link {
  readonly title: string
  readonly offload: boolean
  readonly impair: Readonly<Record<string, unknown>>
}

const LINKS: readonly Link[] = [
  { title: 'segments, 2 % lost', offload: false, impair: { loss: '2%', delay: '10ms' } },
  { title: 'segments, 5 % lost', offload: false, impair: { loss: '5%', delay: '10ms' } },
  {
    title: 'segments, late, lost and doubled',
    offload: false,
    impair: { loss: '1%', delay: '10ms', jitter: '5ms', jitterReorder: true, duplicate: '2%' },
  },
  // Coming in, a super-segment is lost as a whole; going out there would be none.
  {
    title: 'super-segments, 2 % lost',
    offload: true,
    impair: { loss: '2%', delay: '10ms', direction: 'in' },
  },
  {
    title: 'super-segments, 5 % lost',
    offload: true,
    impair: { loss: '5%', delay: '10ms', direction: 'in' },
  },
  {
    title: 'super-segments, late, lost and doubled',
    offload: true,
    impair: {
      loss: '2%',
      delay: '10ms',
      jitter: '5ms',
      jitterReorder: true,
      duplicate: '2%',
      direction: 'in',
    },
  },
]

/** Sends so many bytes as messages: two large ones and a short one in turn, as a program's records would be. */
function pour(from: TcpConnection, total: number): void {
  let sent = 0
  let turn = 0
  const go = (): void => {
    while (sent < total) {
      const size = Math.min(turn % 3 === 2 ? 240 : 65_536, total - sent)
      const mp = blockAt(t.arena, sent, size)!
      if (!from.putmsg(mp)) return freemsg(mp)
      sent += size
      turn++
    }
    from.shutdown()
  }
  from.onWritable = go
  go()
}

/** Takes all, and checks it. */
function drain(to: TcpConnection): { received: number; ended: boolean } {
  const seen = { received: 0, ended: false }
  to.onReadable = () => {
    for (let mp = to.getmsg(); mp !== null; mp = to.getmsg()) {
      seen.received += checkMessage(mp, seen.received)
      freemsg(mp)
    }
  }
  to.onEnd = () => {
    seen.ended = true
  }
  return seen
}

describe('socket/tcp-endpoint: putmsg to getmsg on a bad link', () => {
  it.each(LINKS)('copies nothing, retransmissions included: $title', ({ offload, impair }) => {
    t = new TcpStacks('wire', {
      arena: { poison: false, sizeBytes: 64 * MIB },
      wire: offload ? {} : { capabilities: 0 },
    })
    for (const [i, side] of [t.client, t.server].entries())
      side.link!.push(impairModule, { direction: 'out', seed: 5 + i, ...impair })
    t.settle()
    const listener = t.listen(0)
    const client = t.connect(listener.local.port)
    t.advance(5_000)
    const server = listener.accept()!
    const total = 2 * MIB
    const seen = [drain(server), drain(client)]
    pour(client, total)
    pour(server, total)
    t.until(() => seen.every(({ ended }) => ended), 600_000)
    expect(seen.map(({ received }) => received)).toEqual([total, total])
    let retransmitted = 0
    let outOfOrder = 0
    for (const { stack } of [t.client, t.server]) {
      const counters = stack.counters()['tcp']!
      expect(counters['condensed']).toBe(0)
      retransmitted += counters['retransmitted-segments']!
      outOfOrder += counters['out-of-order-in']!
    }
    expect([retransmitted > 5, outOfOrder > 5]).toEqual([true, true])
    const { bytes, calls } = t.arena.copies.stack
    // Without offload each segment of a super-segment gets the headers that were made for it; no payload is moved.
    expect(bytes).toBe(offload ? 0 : calls * HEADER_BYTES)
    expect(t.arena.copies.edge.bytes).toBe(0)
  })
})
