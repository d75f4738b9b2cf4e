/** Runs one command line from its words to its exit code; `main.ts` gives it the process, a test something else. */
import { readFileSync } from 'node:fs'
import { StackError } from '../base/errors.ts'
import type { CommandHost, CommandSpec, GroupSpec } from './command.ts'
import { EXIT_DONE, EXIT_INTERRUPTED, EXIT_USAGE, exitCodeOf, UsageError } from './exit-codes.ts'
import { commandHelp, groupHelp, programHelp } from './help.ts'
import { type ErrorDocument, Output } from './output.ts'
import { parseArguments, resolveCommand } from './parse.ts'

export interface Program {
  readonly commands: readonly CommandSpec[]
  readonly groups: readonly GroupSpec[]
  /** Commands that are not in the help. */
  readonly internal?: readonly CommandSpec[]
}

/** The package's version. */
export function packageVersion(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
  return (JSON.parse(text) as { version: string }).version
}

/** What the words in front of the command ask for, before anything can be parsed with its options. */
function earlyOutput(argv: readonly string[], host: CommandHost): Output {
  const end = argv.indexOf('--')
  const own = end < 0 ? argv : argv.slice(0, end)
  const has = (...names: string[]): boolean => names.some(name => own.includes(name))
  return new Output(host, {
    json: has('--json'),
    quiet: has('--quiet', '-q'),
    verbose: has('--verbose', '-v'),
    noColor: has('--no-color'),
  })
}

/** An error as documents tell it. */
export function errorDocument(error: unknown): ErrorDocument {
  const hint = error instanceof StackError || error instanceof UsageError ? error.hint : undefined
  const message = error instanceof Error ? error.message : String(error)
  const code = codeOf(error)
  return { code, message, ...(hint === undefined ? {} : { hint }) }
}

function codeOf(error: unknown): string {
  if (error instanceof UsageError) return 'ERR_USAGE'
  const code = (error as { code?: unknown } | null)?.code
  return typeof code === 'string' ? code : 'ERR_INTERNAL'
}

/**
 * @param argv - without the program's name
 * @param signal - aborted when the user wants it to end
 * @returns the exit code; never throws
 */
export async function runProgram(
  program: Program,
  argv: readonly string[],
  host: CommandHost,
  signal: AbortSignal,
): Promise<number> {
  const out = earlyOutput(argv, host)
  let command: CommandSpec | null = null
  try {
    const resolved = resolveCommand(argv, program.commands, program.groups, program.internal)
    if (resolved.kind !== 'command') return overview(program, resolved, out)
    command = resolved.command
    const args = parseArguments(resolved.args, command)
    if (args.flag('help')) {
      host.stdout.write(`${commandHelp(command)}\n`)
      return EXIT_DONE
    }
    const run = await command.load()
    const code = (await run({ args, out, signal, host })) ?? (signal.aborted ? EXIT_INTERRUPTED : EXIT_DONE)
    out.finish(command.name, code, command.streams === true)
    return code
  } catch (error) {
    return fail(error, command, out, signal)
  }
}

function fail(error: unknown, command: CommandSpec | null, out: Output, signal: AbortSignal): number {
  if (signal.aborted && (error === signal.reason || (error as Error | null)?.name === 'AbortError')) {
    const interrupted = { code: 'ERR_INTERRUPTED', message: 'interrupted' }
    out.finish(command?.name ?? '', EXIT_INTERRUPTED, command?.streams === true, interrupted)
    return EXIT_INTERRUPTED
  }
  const code = exitCodeOf(error)
  const told = errorDocument(error)
  const hint =
    told.hint ??
    (code === EXIT_USAGE
      ? `putnext ${command === null ? '' : `${command.name} `}--help shows how`
      : undefined)
  const document = hint === undefined ? told : { ...told, hint }
  out.error(document)
  if (out.verbose && error instanceof Error) out.detail(error.stack ?? '')
  out.finish(command?.name ?? '', code, command?.streams === true, document)
  return code
}

/** No command was named: help of the whole or of a group, or the version. */
function overview(
  program: Program,
  resolved: Extract<ReturnType<typeof resolveCommand>, { kind: 'group' | 'none' }>,
  out: Output,
): number {
  const version = packageVersion()
  if (resolved.kind === 'none' && resolved.args.includes('--version')) {
    out.report({ version }, version)
    out.finish('', EXIT_DONE, false)
    return EXIT_DONE
  }
  const asked = parseArguments(resolved.args, null).flag('help')
  const text =
    resolved.kind === 'none'
      ? programHelp(program.commands, version)
      : groupHelp(resolved.group, program.commands)
  if (asked) {
    out.line(text)
    return EXIT_DONE
  }
  const what = resolved.kind === 'none' ? 'a command' : `a command of "putnext ${resolved.group.name}"`
  if (out.json || out.quiet) throw new UsageError(`${what} is missing`)
  out.note(text)
  return EXIT_USAGE
}
