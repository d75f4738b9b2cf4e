import { afterEach, describe, expect, it } from 'vitest'
import { Prng } from '../../base/prng.ts'
import { makeTestRuntime, type TestRuntime } from '../../streams/testing/runtime.ts'
import { parseAddress } from '../address.ts'
import { LOCAL, MAPPED_WORD, REMOTE } from '../unitdata.ts'
import type { TcpHost } from './host.ts'
import { listen } from './listener.ts'
import { choosePort } from './ports.ts'
import { CONNECTION_SETTINGS, type TcpSettings } from './settings.ts'
import { Tcb } from './tcb.ts'
import { Tcp } from './tcp.ts'

const US = [0, 0, MAPPED_WORD, 0x0a000002] as const
const PEER = [0, 0, MAPPED_WORD, 0x0a000001] as const

let runtime: TestRuntime | null = null
afterEach(() => {
  runtime?.finish()
  runtime = null
})

function makeTcp(settings: Partial<TcpSettings> = {}, seed = 1): Tcp {
  runtime ??= makeTestRuntime()
  const random = new Prng(seed)
  const secret = Int32Array.from({ length: 8 }, () => random.int32())
  const host = { isLocal: () => true } as unknown as TcpHost
  return new Tcp(runtime.arena, random, host, secret, settings)
}

const choose = (tcp: Tcp, remotePort = 443, peer: readonly number[] = PEER): number =>
  choosePort(tcp, peer[0]!, peer[1]!, peer[2]!, peer[3]!, ...US, remotePort)

/** A connection from the port to {@link PEER}. */
function connection(port: number, remotePort = 443): Tcb {
  const tcb = new Tcb(CONNECTION_SETTINGS)
  tcb.remote2 = tcb.local2 = MAPPED_WORD
  tcb.remote3 = PEER[3]
  tcb.local3 = US[3]
  tcb.ports = (port << 16) | remotePort
  return tcb
}

describe('tcp/ports', () => {
  it('RFC 6056 §3.3.4: within the range, another each time, until the range has gone round', () => {
    const tcp = makeTcp()
    const seen = new Set<number>()
    for (let i = 0; i < 3_000; i++) {
      const port = choose(tcp)
      expect(port).toBeGreaterThanOrEqual(32_768)
      expect(port).toBeLessThanOrEqual(60_999)
      expect(seen.has(port)).toBe(false)
      seen.add(port)
    }
  })

  it('checklist 3.5-35: steps of 1 to 8 at random, so that who sees two ports of ours cannot count the connections between', () => {
    const tcp = makeTcp()
    const count = 60_999 - 32_768 + 1
    const steps = new Int32Array(10)
    let last = choose(tcp)
    for (let i = 0; i < 2_000; i++) {
      const port = choose(tcp)
      steps[(port - last + count) % count]!++
      last = port
    }
    // 250 each would be even, with a standard deviation of 15.
    expect([steps[0], steps[9]]).toEqual([0, 0])
    for (let step = 1; step <= 8; step++) expect(Math.abs(steps[step]! - 250)).toBeLessThan(75)
  })

  it('RFC 6056 §3.3.4: ports to one destination tell nothing of those to another, nor of those after a restart', () => {
    const tcp = makeTcp()
    const steps = new Map<number, number>()
    for (let i = 0; i < 20_000; i++) {
      const apart = choose(tcp, 443, [0, 0, MAPPED_WORD, i]) - choose(tcp, 443, [0, 0, MAPPED_WORD, ~i])
      steps.set(apart, (steps.get(apart) ?? 0) + 1)
    }
    // Differences of two uniform numbers of 28,232: the most frequent should be met a few times.
    expect(Math.max(...steps.values())).toBeLessThan(12)
    const firsts = new Set(Array.from({ length: 200 }, (_, seed) => choose(makeTcp({}, seed))))
    expect(firsts.size).toBeGreaterThan(190)
  })

  it('checklist 3.5-35: the ports of many destinations fill the range evenly', () => {
    const tcp = makeTcp({ portFirst: 40_000, portLast: 40_099 })
    const counts = new Int32Array(100)
    for (let i = 0; i < 50_000; i++) counts[choose(tcp, 80, [0x20010db8, 0, i, i]) - 40_000]!++
    const chi = counts.reduce((sum, count) => sum + (count - 500) ** 2 / 500, 0)
    // 99 degrees of freedom: mean 99, standard deviation 14.
    expect(chi).toBeLessThan(99 + 5 * 14)
  })

  it('finds the last free port, then says that there is none', () => {
    const tcp = makeTcp({ portFirst: 50_000, portLast: 50_299 })
    const chosen = new Set<number>()
    for (let i = 0; i < 300; i++) {
      const port = choose(tcp)
      expect(tcp.connections.add(connection(port))).toBe(true)
      chosen.add(port)
    }
    expect(chosen.size).toBe(300)
    expect(choose(tcp)).toBe(0)
    // To another port of the peer every one is free.
    expect(choose(tcp, 444)).not.toBe(0)
    tcp.connections.remove(connection(50_123))
    expect(tcp.connections.size).toBe(300)
    tcp.connections.remove(tcp.connections.findTuple(...PEER, ...US, (50_123 << 16) | 443)!)
    expect(choose(tcp)).toBe(50_123)
  })

  it('a range of one port', () => {
    const tcp = makeTcp({ portFirst: 65_535, portLast: 65_535 })
    expect([choose(tcp), choose(tcp)]).toEqual([65_535, 65_535])
  })

  it('leaves out tuples in TIME-WAIT and half-open ones, and ports of listeners', () => {
    const tcp = makeTcp({ portFirst: 50_000, portLast: 50_003 })
    tcp.timeWait.add(connection(50_000), 0, 1)
    const words = new Int32Array(24)
    words.set(PEER, REMOTE)
    words.set(US, LOCAL)
    tcp.halfOpen.add(words, 0, (50_001 << 16) | 443, 0)
    listen(tcp, { address: parseAddress('10.0.0.2'), port: 50_002 })
    for (let i = 0; i < 50; i++) expect(choose(tcp)).toBe(50_003)
    tcp.timeWait.expire(1)
    expect(new Set(Array.from({ length: 50 }, () => choose(tcp)))).toEqual(new Set([50_000, 50_003]))
  })

  it('the counters may go round', () => {
    const tcp = makeTcp()
    tcp.portCounters.fill(0x7ffffff0)
    for (let i = 0; i < 100; i++) expect(choose(tcp)).toBeGreaterThanOrEqual(32_768)
    tcp.portCounters.fill(-3)
    for (let i = 0; i < 100; i++) expect(choose(tcp)).toBeLessThanOrEqual(60_999)
  })
})
