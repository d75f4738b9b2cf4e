#!/usr/bin/env node
/** The `putnext` command: this process's words, streams and signals for {@link runProgram}. */
import { COMMANDS, GROUPS, INTERNAL_COMMANDS } from './commands.ts'
import { EXIT_FAILED, EXIT_INTERRUPTED } from './exit-codes.ts'
import { runProgram } from './program.ts'

const controller = new AbortController()

// The first signal asks for an orderly end, the second takes it.
function interrupted(): void {
  if (controller.signal.aborted) process.exit(EXIT_INTERRUPTED)
  controller.abort(new DOMException('interrupted', 'AbortError'))
}
process.on('SIGINT', interrupted)
process.on('SIGTERM', interrupted)

// Who reads our output may stop: `putnext capture n1 -w - | head`. There is nobody left to tell.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    process.exit(error.code === 'EPIPE' ? 0 : EXIT_FAILED)
  })
}

const written = (stream: NodeJS.WriteStream): Promise<void> =>
  new Promise(resolve => {
    stream.write('', () => resolve())
  })

const code = await runProgram(
  { commands: COMMANDS, groups: GROUPS, internal: INTERNAL_COMMANDS },
  process.argv.slice(2),
  process,
  controller.signal,
)
// A pipe takes what was written only now; exiting before would cut it off.
await Promise.all([written(process.stdout), written(process.stderr)])
process.exit(code)
