/** Our client against our server: what at-most-once promises, over a net that loses, doubles and overtakes, with servers that die. */
import { describe, expect, it } from 'vitest'
import { Prng } from '../base/prng.ts'
import { milliseconds } from '../base/time.ts'
import { makeTestRuntime } from '../streams/testing/runtime.ts'
import { RpcClient } from './client.ts'
import { RpcError } from './outcome.ts'
import { RpcServer } from './server.ts'
import { type RpcProcedure, rpcHandler } from './stub-types.ts'
import { type TestChannel, TestNet } from './testing/channel-pair.ts'
import { xdrInt } from './xdr/index.ts'

const PROGRAM = 0x2000_0077
const ADD: RpcProcedure<number, number> = {
  name: 'ADD',
  program: PROGRAM,
  version: 1,
  procedure: 1,
  isIdempotent: false,
  argument: xdrInt,
  result: xdrInt,
}

interface Plan {
  readonly transport: 'tcp' | 'udp'
  readonly seed: number
  readonly calls: number
  readonly restarts: number
}

/** Runs the plan. @returns how often each number had its effect, how each call ended, and what was counted */
async function play({ transport, seed, calls, restarts }: Plan) {
  const test = makeTestRuntime({ seed })
  const random = new Prng(seed)
  const net = new TestNet(test.runtime, { seed, loss: 0.05, duplication: 0.05, delayMs: 2, jitterMs: 20 })
  const effects = new Map<number, number>()
  const host = { runtime: test.runtime }
  const service = {
    name: 'COUNTER',
    program: PROGRAM,
    version: 1,
    handlers: [
      rpcHandler(ADD, argument => {
        const act = (): number => {
          effects.set(argument, (effects.get(argument) ?? 0) + 1)
          return argument + 1
        }
        // Some take their time, and a server may die meanwhile.
        return argument % 3 === 0 ? new Promise(done => net.later(20, () => done(act()))) : act()
      }),
    ],
  }
  let server: RpcServer
  let channels: TestChannel[] = []
  const start = (): void => {
    server = new RpcServer(host)
    server.add(service)
    if (transport === 'udp') {
      const channel = net.datagramServer()
      channels.push(channel)
      server.accept(channel)
    } else {
      net.onChannel = channel => {
        channels.push(channel)
        server.accept(channel)
      }
    }
  }
  /** As kill -9: nothing is answered any more, and nothing is remembered. */
  const kill = (): void => {
    net.onChannel = null
    for (const channel of channels) {
      if (channel.isStream) channel.break()
      else channel.abort()
    }
    channels = []
    void server.close()
  }
  start()
  const source = () => (transport === 'tcp' ? net.connect() : net.datagramClient())
  const client = RpcClient.over(host, source, transport === 'tcp', {
    atMostOnce: true,
    program: PROGRAM,
    version: 1,
    timeoutMs: 4_000,
    retransmitMs: 100,
    retransmitMaxMs: 500,
    maxInFlight: 32,
  })
  const outcomes = new Map<number, string>()
  let made = 0
  const callOne = (): void => {
    const number = made++
    client.call(ADD, number).then(
      result => outcomes.set(number, result === number + 1 ? 'ok' : 'wrong'),
      (error: unknown) => outcomes.set(number, error instanceof RpcError ? error.outcome : 'thrown'),
    )
  }
  let killed = 0
  let downUntil = -1
  for (let step = 0; outcomes.size < calls; step++) {
    if (step > 200 * calls) throw new Error('it does not come to an end')
    while (made < calls && client.outstanding < 40) callOne()
    test.advance(milliseconds(5))
    await new Promise(resolve => setImmediate(resolve))
    if (step === downUntil) start()
    else if (step > downUntil && killed < restarts && random.below(60) === 0) {
      killed++
      kill()
      downUntil = step + 5 + random.below(20)
    }
  }
  client.close()
  kill()
  test.advance(milliseconds(60_000))
  const counts: Record<string, number> = {}
  for (const outcome of outcomes.values()) counts[outcome] = (counts[outcome] ?? 0) + 1
  const { counters } = client
  test.finish()
  return { effects, outcomes, counts, counters }
}

describe.each(['tcp', 'udp'] as const)('rpc: at most once over %s (checklist 39, 40, 41)', transport => {
  it.each([1, 2])(
    'without restarts every call succeeds, and has its effect exactly once (seed %d)',
    async seed => {
      const { effects, counts, counters } = await play({ transport, seed, calls: 1_000, restarts: 0 })
      expect(counts).toEqual({ ok: 1_000 })
      expect(effects.size).toBe(1_000)
      expect([...effects.values()].every(count => count === 1)).toBe(true)
      if (transport === 'udp') expect(counters.retransmissions).toBeGreaterThan(50)
    },
  )

  it.each([1, 2, 3])(
    'with restarts: a success once, a refusal never, all else at most once (seed %d)',
    async seed => {
      const { effects, outcomes, counts, counters } = await play({
        transport,
        seed,
        calls: 1_500,
        restarts: 8,
      })
      expect(Math.max(...effects.values())).toBe(1)
      for (const [number, outcome] of outcomes) {
        if (outcome === 'ok') expect(effects.get(number)).toBe(1)
        else if (outcome === 'refused') expect(effects.get(number)).toBeUndefined()
        else expect(outcome).toBe('unknown')
      }
      expect(counts['ok']).toBeGreaterThan(1_000)
      expect(counters.sessions).toBeGreaterThan(3)
    },
  )
})
