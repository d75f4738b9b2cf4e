import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { findProgram } from '../host/privilege.ts'
import type { Shim } from '../host/shim.ts'
import { shim as loaded, missing, titled } from '../host/testing/requirements.ts'
import { endProcess } from './end-process.ts'
import { buildPeers, type Load, parsePing, peerPath, runLoad } from './peers.ts'

describe('bench/peers', () => {
  it('reads the summary of ping(8), also one that lost some', () => {
    const text = (received: number): string =>
      `PING 10.77.1.2 (10.77.1.2) 56(84) bytes of data.\n\n--- 10.77.1.2 ping statistics ---\n` +
      `10000 packets transmitted, ${received} received, 0% packet loss, time 402ms\n`
    expect(parsePing(text(10_000))).toEqual({ sent: 10_000, received: 10_000, lost: 0 })
    expect(parsePing(text(9_998))).toEqual({ sent: 10_000, received: 9_998, lost: 2 })
    expect(parsePing('ping: invalid option -- f')).toBeNull()
  })
})

const noCompiler = findProgram(['cc', 'gcc', 'clang']) === null ? 'no C compiler' : ''
const reason = missing('shim', 'namespaces') || noCompiler

describe.skipIf(reason !== '')(titled('bench/peers: udp-load', reason), () => {
  const PORT = 17_007
  const place = { shim: loaded as Shim, namespace: '/proc/self/ns/net' }
  const servers: ChildProcess[] = []
  const load = (change: Partial<Load>): Load => ({
    mode: 'window',
    address: '127.0.0.1',
    port: PORT,
    seconds: 0.2,
    warmupSeconds: 0.05,
    bytes: 64,
    window: 64,
    ...change,
  })

  beforeAll(async () => {
    await buildPeers()
    for (const address of ['127.0.0.1', '::1']) {
      const args = ['echo', address, String(PORT), '--seconds=30']
      const server = spawn(peerPath('udp-load'), args, { stdio: ['ignore', 'pipe', 'ignore'] })
      servers.push(server)
      await once(server.stdout!, 'data')
    }
  }, 60_000)

  afterAll(async () => {
    await Promise.all(servers.map(endProcess))
  })

  it('keeps a window in flight, in both families, and loses nothing over the loopback', async () => {
    for (const address of ['127.0.0.1', '::1']) {
      const result = await runLoad(place, load({ address }))
      expect(result.received).toBeGreaterThan(100)
      expect(result.perSecond / (result.received / result.seconds)).toBeCloseTo(1, 2)
      expect(result.wrong).toBe(0)
      // One that took longer than the load's patience is no loss.
      expect(result.lost - result.late).toBeLessThanOrEqual(0)
    }
  })

  it('measures trips one by one', async () => {
    const result = await runLoad(place, load({ mode: 'pingpong', bytes: 1_000 }))
    expect(result.p50Us).toBeGreaterThan(0)
    expect(result.p99Us).toBeGreaterThanOrEqual(result.p50Us!)
    expect(result.p999Us).toBeGreaterThanOrEqual(result.p99Us!)
    expect(result.received).toBeGreaterThan(100)
  })

  it('nothing that comes back is an error, not a rate of 0', async () => {
    await expect(runLoad(place, load({ port: PORT + 1, seconds: 0.1 }))).rejects.toMatchObject({
      code: 'ERR_TIMED_OUT',
    })
  })

  it('a load that is aborted ends at once', async () => {
    const started = performance.now()
    const running = runLoad(place, load({ seconds: 20 }), AbortSignal.timeout(100))
    await expect(running).rejects.toThrow(/abort/i)
    expect(performance.now() - started).toBeLessThan(5_000)
  })

  it('what the peer refuses is told in its own words', async () => {
    await expect(runLoad(place, load({ bytes: 3 }))).rejects.toThrow(/--bytes must be a number from 8/)
  })
})
