// Hostile packets through a whole node, counted: no crash, nothing leaked, memory flat. See scripts/soak-hostile --help.

import { parseArgs } from 'node:util'
import { HostileNode } from './node.ts'

const HELP = `usage: scripts/soak-hostile [options]

Injects structured hostile packets at the link of a whole node with echo and discard endpoints, in one process.

  --packets N   how many (default 10000000)
  --seed N      start of all randomness (default: from the clock; printed first)
  --poison      check freed blocks for writes (slower)
  --json        print the result as JSON
  --help        this text

Exits 1 if anything failed, leaked or grew, 2 if the command line is wrong.
`

const BATCH = 64
const SAMPLES = 20
const MIB = 1024 * 1024
/** What may be added in the second half: code that is compiled late to the heap, a larger young generation to the process. */
const HEAP_GROWTH_MAX_BYTES = MIB
const PROCESS_GROWTH_MAX_BYTES = 16 * MIB

interface Sample {
  readonly packets: number
  readonly seconds: number
  readonly heapMiB: number
  readonly rssMiB: number
  readonly blocksInUse: number
}

function count(text: string | undefined, standard: number): number {
  const value = text === undefined ? standard : Number(text)
  if (!Number.isSafeInteger(value) || value < 0) throw new Error(`not a whole number: ${text}`)
  return value
}

function parse(): { packets: number; seed: number; poison: boolean; json: boolean } | null {
  const { values } = parseArgs({
    options: {
      packets: { type: 'string' },
      seed: { type: 'string' },
      poison: { type: 'boolean' },
      json: { type: 'boolean' },
      help: { type: 'boolean', short: 'h' },
    },
  })
  if (values.help) return null
  return {
    packets: count(values.packets, 10_000_000),
    seed: count(values.seed, Date.now() >>> 0),
    poison: values.poison ?? false,
    json: values.json ?? false,
  }
}

/** @returns samples of time and memory while it ran */
function soak(node: HostileNode, packets: number): Sample[] {
  const samples: Sample[] = []
  const start = performance.now()
  const between = Math.max(BATCH, Math.ceil(packets / SAMPLES))
  let next = 0
  while (node.injected < packets) {
    // The first of each batch goes alone, so that it is seen to end somewhere.
    const before = node.outcomes()
    node.flood(1)
    if (node.outcomes() <= before) throw new Error(`packet ${node.injected - 1} ended in no counter`)
    node.flood(Math.min(BATCH - 1, packets - node.injected))
    if (node.errors.length > 0)
      throw new Error(`a module failed near packet ${node.injected}: ${node.errors[0]!.text}`)
    if (node.injected < next) continue
    next += between
    samples.push(sample(node, start))
  }
  samples.push(sample(node, start))
  return samples
}

function sample(node: HostileNode, start: number): Sample {
  global.gc?.()
  const { heapUsed, rss } = process.memoryUsage()
  const taken: Sample = {
    packets: node.injected,
    seconds: (performance.now() - start) / 1_000,
    heapMiB: heapUsed / MIB,
    rssMiB: rss / MIB,
    blocksInUse: node.arena.state().blocksInUse,
  }
  const columns = [
    `${taken.packets} packets`,
    `${taken.seconds.toFixed(1)} s`,
    `heap ${taken.heapMiB.toFixed(2)} MiB`,
    `rss ${taken.rssMiB.toFixed(1)} MiB`,
    `${taken.blocksInUse} blocks in use`,
  ]
  console.error(columns.join(', '))
  return taken
}

/** Bytes by which the heap and the process grew after the first half. */
function growth(samples: readonly Sample[]): { heap: number; rss: number } {
  const middle = samples[samples.length >> 1]!
  const last = samples.at(-1)!
  return { heap: (last.heapMiB - middle.heapMiB) * MIB, rss: (last.rssMiB - middle.rssMiB) * MIB }
}

function main(): number {
  let options: ReturnType<typeof parse>
  try {
    options = parse()
  } catch (error) {
    console.error(`scripts/soak-hostile: ${error instanceof Error ? error.message : error}\n\n${HELP}`)
    return 2
  }
  if (options === null) {
    console.log(HELP)
    return 0
  }
  console.error(`soak: seed ${options.seed}, ${options.packets} packets`)
  const node = new HostileNode({ seed: options.seed, poison: options.poison })
  const samples = soak(node, options.packets)
  node.rest()
  const counters = node.counters()
  node.close()
  const { seconds } = samples.at(-1)!
  const rate = Math.round(node.injected / seconds)
  const grown = growth(samples)
  const { injected, echoed, discarded, told, noBlocks, link } = node
  const result = {
    seed: options.seed,
    injected,
    seconds,
    rate,
    grown,
    echoed,
    discarded,
    told,
    noBlocks,
    sent: link.sent,
    counters,
    samples,
  }
  if (options.json) console.log(JSON.stringify(result))
  else {
    for (const [module, set] of Object.entries(counters))
      for (const [name, value] of Object.entries(set)) console.log(`${module} ${name} ${value}`)
    console.log(
      `programs echoed ${echoed}, discarded ${discarded}, told of errors ${told}; sent ${link.sent.packets}`,
    )
    console.log(
      `${injected} packets in ${seconds.toFixed(1)} s, ${rate}/s; arena whole; heap ${grown.heap}, rss ${grown.rss} bytes`,
    )
  }
  const flat = grown.heap < HEAP_GROWTH_MAX_BYTES && grown.rss < PROCESS_GROWTH_MAX_BYTES
  if (!flat) console.error(`memory grew: heap by ${grown.heap} bytes, the process by ${grown.rss}`)
  if (link.sent.tooLong > 0) console.error(`${link.sent.tooLong} packets were longer than the link's MTU`)
  return flat && link.sent.tooLong === 0 ? 0 : 1
}

process.exitCode = main()
