import { describe, expect, it } from 'vitest'
import { HostileTcpNode } from './tcp-node.ts'

const MIB = 1024 * 1024

async function attack(seed: number, count: number): Promise<{ node: HostileTcpNode; tookMs: number[] }> {
  const node = new HostileTcpNode({ seed, poison: true, arenaBytes: 16 * MIB })
  const tookMs: number[] = []
  for (let i = 0; i < count; i += count / 4) {
    node.flood(count / 4)
    tookMs.push(await node.honestExchange(20_000))
  }
  node.rest()
  return { node, tookMs }
}

describe('hostile segments', () => {
  it('checklist 3.5: through a whole node: nothing fails or stays, honest connections succeed, most counters are reached', async () => {
    const { node } = await attack(1, 40_000)
    const counters = node.counters()
    expect(node.accepted).toBeGreaterThan(100)
    expect(node.most.connections).toBeGreaterThan(20)
    const reached = Object.keys(counters['tcp']!)
    for (const name of [
      'challenge-acks-out',
      'syn-cookies-sent',
      'out-of-window',
      'paws-rejected',
      'ack-beyond-sent',
      'out-of-order-in',
      'sack-blocks-invalid',
      'errors-out-of-flight',
      'urgent-in',
      'option-malformed',
      'time-wait-entered',
    ])
      expect(reached).toContain(name)
    node.close()
  })

  it('the same seed gives the same counters', async () => {
    const run = async (seed: number) => {
      const { node, tookMs } = await attack(seed, 4_000)
      const counters = node.counters()
      node.close()
      return { counters, tookMs }
    }
    const first = await run(7)
    expect(await run(7)).toEqual(first)
    expect(await run(8)).not.toEqual(first)
  })
})
