import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { Prng } from '../../src/base/prng.ts'
import { missing, shim, titled } from '../../src/host/testing/requirements.ts'
import { readJournal } from '../../src/lab/journal.ts'
import { LabDirectory } from '../../src/lab/lab-directory.ts'
import { pruneLabs } from '../../src/lab/prune.ts'
import { hostState, temporaryState } from './host-state.ts'

const CHILD = fileURLToPath(new URL('crash-child.mjs', import.meta.url))
const COMPILED = fileURLToPath(new URL('../../dist/lab/up.js', import.meta.url))
const reason = missing('shim', 'namespaces') || (existsSync(COMPILED) ? '' : 'dist/ is not compiled')
const stackReason = reason || missing('tun')

/** More entries than any lab of this test writes. */
const ENTRIES_MAX = 100
const SEED = 20_261
const RANDOM_KILLS = 12

function text(lab: string, kind: string): string {
  const link = kind === 'linux' ? '{segment: lan, members: [a, b, c]}' : 'b -- c'
  return `version: 1\nname: ${lab}\nnodes: {a: {kind: ${kind}}, b: {kind: ${kind}}, c: {kind: linux}}\nlinks: [a -- b, ${link}]\n`
}

/** Runs the child until it is killed or has brought the lab up. @returns the signal that ended it */
async function crash(file: string, state: string, entries: number, delayMs?: number): Promise<string | null> {
  const child = spawn(process.execPath, [CHILD, file, state, String(entries)], {
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  const timer = delayMs === undefined ? undefined : setTimeout(() => child.kill('SIGKILL'), delayMs)
  const [, signal] = (await once(child, 'exit')) as [number | null, string | null]
  clearTimeout(timer)
  return signal
}

/** A lab of its own for each test, and the comparison of before and after. */
async function withLab(
  lab: string,
  kind: string,
  act: (file: string, state: string, leavesNothing: () => Promise<void>) => Promise<void>,
): Promise<void> {
  const state = temporaryState()
  const folder = temporaryState()
  const file = join(folder.path, 'lab.yaml')
  writeFileSync(file, text(lab, kind))
  const before = hostState(shim!, lab, state.path)
  try {
    await act(file, state.path, async () => {
      const pruned = await pruneLabs({ shim: shim!, state: state.path })
      expect(pruned.map(one => one.error).filter(error => error !== '')).toEqual([])
      expect(hostState(shim!, lab, state.path)).toEqual(before)
      expect(await pruneLabs({ shim: shim!, state: state.path })).toEqual([])
    })
  } finally {
    await pruneLabs({ shim: shim!, state: state.path, all: true })
    state.remove()
    folder.remove()
  }
}

/** Kills the command behind each entry of its journal. @returns how many there are */
async function crashEverywhere(
  file: string,
  state: string,
  leavesNothing: () => Promise<void>,
): Promise<number> {
  for (let entries = 1; entries < ENTRIES_MAX; entries++) {
    const signal = await crash(file, state, entries)
    if (signal === null) return entries - 1
    expect(signal).toBe('SIGKILL')
    const [condition] = await pruneLabs({ shim: shim!, state })
    // Behind the last entry the lab is up, which is no reason to take it down.
    if (condition?.condition === 'whole') await pruneLabs({ shim: shim!, state, all: true })
    await leavesNothing()
  }
  throw new Error('the lab never came up')
}

describe.skipIf(reason !== '')(
  titled('kill -9 of the command that brings a lab up, then prune', reason),
  () => {
    it('leaves nothing, behind whichever entry of the journal it was', { timeout: 120_000 }, async () => {
      await withLab('pncrash', 'linux', async (file, state, leavesNothing) => {
        const entries = await crashEverywhere(file, state, leavesNothing)
        expect(entries).toBeGreaterThan(10)
        expect(readJournal(new LabDirectory('pncrash', state).journal).at(-1)).toEqual({ kind: 'up' })
      })
    })

    it(`leaves nothing, at ${RANDOM_KILLS} moments of chance (seed ${SEED})`, {
      timeout: 120_000,
    }, async () => {
      const random = new Prng(SEED)
      await withLab('pnchance', 'linux', async (file, state, leavesNothing) => {
        for (let i = 0; i < RANDOM_KILLS; i++) {
          await crash(file, state, 0, 60 + random.below(80))
          await pruneLabs({ shim: shim!, state, all: true })
          await leavesNothing()
        }
      })
    })
  },
)

describe.skipIf(stackReason !== '')(titled('kill -9 with nodes, then prune', stackReason), () => {
  it('of the command, behind whichever entry of the journal', { timeout: 180_000 }, async () => {
    await withLab('pnnodes', 'stack', async (file, state, leavesNothing) => {
      expect(await crashEverywhere(file, state, leavesNothing)).toBeGreaterThan(10)
    })
  })

  it('of a node, when all was well', { timeout: 60_000 }, async () => {
    await withLab('pnkill', 'stack', async (file, state, leavesNothing) => {
      expect(await crash(file, state, 0)).toBe(null)
      expect(await pruneLabs({ shim: shim!, state })).toMatchObject([{ condition: 'whole' }])
      const entry = readJournal(new LabDirectory('pnkill', state).journal).find(one => one.kind === 'pid')
      process.kill((entry as { pid: number }).pid, 'SIGKILL')
      await leavesNothing()
    })
  })
})
