/** All files that are made of one interface. The same text and options give the same files, to the byte. */
import { emitCodecs } from './emit-codecs.ts'
import { emitDissector } from './emit-dissector.ts'
import { emitClient, emitProcedures, emitServer } from './emit-stubs.ts'
import { emitTypes, type Specifiers } from './emit-types.ts'
import { type Interface, type NamedType, partsOf, type WireType } from './model.ts'
import { TypeScriptNames } from './typescript-names.ts'

export interface GenerateOptions {
  /** The interface file's name without a directory: part of the files' names and of their first lines. */
  readonly file: string
  /** How files name each other: as TypeScript that runs as it is (`.ts`), or is compiled first (`.js`). */
  readonly imports?: '.ts' | '.js'
  /** Where the runtime is found; `putnext/xdr` and `putnext/rpc` without it. */
  readonly specifiers?: Partial<Specifiers>
  /** Also a dissector for Wireshark, in Lua. */
  readonly wireshark?: boolean
}

/** Files by name, in the order in which they build on each other. */
export function generate(found: Interface, options: GenerateOptions): ReadonlyMap<string, string> {
  const from = withoutUnused(found)
  const names = new TypeScriptNames(from)
  const specifiers = { xdr: 'putnext/xdr', rpc: 'putnext/rpc', ...options.specifiers }
  const base = baseName(options.file)
  const extension = options.imports ?? '.ts'
  const file = (part: string): string => `./${base}-${part}${extension}`
  const stubs = { types: file('types'), codecs: file('codecs'), procedures: file('procedures') }
  const note = `// Made from ${options.file.replace(/[^\x20-\x7e]/g, '?')} by putnext rpcgen. Edits are lost when it runs again.\n`
  const hasPrograms = from.programs.length > 0
  const files = new Map<string, string>()
  const add = (part: string, text: string): void =>
    void files.set(`${base}-${part}.ts`, `${note}${text === '' ? 'export {}\n' : text}`)
  add('types', emitTypes(from, names, specifiers))
  add('codecs', emitCodecs(from, names, specifiers, stubs.types))
  if (hasPrograms) {
    add('procedures', emitProcedures(from, names, specifiers, stubs))
    add('client', emitClient(from, names, specifiers, stubs))
    add('server', emitServer(from, names, specifiers, stubs))
  }
  if (options.wireshark === true) files.set(`${base}.lua`, emitDissector(from, base))
  return files
}

/** `bootparam_prot.x` is `bootparam-prot`. */
export function baseName(file: string): string {
  const base = file
    .replace(/\.[^.]*$/, '')
    .replace(/[^A-Za-z0-9]+/g, '-')
    .replace(/^-+|-+$/g, '')
    .toLowerCase()
  return base === '' ? 'interface' : base
}

/** What C has from its headers stays out where nobody uses it. */
function withoutUnused(found: Interface): Interface {
  const used = new Set<NamedType>()
  const within = (type: WireType): void => {
    if (type.kind === 'array' || type.kind === 'optional') return within(type.of)
    if (type.kind !== 'named' || used.has(type.type)) return
    used.add(type.type)
    for (const part of partsOf(type.type.body)) within(part)
  }
  for (const type of found.types) if (!type.isPredeclared) for (const part of partsOf(type.body)) within(part)
  for (const { versions } of found.programs)
    for (const { procedures } of versions)
      for (const { parameters, result } of procedures)
        [...parameters.map(({ type }) => type), result].forEach(within)
  return {
    ...found,
    constants: found.constants.filter(({ isPredeclared }) => !isPredeclared),
    types: found.types.filter(type => !type.isPredeclared || used.has(type)),
  }
}
