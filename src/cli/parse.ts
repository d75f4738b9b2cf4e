/** A command line against the table: util.parseArgs cuts it up, what is wrong is told in our own words. */
import { type ParseArgsConfig, parseArgs } from 'node:util'
import { assert } from '../base/assert.ts'
import { didYouMean } from '../node/did-you-mean.ts'
import { type CommandSpec, GLOBAL_OPTIONS, type GroupSpec, type OptionSpec } from './command.ts'
import { UsageError } from './exit-codes.ts'

type Value = string | number | boolean | readonly string[]

/** The arguments and options of one command line, checked against the command's declaration. */
export class Arguments {
  private readonly positionals: ReadonlyMap<string, string | readonly string[]>
  private readonly values: ReadonlyMap<string, Value>
  /** What stood behind `--`, of a command that passes it on. */
  readonly rest: readonly string[]

  constructor(
    positionals: ReadonlyMap<string, string | readonly string[]>,
    values: ReadonlyMap<string, Value>,
    rest: readonly string[],
  ) {
    this.positionals = positionals
    this.values = values
    this.rest = rest
  }

  /** A positional argument that must be there. @param name - as declared: `NODE` */
  required(name: string): string {
    const value = this.positionals.get(name)
    assert(typeof value === 'string', `argument ${name} is not a required one`)
    return value
  }

  /** A positional argument that may be left out. */
  optional(name: string): string | undefined {
    return this.positionals.get(name) as string | undefined
  }

  /** The positional arguments of one that repeats. */
  list(name: string): readonly string[] {
    return (this.positionals.get(name) as readonly string[] | undefined) ?? []
  }

  flag(name: string): boolean {
    return this.values.get(name) === true
  }

  string(name: string): string | undefined {
    return this.values.get(name) as string | undefined
  }

  /** A number, an integer, or a duration in milliseconds. */
  number(name: string): number | undefined {
    return this.values.get(name) as number | undefined
  }

  /** The values of an option that repeats. */
  strings(name: string): readonly string[] {
    return (this.values.get(name) as readonly string[] | undefined) ?? []
  }
}

/** What the words in front ask for. `args` is what is left behind the command's name, global flags included. */
export type Resolved =
  | { readonly kind: 'command'; readonly command: CommandSpec; readonly args: readonly string[] }
  | { readonly kind: 'group'; readonly group: GroupSpec; readonly args: readonly string[] }
  | { readonly kind: 'none'; readonly args: readonly string[] }

/**
 * Finds the command that a command line names.
 * @throws UsageError for a word that is none
 */
export function resolveCommand(
  argv: readonly string[],
  commands: readonly CommandSpec[],
  groups: readonly GroupSpec[],
  internal: readonly CommandSpec[] = [],
): Resolved {
  let at = 0
  while (at < argv.length && argv[at]!.startsWith('-') && argv[at] !== '-') at++
  const before = argv.slice(0, at)
  const [first, second] = [argv[at], argv[at + 1]]
  if (first === undefined) return { kind: 'none', args: before }
  const pair = commands.find(command => command.name === `${first} ${second ?? ''}`)
  if (pair !== undefined) return { kind: 'command', command: pair, args: [...before, ...argv.slice(at + 2)] }
  const single = [...commands, ...internal].find(command => command.name === first)
  if (single !== undefined)
    return { kind: 'command', command: single, args: [...before, ...argv.slice(at + 1)] }
  const group = groups.find(({ name }) => name === first)
  if (group === undefined) {
    const known = [...new Set(commands.map(command => command.name.split(' ')[0]!))]
    throw new UsageError(
      `there is no command "${first}"`,
      first === 'help' ? 'write: putnext --help, or putnext COMMAND --help' : didYouMean(first, known),
    )
  }
  if (second === undefined || second.startsWith('-'))
    return { kind: 'group', group, args: [...before, ...argv.slice(at + 1)] }
  const known = commands.filter(({ name }) => name.startsWith(`${first} `)).map(({ name }) => name)
  throw new UsageError(`there is no command "${first} ${second}"`, didYouMean(`${first} ${second}`, known))
}

/** Options of a command with those that every command has. */
export function allOptions(command: CommandSpec | null): Readonly<Record<string, OptionSpec>> {
  return { ...command?.options, ...GLOBAL_OPTIONS }
}

/**
 * Reads what stands behind a command's name.
 * @param command - null for none: global options only
 * @throws UsageError, with what was meant
 */
