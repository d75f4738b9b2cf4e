/** Whether a node is there: its control port answers, and its addresses do. */
import { request } from 'node:http'
import { Worker } from 'node:worker_threads'
import { StackError } from '../base/errors.ts'
import { netnsPath } from '../host/namespace.ts'
import { hostOf } from './addressing.ts'
import { compiledFile, type LabPlace, logTail, type StartedNode } from './node-process.ts'
import { type LabNode, namespaceName } from './topology.ts'

const POLL_MS = 20
const CONTROL_TIMEOUT_MS = 1_000

/** @returns whether anybody answers on a control socket */
export function controlAnswers(socketPath: string): Promise<boolean> {
  return new Promise(resolve => {
    const asked = request({ socketPath, path: '/', timeout: CONTROL_TIMEOUT_MS }, response => {
      response.resume()
      response.on('end', () => resolve(true))
    })
    asked.on('timeout', () => asked.destroy())
    asked.on('error', () => resolve(false))
    asked.end()
  })
}

/**
 * Asks addresses from inside a namespace, over UDP.
 * @param namespace - path
 * @returns those that did not answer in time
 */
export function unreachable(
  namespace: string,
  addresses: readonly string[],
  timeoutMs: number,
): Promise<readonly string[]> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(compiledFile('lab/reach-worker.js'), {
      workerData: { namespace, addresses, timeoutMs },
    })
    worker.on('message', (missing: readonly string[]) => resolve(missing))
    worker.on('error', reject)
    worker.on('exit', () => resolve(addresses))
  })
}

function failed(place: LabPlace, node: LabNode, what: string): StackError {
  const tail = logTail(place.directory, node.name)
  return new StackError(
    'ERR_HOST',
    `the node ${node.name} ${what}${tail === '' ? '' : `; its log ends:\n${tail}`}`,
  )
}

/**
 * Waits until a node's control port and addresses answer.
 * @throws StackError `ERR_HOST` with the end of the node's log if it ends or takes too long
 */
export async function untilHealthy(
  place: LabPlace,
  node: LabNode,
  started: StartedNode,
  timeoutMs: number,
  signal?: AbortSignal,
): Promise<void> {
  const deadline = performance.now() + timeoutMs
  while (!(await controlAnswers(place.directory.socket(node.name)))) {
    signal?.throwIfAborted()
    const end = started.ended()
    if (end !== null) throw failed(place, node, `has ended (${end})`)
    if (performance.now() > deadline) throw failed(place, node, 'does not answer on its control port')
    await new Promise(resolve => setTimeout(resolve, POLL_MS))
  }
  const path = netnsPath(namespaceName(place.topology.name, node.name), place.site.directory)
  const missing = await unreachable(
    path,
    node.addresses.map(hostOf),
    Math.max(1_000, deadline - performance.now()),
  )
  if (missing.length > 0) throw failed(place, node, `is not reached at ${missing.join(', ')}`)
}
