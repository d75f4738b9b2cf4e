/** Nodes killed, started, paused and continued while a lab runs. */
import { rmSync } from 'node:fs'
import { StackError } from '../base/errors.ts'
import { untilHealthy } from './health.ts'
import type { ProcessRecord } from './journal.ts'
import { asImpairedNow } from './live-impairments.ts'
import { endProcesses, isAlive, isPaused, signalProcess } from './marks.ts'
import { type StartedNode, startNode } from './node-process.ts'
import type { RunningLab } from './running-lab.ts'
import type { LabNode } from './topology.ts'

const HEALTH_TIMEOUT_MS = 15_000

function running(lab: RunningLab, node: LabNode): ProcessRecord {
  const record = lab.process(node.name)
  if (record !== null) return record
  throw new StackError('ERR_NOT_FOUND', `the node ${node.name} of ${lab.name} does not run`, {
    hint: `start it with: putnext lab fault start ${lab.name}/${node.name}`,
  })
}

/**
 * Ends a node without warning, as a crash does, or in order.
 * @param orderly - SIGTERM, and SIGKILL after two seconds
 */
export async function killNode(lab: RunningLab, name: string, orderly = false): Promise<void> {
  const node = lab.stackNode(name)
  const record = running(lab, node)
  lab.record(journal => journal.write({ kind: 'stopped', node: node.name }))
  await endProcesses(() => (isAlive(record) ? [record] : []), orderly ? 2_000 : 0)
}

/** Starts a node that has ended, with its configuration of before. */
export async function startAgain(
  lab: RunningLab,
  name: string,
  signal?: AbortSignal,
): Promise<ProcessRecord> {
  const node = lab.stackNode(name)
  if (lab.process(node.name) !== null)
    throw new StackError('ERR_ALREADY', `the node ${node.name} of ${lab.name} runs already`)
  // A node that was killed has left its sockets behind, and nobody listens there.
  for (const path of Object.values(lab.directory.sockets(node.name))) rmSync(path, { force: true })
  const place = { ...lab.place, topology: asImpairedNow(lab.topology, lab.summary()) }
  const started: StartedNode = lab.record(journal => startNode(place, journal, node))
  await untilHealthy(lab.place, node, started, HEALTH_TIMEOUT_MS, signal)
  return started.record
}

export function pauseNode(lab: RunningLab, name: string): void {
  signalProcess(running(lab, lab.stackNode(name)), 'SIGSTOP')
}

export function continueNode(lab: RunningLab, name: string): void {
  signalProcess(running(lab, lab.stackNode(name)), 'SIGCONT')
}

/** What a node's process is doing; `stopped` on purpose, `dead` by itself or by somebody else. */
export type ProcessState = 'running' | 'paused' | 'stopped' | 'dead'

export function processState(lab: RunningLab, node: string): ProcessState {
  const summary = lab.summary()
  const record = summary.processes.get(node)
  if (record !== undefined && isAlive(record)) return isPaused(record) ? 'paused' : 'running'
  return summary.stopped.has(node) ? 'stopped' : 'dead'
}
