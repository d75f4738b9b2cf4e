/** Removes what dead and half-made labs have left. */
import { existsSync } from 'node:fs'
import { netnsPath } from '../host/namespace.ts'
import type { Shim } from '../host/shim.ts'
import { type JournalSummary, readJournal, summarize } from './journal.ts'
import { knownLabs, LabDirectory, removeStaleClaims } from './lab-directory.ts'
import { isAlive } from './marks.ts'
import { type Removal, removeLab } from './remove.ts'

const SETTLE_MS = 50

/** Why a lab is pruned, or left alone. */
export type LabCondition = 'whole' | 'coming up' | 'half made' | 'damaged'

/** A node that was killed through `lab fault` is as its user wants it; any other that has ended is damage. */
export function conditionOf(directory: LabDirectory, summary: JournalSummary): LabCondition {
  if (!summary.up) return summary.owner !== null && isAlive(summary.owner) ? 'coming up' : 'half made'
  const topology = directory.readTopology()
  if (topology === null) return 'half made'
  if (topology.mode === 'inproc')
    return summary.owner !== null && isAlive(summary.owner) ? 'whole' : 'damaged'
  if (summary.holder !== null && !isAlive(summary.holder)) return 'damaged'
  for (const node of topology.nodes) {
    if (node.kind !== 'stack' || summary.stopped.has(node.name)) continue
    const record = summary.processes.get(node.name)
    if (record === undefined || !isAlive(record)) return 'damaged'
  }
  const namespaces = directory.namespaces(summary.holder !== null)
  const gone = summary.namespaces.some(name => !existsSync(netnsPath(name, namespaces)))
  return gone ? 'damaged' : 'whole'
}

export interface PrunedLab {
  readonly name: string
  readonly condition: LabCondition
  /** Null for a lab that was left alone. */
  readonly removal: Removal | null
  /** Why it could not be removed, '' if it was. */
  readonly error: string
}

export interface PruneOptions {
  readonly shim: Shim | null
  readonly state?: string
  /** Healthy labs too. */
  readonly all?: boolean
}

/** One lab that cannot be removed does not keep the others from it. */
export async function pruneLabs(options: PruneOptions): Promise<PrunedLab[]> {
  // Who was killed a moment ago may not have ended yet, and would pass for alive.
  await new Promise(resolve => setTimeout(resolve, SETTLE_MS))
  removeStaleClaims(options.state)
  const pruned: PrunedLab[] = []
  for (const name of knownLabs(options.state)) {
    const directory = new LabDirectory(name, options.state)
    const condition = conditionOf(directory, summarize(readJournal(directory.journal)))
    const spare = condition === 'coming up' || (condition === 'whole' && options.all !== true)
    let removal: Removal | null = null
    let error = ''
    try {
      if (!spare) removal = await removeLab(directory, options.shim)
    } catch (cause) {
      error = (cause as Error).message
    }
    pruned.push({ name, condition, removal, error })
  }
  return pruned
}
