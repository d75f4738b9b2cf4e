/** Runs a program in the namespace of a node. */

import type { StdioOptions } from 'node:child_process'
import { constants } from 'node:os'
import { StackError } from '../base/errors.ts'
import { spawnInside } from './node-process.ts'
import type { RunningLab } from './running-lab.ts'

/** What shells answer for a program that a signal has ended. */
const SIGNAL_EXIT = 128

/**
 * @param command - the program and its arguments
 * @param signal - aborted: the program is asked to end
 * @returns the program's exit code
 * @throws StackError `ERR_NOT_FOUND` if there is no such program, `ERR_ACCESS` if it may not be run
 */
export function execInNode(
  lab: RunningLab,
  node: string,
  command: readonly string[],
  signal?: AbortSignal,
  stdio: StdioOptions = 'inherit',
): Promise<number> {
  const [program, ...args] = command
  return new Promise((resolve, reject) => {
    const child = spawnInside(lab.place, lab.node(node).name, program!, args, { stdio })
    // A terminal tells the whole group by itself; asking twice does no harm.
    const stop = (): boolean => child.kill('SIGINT')
    signal?.addEventListener('abort', stop, { once: true })
    child.on('error', (error: NodeJS.ErrnoException) => {
      const code = error.code === 'ENOENT' ? 'ERR_NOT_FOUND' : 'ERR_ACCESS'
      reject(new StackError(code, `cannot run ${program}: ${error.code}`, { cause: error }))
    })
    child.on('exit', (code, by) => {
      signal?.removeEventListener('abort', stop)
      resolve(code ?? SIGNAL_EXIT + (by === null ? 0 : constants.signals[by]))
    })
  })
}
