/** Many clients as C programs have them, without sessions, over a bad wire: what the server's cache of duplicates promises alone. */
import { Prng } from '../../src/base/prng.ts'
import type { RpcServerOptions } from '../../src/rpc/index.ts'
import { BAD_WIRE } from './at-most-once.ts'
import { CounterServer, PORT } from './counter-server.ts'
import { ADD, ADD_THEN_WAIT, CounterState, WAIT_THEN_ADD } from './counter-service.ts'
import { PlainClient, type PlainOutcome } from './plain-client.ts'
import { World } from './world.ts'

export interface PlainResult {
  readonly problems: readonly string[]
  readonly outcomes: Readonly<Record<PlainOutcome, number>>
  readonly transmissions: number
  readonly lateReplies: number
  readonly server: Readonly<Record<string, number>>
  readonly wire: Readonly<Record<string, number>>
}

const CLIENTS = 32
/** Shorter than the way there and back now and then, so that a call often comes again that was answered. */
const RETRY_MS = 25
const TRIES = 12
const LIMIT_MS = 3_600_000
const PROBLEMS_TOLD = 5

/** @param crashes - how often the server is started again meanwhile: beyond what the cache promises */
export async function plainCampaign(
  seed: number,
  calls: number,
  options: RpcServerOptions = {},
  crashes = 0,
): Promise<PlainResult> {
  const world = new World({ seed, impair: BAD_WIRE })
  const random = new Prng(seed ^ 0xc11e)
  const state = new CounterState(calls)
  const server = new CounterServer(world, state, false, () => random.below(40), options)
  server.start()
  const clients = Array.from({ length: CLIENTS }, () => new PlainClient(world, PORT, RETRY_MS))
  const outcomes = { ok: 0, refused: 0, unknown: 0 }
  const problems: string[] = []
  let begun = 0
  let ended = 0
  const next = (client: PlainClient): void => {
    if (begun === calls) return
    const call = begun++
    const procedure = [ADD, ADD, ADD_THEN_WAIT, WAIT_THEN_ADD][call % 4]!
    client.call(procedure, call, TRIES, outcome => {
      outcomes[outcome]++
      ended++
      const effects = state.effects[call]!
      if (outcome === 'ok' && effects !== 1) problems.push(`call ${call} succeeded with ${effects} effects`)
      if (crashes > 0 && ended % Math.ceil(calls / (crashes + 1)) === 0) server.crash(50)
      next(client)
    })
  }
  for (const client of clients) next(client)
  if (!(await world.pass(LIMIT_MS, () => ended === calls)))
    problems.push(`${calls - ended} calls never ended`)
  await world.pass(5_000)
  for (const client of clients) client.close()
  await server.close()
  state.effects.forEach((effects, call) => {
    if (effects > 1 && problems.length < PROBLEMS_TOLD)
      problems.push(`call ${call} had its effect ${effects} times`)
  })
  const transmissions = clients.reduce((sum, client) => sum + client.transmissions, 0)
  const lateReplies = clients.reduce((sum, client) => sum + client.lateReplies, 0)
  const result = {
    problems,
    outcomes,
    transmissions,
    lateReplies,
    server: server.counters,
    wire: world.wireCounters,
  }
  await world.finish()
  return result
}
