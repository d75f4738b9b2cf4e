/** The processes of a lab in mode netns: nodes, commands in namespaces, the holder of a user namespace. */
import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, existsSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { StackError } from '../base/errors.ts'
import { insideNamespace, netnsPath } from '../host/namespace.ts'
import type { Journal, ProcessRecord } from './journal.ts'
import type { LabDirectory } from './lab-directory.ts'
import { MARK_VARIABLE, recordOf } from './marks.ts'
import type { NamespaceSite } from './namespaces.ts'
import { nodeConfigOf } from './node-file.ts'
import { type LabNode, namespaceName, type Topology } from './topology.ts'

const EXEC_TIMEOUT_MS = 30_000
const LOG_TAIL_LINES = 8

/** Compiled: this file may be TypeScript under a test runner, but a process of its own needs JavaScript. */
export function compiledFile(path: string): string {
  const file = fileURLToPath(new URL(`../../dist/${path}`, import.meta.url))
  if (!existsSync(file)) {
    throw new StackError('ERR_NOT_FOUND', `${file} is not there`, { hint: 'compile it with: scripts/setup' })
  }
  return file
}

/** What starting a process in a lab needs to know. */
export interface LabPlace {
  readonly site: NamespaceSite
  readonly directory: LabDirectory
  readonly topology: Topology
}

/** Spawns in a namespace: a new process is in the namespace of the thread that makes it. */
export function spawnInside(
  place: LabPlace,
  node: string,
  command: string,
  args: readonly string[],
  options: SpawnOptions,
): ChildProcess {
  const { site, topology } = place
  const path = netnsPath(namespaceName(topology.name, node), site.directory)
  const env = { ...process.env, ...options.env, [MARK_VARIABLE]: site.mark }
  return insideNamespace(site.shim, path, () => spawn(command, args, { ...options, env }))
}

/** A node's process as its starter sees it. */
export interface StartedNode {
  readonly record: ProcessRecord
  /** What it ended with, null while it runs. */
  ended(): string | null
}

function describeEnd(code: number | null, signal: NodeJS.Signals | null): string {
  return signal === null ? `exit code ${code}` : `signal ${signal}`
}

/**
 * Starts the process of a stack node. It goes on when this process ends.
 * @throws StackError `ERR_HOST` if it cannot be started
 */
export function startNode(place: LabPlace, journal: Journal, node: LabNode): StartedNode {
  const { directory, topology } = place
  const config = nodeConfigOf(topology, node, directory.sockets(node.name))
  // JSON is YAML, too.
  writeFileSync(directory.nodeFile(node.name), `${JSON.stringify(config, null, 2)}\n`, { mode: 0o600 })
  const main = compiledFile('cli/main.js')
  journal.write({ kind: 'process', node: node.name })
  const log = openSync(directory.log(node.name), 'a', 0o600)
  let child: ChildProcess
  try {
    child = spawnInside(
      place,
      node.name,
      process.execPath,
      [main, 'node', 'run', directory.nodeFile(node.name)],
      {
        detached: true,
        stdio: ['ignore', log, log],
      },
    )
  } finally {
    closeSync(log)
  }
  let end: string | null = null
  child.on('exit', (code, signal) => {
    end = describeEnd(code, signal)
  })
  child.on('error', error => {
    end = error.message
  })
  child.unref()
  const record = child.pid === undefined ? null : recordOf(child.pid)
  if (record === null) throw new StackError('ERR_HOST', `the node ${node.name} cannot be started`)
  journal.write({ kind: 'pid', node: node.name, ...record })
  return { record, ended: () => end }
}

/** The last lines that a node said, for an error's message. */
export function logTail(directory: LabDirectory, node: string): string {
  try {
    return readFileSync(directory.log(node), 'utf8').trimEnd().split('\n').slice(-LOG_TAIL_LINES).join('\n')
  } catch {
    return ''
  }
}

/**
 * Runs the commands of a kernel host, one after the other, their output into its log.
 * @throws StackError `ERR_HOST` at the first that fails
 */
export async function runCommands(place: LabPlace, node: LabNode, signal?: AbortSignal): Promise<void> {
  for (const command of node.exec) {
    signal?.throwIfAborted()
    const log = openSync(place.directory.log(node.name), 'a', 0o600)
    let child: ChildProcess
    try {
      child = spawnInside(place, node.name, '/bin/sh', ['-c', command], {
        stdio: ['ignore', log, log],
        timeout: EXEC_TIMEOUT_MS,
      })
    } finally {
      closeSync(log)
    }
    const stop = (): boolean => child.kill('SIGTERM')
    signal?.addEventListener('abort', stop, { once: true })
    const [code, by] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null]
    signal?.removeEventListener('abort', stop)
    signal?.throwIfAborted()
    if (code === 0) continue
    const tail = logTail(place.directory, node.name)
    throw new StackError(
      'ERR_HOST',
      `${node.name}: "${command}" ended with ${describeEnd(code, by)}\n${tail}`,
      {
        hint: 'a command that shall stay ends with &',
      },
    )
  }
}

/** Keeps the user namespace of a lab open when the command that made it has ended. */
export function startHolder(journal: Journal, mark: string): ProcessRecord {
  journal.write({ kind: 'process', node: '(holder)' })
  const child = spawn('sleep', ['infinity'], {
    detached: true,
    stdio: 'ignore',
    env: { ...process.env, [MARK_VARIABLE]: mark },
  })
  child.on('error', () => {})
  child.unref()
  const record = child.pid === undefined ? null : recordOf(child.pid)
  if (record === null)
    throw new StackError('ERR_HOST', 'cannot start a process that holds the user namespace')
  journal.write({ kind: 'holder', ...record })
  return record
}
