/** Ending processes that a measurement started. */
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'

const END_TIMEOUT_MS = 5_000

/** Asks a process to end, and ends it if it does not. Harmless for one that has ended, or was never there. */
export async function endProcess(child: ChildProcess | null): Promise<void> {
  if (child === null || child.pid === undefined || child.exitCode !== null || child.signalCode !== null)
    return
  const ended = once(child, 'exit')
  child.kill('SIGTERM')
  const timer = setTimeout(() => child.kill('SIGKILL'), END_TIMEOUT_MS)
  await ended
  clearTimeout(timer)
}
