/** One round of the soak: each campaign once, with circumstances that its seed chooses. */
import { Prng } from '../../src/base/prng.ts'
import { type AtMostOnceOptions, atMostOnce } from './at-most-once.ts'
import { heapBytes, MIB } from './heap.ts'
import { HostileClientRun } from './hostile-client.ts'
import { HostileServerRun } from './hostile-server.ts'
import { type OverloadOptions, overload } from './overload.ts'
import { plainCampaign } from './plain-campaign.ts'

export interface CampaignResult {
  /** What must not be. */
  readonly problems: readonly string[]
  /** To be summed over all rounds. */
  readonly figures: Readonly<Record<string, number>>
}

export interface Campaign {
  readonly name: string
  run(seed: number): Promise<CampaignResult>
}

const SESSION_CALLS = 20_000
const PLAIN_CALLS = 5_000
const SERVER_MESSAGES = 120_000
const CLIENT_MESSAGES = 80_000
/** What compiled code and tables that fill up to their bounds may add in the second half. */
const GROWTH_MAX_BYTES = 4 * MIB
const GOODPUT_LEAST = 0.9

function between(random: Prng, least: number, most: number): number {
  return least + random.below(most - least + 1)
}

async function counted(options: AtMostOnceOptions): Promise<CampaignResult> {
  const { problems, problemCount, outcomes, unknownDone, ...rest } = await atMostOnce(options)
  const { restarts, resets, client, server, twice } = rest
  const more = problemCount > problems.length ? [`and ${problemCount - problems.length} more`] : []
  const duplicates = Object.entries(server).filter(([name]) => name.startsWith('duplicate-'))
  const figures = {
    calls: options.calls,
    ...outcomes,
    unknownDone,
    twice,
    restarts,
    resets,
    'sent again': client['retransmissions']!,
    'duplicates met': duplicates.reduce((sum, [, value]) => sum + value, 0),
  }
  return { problems: [...problems, ...more], figures }
}

/** Circumstances of a server with sessions: now and then so narrow that they are the trouble. */
function sessions(random: Prng, transport: 'tcp' | 'udp', seed: number): AtMostOnceOptions {
  return {
    seed,
    calls: SESSION_CALLS,
    transport,
    session: true,
    restarts: between(random, 0, 30),
    resets: transport === 'tcp' ? between(random, 0, 60) : 0,
    clients: between(random, 1, 8),
    callersPerClient: between(random, 8, 96),
    server: {
      service: { concurrency: between(random, 8, 256) },
      atMostOnce: {
        windowCalls: between(random, 4, 256),
        sessionIdleMs: random.below(2) === 0 ? between(random, 50, 2_000) : 300_000,
        maxSessions: random.below(4) === 0 ? 3 : 1_024,
      },
    },
  }
}

async function plain(seed: number): Promise<CampaignResult> {
  const random = new Prng(seed ^ 0x91a1)
  const options = { atMostOnce: { maxCalls: between(random, 64, 1_024) } }
  const { problems, outcomes, transmissions, server } = await plainCampaign(seed, PLAIN_CALLS, options)
  const figures = {
    calls: PLAIN_CALLS,
    ...outcomes,
    'sent again': transmissions - PLAIN_CALLS,
    'duplicates met': server['duplicate-answered']! + server['duplicate-in-progress']!,
  }
  return { problems, figures }
}

interface Flood {
  start(): Promise<void>
  flood(messages: number): Promise<void>
}

/** @returns what is to be said of memory */
async function flood(run: Flood, messages: number): Promise<string[]> {
  await run.start()
  await run.flood(messages / 2)
  const middle = heapBytes()
  await run.flood(messages / 2)
  const grown = heapBytes() - middle
  return grown < GROWTH_MAX_BYTES ? [] : [`the heap grew by ${grown} bytes in the second half`]
}

async function hostileServer(seed: number): Promise<CampaignResult> {
  const run = new HostileServerRun(seed)
  const ofMemory = await flood(run, SERVER_MESSAGES)
  const { problems, messages, judged, honestCalls } = await run.end()
  return { problems: [...problems, ...ofMemory], figures: { messages, judged, 'honest calls': honestCalls } }
}

async function hostileClient(seed: number): Promise<CampaignResult> {
  const run = new HostileClientRun(seed)
  const ofMemory = await flood(run, CLIENT_MESSAGES)
  const { problems, reached, calls, honestCalls } = await run.end()
  return {
    problems: [...problems, ...ofMemory],
    figures: { messages: reached, calls, 'honest calls': honestCalls },
  }
}

/** @returns circumstances in which the server knows how long callers wait */
function tooMuch(random: Prng, seed: number): OverloadOptions {
  const session = random.below(2) === 0
  return {
    seed,
    transport: random.below(2) === 0 ? 'tcp' : 'udp',
    session,
    workMs: between(random, 5, 40),
    concurrency: between(random, 4, 16),
    clients: between(random, 1, 16),
    timeoutMs: 400,
    retransmitMs: between(random, 80, 500),
    ...(session ? {} : { maxWaitMs: 200 }),
    phases: [
      { load: between(random, 2, 10), seconds: 1.5 },
      { load: 0.5, seconds: 0.5 },
      { load: 0.5, seconds: 1 },
    ],
  }
}

async function overloaded(seed: number): Promise<CampaignResult> {
  const options = tooMuch(new Prng(seed ^ 0x0e41), seed)
  const { phases, problems } = await overload(options)
  const [during, , after] = phases
  const found = [...problems]
  if (during!.goodput < GOODPUT_LEAST) found.push(`goodput was ${during!.goodput} of capacity`)
  if (during!.p99Ms > options.timeoutMs) found.push(`accepted calls took ${during!.p99Ms} ms`)
  if (during!.unknown > 0.01 * during!.offered) found.push(`${during!.unknown} calls were told nothing`)
  if (after!.ok < after!.offered) found.push(`${after!.offered - after!.ok} calls failed when it was over`)
  const { offered, ok, shed } = during!
  return { problems: found, figures: { calls: offered, ok, shed } }
}

export const CAMPAIGNS: readonly Campaign[] = [
  {
    name: 'at most once, UDP, sessions',
    run: seed => counted(sessions(new Prng(seed ^ 0x5e55), 'udp', seed)),
  },
  {
    name: 'at most once, TCP, sessions',
    run: seed => counted(sessions(new Prng(seed ^ 0x5e56), 'tcp', seed)),
  },
  {
    name: 'at most once, TCP, none',
    run: seed =>
      counted({ seed, calls: PLAIN_CALLS, transport: 'tcp', session: false, restarts: 4, resets: 12 }),
  },
  { name: 'at most once, UDP, none', run: plain },
  { name: 'hostile messages at a server', run: hostileServer },
  { name: 'hostile messages at clients', run: hostileClient },
  { name: 'overload', run: overloaded },
]
