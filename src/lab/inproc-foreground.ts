/** A lab in one process as other commands see it: its folder, its control sockets, how it is ended. */
import { randomBytes } from 'node:crypto'
import { StackError } from '../base/errors.ts'
import { InprocLab } from './inproc-lab.ts'
import { Journal, readJournal, summarize } from './journal.ts'
import { LabDirectory } from './lab-directory.ts'
import { isAlive, recordOf } from './marks.ts'
import type { Topology } from './topology.ts'

export interface ForegroundOptions {
  readonly say: (text: string) => void
  /** Aborted when the lab is to end. */
  readonly signal: AbortSignal
  readonly state?: string
}

/** The process of a lab that is in one. */
export const WHOLE_LAB = '(lab)'

/**
 * Runs a lab until it is told to end.
 * @returns whether all memory came home
 * @throws StackError `ERR_ALREADY` if a lab of that name is up
 */
export async function runInForeground(topology: Topology, options: ForegroundOptions): Promise<boolean> {
  const { say, signal } = options
  const directory = new LabDirectory(topology.name, options.state)
  const owner = recordOf(process.pid) ?? { pid: process.pid, startTime: '0' }
  const id = randomBytes(8).toString('hex')
  const first = { kind: 'lab', name: topology.name, id, ...owner } as const
  while (!directory.claim(first, owner)) takeOver(directory)
  const journal = new Journal(directory.journal)
  try {
    directory.writeTopology(topology)
    journal.write({ kind: 'pid', node: WHOLE_LAB, ...owner })
    const lab = await InprocLab.start(topology, { say, sockets: node => directory.sockets(node) })
    journal.write({ kind: 'up' })
    say(`the lab ${topology.name} is up in this process; Ctrl-C takes it down`)
    await untilAborted(signal)
    const whole = await lab.close()
    say(`the lab ${topology.name} is gone${whole ? '' : '; not all of its memory came home'}`)
    return whole
  } finally {
    journal.close()
    directory.remove()
  }
}

/** A dead process leaves files only. */
function takeOver(directory: LabDirectory): void {
  const summary = summarize(readJournal(directory.journal))
  const dead =
    directory.readTopology()?.mode === 'inproc' && !(summary.owner !== null && isAlive(summary.owner))
  if (!dead) {
    throw new StackError('ERR_ALREADY', `a lab ${directory.lab} is there already`, {
      hint: `take it down first: putnext lab down ${directory.lab}`,
    })
  }
  directory.remove()
}

/** Something must keep the event loop alive while the lab is idle. */
function untilAborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve()
  return new Promise(resolve => {
    const alive = setInterval(() => {}, 60_000)
    signal.addEventListener(
      'abort',
      () => {
        clearInterval(alive)
        resolve()
      },
      { once: true },
    )
  })
}
