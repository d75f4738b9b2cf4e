// Remote procedure calls for as long as one likes: every campaign of test/rpc, with ever new seeds. See scripts/soak-rpc --help.
import { parseArgs } from 'node:util'
import { heapBytes, MIB } from './heap.ts'
import { CAMPAIGNS } from './soak-campaigns.ts'

const HELP = `usage: scripts/soak-rpc [options]

Rounds of campaigns of remote procedure calls, each with a seed of its own, in one process and in virtual time: calls over a wire that loses, doubles
and reorders packets while the server crashes, of which none may have its effect twice; mutated messages and records at servers and clients; several
times more calls than a server can serve. A round has 50,000 calls of the first kind and 200,000 messages.

  --minutes N   no new round after that (default 10)
  --rounds N    this many rounds, whatever time they take
  --only TEXT   campaigns whose name has this
  --seed N      of the first round, each further has the next (default: from the clock; printed first)
  --json        print the result as JSON
  --help        this text

Exits 1 if anything was not as it has to be, 2 if the command line is wrong. What is found is found again by --seed N --rounds 1.
`

/** What the second half of all rounds may add: each begins and ends with nothing. */
const HEAP_GROWTH_MAX_BYTES = 4 * MIB

interface Options {
  readonly minutes: number
  readonly rounds: number
  readonly only: string
  readonly seed: number
  readonly json: boolean
}

type Sums = Record<string, Record<string, number>>

function number(name: string, text: string | undefined, standard: number): number {
  const value = text === undefined ? standard : Number(text)
  if (!(value >= 0)) throw new Error(`--${name}: not a number: ${text}`)
  return value
}

function parse(): Options | null {
  const text = { type: 'string' } as const
  const flag = { type: 'boolean' } as const
  const { values } = parseArgs({
    options: {
      minutes: text,
      rounds: text,
      only: text,
      seed: text,
      json: flag,
      help: { ...flag, short: 'h' },
    },
  })
  if (values.help) return null
  const { rounds, only = '' } = values
  if (!CAMPAIGNS.some(({ name }) => name.includes(only))) throw new Error(`--only: no campaign has ${only}`)
  return {
    minutes: rounds === undefined ? number('minutes', values.minutes, 10) : Number.POSITIVE_INFINITY,
    rounds: number('rounds', rounds, Number.POSITIVE_INFINITY),
    only,
    seed: number('seed', values.seed, Date.now() >>> 0),
    json: values.json ?? false,
  }
}

function add(sums: Sums, name: string, figures: Readonly<Record<string, number>>): void {
  sums[name] ??= {}
  const sum = sums[name]
  for (const [figure, value] of Object.entries(figures)) sum[figure] = (sum[figure] ?? 0) + value
}

function listed(figures: Readonly<Record<string, number>>): string {
  return Object.entries(figures)
    .map(([name, value]) => `${name} ${value}`)
    .join(', ')
}

/** @returns what must not be */
async function round(seed: number, only: string, sums: Sums): Promise<string[]> {
  const found: string[] = []
  for (const campaign of CAMPAIGNS) {
    if (!campaign.name.includes(only)) continue
    let problems: readonly string[]
    try {
      const result = await campaign.run(seed)
      add(sums, campaign.name, { seeds: 1, ...result.figures })
      problems = result.problems
    } catch (error) {
      problems = [error instanceof Error ? (error.stack ?? error.message) : String(error)]
    }
    for (const problem of problems) found.push(`${campaign.name}, seed ${seed}: ${problem}`)
  }
  return found
}

async function soak({ minutes, rounds, only, seed }: Options) {
  const began = performance.now()
  const seconds = (): number => (performance.now() - began) / 1_000
  const sums: Sums = {}
  const problems: string[] = []
  const heaps: number[] = []
  while (heaps.length < rounds && seconds() < minutes * 60) {
    const found = await round(seed + heaps.length, only, sums)
    problems.push(...found)
    heaps.push(heapBytes())
    const heap = `heap ${(heaps.at(-1)! / MIB).toFixed(2)} MiB`
    console.error(
      `round ${heaps.length}, seed ${seed + heaps.length - 1}: ${seconds().toFixed(0)} s, ${heap}, ${found.length} problems`,
    )
    for (const problem of found) console.error(`  ${problem}`)
  }
  const grown = heaps.length === 0 ? 0 : heaps.at(-1)! - heaps[heaps.length >> 1]!
  if (grown > HEAP_GROWTH_MAX_BYTES) problems.push(`the heap grew by ${grown} bytes in the second half`)
  return { seed, rounds: heaps.length, seconds: seconds(), sums, grown, problems }
}

async function main(): Promise<number> {
  let options: Options | null
  try {
    options = parse()
  } catch (error) {
    console.error(`scripts/soak-rpc: ${error instanceof Error ? error.message : error}\n\n${HELP}`)
    return 2
  }
  if (options === null) {
    console.log(HELP)
    return 0
  }
  console.error(`soak: seed ${options.seed}`)
  const result = await soak(options)
  const { rounds, seconds, sums, grown, problems } = result
  if (options.json) console.log(JSON.stringify(result))
  else {
    for (const [name, figures] of Object.entries(sums)) console.log(`${name}: ${listed(figures)}`)
    console.log(`${rounds} rounds in ${seconds.toFixed(0)} s; heap ${grown} bytes in the second half`)
    console.log(problems.length === 0 ? 'all as it has to be' : `${problems.length} problems`)
    for (const problem of problems) console.log(problem)
  }
  return problems.length === 0 ? 0 : 1
}

process.exitCode = await main()
