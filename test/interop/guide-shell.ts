/** One shell that a guide's commands are typed into, as its reader does: variables, functions and background jobs stay. */
import { type ChildProcess, spawn } from 'node:child_process'
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
export const MAIN = join(ROOT, 'dist/cli/main.js')

/**
 * The environment of a guide's reader: `putnext` and `sudo` are there, state is in a folder of its own.
 * @param directory - that folder
 */
export function readerEnvironment(directory: string): NodeJS.ProcessEnv {
  const bin = join(directory, 'bin')
  mkdirSync(bin)
  const wrappers = { putnext: `exec "${process.execPath}" "${MAIN}" "$@"`, sudo: 'exec "$@"' }
  for (const [name, line] of Object.entries(wrappers)) {
    writeFileSync(join(bin, name), `#!/bin/sh\n${line}\n`)
    chmodSync(join(bin, name), 0o755)
  }
  const env: NodeJS.ProcessEnv = {
    ...process.env,
    PATH: `${bin}:${process.env['PATH']}`,
    PUTNEXT_STATE_DIR: join(directory, 'state'),
    NO_COLOR: '1',
  }
  // The guide's reader has no test runner around what it starts.
  delete env['NODE_OPTIONS']
  delete env['NODE_TEST_CONTEXT']
  return env
}

const END = '--- end of command ---'

export class GuideShell {
  private readonly shell: ChildProcess
  private said = ''
  private heard: (() => void) | null = null

  constructor(cwd: string, env: NodeJS.ProcessEnv) {
    this.shell = spawn('sh', [], { cwd, env, detached: true, stdio: ['pipe', 'pipe', 'ignore'] })
    this.shell.stdout!.setEncoding('utf8').on('data', text => {
      this.said += text
      this.heard?.()
    })
    this.shell.once('exit', () => this.heard?.())
  }

  /** @returns what it printed, on either output @throws if it does not end in time, or ends the shell */
  async run(command: string, timeoutMs = 30_000): Promise<string> {
    this.said = ''
    this.shell.stdin!.write(`{ ${command}\n} 2>&1 </dev/null\necho '${END}'\n`)
    const until = performance.now() + timeoutMs
    while (!this.said.includes(END)) {
      const left = until - performance.now()
      if (left <= 0 || this.shell.exitCode !== null)
        throw new Error(`"${command}" did not end; it printed:\n${this.said}`)
      await new Promise<void>(resolve => {
        const timer = setTimeout(resolve, left)
        this.heard = () => {
          clearTimeout(timer)
          resolve()
        }
      })
      this.heard = null
    }
    return this.said.slice(0, this.said.indexOf(END))
  }

  /** Ends it and what it started and left. */
  close(): void {
    if (this.shell.pid === undefined) return
    try {
      process.kill(-this.shell.pid, 'SIGKILL')
    } catch {
      // All of it has ended.
    }
  }
}
