/** Takes a lab away, however much of it is there: what the journal names, if it bears the lab's mark. */
import { StackError } from '../base/errors.ts'
import type { Shim } from '../host/shim.ts'
import { type JournalSummary, type ProcessRecord, readJournal, summarize } from './journal.ts'
import type { LabDirectory } from './lab-directory.ts'
import { endProcesses, isAlive, labMark, markedProcesses } from './marks.ts'
import { removeNamespace } from './namespaces.ts'
import { isInside } from './privileges.ts'

export interface Removal {
  readonly processes: number
  readonly namespaces: number
  /** Names that the journal has, but what is there now was made by somebody else. */
  readonly foreign: readonly string[]
}

/** Processes of a lab: those on record, and those that bear its mark. */
export function livingProcesses(lab: string, summary: JournalSummary): ProcessRecord[] {
  const marked = summary.id === null ? [] : markedProcesses(labMark(lab, summary.id))
  const recorded = [...summary.allProcesses, ...(summary.holder === null ? [] : [summary.holder])].filter(
    isAlive,
  )
  const byPid = new Map([...recorded, ...marked].map(record => [record.pid, record]))
  byPid.delete(process.pid)
  return [...byPid.values()]
}

/**
 * Removes processes, then links and namespaces, then files; nothing that does not bear the lab's mark. May be called
 * again after it was cut short, and on a lab that is gone.
 * @param shim - not needed for a lab in a user namespace: its namespaces end with their processes
 * @throws StackError `ERR_PERMISSION` for processes or namespaces that this user may not touch; the files then stay
 */
export async function removeLab(directory: LabDirectory, shim: Shim | null): Promise<Removal> {
  const { lab } = directory
  const summary = summarize(readJournal(directory.journal))
  const count = livingProcesses(lab, summary).length
  const left = await endProcesses(() => livingProcesses(lab, summary))
  if (left.length > 0) {
    throw new StackError(
      'ERR_PERMISSION',
      `cannot end the processes ${left.map(one => one.pid).join(', ')} of the lab ${lab}`,
      { hint: 'run the command as the user who brought the lab up' },
    )
  }
  // Seen from outside of its user namespace, a lab's namespaces are empty files: they have ended with their processes.
  const outside = summary.holder !== null && !isInside()
  const foreign = outside ? [] : removeNamespaces(directory, summary, shim)
  directory.remove()
  return { processes: count, namespaces: summary.namespaces.length - foreign.length, foreign }
}

function removeNamespaces(directory: LabDirectory, summary: JournalSummary, shim: Shim | null): string[] {
  if (summary.id === null || summary.namespaces.length === 0) return []
  if (shim === null) {
    throw new StackError('ERR_SHIM_MISSING', 'removing namespaces needs the native shim', {
      hint: 'build it with: scripts/build-shim',
    })
  }
  const site = {
    shim,
    directory: directory.namespaces(summary.holder !== null),
    mark: labMark(directory.lab, summary.id),
  }
  return [...summary.namespaces].reverse().filter(name => !removeNamespace(site, name))
}
