/**
 * What every module owes the stream that it is pushed on, as cases that a test runner runs one by one. It knows no
 * runner: `for (const { name, run } of moduleCompliance(() => hop)) it(name, run)`.
 */
import { assert } from '../../base/assert.ts'
import { StackError } from '../../base/errors.ts'
import { type Duration, seconds } from '../../base/time.ts'
import type { Arena } from '../mblk/arena.ts'
import type { Mblk } from '../mblk/mblk.ts'
import type { AnyModule, ModuleInfo } from '../module.ts'
import type { Queue } from '../queue.ts'
import { controlCases } from './compliance-control.ts'
import { flowCases } from './compliance-flow.ts'
import { lifeCases } from './compliance-life.ts'
import { numberedPacket } from './packets.ts'
import { insertBetween, makeRig, type Rig } from './probe.ts'
import { makeTestRuntime } from './runtime.ts'

export interface ComplianceOptions {
  /** Options of `open` in every case; a module that needs none is opened without. */
  readonly open?: unknown
  /** Options that `open` (and `configure`, if there is one) must refuse with `ERR_BAD_CONFIG`. */
  readonly bad?: readonly unknown[]
  /** An ordinary message that the module passes on, told apart by `index`; an IPv4 UDP packet by default. */
  readonly message?: (arena: Arena, index: number) => Mblk
  /** False for a module that changes, holds or drops ordinary messages: then only order, bounds and leaks are checked. */
  readonly transparent?: boolean
  /** How far the clock moves for what the module holds back; nothing by default. */
  readonly patience?: Duration
}

/** One rule and its check. */
export interface ComplianceCase {
  readonly name: string
  /** Runs the check; throws what is wrong. */
  run(): void
}

/** A case's surroundings: the rig with the module in it, and how to use it. */
export interface Bench extends Rig {
  readonly info: AnyModule
  /** The read queue of the module under test. */
  readonly queue: Queue<unknown>
  readonly options: ComplianceOptions
  readonly transparent: boolean
  /** A fresh ordinary message. */
  message(index: number): Mblk
  /** Runs everything, and moves the clock as far as the module needs. */
  settle(): void
}

/** Both directions, as a case sees them. */
export const DIRECTIONS = ['down', 'up'] as const
export type Direction = (typeof DIRECTIONS)[number]

/** The check of one rule. */
export type Check = (bench: Bench) => void

/**
 * The cases that a module must pass.
 * @param makeInfo - the declaration; called for each case
 */
export function moduleCompliance(
  makeInfo: () => ModuleInfo<never> | AnyModule,
  options: ComplianceOptions = {},
): ComplianceCase[] {
  const checks = { ...flowCases, ...controlCases, ...lifeCases }
  const cases = Object.entries(checks).map(([name, check]) => ({
    name,
    run: () => runCheck(makeInfo() as AnyModule, options, check),
  }))
  for (const bad of options.bad ?? [])
    cases.push({
      name: `options ${JSON.stringify(bad)} are refused with ERR_BAD_CONFIG, and nothing changes`,
      run: () => runCheck(makeInfo() as AnyModule, options, bench => refuses(bench, bad)),
    })
  return cases
}

function runCheck(info: AnyModule, options: ComplianceOptions, check: Check): void {
  const test = makeTestRuntime({ arenaOptions: { sizeBytes: 16 * 1024 * 1024 } })
  const rig = makeRig(test)
  const message = options.message ?? numberedPacket
  const bench: Bench = {
    ...rig,
    info,
    queue: insertBetween(rig, info, options.open),
    options,
    transparent: options.transparent ?? true,
    message: index => message(test.arena, index),
    settle: () => test.advance(options.patience ?? (0 as Duration)),
  }
  check(bench)
  const faults = test.events.filter(({ level }) => level === 'error').map(({ text }) => text)
  assert(faults.length === 0, `the module failed: ${faults.join('; ')}`)
  assert(test.runtime.counters['module-faults'] === 0, 'the module failed')
  test.advance(options.patience ?? (0 as Duration))
  test.finish()
  assert(test.runtime.timers.pollAt() === null, 'a timer is still armed after the stream was closed')
  test.advance(seconds(60))
  test.arena.assertWhole()
}

function refuses({ stream, info, queue }: Bench, bad: unknown): void {
  const modules = stream.modules.join()
  const before = JSON.stringify(info.describe?.(queue.state))
  const attempts: (() => void)[] = [() => stream.push(info, bad)]
  if (info.configure !== undefined) attempts.push(() => info.configure!(queue, bad))
  for (const attempt of attempts) {
    let code = 'nothing'
    try {
      attempt()
    } catch (error) {
      if (!(error instanceof StackError)) throw error
      code = error.code
    }
    assert(code === 'ERR_BAD_CONFIG', `bad options were answered with ${code}`)
  }
  assert(stream.modules.join() === modules, 'a refused module stayed on the stream')
  assert(JSON.stringify(info.describe?.(queue.state)) === before, 'refused options changed the module')
}
