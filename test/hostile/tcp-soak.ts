// Hostile segments through a whole node, counted: no crash, memory within its budget, honest connections succeed. See
// scripts/soak-hostile-tcp --help.

import { parseArgs } from 'node:util'
import { HostileTcpNode } from './tcp-node.ts'

const HELP = `usage: scripts/soak-hostile-tcp [options]

Injects hostile segments at the link of a whole node with TCP services, in one process and in virtual time: floods of SYNs, every event in every
state, mutated traffic, forged ICMP errors. In the middle of it an honest host opens connections, which have to succeed.

  --packets N   how many (default 10000000)
  --seed N      start of all randomness (default: from the clock; printed first)
  --arena MIB   memory of the node (default 64)
  --poison      check freed blocks for writes (slower)
  --json        print the result as JSON
  --help        this text

Exits 1 if anything failed, leaked or grew, 2 if the command line is wrong.
`

const MIB = 1024 * 1024
const SAMPLES = 20
const HONEST_BYTES = 20_000
/** One honest connection for so many packets. */
const HONEST_EVERY = 20_000
/** What may be added in the second half: a thousand connections more than in the middle, of 2 KiB each, and code that is compiled late. */
const HEAP_GROWTH_MAX_BYTES = 6 * MIB
const PROCESS_GROWTH_MAX_BYTES = 32 * MIB

interface Sample {
  readonly packets: number
  readonly seconds: number
  readonly heapMiB: number
  readonly rssMiB: number
}

function count(text: string | undefined, standard: number): number {
  const value = text === undefined ? standard : Number(text)
  if (!Number.isSafeInteger(value) || value < 0) throw new Error(`not a whole number: ${text}`)
  return value
}

function parse() {
  const { values } = parseArgs({
    options: {
      packets: { type: 'string' },
      seed: { type: 'string' },
      arena: { type: 'string' },
      poison: { type: 'boolean' },
      json: { type: 'boolean' },
      help: { type: 'boolean', short: 'h' },
    },
  })
  if (values.help) return null
  return {
    packets: count(values.packets, 10_000_000),
    seed: count(values.seed, Date.now() >>> 0),
    arena: count(values.arena, 64),
    poison: values.poison ?? false,
    json: values.json ?? false,
  }
}

/** @returns samples of memory, and how long each honest connection took in virtual milliseconds */
async function soak(node: HostileTcpNode, packets: number): Promise<{ samples: Sample[]; tookMs: number[] }> {
  const samples: Sample[] = []
  const tookMs: number[] = []
  const start = performance.now()
  const between = Math.max(HONEST_EVERY, Math.ceil(packets / SAMPLES))
  for (let next = between; node.injected < packets; ) {
    node.flood(Math.min(HONEST_EVERY, packets - node.injected))
    tookMs.push(await node.honestExchange(HONEST_BYTES))
    if (node.errors.length > 0)
      throw new Error(`a module failed near packet ${node.injected}: ${node.errors[0]!.text}`)
    if (node.injected < next) continue
    next += between
    samples.push(sample(node, start))
  }
  samples.push(sample(node, start))
  return { samples, tookMs }
}

function sample(node: HostileTcpNode, start: number): Sample {
  global.gc?.()
  const { heapUsed, rss } = process.memoryUsage()
  const taken = {
    packets: node.injected,
    seconds: (performance.now() - start) / 1_000,
    heapMiB: heapUsed / MIB,
    rssMiB: rss / MIB,
  }
  const columns = [
    `${taken.packets} packets`,
    `${taken.seconds.toFixed(1)} s`,
    `heap ${taken.heapMiB.toFixed(2)} MiB`,
    `rss ${taken.rssMiB.toFixed(1)} MiB`,
    `${node.accepted} accepted`,
    `at most ${node.most.connections} connections, ${(node.most.memoryBytes / MIB).toFixed(2)} MiB`,
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

async function main(): Promise<number> {
  let options: ReturnType<typeof parse>
  try {
    options = parse()
  } catch (error) {
    console.error(`scripts/soak-hostile-tcp: ${error instanceof Error ? error.message : error}\n\n${HELP}`)
    return 2
  }
  if (options === null) {
    console.log(HELP)
    return 0
  }
  const { packets, seed, poison, json } = options
  console.error(`soak: seed ${seed}, ${packets} packets`)
  const node = new HostileTcpNode({ seed, poison, arenaBytes: options.arena * MIB })
  const { samples, tookMs } = await soak(node, packets)
  const { injected, accepted, dialled, noBlocks, most } = node
  node.rest()
  const counters = node.counters()
  node.close()
  const { seconds } = samples.at(-1)!
  const rate = Math.round(injected / seconds)
  const grown = growth(samples)
  tookMs.sort((a, b) => a - b)
  const honest = { connections: tookMs.length, p50Ms: tookMs[tookMs.length >> 1], worstMs: tookMs.at(-1) }
  const result = {
    seed,
    injected,
    seconds,
    rate,
    grown,
    accepted,
    dialled,
    noBlocks,
    most,
    honest,
    counters,
    samples,
  }
  if (json) console.log(JSON.stringify(result))
  else {
    for (const [module, set] of Object.entries(counters))
      for (const [name, value] of Object.entries(set)) console.log(`${module} ${name} ${value}`)
    console.log(
      `accepted ${accepted}, dialled ${dialled}, without a block ${noBlocks}, most ${JSON.stringify(most)}`,
    )
    console.log(`honest connections: ${JSON.stringify(honest)}`)
    console.log(
      `${injected} packets in ${seconds.toFixed(1)} s, ${rate}/s; arena whole; heap ${grown.heap}, rss ${grown.rss} bytes`,
    )
  }
  const flat = grown.heap < HEAP_GROWTH_MAX_BYTES && grown.rss < PROCESS_GROWTH_MAX_BYTES
  if (!flat) console.error(`memory grew: heap by ${grown.heap} bytes, the process by ${grown.rss}`)
  return flat ? 0 : 1
}

process.exitCode = await main()
