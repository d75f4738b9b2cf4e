import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { beforeAll, describe, expect, it } from 'vitest'
import type { Allocation } from './allocation.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const BUILD = join(ROOT, 'build/heap/test/heap')

// The test runner's own transformation allocates for each access to an import, so each program is compiled and run
// by plain Node, as users run it.
beforeAll(() => {
  rmSync(BUILD, { recursive: true, force: true })
  const compiler = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin/tsc')
  const { stdout } = spawnSync(process.execPath, [compiler, '-p', 'test/heap/tsconfig.json'], { cwd: ROOT })
  if (!existsSync(join(BUILD, 'modules.js'))) throw new Error(`nothing was compiled:\n${stdout}`)
}, 120_000)

describe('heap', () => {
  it.each(['modules', 'fragments', 'udp', 'echo', 'tcp'])(
    '10^6 packets (%s) allocate nothing, and no collection runs',
    program => {
      const output = execFileSync(process.execPath, [join(BUILD, `${program}.js`)], { cwd: ROOT })
      const { bytesPerRun, collections, kept } = JSON.parse(output.toString()) as Allocation
      // The smallest object for each packet would be 16 bytes; what is left is compiled code.
      expect(bytesPerRun).toBeLessThan(2)
      expect(collections).toBe(0)
      expect(kept).toBeLessThan(512 * 1024)
    },
    120_000,
  )

  it('10^6 null calls and replies, as messages and records, allocate nothing', () => {
    const output = execFileSync(process.execPath, [join(BUILD, 'rpc.js')], { cwd: ROOT })
    const { bytesPerRun, collections, kept } = JSON.parse(output.toString()) as Allocation
    expect(bytesPerRun).toBeLessThan(2)
    expect(collections).toBe(0)
    expect(kept).toBeLessThan(512 * 1024)
  }, 120_000)

  it('100,000 idle connections: at most 512 bytes for each end, no record, no buffer, no entry in the wheel', () => {
    const output = execFileSync(process.execPath, [join(BUILD, 'connections.js')], { cwd: ROOT })
    const { idle, ...rest } = JSON.parse(output.toString()) as Record<string, number>
    expect(idle).toBeLessThanOrEqual(512)
    // Less would mean that the measure is wrong: a control block alone has 52 words.
    expect(idle).toBeGreaterThan(400)
    expect(rest).toEqual({
      established: 220_000,
      records: 0,
      blocksInUse: 0,
      memoryUsed: 0,
      inWheel: 0,
      timeWait: 20_000,
      bytesIn: 110_000 * 64,
    })
  }, 120_000)

  it('100,000 idle connections with their streams open: at most 2 KiB for each in all, no block held', () => {
    const output = execFileSync(process.execPath, [join(BUILD, 'streams.js')], { cwd: ROOT })
    const { bytesEach, ...rest } = JSON.parse(output.toString()) as { bytesEach: number }
    expect(bytesEach).toBeLessThanOrEqual(2_048)
    // Less would mean that the measure is wrong: four queues and a control block alone are more.
    expect(bytesEach).toBeGreaterThan(1_400)
    expect(rest).toEqual({ blocksInUse: 0, states: { ESTABLISHED: 104_000 } })
  }, 120_000)
})
