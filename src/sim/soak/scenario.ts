/** What a seed stands for: a link, two stacks, and what programs do on them. */
import { Prng, type Random } from '../../base/prng.ts'
import type { ConnectionSettings, TcpSettings } from '../../inet/tcp/settings.ts'

/** One side of a connection: what it sends, and how. */
export interface Part {
  readonly bytes: number
  /** Bytes of one write, at the most. */
  readonly chunk: number
  /** Of 1,000 writes, how many are followed by a pause; how long that is at the most, in milliseconds. */
  readonly pauses: number
  readonly pauseMs: number
  /** The reader takes at most so many bytes at a time, and pauses as often. */
  readonly take: number
  /** Waits for the end of the other side's data before it sends its own: request and answer. */
  readonly answers: boolean
  /** Gives the connection up only when TCP has ended it, not as soon as its own part is done. */
  readonly lingers: boolean
  readonly settings: Partial<ConnectionSettings>
}

export interface ConnectionPlan {
  /** When the client connects, in milliseconds. */
  readonly beginsMs: number
  readonly family: 4 | 6
  readonly client: Part
  readonly server: Part
}

export interface Scenario {
  readonly seed: number
  readonly mtu: number
  /** Whether the link takes super-segments; impairments that act on single packets take them away again. */
  readonly offload: boolean
  /** Options of the module `impair`, for each side. */
  readonly impair: readonly [Readonly<Record<string, unknown>>, Readonly<Record<string, unknown>>]
  /** When the link is cut, and for how long; none if null. */
  readonly cut: { readonly atMs: number; readonly forMs: number } | null
  readonly tcp: readonly [Partial<TcpSettings>, Partial<TcpSettings>]
  readonly connections: readonly ConnectionPlan[]
}

/** A number whose logarithm is spread evenly: small ones are as likely as large ones. */
function logarithmic(random: Random, least: number, most: number): number {
  return Math.round(least * (most / least) ** random.unit())
}

const chance = (random: Random, probability: number): boolean => random.unit() < probability
const pick = <T>(random: Random, choices: readonly T[]): T => choices[random.below(choices.length)]!
/** Zero in half of the cases, else up to `most`. */
const sometimes = (random: Random, most: number): number => (chance(random, 0.5) ? 0 : random.unit() * most)

interface Impairment {
  readonly loss: number
  readonly corrupt: number
  readonly reorder: number
  readonly jitter: number
  readonly [option: string]: unknown
}

function drawImpair(random: Random): Impairment {
  const delay = chance(random, 0.1) ? 1_000 * random.unit() : sometimes(random, 100)
  return {
    seed: random.int32() >>> 0,
    delay,
    jitter: Math.min(delay, sometimes(random, chance(random, 0.2) ? 200 : 20)),
    jitterReorder: chance(random, 0.5),
    loss: sometimes(random, chance(random, 0.2) ? 0.2 : 0.05),
    duplicate: sometimes(random, chance(random, 0.2) ? 0.5 : 0.05),
    reorder: sometimes(random, chance(random, 0.2) ? 0.5 : 0.1),
    corrupt: sometimes(random, 0.03),
    ...(chance(random, 0.3)
      ? { rate: logarithmic(random, 1e6, 1e9), limit: logarithmic(random, 10, 400) }
      : {}),
  }
}

function drawPart(random: Random, answers: boolean): Part {
  const bytes = chance(random, 0.1) ? 0 : logarithmic(random, 1, 1_500_000)
  return {
    bytes,
    chunk: logarithmic(random, 1 + (bytes >> 9), 100_000),
    pauses: chance(random, 0.3) ? logarithmic(random, 1, 200) : 0,
    pauseMs: logarithmic(random, 1, 3_000),
    take: logarithmic(random, 500, 300_000),
    answers,
    lingers: chance(random, 0.5),
    settings: {
      noDelay: chance(random, 0.5),
      congestion: pick(random, ['cubic', 'newreno']),
      quickAck: chance(random, 0.1),
      ...(chance(random, 0.2) ? { receiveBytes: logarithmic(random, 4_096, 100_000) } : {}),
      ...(chance(random, 0.2) ? { sendBytes: logarithmic(random, 4_096, 100_000) } : {}),
      ...(chance(random, 0.1) ? { maxSegment: logarithmic(random, 100, 1_400) } : {}),
    },
  }
}

