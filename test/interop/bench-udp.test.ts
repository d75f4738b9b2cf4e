import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, describe, expect, it } from 'vitest'
import { pruneSites } from '../../src/bench/site.ts'
import { run } from '../../src/bench/udp.ts'
import { createNamespace, listNamespaces } from '../../src/host/namespace.ts'
import { findProgram } from '../../src/host/privilege.ts'
import type { Shim } from '../../src/host/shim.ts'
import { shim as loaded, missing, titled } from '../../src/host/testing/requirements.ts'

const COMPILED = fileURLToPath(new URL('../../dist/bench/node-probe.js', import.meta.url))
const lacking = [
  missing('shim', 'namespaces', 'tun'),
  findProgram(['cc', 'gcc', 'clang']) === null ? 'no C compiler' : '',
  existsSync(COMPILED) ? '' : 'not compiled (scripts/setup)',
]
const reason = lacking.filter(text => text !== '').join(', ')

/** What this process made and did not remove. */
function leftovers(): string[] {
  const namespaces = listNamespaces().filter(name => name.startsWith(`putnext-bench-${process.pid}-`))
  const children = readFileSync(`/proc/self/task/${process.pid}/children`, 'utf8').trim().split(' ')
  const peers = children.filter(pid => /udp-load|tun-echo|cli\/main/.test(commandLine(pid)))
  const directories = readdirSync(tmpdir()).filter(name => name.startsWith(`putnext-bench-${process.pid}-`))
  return [...namespaces, ...directories, ...peers]
}

function commandLine(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8')
  } catch {
    return ''
  }
}

describe.skipIf(reason !== '')(titled('bench udp in namespaces', reason), () => {
  afterEach(() => expect(leftovers()).toEqual([]))

  it('measures ceiling, node and kernel, counts no copy in user space, and loses no ping', async () => {
    const said: string[] = []
    const report = await run({ rounds: 1, seconds: 0.2, pings: 100, onProgress: text => said.push(text) })
    if (report.mode !== 'namespaces') throw new Error('not in namespaces')
    expect(report.candidates.map(({ name }) => name)).toEqual(['ceiling', 'lingering', 'node', 'kernel'])
    for (const { windowPerSecond, pingpongP50Us, wrong } of report.candidates) {
      expect(windowPerSecond.median).toBeGreaterThan(1_000)
      expect(pingpongP50Us.median).toBeGreaterThan(1)
      expect(wrong).toBe(0)
    }
    const { window, pingpong } = report.counted
    for (const { copies, heap } of [...window, ...pingpong, ...report.steady]) {
      expect(copies.datagrams).toBeGreaterThan(100)
      expect(copies.userSpaceCalls).toBe(0)
      // Each is read from the device and written to it once.
      expect(copies.perDatagram.kernel.calls).toBeCloseTo(2, 1)
      expect(heap.packets).toBe(copies.datagrams)
    }
    expect(report.ratios.window.samples).toHaveLength(1)
    expect(report.steady).toHaveLength(1)
    const pings = report.pings.map(({ address, lost }) => ({ address, lost }))
    if (findProgram(['ping']) !== null)
      expect(pings).toEqual([
        { address: '10.77.1.2', lost: 0 },
        { address: 'fd77:1::2', lost: 0 },
      ])
    expect(report.warnings).toContain('1 rounds decide nothing: take at least 5')
    expect(said[0]).toMatch(/^\[0\/4\] round 1 of 1: /)
  }, 120_000)

  it('leaves nothing when it is interrupted in the middle of a load', async () => {
    const controller = new AbortController()
    const reason = new DOMException('interrupted', 'AbortError')
    const running = run({
      rounds: 1,
      seconds: 1.5,
      signal: controller.signal,
      onProgress: text => {
        if (text.includes('Putnext node, window')) setTimeout(() => controller.abort(reason), 300)
      },
    })
    await expect(running).rejects.toBe(reason)
  }, 120_000)

  it('leaves nothing when the node does not start, and tells what it said', async () => {
    const running = run({ rounds: 1, seconds: 0.1, program: '/nowhere/putnext.js' })
    await expect(running).rejects.toMatchObject({
      code: 'ERR_HOST',
      message: expect.stringContaining('/nowhere/putnext.js'),
    })
  }, 120_000)

  it('removes the namespaces of a measurement that was killed, and no others', () => {
    const shim = loaded as Shim
    const dead = 'putnext-bench-999999999-node'
    const directory = 'putnext-bench-999999999-aB3xYz'
    createNamespace(shim, dead)
    mkdirSync(join(tmpdir(), directory))
    const living = mkdtempSync(join(tmpdir(), `putnext-bench-${process.pid}-`))
    const pruned = pruneSites(shim)
    const spared = existsSync(living)
    rmSync(living, { recursive: true })
    expect(pruned).toEqual(expect.arrayContaining([dead, directory]))
    expect(spared).toBe(true)
    expect(listNamespaces()).not.toContain(dead)
    expect(existsSync(join(tmpdir(), directory))).toBe(false)
  })
})
