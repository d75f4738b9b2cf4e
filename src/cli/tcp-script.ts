/** `putnext tcp script`: commands as lines of JSON on stdin, an answer for each on stdout, in virtual time. */
import { once } from 'node:events'
import { COMMANDS } from '../sim/script/commands.ts'
import { LINE_MAX, Session } from '../sim/script/session.ts'
import type { CommandHost, CommandRun } from './command.ts'
import { EXIT_DONE, EXIT_FAILED } from './exit-codes.ts'
import { LineReader } from './line-reader.ts'

export const tcpScript: CommandRun = async ({ host, out, signal }) => {
  let full = false
  const session = new Session(COMMANDS, line => {
    full = !host.stdout.write(`${line}\n`)
  })
  const lines = new LineReader(LINE_MAX, text => (text === null ? session.tooLong() : session.line(text)))
  for await (const chunk of chunksOf(host, signal)) {
    lines.take(chunk)
    if (full) await once(host.stdout, 'drain')
  }
  lines.end()
  const leaked = session.end()
  if (leaked === null) return EXIT_DONE
  out.warn(`the stack did not give everything back: ${leaked}`)
  return EXIT_FAILED
}

/** What comes on stdin, until it ends or the command is to end. */
async function* chunksOf({ stdin }: CommandHost, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const stop = (): void => {
    ;(stdin as { destroy?(): void }).destroy?.()
  }
  signal.addEventListener('abort', stop, { once: true })
  try {
    for await (const chunk of stdin) yield typeof chunk === 'string' ? new TextEncoder().encode(chunk) : chunk
  } catch (error) {
    if (!signal.aborted) throw error
  } finally {
    signal.removeEventListener('abort', stop)
  }
}
