/** What a lab may leave on the host, gathered so that a test can compare before and after. */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { LinkControl } from '../../src/host/links.ts'
import { listNamespaces } from '../../src/host/namespace.ts'
import type { Shim } from '../../src/host/shim.ts'
import { MARK_VARIABLE } from '../../src/lab/marks.ts'

export interface HostState {
  readonly namespaces: readonly string[]
  /** Links of the lab in the namespace that the test runs in: there should never be any. */
  readonly links: readonly string[]
  /** Processes that bear the mark of any lab. */
  readonly processes: readonly string[]
  readonly files: readonly string[]
}

function markOf(pid: string): string | undefined {
  try {
    const environment = readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0')
    return environment.find(one => one.startsWith(`${MARK_VARIABLE}=`))
  } catch {
    return undefined
  }
}

/** @param lab - other labs, of tests that run at the same time, do not count */
export function hostState(shim: Shim, lab: string, state: string): HostState {
  using control = new LinkControl(shim)
  const processes = readdirSync('/proc').filter(entry => /^\d+$/.test(entry))
  return {
    namespaces: listNamespaces().filter(name => name.startsWith(`${lab}-`)),
    links: control
      .list()
      .filter(link => link.alias.startsWith(`putnext:${lab}:`))
      .map(link => link.name)
      .sort(),
    processes: processes.filter(pid => markOf(pid)?.startsWith(`${MARK_VARIABLE}=putnext:${lab}:`)),
    files: existsSync(state) ? readdirSync(state, { recursive: true }).map(String).sort() : [],
  }
}

export interface TemporaryState {
  readonly path: string
  remove(): void
}

/** Stands where a test has not begun. */
export const NO_STATE: TemporaryState = { path: '/nonexistent', remove: () => {} }

/** A state directory of one's own, gone with the test. */
export function temporaryState(): TemporaryState {
  const path = mkdtempSync(join(tmpdir(), 'pn-lab-'))
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) }
}

/** Runs a program to its end. @returns its output, or the error's text with its exit code */
export function run(
  command: string,
  args: readonly string[],
): { readonly code: number; readonly text: string } {
  try {
    return {
      code: 0,
      text: execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }),
    }
  } catch (error) {
    const { status, stdout, stderr } = error as { status: number | null; stdout: string; stderr: string }
    return { code: status ?? -1, text: `${stdout}${stderr}` }
  }
}
