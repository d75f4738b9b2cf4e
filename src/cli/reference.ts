/** The manual of all commands, from their table: docs/reference/cli.md is this text. */
import { type CommandSpec, GLOBAL_OPTIONS, type GroupSpec, type OptionSpec } from './command.ts'
import { EXIT_CODES } from './exit-codes.ts'
import { optionForm, optionText, usageLine } from './help.ts'

const INTRODUCTION = `Made from the command table by \`npx vitest run src/cli -u\`; a test compares. Data goes to stdout, talk to stderr. With \`--json\`
stdout is one document, also when the command fails:

\`\`\`json
{"version": 1, "command": "node status", "ok": true, "exitCode": 0, "result": {}}
{"version": 1, "command": "node status", "ok": false, "exitCode": 1, "error": {"code": "ERR_NOT_FOUND", "message": "...", "hint": "..."}}
\`\`\`

\`error\` is there whenever \`ok\` is false; a command that did what it was asked and found what it should not, as a check or \`curl -f\`, has \`result\` too.
\`lab exec\` leaves its exit code to the program that it runs. Commands that stream (\`sim run\`, \`tcp script\`) write what they find without
this envelope, one JSON object a line as it comes; the last line of \`sim run\` is an envelope that counts, and an error ends both with one.

SIGINT or SIGTERM asks for an orderly end, a second one ends at once.

NODE is a node's name, \`LAB/NODE\`, or the path of its control socket. Sockets are found in the state directory: \`PUTNEXT_STATE_DIR\`, else
\`/run/putnext\` for root, else \`putnext\` in \`XDG_RUNTIME_DIR\`, else \`putnext-UID\` in the directory of temporary files. So users do not see each
other's nodes, and root sees its own.`

const cell = (text: string): string => text.replace(/\|/g, '\\|')

function optionTable(options: Readonly<Record<string, OptionSpec>>): string {
  const rows = Object.entries(options).map(
    ([name, spec]) => `| \`${optionForm(name, spec).trim()}\` | ${cell(optionText(spec))} |`,
  )
  return ['| option | |', '| --- | --- |', ...rows].join('\n')
}

function section(command: CommandSpec): string {
  const { name, summary, description, examples, options } = command
  const args = command.arguments ?? []
  const width = Math.max(...examples.map(example => example.command.length))
  const shown = examples.map(example => `putnext ${example.command.padEnd(width)}   # ${example.text}`)
  return [
    `### putnext ${name}`,
    `${summary[0]!.toUpperCase()}${summary.slice(1)}. ${description ?? ''}`.trim(),
    `\`\`\`sh\n${shown.join('\n')}\n\`\`\``,
    `Usage: \`${usageLine(command)}\``,
    ...(args.length === 0
      ? []
      : [
          [
            '| argument | |',
            '| --- | --- |',
            ...args.map(arg => `| \`${arg.name}\` | ${cell(arg.summary)} |`),
          ].join('\n'),
        ]),
    ...(options === undefined ? [] : [optionTable(options)]),
  ].join('\n\n')
}

/** The whole manual, as Markdown. */
export function reference(commands: readonly CommandSpec[], groups: readonly GroupSpec[]): string {
  const firsts = [...new Set(commands.map(({ name }) => name.split(' ')[0]!))]
  const parts = firsts.map(first => {
    const own = commands.filter(({ name }) => name.split(' ')[0] === first)
    const title = groups.find(({ name }) => name === first)?.summary ?? `${own[0]!.summary}.`
    return [`## ${first}`, `${title[0]!.toUpperCase()}${title.slice(1)}`, ...own.map(section)].join('\n\n')
  })
  return `${[
    '# The putnext command',
    INTRODUCTION,
    `## Options of every command\n\n${optionTable({ ...GLOBAL_OPTIONS, version: { type: 'flag', summary: 'version' } })}`,
    `## Exit codes\n\n| code | |\n| --- | --- |\n${EXIT_CODES.map(([code, text]) => `| ${code} | ${text} |`).join('\n')}`,
    ...parts,
  ].join('\n\n')}\n`
}
