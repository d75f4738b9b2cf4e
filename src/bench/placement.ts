/**
 * Where the two ends of a measurement run. Left to itself the scheduler moves a woken receiver to its waker's processor or away from it,
 * and rounds differ by up to three times; so each end has a processor of its own, in every arm.
 */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { findProgram } from '../host/privilege.ts'

/** The measuring end, or the left one of two; and the measured end, or the right one. */
export type End = 'near' | 'far'

export interface Placement {
  readonly near: number
  readonly far: number
}

let placement: Placement | null | undefined

/** @returns null where there is one processor, or no taskset(1): the scheduler decides then */
export function placementOf(): Placement | null {
  if (placement === undefined) placement = choose(readFileSync('/proc/self/status', 'utf8'))
  return placement
}

function choose(status: string): Placement | null {
  const [near, far] = parseProcessors(status)
  return near === undefined || far === undefined || findProgram(['taskset']) === null ? null : { near, far }
}

/** @param status - text of `/proc/PID/status` @returns the processors that the process may use, in order */
export function parseProcessors(status: string): readonly number[] {
  const list = /^Cpus_allowed_list:[ \t]*(\S+)$/m.exec(status)?.[1] ?? ''
  return list.split(',').flatMap(part => {
    if (part === '') return []
    const [first, last = first] = part.split('-').map(Number)
    if (first === undefined || last === undefined || Number.isNaN(first) || Number.isNaN(last)) return []
    return Array.from({ length: last - first + 1 }, (_, i) => first + i)
  })
}

/** The command that runs another one on an end's processor. */
export function onProcessor(
  end: End | undefined,
  command: string,
  args: readonly string[],
): [command: string, args: readonly string[]] {
  const chosen = end === undefined ? null : placementOf()
  return chosen === null ? [command, args] : ['taskset', ['-c', String(chosen[end!]), command, ...args]]
}

/** Moves a process that runs already, with all its threads. */
export function moveTo(end: End, pid: number): void {
  const chosen = placementOf()
  if (chosen !== null) execFileSync('taskset', ['-a', '-p', '-c', String(chosen[end]), String(pid)])
}

/** For the report. */
export function describePlacement(): string {
  const chosen = placementOf()
  return chosen === null
    ? 'the ends ran where the scheduler put them'
    : `near or left ends ran on processor ${chosen.near}, far or right ends on processor ${chosen.far}`
}