const drawTcp = (random: Random): Partial<TcpSettings> => ({
  timestamps: chance(random, 0.75) ? 1 : 0,
  sack: chance(random, 0.75) ? 1 : 0,
  windowScaling: chance(random, 0.8) ? 1 : 0,
  ecn: pick(random, [0, 1, 2]),
  synCookies: pick(random, [0, 1, 1, 2]),
  mtuProbing: pick(random, [0, 1, 2]),
  pacing: chance(random, 0.25) ? 1 : 0,
  autoTuning: chance(random, 0.8) ? 1 : 0,
  delayedAckMs: pick(random, [0, 40, 40, 499]),
  initialWindowSegments: pick(random, [1, 3, 10, 10, 64]),
  rtoMinMs: pick(random, [50, 200, 200, 1_000]),
  reassemblySegments: pick(random, [100, 1_024, 1_024]),
  ...(chance(random, 0.2) ? { memoryBytes: logarithmic(random, 1_048_576, 4_194_304) } : {}),
})

/**
 * A SYN cookie leaves nothing behind: if the handshake's last segment is lost, the server knows of the connection only when
 * the client says something more, and if segments overtake each other, a true one may seem to bring a wrong cookie
 * (RFC 4987 §3.6). So cookies are not forced where the client waits for the server, or its way is not straight.
 */
function mayForceCookies(connections: readonly ConnectionPlan[], way: Impairment): boolean {
  return (
    !connections.some(plan => plan.client.answers) && way.loss + way.corrupt + way.reorder + way.jitter === 0
  )
}

function drawConnection(random: Random, mtu: number): ConnectionPlan {
  const client = drawPart(random, chance(random, 0.1))
  return {
    beginsMs: random.below(500),
    // RFC 8200 §5: IPv6 has no link below 1,280.
    family: mtu < 1_280 ? 4 : pick(random, [4, 6] as const),
    client,
    // If both waited for the other's end, neither would begin.
    server: drawPart(random, !client.answers && chance(random, 0.4)),
  }
}

/** Whether a reader may close its window: without memory TCP then gives the connection up (RFC 6429). */
function mayCloseWindow({ client, server }: ConnectionPlan): boolean {
  return [client, server].some(({ pauses, settings }) => pauses > 0 || settings.receiveBytes !== undefined)
}

/** The budget that TCP has by itself. */
function withoutBudget({ memoryBytes: _, ...rest }: Partial<TcpSettings>): Partial<TcpSettings> {
  return rest
}

const linger = (plan: ConnectionPlan): ConnectionPlan => ({
  ...plan,
  client: { ...plan.client, lingers: true },
  server: { ...plan.server, lingers: true },
})

/** The same seed gives the same scenario. */
export function drawScenario(seed: number): Scenario {
  const random = new Prng(seed)
  const mtu = pick(random, [576, 1_280, 1_500, 1_500, 9_000])
  const connections = Array.from({ length: 1 + random.below(4) }, () => drawConnection(random, mtu))
  let [client, server] = [drawTcp(random), drawTcp(random)]
  const impair = [drawImpair(random), drawImpair(random)] as const
  if (server.synCookies === 2 && !mayForceCookies(connections, impair[0]))
    server = { ...server, synCookies: 1 }
  if (connections.some(mayCloseWindow)) [client, server] = [withoutBudget(client), withoutBudget(server)]
  // What a program gave up TCP ends by itself, but not for ever: on a way this bad it may take longer.
  const isBad = impair.some(({ loss, corrupt }) => loss + corrupt > 0.03)
  return {
    seed,
    mtu,
    offload: chance(random, 0.5),
    impair,
    cut: chance(random, 0.15) ? { atMs: random.below(2_000), forMs: logarithmic(random, 10, 8_000) } : null,
    tcp: [client, server],
    connections: isBad ? connections.map(linger) : connections,
  }
}
