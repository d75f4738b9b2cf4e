/** Loads protocol modules of a user's own: ES modules that export one ModuleInfo or several. */
import { spawnSync } from 'node:child_process'
import { statSync } from 'node:fs'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { StackError } from '../base/errors.ts'
import type { AnyModule } from '../streams/module.ts'

/** For Node to look at one file. */
const CHECK_TIMEOUT_MS = 10_000

const isSide = (value: unknown): boolean =>
  typeof value === 'object' && value !== null && typeof (value as { put?: unknown }).put === 'function'

/** Whether a value has the shape of a ModuleInfo or DriverInfo. */
export function isModuleInfo(value: unknown): value is AnyModule {
  if (typeof value !== 'object' || value === null) return false
  const { name, hiwat, lowat, open, close, read, write } = value as Record<string, unknown>
  return (
    typeof name === 'string' &&
    typeof hiwat === 'number' &&
    typeof lowat === 'number' &&
    typeof open === 'function' &&
    typeof close === 'function' &&
    isSide(read) &&
    isSide(write)
  )
}

/** What a module file brought. */
export interface ModuleFile {
  /** At least one. */
  readonly modules: readonly AnyModule[]
  /** Everything that it exports. */
  readonly exported: Readonly<Record<string, unknown>>
}

/**
 * Loads a module file; anew, if it was edited since it was last loaded.
 * @param file - path, relative to `directory`
 * @throws StackError `ERR_NOT_FOUND` no such file, `ERR_BAD_CONFIG` it does not load or exports no module
 */
export async function loadModuleFile(file: string, directory = process.cwd()): Promise<ModuleFile> {
  const path = resolve(directory, file)
  const stat = statSync(path, { throwIfNoEntry: false })
  if (stat?.isFile() !== true) throw new StackError('ERR_NOT_FOUND', `there is no module file ${path}`)
  let exported: Record<string, unknown>
  try {
    // The time is part of the address, so that a file that was edited is loaded anew.
    const address = `${pathToFileURL(path).href}?changed=${Math.trunc(stat.mtimeMs)}`
    exported = (await import(address)) as Record<string, unknown>
  } catch (cause) {
    const text = cause instanceof Error ? cause.message : String(cause)
    const line = cause instanceof Error ? lineOf(cause, path) : null
    const where = line === null ? path : `${path}:${line}`
    throw new StackError('ERR_BAD_CONFIG', `the module file ${where} does not load: ${text}`, { cause })
  }
  const modules = [...new Set(Object.values(exported).filter(isModuleInfo))]
  if (modules.length === 0)
    throw new StackError('ERR_BAD_CONFIG', `the module file ${path} exports no ModuleInfo`, {
      hint: 'export an object with name, hiwat, lowat, open, close, read and write; "putnext module new" writes one',
    })
  return { modules, exported }
}

/** The line of a file that an error is about; null if it is about another file, or nobody knows. */
function lineOf(error: Error, path: string): string | null {
  const named = lineIn(error.stack ?? '', path)
  if (named !== null || !(error instanceof SyntaxError)) return named
  // Node tells the place of what it cannot parse to the terminal only. It does not run what it checks.
  const { stderr } = spawnSync(process.execPath, ['--check', path], {
    encoding: 'utf8',
    timeout: CHECK_TIMEOUT_MS,
  })
  return lineIn(stderr ?? '', path)
}

function lineIn(text: string, path: string): string | null {
  const plain = text.replaceAll(pathToFileURL(path).href, path).replaceAll(/\?changed=\d+/g, '')
  const at = plain.indexOf(`${path}:`)
  return at < 0 ? null : (/^\d+/.exec(plain.slice(at + path.length + 1))?.[0] ?? null)
}
