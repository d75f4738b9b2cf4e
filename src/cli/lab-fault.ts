/** `lab fault`: one command, an action on a link, on a node, or between groups of nodes. */
import { StackError } from '../base/errors.ts'
import { loadShim } from '../host/shim.ts'
import { knownLabs } from '../lab/lab-directory.ts'
import { setLink, setPartition } from '../lab/link-faults.ts'
import { clearImpairment, impairLink } from '../lab/live-impairments.ts'
import { continueNode, killNode, pauseNode, startAgain } from '../lab/node-faults.ts'
import { runInLab } from '../lab/privileges.ts'
import { RunningLab } from '../lab/running-lab.ts'
import { resolveLabLink, resolveLabNode, type Target } from '../lab/targets.ts'
import { didYouMean } from '../node/did-you-mean.ts'
import type { CommandRun, Invocation } from './command.ts'
import { UsageError } from './exit-codes.ts'
import type { Arguments } from './parse.ts'

const IMPAIR_KEYS = ['delay', 'jitter', 'loss', 'duplicate', 'reorder', 'corrupt', 'rate', 'limit'] as const

type Act = (lab: RunningLab, name: string, invocation: Invocation) => Promise<void> | void

const ON_LINKS: Readonly<Record<string, Act>> = {
  down: (lab, name) => setLink(lab, name, 'down'),
  up: (lab, name) => setLink(lab, name, 'up'),
  impair: async (lab, name, { args }) => await impairLink(lab, name, impairOptions(args)),
  clear: async (lab, name) => await clearImpairment(lab, name),
}

const ON_NODES: Readonly<Record<string, Act>> = {
  kill: (lab, name) => killNode(lab, name),
  stop: (lab, name) => killNode(lab, name, true),
  start: async (lab, name, { signal }) => void (await startAgain(lab, name, signal)),
  restart: async (lab, name, { signal }) => {
    if (lab.process(name) !== null) await killNode(lab, name)
    await startAgain(lab, name, signal)
  },
  pause: (lab, name) => pauseNode(lab, name),
  continue: (lab, name) => continueNode(lab, name),
}

const BETWEEN_GROUPS = ['partition', 'heal']

function impairOptions(args: Arguments): Record<string, string> {
  const given = IMPAIR_KEYS.flatMap(key => {
    const value = args.string(key)
    return value === undefined ? [] : [[key, value] as const]
  })
  if (given.length === 0)
    throw new UsageError(
      'impair needs to know how',
      `as --delay 20ms --loss 1%; known: ${IMPAIR_KEYS.join(', ')}`,
    )
  return Object.fromEntries(given)
}

/** The lab that a fault between groups is in: the one that has the first node named, or the only one. */
function labOfGroups(args: Arguments): string {
  const chosen = args.string('lab')
  if (chosen !== undefined) return chosen
  const first = args.list('TARGET')[0]?.split(',')[0]
  if (first !== undefined) return resolveLabNode(first).lab
  const labs = knownLabs()
  if (labs.length === 1) return labs[0]!
  throw new StackError('ERR_NOT_FOUND', labs.length === 0 ? 'no lab is up' : 'more than one lab is up', {
    hint:
      labs.length === 0
        ? 'bring one up with: putnext lab up FILE'
        : `say which: --lab ${labs.join(', --lab ')}`,
  })
}

function targetOf(args: Arguments, resolve: (word: string) => Target, what: string): Target {
  const [word, ...more] = args.list('TARGET')
  if (word === undefined) throw new UsageError(`a ${what} is missing`)
  if (more.length > 0) throw new UsageError(`one ${what} at a time`)
  const lab = args.string('lab')
  return resolve(lab === undefined || word.includes('/') ? word : `${lab}/${word}`)
}

export const labFault: CommandRun = async invocation => {
  const { args, out, signal } = invocation
  const action = args.required('ACTION')
  const groups = args.list('TARGET').map(group => group.split(',').filter(name => name !== ''))
  const act = ON_LINKS[action] ?? ON_NODES[action]
  if (act === undefined && !BETWEEN_GROUPS.includes(action)) {
    const known = [...Object.keys(ON_LINKS), ...Object.keys(ON_NODES), ...BETWEEN_GROUPS]
    throw new UsageError(`there is no fault "${action}"`, didYouMean(action, known))
  }
  const target =
    act === undefined
      ? { lab: labOfGroups(args), name: groups.map(group => group.join(',')).join(' | ') }
      : action in ON_LINKS
        ? targetOf(args, resolveLabLink, 'link')
        : targetOf(args, resolveLabNode, 'node')
  const again = runInLab(target.lab, signal)
  if (again !== null) {
    out.handOver()
    return await again
  }
  const lab = new RunningLab(target.lab, loadShim())
  if (act !== undefined) await act(lab, target.name, invocation)
  else if (action === 'heal') setPartition(lab, null)
  else if (groups.length === 0) throw new UsageError('groups are missing', 'as: partition n1 n2,n3')
  else
    setPartition(
      lab,
      groups.map(group => group.map(name => name.replace(/^.*\//, ''))),
    )
  out.note(`${target.lab}: ${action} ${target.name}`.trimEnd())
  out.report({ lab: target.lab, action, target: target.name })
  return
}
