/** Interface files for tests: those that Debian's rpcsvc-proto and libnsl-dev install, and ours. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { InterfaceText } from '../analyze.ts'
import type { Included } from '../lexer.ts'

const DEBIAN = '/usr/include/rpcsvc'
const EXAMPLES = fileURLToPath(new URL('../../../../docs/examples/rpc', import.meta.url))

/** What is only understood after another file. */
const AFTER: Readonly<Record<string, readonly string[]>> = { 'nis_callback.x': ['nis.x'] }

export interface CorpusFile {
  readonly name: string
  readonly files: readonly InterfaceText[]
}

function filesOf(folder: string): CorpusFile[] {
  if (!existsSync(folder)) return []
  const read = (name: string): InterfaceText => ({
    name: join(folder, name),
    text: readFileSync(join(folder, name), 'utf8'),
  })
  const names = readdirSync(folder).filter(name => name.endsWith('.x'))
  return names.sort().map(name => ({ name, files: [...(AFTER[name] ?? []), name].map(read) }))
}

export const DEBIAN_CORPUS: readonly CorpusFile[] = filesOf(DEBIAN)
export const OWN_CORPUS: readonly CorpusFile[] = filesOf(EXAMPLES)

export function include(name: string, from: string): Included | null {
  const path = join(dirname(from), name)
  return existsSync(path) ? { name: path, text: readFileSync(path, 'utf8') } : null
}
