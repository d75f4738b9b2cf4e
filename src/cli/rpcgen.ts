/** `putnext rpcgen`: reads interface files, writes what the compiler of src/rpc/idl makes of them. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { StackError } from '../base/errors.ts'
import { analyze, type InterfaceText } from '../rpc/idl/analyze.ts'
import { generate } from '../rpc/idl/generate.ts'
import { formatProblem, locate, MAX_ERRORS, type Problem } from '../rpc/idl/source.ts'
import type { CommandRun } from './command.ts'
import { EXIT_CHECK_FAILED, EXIT_DONE, UsageError } from './exit-codes.ts'

export const rpcgen: CommandRun = async ({ args, out, host }) => {
  const file = args.required('FILE')
  const directory = args.string('out')
  if (args.flag('wireshark') && directory === undefined) throw new UsageError('--wireshark needs -o DIR')
  const {
    interface: found,
    problems,
    errorCount,
  } = analyze([...args.strings('with'), file].map(readInterfaceText), {
    include: (name, from) => findIncluded(name, [dirname(from), ...args.strings('include')]),
    defines: Object.fromEntries(args.strings('define').map(definition)),
    style: {
      hyper: args.string('hyper') === 'number' ? 'number' : 'bigint',
      string: args.string('strings') === 'latin1' ? 'latin1' : 'utf8',
      opaque: args.flag('views') ? 'view' : 'bytes',
    },
  })
  for (const problem of problems) {
    if (problem.severity === 'warning') out.note(formatProblem(problem))
  }
  const told = { file, problems: problems.map(plain), errors: errorCount }
  if (found === null) {
    out.report({ ...told, files: [] })
    host.stderr.write(`${errorText(problems, errorCount)}\n`)
    return EXIT_CHECK_FAILED
  }
  if (directory === undefined) {
    const { types, programs } = found
    const own = types.filter(({ isPredeclared }) => !isPredeclared).length
    out.report(
      { ...told, files: [] },
      `${file}: ${counted(own, 'type')}, ${counted(programs.length, 'program')}, no errors`,
    )
    return EXIT_DONE
  }
  const imports = args.string('imports') === '.js' ? '.js' : '.ts'
  const files = generate(found, { file: basename(file), imports, wireshark: args.flag('wireshark') })
  write(directory, files)
  const paths = [...files.keys()].map(name => join(directory, name))
  out.report({ ...told, files: paths }, paths.join('\n'))
  return EXIT_DONE
}

/** @throws StackError `ERR_NOT_FOUND`, `ERR_ACCESS` */
export function readInterfaceText(name: string): InterfaceText {
  try {
    return { name, text: readFileSync(name, 'utf8') }
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code
    throw new StackError(
      code === 'ENOENT' ? 'ERR_NOT_FOUND' : 'ERR_ACCESS',
      `cannot read ${name} (${code})`,
      { cause },
    )
  }
}

function findIncluded(name: string, directories: readonly string[]): InterfaceText | null {
  for (const directory of directories) {
    const path = join(directory, name)
    try {
      return { name: path, text: readFileSync(path, 'utf8') }
    } catch {
      // The next directory may have it; if none has, that is told.
    }
  }
  return null
}

function definition(text: string): [string, string] {
  const match = /^([A-Za-z_]\w*)(?:=(.*))?$/s.exec(text)
  if (match === null) throw new UsageError(`"${text}" defines nothing`, '-D NAME or -D NAME=TEXT')
  return [match[1]!, match[2] ?? '1']
}

function plain(problem: Problem): object {
  const { severity, message, hint, place } = problem
  const { file, line, column } = locate(place)
  return { severity, file, line, column, message, hint }
}

function errorText(problems: readonly Problem[], count: number): string {
  const errors = problems.filter(({ severity }) => severity === 'error').map(formatProblem)
  const more = count > MAX_ERRORS ? `, the first ${MAX_ERRORS} are told` : ''
  return [...errors, `${counted(count, 'error')}${more}`].join('\n')
}

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`
}

function write(directory: string, files: ReadonlyMap<string, string>): void {
  try {
    mkdirSync(directory, { recursive: true })
    for (const [name, text] of files) writeFileSync(join(directory, name), text)
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code
    throw new StackError('ERR_ACCESS', `cannot write to ${directory} (${code})`, { cause })
  }
}
