/** Completion scripts for shells, made from the command table: words where they are known, files elsewhere. */
import type { CommandSpec } from './command.ts'
import { allOptions } from './parse.ts'

export const SHELLS = ['bash', 'zsh', 'fish'] as const
export type Shell = (typeof SHELLS)[number]

/** The script that a shell sources. */
export function completionScript(shell: Shell, commands: readonly CommandSpec[]): string {
  if (shell === 'bash') return bash(commands)
  return shell === 'zsh' ? zsh(commands) : fish(commands)
}

/** First words in the table's order, each with what is behind it: a command, or several with a second word. */
function byFirstWord(commands: readonly CommandSpec[]): Map<string, CommandSpec[]> {
  const found = new Map<string, CommandSpec[]>()
  for (const command of commands) {
    const first = command.name.split(' ')[0]!
    found.set(first, [...(found.get(first) ?? []), command])
  }
  return found
}

const secondWord = (command: CommandSpec): string | undefined => command.name.split(' ')[1]

function optionWords(command: CommandSpec): string {
  return Object.entries(allOptions(command))
    .flatMap(([name, { short }]) => (short === undefined ? [`--${name}`] : [`--${name}`, `-${short}`]))
    .join(' ')
}

const quote = (text: string): string => `'${text.replace(/'/g, "'\\''")}'`

function bash(commands: readonly CommandSpec[]): string {
  const groups = byFirstWord(commands)
  const seconds: string[] = []
  const options: string[] = []
  for (const [first, list] of groups) {
    const words = list.flatMap(command => secondWord(command) ?? [])
    if (words.length > 0) seconds.push(`      ${first}) words='${words.join(' ')}' ;;`)
    for (const command of list) {
      const pattern = secondWord(command) === undefined ? `"${first} "*` : `"${command.name}"`
      options.push(`      ${pattern}) words='${optionWords(command)}' ;;`)
    }
  }
  return `# putnext completion for bash: source it, or put it into the completions directory.
_putnext() {
  local current=\${COMP_WORDS[COMP_CWORD]} first=\${COMP_WORDS[1]-} second=\${COMP_WORDS[2]-} words=
  if [ "$COMP_CWORD" -eq 1 ]; then
    words='${[...groups.keys()].join(' ')} --help --version'
  elif [[ $current == -* ]]; then
    case "$first $second" in
${options.join('\n')}
    esac
  elif [ "$COMP_CWORD" -eq 2 ]; then
    case $first in
${seconds.join('\n')}
    esac
  fi
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -F _putnext putnext
`
}

function zsh(commands: readonly CommandSpec[]): string {
  const groups = byFirstWord(commands)
  const describe = (rows: readonly (readonly [string, string])[]): string =>
    `choices=(${rows.map(([word, text]) => quote(`${word}:${text}`)).join(' ')})`
  const firsts = [...groups].map(([first, list]) => [first, list[0]!.summary] as const)
  const seconds: string[] = []
  const options: string[] = []
  for (const [first, list] of groups) {
    const rows = list.flatMap(command => {
      const second = secondWord(command)
      return second === undefined ? [] : [[second, command.summary] as const]
    })
    if (rows.length > 0) seconds.push(`      ${first}) ${describe(rows)} ;;`)
    for (const command of list) {
      const pattern = secondWord(command) === undefined ? `${quote(`${first} `)}*` : quote(command.name)
      options.push(`      ${pattern}) compadd -- ${optionWords(command)}; return ;;`)
    }
  }
  return `#compdef putnext
# putnext completion for zsh: put it into a directory of $fpath as _putnext, or source it.
_putnext() {
  local -a choices
  if (( CURRENT == 2 )); then
    ${describe(firsts)}
  elif [[ $words[CURRENT] == -* ]]; then
    case "$words[2] $words[3]" in
${options.join('\n')}
    esac
  elif (( CURRENT == 3 )); then
    case $words[2] in
${seconds.join('\n')}
    esac
  fi
  if (( $#choices )); then _describe command choices; else _files; fi
}
if [[ $funcstack[1] == _putnext ]]; then _putnext "$@"; else compdef _putnext putnext; fi
`
}

function fish(commands: readonly CommandSpec[]): string {
  const lines = ['# putnext completion for fish: put it into the completions directory as putnext.fish.']
  const add = (condition: string, what: string, text: string): void => {
    lines.push(`complete -c putnext -n ${quote(condition)} ${what} -d ${quote(text)}`)
  }
  for (const [first, list] of byFirstWord(commands)) {
    add('__fish_use_subcommand', `-f -a ${first}`, list[0]!.summary)
    const seconds = list.flatMap(command => secondWord(command) ?? [])
    for (const command of list) {
      const second = secondWord(command)
      let seen = `__fish_seen_subcommand_from ${first}`
      if (second !== undefined) {
        add(
          `${seen}; and not __fish_seen_subcommand_from ${seconds.join(' ')}`,
          `-f -a ${second}`,
          command.summary,
        )
        seen += `; and __fish_seen_subcommand_from ${second}`
      }
      for (const [name, spec] of Object.entries(allOptions(command))) {
        const short = spec.short === undefined ? '' : ` -s ${spec.short}`
        const value = spec.type === 'flag' ? '' : ' -r'
        add(seen, `-l ${name}${short}${value}`, spec.summary)
      }
    }
  }
  return `${lines.join('\n')}\n`
}
