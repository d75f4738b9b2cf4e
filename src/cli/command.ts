/**
 * What a command declares. One table of these gives parsing, usage errors, help, completion and the manual. A
 * table entry is data only: what a command does is imported when it is run, so that starting stays fast.
 */

import type { Output } from './output.ts'
import type { Arguments } from './parse.ts'

/** How the text of an option's value is read. A duration is `500ms`, `2s` or `1m`, and is given in milliseconds. */
export type OptionType = 'flag' | 'string' | 'integer' | 'number' | 'duration'

export interface OptionSpec {
  readonly type: OptionType
  readonly summary: string
  /** One letter. */
  readonly short?: string
  /** What stands for the value in help: `FILE`, `N`. Not for flags. */
  readonly value?: string
  /** May be given several times; read with `Arguments.strings`. Strings only. */
  readonly repeat?: boolean
  readonly choices?: readonly string[]
  /** Bounds of a number; of a duration, in milliseconds. */
  readonly min?: number
  readonly max?: number
  /** For people: what happens without it. */
  readonly fallback?: string
}

export interface ArgumentSpec {
  /** Upper case: `NODE`. */
  readonly name: string
  readonly summary: string
  readonly optional?: boolean
  /** The last one may take all that is left; read with `Arguments.list`. */
  readonly repeat?: boolean
}

export interface Example {
  /** Without the `putnext` in front. */
  readonly command: string
  readonly text: string
}

/** Where a command line comes from and goes to: the process, or a test. */
export interface CommandHost {
  readonly stdin: NodeJS.ReadableStream
  readonly stdout: NodeJS.WritableStream & { readonly isTTY?: boolean }
  readonly stderr: NodeJS.WritableStream & { readonly isTTY?: boolean }
  readonly env: Readonly<Record<string, string | undefined>>
}

/** What a running command is given. */
export interface Invocation {
  readonly args: Arguments
  readonly out: Output
  /** Aborted by the first SIGINT or SIGTERM: end in order. The second ends the process. */
  readonly signal: AbortSignal
  readonly host: CommandHost
}

/**
 * @returns an exit code (`EXIT_CODES`); nothing means done, or interrupted if `signal` was aborted
 * @throws StackError or UsageError, which become an exit code and a message with its hint
 */
export type CommandRun = (invocation: Invocation) => Promise<number | undefined> | Promise<void>

export interface CommandSpec {
  /** One or two words: `ping`, `node run`. */
  readonly name: string
  /** One line, no full stop. */
  readonly summary: string
  /** Paragraphs for help and the manual. */
  readonly description?: string
  readonly arguments?: readonly ArgumentSpec[]
  readonly options?: Readonly<Record<string, OptionSpec>>
  readonly examples: readonly Example[]
  /** What stands behind `--` belongs to another program; read with `Arguments.rest`. Its name in the usage line: `COMMAND...`. */
  readonly passThrough?: string
  /** With `--json` it writes one JSON document a line as it goes, not one at the end. */
  readonly streams?: boolean
  readonly load: () => Promise<CommandRun>
}

/** A first word with commands behind it. */
export interface GroupSpec {
  readonly name: string
  readonly summary: string
}

/** Options that every command has. */
export const GLOBAL_OPTIONS: Readonly<Record<string, OptionSpec>> = {
  json: { type: 'flag', summary: 'one JSON document on stdout, errors too' },
  quiet: { type: 'flag', short: 'q', summary: 'nothing on stderr but errors' },
  verbose: { type: 'flag', short: 'v', summary: 'more on stderr' },
  'no-color': { type: 'flag', summary: 'no colours (also: NO_COLOR, TERM=dumb)' },
  help: { type: 'flag', short: 'h', summary: 'help, examples first' },
}
