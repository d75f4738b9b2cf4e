/** Runs a command line in the test's own process and gathers what it said. */
import { PassThrough } from 'node:stream'
import type { CommandHost } from './command.ts'
import { type Program, runProgram } from './program.ts'

export interface Said {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

export interface RunOptions {
  readonly env?: Readonly<Record<string, string | undefined>>
  readonly stdin?: string
  readonly tty?: boolean
  readonly signal?: AbortSignal
}

/** @param line - the words behind `putnext`, or one text that is cut at spaces */
export async function runLine(
  program: Program,
  line: string | readonly string[],
  options: RunOptions = {},
): Promise<Said> {
  const stdin = new PassThrough()
  stdin.end(options.stdin ?? '')
  const host = { stdin, ...gather(options.tty === true), env: options.env ?? {} }
  const words = typeof line === 'string' ? line.split(' ').filter(word => word !== '') : line
  const code = await runProgram(program, words, host, options.signal ?? new AbortController().signal)
  return { code, stdout: host.stdout.text, stderr: host.stderr.text }
}

function gather(isTTY: boolean): {
  stdout: CommandHost['stdout'] & { text: string }
  stderr: CommandHost['stderr'] & { text: string }
} {
  const make = () => {
    const stream = Object.assign(new PassThrough(), { isTTY, text: '' })
    stream.on('data', (chunk: Buffer) => {
      stream.text += chunk.toString('utf8')
    })
    return stream
  }
  return { stdout: make(), stderr: make() }
}
