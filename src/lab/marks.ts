/**
 * How a lab knows what is its own. A link bears the mark as its alias, a namespace as the alias of its loopback, a
 * process in its environment; the number of a process counts only together with the time at which it started.
 */
import { readdirSync, readFileSync } from 'node:fs'
import type { ProcessRecord } from './journal.ts'

/** The environment variable that every process of a lab has, and hands on to its children. */
export const MARK_VARIABLE = 'PUTNEXT_LAB'

/** @param id - made anew each time a lab is brought up */
export function labMark(lab: string, id: string): string {
  return `putnext:${lab}:${id}`
}

function readProc(pid: number, file: string): string | null {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'latin1')
  } catch {
    return null
  }
}

/** The process's name may hold spaces and brackets, so fields are counted behind its last bracket. @see proc(5) */
function statFields(pid: number): string[] | null {
  const text = readProc(pid, 'stat')
  return text === null ? null : text.slice(text.lastIndexOf(')') + 2).split(' ')
}

/** @returns null if there is no such process */
export function startTimeOf(pid: number): string | null {
  return statFields(pid)?.[19] ?? null
}

/** A zombie has ended. */
export function isAlive(record: ProcessRecord): boolean {
  const fields = statFields(record.pid)
  return fields !== null && fields[19] === record.startTime && fields[0] !== 'Z' && fields[0] !== 'X'
}

/** Stopped by a signal. */
export function isPaused(record: ProcessRecord): boolean {
  const fields = statFields(record.pid)
  return fields !== null && fields[19] === record.startTime && fields[0] === 'T'
}

export function recordOf(pid: number): ProcessRecord | null {
  const startTime = startTimeOf(pid)
  return startTime === null ? null : { pid, startTime }
}

/** This process and those it was started by. */
function ownFamily(): Set<number> {
  const family = new Set<number>()
  for (let pid = process.pid; pid > 1 && !family.has(pid); ) {
    family.add(pid)
    pid = Number(statFields(pid)?.[1] ?? 0)
  }
  return family
}

/** Living processes that bear the mark, except this one and its ancestors; those of others stay unseen. */
export function markedProcesses(mark: string): ProcessRecord[] {
  const wanted = `${MARK_VARIABLE}=${mark}`
  const spared = ownFamily()
  return readdirSync('/proc')
    .filter(entry => /^\d+$/.test(entry))
    .map(Number)
    .filter(pid => !spared.has(pid) && (readProc(pid, 'environ') ?? '').split('\0').includes(wanted))
    .flatMap(pid => recordOf(pid) ?? [])
    .filter(isAlive)
}

/** Sends a signal to that process, and to no other that has its number now. */
export function signalProcess(record: ProcessRecord, signal: NodeJS.Signals): boolean {
  if (!isAlive(record)) return false
  try {
    process.kill(record.pid, signal)
    return true
  } catch {
    return false
  }
}

/**
 * Ends processes: asks first, then insists.
 * @param list - asked anew each time, so that what they start meanwhile ends too
 * @returns those that are still there, which are not ours to end
 */
export async function endProcesses(
  list: () => readonly ProcessRecord[],
  patienceMs = 2_000,
): Promise<ProcessRecord[]> {
  const start = performance.now()
  for (let asked = false; ; asked = true) {
    const left = list()
    if (left.length === 0) return []
    const waited = performance.now() - start
    if (waited > patienceMs + 3_000) return [...left]
    for (const record of left) {
      if (waited >= patienceMs) signalProcess(record, 'SIGKILL')
      else if (!asked) {
        signalProcess(record, 'SIGTERM')
        // A paused process takes the signal only when it runs again.
        signalProcess(record, 'SIGCONT')
      }
    }
    await new Promise(resolve => setTimeout(resolve, asked ? 20 : 5))
  }
}
