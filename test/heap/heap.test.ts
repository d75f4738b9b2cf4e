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
  it.each(['modules', 'fragments', 'udp', 'echo'])(
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
})
