/** `lab up`, `lab down`, `lab prune`. */
import { StackError } from '../base/errors.ts'
import { loadShim, tryShim } from '../host/shim.ts'
import { readJournal, summarize } from '../lab/journal.ts'
import { LabDirectory } from '../lab/lab-directory.ts'
import { readLab } from '../lab/lab-file.ts'
import { isAlive, signalProcess } from '../lab/marks.ts'
import { namespacesOf } from '../lab/namespaces.ts'
import { accessFor, isInside, runInNewUserNamespace } from '../lab/privileges.ts'
import { pruneLabs } from '../lab/prune.ts'
import { removeLab } from '../lab/remove.ts'
import { noSuchLab, RunningLab } from '../lab/running-lab.ts'
import { isHealthy, labStatus } from '../lab/status.ts'
import { labNameOf } from '../lab/targets.ts'
import type { Topology } from '../lab/topology.ts'
import { bringUp } from '../lab/up.ts'
import type { CommandRun } from './command.ts'
import { EXIT_DONE, EXIT_FAILED } from './exit-codes.ts'
import type { Output } from './output.ts'

/** How long a command that is bringing a lab up may take to undo it. */
const ROLL_BACK_MS = 10_000

/** Progress with the time since the start. */
function timed(out: Output): (text: string) => void {
  const start = performance.now()
  return text => out.note(`[${((performance.now() - start) / 1_000).toFixed(2).padStart(6)} s] ${text}`)
}

function describe(topology: Topology): unknown {
  const nodes = topology.nodes.map(({ name, kind, addresses }) => ({ name, kind, addresses }))
  return { name: topology.name, mode: topology.mode, namespaces: namespacesOf(topology), nodes }
}

export const labUp: CommandRun = async ({ args, out, signal }) => {
  const file = args.required('FILE')
  const mode = args.string('mode')
  const seed = args.number('seed')
  const topology = readLab(file, {
    ...(mode === undefined ? {} : { mode }),
    ...(seed === undefined ? {} : { seed }),
  })
  if (args.flag('dry-run')) {
    out.report(describe(topology), () => JSON.stringify(describe(topology), null, 2))
    return
  }
  if (topology.mode === 'inproc') {
    const { runInForeground } = await import('../lab/inproc-foreground.ts')
    await runInForeground(topology, { say: timed(out), signal })
    out.report({ ...(describe(topology) as object), result: 'ended' })
    return EXIT_DONE
  }
  const access = accessFor(topology)
  if (access.way === 'user-namespace') {
    out.note(
      'not root: the lab comes up in a user namespace of its own (its namespaces are seen by "lab exec" only)',
    )
    out.handOver()
    return await runInNewUserNamespace(signal)
  }
  const say = timed(out)
  const shim = loadShim()
  const result = await bringUp(topology, { shim, inUserNamespace: isInside(), say, signal })
  out.report({ ...(describe(topology) as object), result })
  if (result === 'up') {
    say(`the lab ${topology.name} is up`)
    return
  }
  say(`the lab ${topology.name} is up already, nothing was done`)
  if (isHealthy(await labStatus(new RunningLab(topology.name, shim)))) return
  out.note(
    `but not all of it is well: "lab status ${topology.name}" tells, "lab fault start NODE" starts a node`,
  )
  return EXIT_FAILED
}

/** A lab that is coming up is told to go back first. */
async function interruptOwner(directory: LabDirectory, out: Output): Promise<void> {
  const { owner, up } = summarize(readJournal(directory.journal))
  if (up || owner === null || !isAlive(owner)) return
  out.note(`process ${owner.pid} is bringing the lab up; interrupting it`)
  signalProcess(owner, 'SIGINT')
  const deadline = performance.now() + ROLL_BACK_MS
  while (isAlive(owner) && performance.now() < deadline) await new Promise(resolve => setTimeout(resolve, 20))
  if (isAlive(owner))
    throw new StackError('ERR_BUSY', `process ${owner.pid} goes on bringing up ${directory.lab}`)
}

export const labDown: CommandRun = async ({ args, out }) => {
  const name = labNameOf(args.required('LAB'))
  const directory = new LabDirectory(name)
  if (!directory.exists) throw noSuchLab(name)
  const say = timed(out)
  await interruptOwner(directory, out)
  const removal = await removeLab(directory, tryShim())
  for (const foreign of removal.foreign)
    out.warn(`the namespace ${foreign} was made anew by somebody else and stays`)
  say(`the lab ${name} is gone: ${removal.processes} processes, ${removal.namespaces} namespaces`)
  out.report({ name, ...removal })
}

export const labPrune: CommandRun = async ({ args, out }) => {
  const labs = await pruneLabs({ shim: tryShim(), all: args.flag('all') })
  const failed = labs.some(lab => lab.error !== '')
  for (const { name, condition, removal, error } of labs) {
    if (error !== '') out.warn(`${name} (${condition}) cannot be removed: ${error}`)
    else if (removal === null) out.note(`${name}: ${condition}, left alone`)
    else
      out.note(
        `${name}: ${condition}, removed ${removal.processes} processes, ${removal.namespaces} namespaces`,
      )
  }
  if (labs.length === 0) out.note('no lab has left anything')
  out.report({ labs })
  return failed ? EXIT_FAILED : undefined
}
