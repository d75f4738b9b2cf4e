/** The machine that a measurement was taken on: figures mean nothing without it. */
import { cpus, loadavg, release, totalmem } from 'node:os'
import { VERSION } from '../node/node.ts'

/** Load per processor, before the measurement, above which something else was running. */
const IDLE_LOAD = 0.5

export interface Machine {
  readonly processor: string
  readonly processors: number
  readonly memoryBytes: number
  readonly kernel: string
  readonly architecture: string
  readonly node: string
  readonly putnext: string
  /** Average over the last minute, when the measurement began. */
  readonly load: number
  /** The load says that others were working, too. */
  readonly busy: boolean
  /** ISO 8601. */
  readonly startedAt: string
}

export function describeMachine(): Machine {
  const all = cpus()
  const load = loadavg()[0]!
  return {
    processor: (all[0]?.model ?? 'unknown').trim(),
    processors: all.length,
    memoryBytes: totalmem(),
    kernel: release(),
    architecture: process.arch,
    node: process.versions.node,
    putnext: VERSION,
    load,
    busy: load / Math.max(1, all.length) > IDLE_LOAD,
    startedAt: new Date().toISOString(),
  }
}
