import { assert } from '../../src/base/assert.ts'
import type { Random } from '../../src/base/prng.ts'
import { HostileNode } from '../hostile/node.ts'
import { makeTemplates } from '../hostile/templates.ts'
import { type FuzzTarget, hashBytes } from './target.ts'

const REST_EVERY = 4_096
const STRUCTURED_PACKETS = 256
const ARENA_BYTES = 2 * 1024 * 1024

let shared: HostileNode | null = null
let runs = 0

/** The names of all counters that are not zero, as one line. */
function names(node: HostileNode): string {
  const lines = Object.entries(node.counters()).map(
    ([module, set]) => `${module}: ${Object.keys(set).join(' ')}`,
  )
  return lines.join('; ')
}

/** One packet, as it is, into a node that has seen others before. */
function packet(input: Uint8Array): string {
  shared ??= new HostileNode({ seed: 1, arenaBytes: ARENA_BYTES })
  const before = shared.counters()
  const sum = shared.outcomes()
  shared.injectBytes(input)
  assert(shared.outcomes() > sum, 'the packet ended in no counter')
  assert(shared.errors.length === 0, `a module failed: ${shared.errors[0]?.text}`)
  if (++runs % REST_EVERY === 0) shared.rest()
  const rose: string[] = []
  for (const [module, set] of Object.entries(shared.counters()))
    for (const [name, value] of Object.entries(set)) if (before[module]?.[name] !== value) rose.push(name)
  return rose.join(' ')
}

/** A flood from the generator, seeded by the input, into a fresh node, with every packet seen to end somewhere. */
function flood(input: Uint8Array, _random: Random): string {
  const node = new HostileNode({
    seed: hashBytes(input),
    arenaBytes: ARENA_BYTES,
    poison: (input[0] ?? 0) % 8 === 0,
  })
  for (let i = 0; i < STRUCTURED_PACKETS; i++) {
    const sum = node.outcomes()
    node.flood(1)
    assert(node.outcomes() > sum, `packet ${i} ended in no counter`)
  }
  node.rest()
  node.close()
  return names(node).length > 0 ? 'held' : 'nothing happened'
}

export const targets: readonly FuzzTarget[] = [
  { name: 'node-packet', seeds: makeTemplates(), run: packet },
  { name: 'node-flood', seeds: [Uint8Array.of(0), Uint8Array.of(1), Uint8Array.of(2, 3)], run: flood },
]
