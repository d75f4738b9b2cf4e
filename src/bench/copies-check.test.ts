import { describe, expect, it } from 'vitest'
import { checkNodeConfig } from '../node/config.ts'
import { Node } from '../node/node.ts'
import { copiesPerDatagram, copyTotals } from './copies-check.ts'

describe('bench/copies-check', () => {
  it('reads what a node tells, by place', async () => {
    const node = await Node.start(checkNodeConfig({ version: 1, name: 'n1', arena: { size: '8MiB' } }), {
      shim: null,
    })
    const { copies } = node.runtime.arena
    copies.kernel.calls = 7
    copies.kernel.bytes = 700
    copies.edge.calls = 2
    const totals = copyTotals(node.metrics())
    await node.close()
    expect(totals.kernel).toEqual({ calls: 7, bytes: 700 })
    expect(totals.edge.calls).toBe(2)
    expect(totals.stack.calls).toBe(copies.stack.calls)
  })

  it('a place that a node does not tell of is an error, not 0', () => {
    expect(() => copyTotals('putnext_copies_total{place="stack"} 0\n')).toThrow(/at stack/)
  })

  it('one copy among a million datagrams is seen', () => {
    const none = { calls: 0, bytes: 0 }
    const before = { stack: none, edge: none, kernel: { calls: 10, bytes: 1_000 } }
    const after = {
      stack: { calls: 1, bytes: 64 },
      edge: none,
      kernel: { calls: 2_000_010, bytes: 204_001_000 },
    }
    const copies = copiesPerDatagram(before, after, 1_000_000)
    expect(copies.userSpaceCalls).toBe(1)
    expect(copies.perDatagram.kernel).toEqual({ calls: 2, bytes: 204 })
  })
})
