/** A program in a network namespace: what it says, how it ends. */
import { type ChildProcess, spawn } from 'node:child_process'

/** Daemons are not in everybody's PATH. */
export const SEARCH_PATH = `${process.env['PATH']}:/usr/sbin:/sbin`

export interface Ended {
  /** -1 if a signal ended it. */
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

export class Program {
  readonly child: ChildProcess
  readonly ended: Promise<Ended>
  readonly command: string
  stdout = ''
  stderr = ''
  private waiting: (() => void)[] = []
  private done = false

  constructor(netns: string, command: string, args: readonly string[]) {
    this.command = [command, ...args].join(' ')
    // ip-netns(8) becomes the program, so that the child's number is the program's.
    this.child = spawn('ip', ['netns', 'exec', netns, command, ...args], {
      stdio: 'pipe',
      env: { ...process.env, PATH: SEARCH_PATH },
    })
    this.child.stdin!.on('error', () => {})
    this.child.stdout!.on('data', (chunk: Buffer) => {
      this.stdout += chunk.toString('latin1')
      this.stir()
    })
    this.child.stderr!.on('data', (chunk: Buffer) => {
      this.stderr += chunk.toString('latin1')
      this.stir()
    })
    this.ended = new Promise(resolve => {
      const end = (code: number): void => {
        this.done = true
        this.stir()
        resolve({ code, stdout: this.stdout, stderr: this.stderr })
      }
      this.child.on('error', () => end(-1))
      this.child.on('close', code => end(code ?? -1))
    })
  }

  /** Waits until it has said something. @throws Error if it ends, or time passes, before */
  async said(pattern: RegExp, limitMs = 20_000): Promise<RegExpExecArray> {
    const end = performance.now() + limitMs
    for (;;) {
      const found = pattern.exec(this.stdout) ?? pattern.exec(this.stderr)
      if (found !== null) return found
      if (this.done || performance.now() > end)
        throw new Error(`${this.command} did not say ${pattern}, but:\n${this.stdout}${this.stderr}`)
      await this.stirred(end - performance.now())
    }
  }

  /** Waits for its end. @throws Error if its exit code is not `code` */
  async succeeds(code = 0): Promise<Ended> {
    const ended = await this.ended
    if (ended.code !== code)
      throw new Error(`${this.command} ended with ${ended.code}:\n${ended.stdout}${ended.stderr}`)
    return ended
  }

  write(text: string): void {
    this.child.stdin!.write(text)
  }

  kill(signal: NodeJS.Signals = 'SIGKILL'): void {
    if (!this.done) this.child.kill(signal)
  }

  /** Waits until it says something more, or ends, or some time has passed. */
  private async stirred(limitMs: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined
    await new Promise<void>(resolve => {
      this.waiting.push(resolve)
      timer = setTimeout(resolve, Math.max(1, limitMs))
    })
    clearTimeout(timer)
  }

  private stir(): void {
    const waiting = this.waiting
    this.waiting = []
    for (const resolve of waiting) resolve()
  }
}
