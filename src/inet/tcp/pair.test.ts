/** Two cores and a bad link: whatever it does, all bytes arrive once and in order, and both ends come to their end. */
import { describe, expect, it } from 'vitest'
import { shutdown } from './close.ts'
import { CLOSED } from './states.ts'
import { type LinkOptions, Pair, Receiver, Sender } from './testing/pair.ts'

const LINKS: Readonly<Record<string, LinkOptions>> = {
  'a clean link': { delayMs: 1 },
  'super-segments cut, 20 ms': { delayMs: 10, cut: true },
  '1 % loss': { delayMs: 10, cut: true, loss: 0.01 },
  '10 % loss': { delayMs: 10, cut: true, loss: 0.1 },
  'jitter that reorders': { delayMs: 5, jitterMs: 10, cut: true },
  'everything at once': {
    delayMs: 10,
    jitterMs: 5,
    cut: true,
    loss: 0.02,
    duplicate: 0.02,
    reorder: 0.02,
    reorderMs: 40,
  },
  'super-segments whole, 3 % loss': { delayMs: 5, loss: 0.03 },
  'a narrow link with a short queue': { delayMs: 5, cut: true, bitsPerSecond: 20e6, queueBytes: 30_000 },
}

function exchange(seed: number, link: LinkOptions, down: number, up: number): Pair {
  // Sequence numbers, timestamps and clocks of some seeds wrap on the way.
  const startUs = seed % 3 === 0 ? (2 ** 31 - 500) * 1_000 : 1_000_000
  const pair = new Pair({ seed, link, startUs })
  const { client, server } = pair.connect()
  if (seed % 5 === 0) pair.a.tcp.settings.delayedAckMs = 200
  const ends = [
    { from: new Sender(pair.a, client, down), to: new Receiver(pair.b, server) },
    { from: new Sender(pair.b, server, up), to: new Receiver(pair.a, client) },
  ]
  pair.onStep = () => {
    for (const { from, to } of ends) {
      from.step()
      to.step()
      if (from.written === from.total) shutdown(from.test.tcp, from.tcb)
    }
  }
  pair.run(900_000, () => client.state === CLOSED && server.state === CLOSED)
  expect([ends[0]!.to.got, ends[1]!.to.got]).toEqual([down, up])
  expect([pair.a.events.at(-1), pair.b.events.at(-1)]).toEqual(['closed done', 'closed done'])
  expect(pair.a.atEof(client) && pair.b.atEof(server)).toBe(true)
  return pair
}

describe.each(Object.entries(LINKS))('inet/tcp over %s', (_, link) => {
  it.each([1, 2, 3, 4, 5, 6])('all bytes arrive, seed %i', seed => {
    exchange(seed, link, 400_000, 100_000).finish()
  })
})

describe('inet/tcp between two cores', () => {
  it('checklist 3.5-51: sequence numbers wrap', () => {
    for (const seed of [1, 2]) {
      const pair = new Pair({ seed, link: { delayMs: 1 } })
      const { client, server } = pair.connect()
      // As if almost all of the number space had been used.
      const shift = (0x7fffff00 - client.sndNxt) | 0
      for (const field of ['sndUna', 'sndNxt', 'sndWl2'] as const) client[field] = (client[field] + shift) | 0
      for (const field of ['rcvNxt', 'rcvAdv', 'lastAckSent', 'sndWl1'] as const)
        server[field] = (server[field] + shift) | 0
      const from = new Sender(pair.a, client, 2_000_000)
      const to = new Receiver(pair.b, server)
      pair.onStep = () => {
        from.step()
        to.step()
      }
      pair.run(60_000, () => to.got === from.total)
      expect(to.got).toBe(2_000_000)
      pair.finish()
    }
  })

  it('the same seed gives the same run', () => {
    const run = (): unknown => {
      const pair = exchange(9, LINKS['everything at once']!, 200_000, 50_000)
      const result = [pair.nowUs, pair.aToB.packets, pair.bToA.packets, { ...pair.a.counters }]
      pair.finish()
      return result
    }
    expect(run()).toEqual(run())
  })

  it('zero copies: what is received is what the device wrote, whatever was lost on the way', () => {
    const pair = exchange(2, LINKS['1 % loss']!, 20 * 16_384, 5 * 16_384)
    expect(pair.a.arena.copies.stack.bytes).toBe(0)
    pair.finish()
  })

  it('checklist 3.5-49: a clean transfer has no retransmission, no challenge and no duplicate', () => {
    const pair = exchange(1, LINKS['super-segments cut, 20 ms']!, 3_000_000, 1_000)
    for (const end of [pair.a, pair.b]) {
      const { counters } = end
      expect([
        counters['retransmitted-segments'],
        counters['challenge-acks-out'],
        counters['duplicate-data'],
        counters['out-of-window'],
        counters['paws-rejected'],
      ]).toEqual([0, 0, 0, 0, 0])
    }
    pair.finish()
  })
})
