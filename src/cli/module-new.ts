/** `putnext module new`: a protocol module that works, with its test. */
import { existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { StackError } from '../base/errors.ts'
import type { CommandRun } from './command.ts'
import { UsageError } from './exit-codes.ts'
import { moduleTemplate } from './module-template.ts'
import { packageVersion } from './program.ts'

/** As the registry of modules wants it. */
const NAME = /^[a-z][a-z0-9-]{0,31}$/
const PACKAGE_ROOT = fileURLToPath(new URL('../../', import.meta.url))

export const moduleNew: CommandRun = async ({ args, out }) => {
  const name = args.required('NAME')
  if (!NAME.test(name) || name.endsWith('-'))
    throw new UsageError(
      `"${name}" is no module name`,
      '1 to 32 lower-case letters, digits and dashes, a letter first',
    )
  const directory = resolve(args.optional('DIR') ?? name)
  const files = moduleTemplate(name, packageVersion())
  const there = Object.keys(files).filter(file => existsSync(join(directory, file)))
  if (there.length > 0 && !args.flag('force'))
    throw new StackError('ERR_ALREADY', `${directory} has ${there.join(', ')} already`, {
      hint: 'choose another DIR, or --force to overwrite',
    })
  write(directory, files)
  const linked = makeResolvable(directory)
  const shown = relative(process.cwd(), directory) || '.'
  out.report({ name, directory, files: Object.keys(files), linked }, () =>
    Object.keys(files)
      .map(file => join(shown, file))
      .join('\n'),
  )
  const enter = shown === '.' ? '' : `cd ${shown}; `
  out.note(`next: ${enter}node --test; putnext module check ${name}.mjs`)
}

function write(directory: string, files: Readonly<Record<string, string>>): void {
  try {
    mkdirSync(directory, { recursive: true })
    for (const [file, text] of Object.entries(files)) writeFileSync(join(directory, file), text)
  } catch (cause) {
    throw new StackError(
      'ERR_ACCESS',
      `cannot write to ${directory} (${(cause as NodeJS.ErrnoException).code})`,
      {
        cause,
      },
    )
  }
}

/**
 * Makes `import 'putnext/streams'` work in the directory: where no package is found, by a link to this one.
 * @returns whether a link was made
 */
function makeResolvable(directory: string): boolean {
  try {
    createRequire(join(directory, 'index.js')).resolve('putnext/package.json')
    return false
  } catch {
    mkdirSync(join(directory, 'node_modules'), { recursive: true })
    symlinkSync(PACKAGE_ROOT, join(directory, 'node_modules', 'putnext'), 'dir')
    return true
  }
}
