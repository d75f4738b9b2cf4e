import { describe, expect, it } from 'vitest'
import { Prng } from '../../src/base/prng.ts'
import { HostilePackets } from './generator.ts'
import { HostileNode } from './node.ts'

function flood(seed: number, count: number): Record<string, Record<string, number>> {
  const node = new HostileNode({ seed, poison: true, arenaBytes: 4 * 1024 * 1024 })
  for (let i = 0; i < count; i += 50) {
    const before = node.outcomes()
    node.flood(1)
    expect(node.outcomes()).toBeGreaterThan(before)
    node.flood(49)
  }
  node.rest()
  const counters = node.counters()
  node.close()
  return counters
}

describe('hostile packets', () => {
  it('through a whole node: no module fails, every block comes home, and most counters are reached', () => {
    const counters = flood(1, 20_000)
    expect(counters['ip']!['packets-in']).toBe(20_000)
    expect(Object.keys(counters['ip']!).length).toBeGreaterThan(45)
    expect(Object.keys(counters['udp']!).length).toBeGreaterThan(12)
    expect(Object.keys(counters['reassembly']!).length).toBeGreaterThan(15)
    expect(counters['reassembly']!['datagrams-reassembled']).toBeGreaterThan(50)
  })

  it('the same seed gives the same packets and the same counters', () => {
    expect(flood(7, 3_000)).toEqual(flood(7, 3_000))
    expect(flood(7, 3_000)).not.toEqual(flood(8, 3_000))
  })

  it('the generator never leaves its own bounds', () => {
    const packets = new HostilePackets(new Prng(3))
    for (let i = 0; i < 50_000; i++) {
      packets.next()
      expect(packets.length >= 0 && packets.length <= packets.bytes.length).toBe(true)
      for (let j = 0; j < packets.cutCount; j++)
        expect(
          packets.cuts[j]! <= packets.length && (j === 0 || packets.cuts[j]! >= packets.cuts[j - 1]!),
        ).toBe(true)
    }
  })
})
