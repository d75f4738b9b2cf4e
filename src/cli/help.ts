/** Help from the command table, examples first. */
import { type CommandSpec, GLOBAL_OPTIONS, type GroupSpec, type OptionSpec } from './command.ts'
import { EXIT_CODES } from './exit-codes.ts'

const GAP = 3

/** Two columns, the second aligned. */
function columns(rows: readonly (readonly [string, string])[]): string {
  const width = Math.max(...rows.map(([left]) => left.length))
  return rows.map(([left, right]) => `  ${left.padEnd(width + GAP)}${right}`.trimEnd()).join('\n')
}

/** `putnext ping [options] NODE ADDRESS` */
export function usageLine(command: CommandSpec): string {
  const words = (command.arguments ?? []).map(argument => {
    const name = argument.repeat === true ? `${argument.name}...` : argument.name
    return argument.optional === true ? `[${name}]` : name
  })
  const rest = command.passThrough === undefined ? [] : ['--', command.passThrough]
  return ['putnext', command.name, '[options]', ...words, ...rest].join(' ')
}

/** `-c, --count N` */
export function optionForm(name: string, spec: OptionSpec): string {
  const short = spec.short === undefined ? '    ' : `-${spec.short}, `
  const value = spec.type === 'flag' ? '' : ` ${spec.value ?? 'VALUE'}`
  return `${short}--${name}${value}`
}

/** What an option does, with its choices and what happens without it. */
export function optionText(spec: OptionSpec): string {
  const choices = spec.choices === undefined ? '' : `: ${spec.choices.join(', ')}`
  const repeat = spec.repeat === true ? ' (may be repeated)' : ''
  const fallback = spec.fallback === undefined ? '' : ` (default: ${spec.fallback})`
  return `${spec.summary}${choices}${repeat}${fallback}`
}

function optionRows(options: Readonly<Record<string, OptionSpec>>): string {
  return columns(
    Object.entries(options).map(([name, spec]) => [optionForm(name, spec), optionText(spec)] as const),
  )
}

/** Help of one command. */
export function commandHelp(command: CommandSpec): string {
  const examples = command.examples.map(({ command: line, text }) => [`putnext ${line}`, text] as const)
  const parts = [
    `${command.summary}`,
    `Examples:\n${columns(examples)}`,
    `Usage: ${usageLine(command)}`,
    ...(command.description === undefined ? [] : [command.description]),
    ...(command.arguments === undefined || command.arguments.length === 0
      ? []
      : [`Arguments:\n${columns(command.arguments.map(({ name, summary }) => [name, summary] as const))}`]),
    ...(command.options === undefined ? [] : [`Options:\n${optionRows(command.options)}`]),
    `Options of every command:\n${optionRows(GLOBAL_OPTIONS)}`,
  ]
  return parts.join('\n\n')
}

/** Help of a first word: its commands. */
export function groupHelp(group: GroupSpec, commands: readonly CommandSpec[]): string {
  const own = commands.filter(({ name }) => name.startsWith(`${group.name} `))
  const examples = own.flatMap(({ examples: list }) => list.slice(0, 1))
  return [
    group.summary,
    `Examples:\n${columns(examples.map(({ command, text }) => [`putnext ${command}`, text] as const))}`,
    `Commands:\n${columns(own.map(({ name, summary }) => [name, summary] as const))}`,
    `"putnext ${group.name} COMMAND --help" tells more.`,
  ].join('\n\n')
}

/** Help of the whole. */
export function programHelp(commands: readonly CommandSpec[], version: string): string {
  const examples: [string, string][] = [
    ['putnext doctor', 'what this machine allows, and how to get the rest'],
    ['putnext lab up docs/examples/labs/inetd.yaml', 'a node with its own stack in a namespace'],
    ['putnext plumb inetd/n1', 'the modules of a live node, with their counters'],
  ]
  const shown = commands.filter(({ name }) => name !== 'help')
  return [
    `putnext ${version}: a userspace network stack plumbed like System V STREAMS`,
    `Examples:\n${columns(examples)}`,
    `Commands:\n${columns(shown.map(({ name, summary }) => [name, summary] as const))}`,
    `Options:\n${optionRows({ ...GLOBAL_OPTIONS, version: { type: 'flag', summary: 'version' } })}`,
    `Exit codes:\n${columns(EXIT_CODES.map(([code, text]) => [String(code), text] as const))}`,
    '"putnext COMMAND --help" tells more.',
  ].join('\n\n')
}