export function parseArguments(args: readonly string[], command: CommandSpec | null): Arguments {
  const specs = allOptions(command)
  const config: NonNullable<ParseArgsConfig['options']> = {}
  for (const [name, spec] of Object.entries(specs)) {
    const type = spec.type === 'flag' ? 'boolean' : 'string'
    config[name] = spec.short === undefined ? { type } : { type, short: spec.short }
  }
  const { tokens } = parseArgs({
    args: [...args],
    options: config,
    strict: false,
    allowPositionals: true,
    tokens: true,
  })
  const values = new Map<string, Value>()
  const positionals: string[] = []
  const rest: string[] = []
  let terminated = false
  for (const token of tokens) {
    if (token.kind === 'option-terminator') terminated = true
    else if (token.kind === 'positional')
      (terminated && command?.passThrough !== undefined ? rest : positionals).push(token.value)
    else takeOption(specs, values, token)
  }
  // Asking for help must work without the arguments that the command needs otherwise.
  const named = values.get('help') === true ? new Map() : namePositionals(command, positionals)
  return new Arguments(named, values, rest)
}

interface OptionToken {
  readonly name: string
  readonly rawName: string
  readonly value?: string | undefined
  readonly inlineValue?: boolean | undefined
}

function takeOption(
  specs: Readonly<Record<string, OptionSpec>>,
  values: Map<string, Value>,
  token: OptionToken,
): void {
  const spec = Object.hasOwn(specs, token.name) ? specs[token.name] : undefined
  if (spec === undefined) {
    const known = Object.keys(specs).map(name => `--${name}`)
    throw new UsageError(`there is no option ${token.rawName}`, didYouMean(token.rawName, known))
  }
  if (spec.type === 'flag') {
    if (token.value !== undefined) throw new UsageError(`${token.rawName} takes no value`)
    values.set(token.name, true)
    return
  }
  const text = token.value
  const wanted = `${token.rawName} ${spec.value ?? 'VALUE'}`
  const looksLikeOption = text?.startsWith('-') && text !== '-' && !/^-[0-9.]/.test(text)
  if (text === undefined || (looksLikeOption && token.inlineValue !== true))
    throw new UsageError(`${token.rawName} needs a value`, `write ${wanted}`)
  if (spec.repeat === true) {
    values.set(token.name, [...((values.get(token.name) as readonly string[] | undefined) ?? []), text])
    return
  }
  if (values.has(token.name)) throw new UsageError(`${token.rawName} is given twice`)
  values.set(token.name, readValue(token.rawName, spec, text))
}

const DURATION = /^([0-9]+(?:\.[0-9]+)?)(us|ms|s|m|h)?$/
const UNIT_MS: Readonly<Record<string, number>> = { us: 0.001, ms: 1, s: 1_000, m: 60_000, h: 3_600_000 }

/** `500ms`, `2s`, `1m`, or seconds without a unit. @returns milliseconds, null if it is none */
export function parseDuration(text: string): number | null {
  const match = DURATION.exec(text)
  return match === null ? null : Number(match[1]) * UNIT_MS[match[2] ?? 's']!
}

function readValue(name: string, spec: OptionSpec, text: string): Value {
  if (spec.choices !== undefined && !spec.choices.includes(text))
    throw new UsageError(`${name}: "${text}" is none of ${spec.choices.join(', ')}`)
  if (spec.type === 'string') return text
  const number = spec.type === 'duration' ? parseDuration(text) : text.trim() === '' ? null : Number(text)
  if (
    number === null ||
    !Number.isFinite(number) ||
    (spec.type === 'integer' && !Number.isSafeInteger(number))
  ) {
    const kind =
      spec.type === 'duration'
        ? 'a duration as 500ms, 2s or 1m'
        : spec.type === 'integer'
          ? 'a whole number'
          : 'a number'
    throw new UsageError(`${name}: "${text}" is not ${kind}`)
  }
  if (number < (spec.min ?? -Infinity) || number > (spec.max ?? Infinity)) {
    const unit = spec.type === 'duration' ? ' ms' : ''
    throw new UsageError(`${name}: ${text} is out of range`, boundsText(spec, unit))
  }
  return number
}

function boundsText(spec: OptionSpec, unit: string): string {
  if (spec.max === undefined) return `at least ${spec.min}${unit}`
  if (spec.min === undefined) return `at most ${spec.max}${unit}`
  return `from ${spec.min} to ${spec.max}${unit}`
}

function missing(command: CommandSpec, name: string, summary: string, given: readonly string[]): UsageError {
  // Who knows curl writes the URL first.
  if (name === 'URL' && given[0]?.includes('://') === true)
    return new UsageError(
      'NODE is missing',
      `which node fetches it? putnext ${command.name} NODE ${given[0]}`,
    )
  return new UsageError(`${name} is missing: ${summary}`)
}

function namePositionals(
  command: CommandSpec | null,
  given: readonly string[],
): Map<string, string | readonly string[]> {
  const named = new Map<string, string | readonly string[]>()
  const specs = command?.arguments ?? []
  let at = 0
  for (const spec of specs) {
    if (at >= given.length) {
      if (spec.optional !== true) throw missing(command!, spec.name, spec.summary, given)
      continue
    }
    named.set(spec.name, spec.repeat === true ? given.slice(at) : given[at]!)
    at = spec.repeat === true ? given.length : at + 1
  }
  if (at < given.length) throw new UsageError(`"${given[at]}" is one argument too many`)
  return named
}
