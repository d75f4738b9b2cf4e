import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { fileURLToPath } from 'node:url'
import { afterEach, describe, expect, it } from 'vitest'
import { run } from '../../src/bench/rpc.ts'
import { listNamespaces } from '../../src/host/namespace.ts'
import { findProgram } from '../../src/host/privilege.ts'
import { missing, titled } from '../../src/host/testing/requirements.ts'

const COMPILED = fileURLToPath(new URL('../../dist/bench/rpc-end.js', import.meta.url))
const lacking = [
  missing('shim', 'namespaces', 'tun'),
  findProgram(['cc', 'gcc', 'clang']) === null ? 'no C compiler' : '',
  existsSync(COMPILED) ? '' : 'not compiled (scripts/setup)',
]
const reason = lacking.filter(text => text !== '').join(', ')
const hasTirpc = existsSync('/usr/include/tirpc/rpc/rpc.h')

/** What this process made and did not remove. */
function leftovers(): string[] {
  const mine = (name: string): boolean => name.startsWith(`putnext-bench-${process.pid}-`)
  const children = readFileSync(`/proc/self/task/${process.pid}/children`, 'utf8').trim().split(' ')
  const running = children.filter(pid => {
    const file = `/proc/${pid}/cmdline`
    return existsSync(file) && /rpc-end|rpc-load|tcp-end/.test(readFileSync(file, 'utf8'))
  })
  return [...listNamespaces().filter(mine), ...readdirSync(tmpdir()).filter(mine), ...running]
}

describe.skipIf(reason !== '')(titled('bench rpc in namespaces', reason), () => {
  afterEach(() => expect(leftovers()).toEqual([]))

  it('measures every arm of every scenario, and says which are left out', async () => {
    const said: string[] = []
    const report = await run({ rounds: 1, seconds: 0.2, quick: true, onProgress: text => said.push(text) })
    expect(report.kind).toBe('rpc')
    const figures = Object.fromEntries(
      report.scenarios.map(({ name, arms }) => [name, arms.map(arm => [arm.name, Object.keys(arm.figures)])]),
    )
    const c = (names: readonly string[]) => (hasTirpc ? [['libtirpc', names]] : [])
    const times = ['p50 µs', 'p99 µs']
    const rates = ['Gbit/s, one at a time', 'Gbit/s, 4 in flight']
    const copies = ['copied bytes: stack', 'copied bytes: edge']
    expect(figures).toEqual({
      turns: [
        ['stack', times],
        ['kernel', times],
        ...c(times),
        ['grpc', times],
        ...(hasTirpc ? [['together', times]] : []),
        ['frames', times],
        ['local', times],
      ],
      flight: [
        ['stack', ['calls/s']],
        ['kernel', ['calls/s']],
        ...c(['calls/s']),
        ['grpc', ['calls/s']],
        ['frames', ['calls/s']],
      ],
      blobs: [
        ['stack', [...rates, ...copies]],
        ['kernel', [...rates, ...copies]],
        ...c(rates),
        ['grpc', rates],
        ['tcp', rates],
      ],
    })
    for (const { arms } of report.scenarios)
      for (const { figures: own } of arms)
        for (const [name, { median }] of Object.entries(own))
          if (!name.startsWith('copied')) expect(median, name).toBeGreaterThan(0)
    // One round decides nothing.
    expect(report.requirements.every(({ verdict }) => verdict === 'unclear')).toBe(true)
    expect(report.warnings.some(text => text.includes('not compared with libtirpc'))).toBe(!hasTirpc)
    expect(said.length).toBe(report.scenarios.reduce((sum, { arms }) => sum + arms.length, 0))
  }, 180_000)

  it('refuses a scenario that is not there', async () => {
    await expect(run({ only: ['nothing'] })).rejects.toMatchObject({
      code: 'ERR_BAD_ARGUMENT',
      hint: 'scenarios: turns, flight, blobs',
    })
  })
})
