/** The files around the procedures: their table, the client's stub, the server's skeleton. */
import { call, imports, quoted, tsdoc, WIDTH } from './code.ts'
import { Codecs } from './codec-text.ts'
import type { Specifiers } from './emit-types.ts'
import type { Field, Interface, Program, ResolvedProcedure, ResolvedVersion } from './model.ts'
import { lowerFirst, versionForm } from './names.ts'
import { type TypeScriptNames, typeText } from './typescript-names.ts'

export interface StubFiles {
  readonly types: string
  readonly codecs: string
  readonly procedures: string
}

interface Version {
  readonly program: Program
  readonly version: ResolvedVersion
  /** `NfsV3` */
  readonly form: string
  readonly methods: ReadonlyMap<string, string>
}

function versionsOf({ programs }: Interface, names: TypeScriptNames): Version[] {
  const all = programs.flatMap(program => program.versions.map(version => ({ program, version })))
  const forms = all.map(({ program, version }) => versionForm(program.name, version.number))
  return all.map(({ program, version }, at) => {
    const isTaken = forms.indexOf(forms[at]!) !== forms.lastIndexOf(forms[at]!)
    const form = isTaken ? `${program.name}V${version.number}` : forms[at]!
    return { program, version, form, methods: names.procedures(version) }
  })
}

const tableOf = ({ form }: Version): string => `${lowerFirst(form)}Procedures`

/** What a call takes and gives, as TypeScript sees it, with imports gathered. */
class Signatures {
  readonly types = new Set<string>()
  readonly runtime = new Set<string>()
  readonly #names: TypeScriptNames

  constructor(names: TypeScriptNames) {
    this.#names = names
  }

  of(type: Field['type']): string {
    return typeText(type, this.#names, name => {
      if (name === 'XdrOpaque') this.runtime.add('type XdrOpaque')
      else this.types.add(`type ${name}`)
    })
  }

  /** The one argument of the procedure's codec: nothing, a value, or a tuple. */
  argument({ parameters }: ResolvedProcedure): string {
    if (parameters.length === 0) return 'void'
    if (parameters.length === 1) return this.of(parameters[0]!.type)
    return `readonly [${parameters.map(({ type }) => this.of(type)).join(', ')}]`
  }

  parameters({ parameters }: ResolvedProcedure): { name: string; type: string }[] {
    const forms = this.#names.fields(parameters)
    // Names that the methods use for themselves, or that no parameter may have.
    const usable = (name: string) =>
      /^(options|context|arguments|eval|await|yield|this|let|static|default|delete|new|class|function|in|if|for|do|case|var|with|void|enum|export|import|return|switch|throw|try|typeof|while|super|null|true|false|else|const|continue|break|catch|debugger|extends|finally|instanceof|package|private|protected|public|implements|interface)$/.test(
        name,
      )
        ? `${name}_`
        : name
    return parameters.map(({ name, type }) => ({ name: usable(forms.get(name)!), type: this.of(type) }))
  }
}

export function emitProcedures(
  from: Interface,
  names: TypeScriptNames,
  specifiers: Specifiers,
  files: StubFiles,
): string {
  const signatures = new Signatures(names)
  const [runtime, own, constants] = [signatures.runtime, new Set<string>(), new Map<string, number>()]
  const codecs = new Codecs(
    names,
    name => runtime.add(name),
    name => own.add(name),
  )
  const versions = versionsOf(from, names)
  for (const { program, version } of versions) {
    constants.set(program.name, program.number)
    if (!constants.has(version.name)) constants.set(version.name, version.number)
  }
  const tables = versions.map(one => procedureTable(one, signatures, codecs))
  const rpc = new Set(tables.length > 0 ? ['type RpcProcedure'] : [])
  const numbers = [...constants].map(([name, value]) => `export const ${name} = ${value}\n`).join('')
  const head = imports([
    { from: specifiers.rpc, names: rpc },
    { from: specifiers.xdr, names: runtime },
    { from: files.codecs, names: own },
    { from: files.types, names: signatures.types },
  ])
  return [head, numbers, ...tables].filter(part => part !== '').join('\n')
}

function procedureTable(one: Version, signatures: Signatures, codecs: Codecs): string {
  const { program, version, methods } = one
  const entries = version.procedures.map(procedure => {
    const types = `RpcProcedure<${signatures.argument(procedure)}, ${signatures.of(procedure.result)}>`
    const properties = [
      `name: ${quoted(procedure.name)}`,
      `program: ${program.number}`,
      `version: ${version.number}`,
      `procedure: ${procedure.number}`,
      `isIdempotent: ${procedure.isIdempotent}`,
      `argument: ${argumentCodec(procedure, codecs)}`,
      `result: ${codecs.codec(procedure.result)}`,
    ]
    const lines = properties.map(property => `    ${property},\n`).join('')
    return `${tsdoc(procedure.doc, '  ')}  ${methods.get(procedure.name)}: {\n${lines}  } satisfies ${types},\n`
  })
  const doc = [`Version ${version.number} of ${program.name}.`, version.doc ?? program.doc].filter(
    line => line !== null,
  )
  const body = entries.length === 0 ? '{}' : `{\n${entries.join('')}}`
  return `${tsdoc(doc.join('\n'))}export const ${tableOf(one)} = ${body}\n`
}

function argumentCodec({ parameters }: ResolvedProcedure, codecs: Codecs): string {
  if (parameters.length === 0) return codecs.codec({ kind: 'void' })
  if (parameters.length === 1) return codecs.codec(parameters[0]!.type)
  const puts = parameters.map(({ name, type }, at) => {
    const { head, args } = codecs.put(type, name, `value[${at}]`)
    return `${call(head, args, '', '        ')}\n`
  })
  const gets = parameters.map(({ name, type }) => {
    const { head, args } = codecs.get(type, name)
    return `${head}(${args.join(', ')})`
  })
  const array = call('return ', gets).replace('(', '[').replace(/\)$/, ']')
  const fits = array.length + 8 <= WIDTH && !array.includes('\n')
  const made = fits ? array : `return [\n${gets.map(get => `          ${get},\n`).join('')}        ]`
  return `{\n      encode(xdr, value) {\n${puts.join('')}      },\n      decode(xdr) {\n        ${made}\n      },\n    }`
}

export function emitClient(
  from: Interface,
  names: TypeScriptNames,
  specifiers: Specifiers,
  files: StubFiles,
): string {
  const signatures = new Signatures(names)
  // A version without a procedure has nothing to call.
  const versions = versionsOf(from, names).filter(({ version }) => version.procedures.length > 0)
  const classes = versions.map(one => {
    const { program, version, form, methods } = one
    const list = version.procedures.map(procedure => {
      const method = methods.get(procedure.name)!
      const parameters = signatures.parameters(procedure)
      const values = parameters.map(({ name }) => name)
      const argument =
        values.length === 0 ? 'undefined' : values.length === 1 ? values[0]! : `[${values.join(', ')}]`
      const declared = [...parameters.map(({ name, type }) => `${name}: ${type}`), 'options?: RpcCallOptions']
      const head = call(`${method}`, declared, `: Promise<${signatures.of(procedure.result)}> {`, '  ')
      const body = call(
        'return this.#caller.call',
        [`${tableOf(one)}.${method}`, argument, 'options'],
        '',
        '    ',
      )
      return `\n${tsdoc(procedure.doc, '  ')}${head}\n${body}\n  }\n`
    })
    const doc = `Calls version ${version.number} of ${program.name}: each method is a procedure on the other side.`
    const start =
      '  readonly #caller: RpcCaller\n\n  constructor(caller: RpcCaller) {\n    this.#caller = caller\n  }\n'
    return `${tsdoc(doc)}export class ${form}Client {\n${start}${list.join('')}}\n`
  })
  const head = imports([
    {
      from: specifiers.rpc,
      names: new Set(versions.length > 0 ? ['type RpcCaller', 'type RpcCallOptions'] : []),
    },
    { from: specifiers.xdr, names: signatures.runtime },
    { from: files.procedures, names: tablesUsed(versions, () => true) },
    { from: files.types, names: signatures.types },
  ])
  return [head, ...classes].filter(part => part !== '').join('\n')
}

/** The runtime answers what does nothing: procedure 0 without arguments and results. */
function isNull({ number, parameters, result }: ResolvedProcedure): boolean {
  return number === 0 && parameters.length === 0 && result.kind === 'void'
}

export function emitServer(
  from: Interface,
  names: TypeScriptNames,
  specifiers: Specifiers,
  files: StubFiles,
): string {
  const signatures = new Signatures(names)
  const versions = versionsOf(from, names)
  const parts = versions.flatMap(one => [serviceInterface(one, signatures), serviceTable(one)])
  const used = versions.flatMap(({ version }) => version.procedures)
  const own = used.some(procedure => !isNull(procedure))
  const head = imports([
    {
      from: specifiers.rpc,
      names: new Set([
        'type RpcService',
        ...(own ? ['type Awaitable', 'type RpcContext'] : []),
        ...(used.length > 0 ? ['rpcHandler'] : []),
      ]),
    },
    { from: specifiers.xdr, names: signatures.runtime },
    { from: files.procedures, names: tablesUsed(versions, ({ version }) => version.procedures.length > 0) },
    { from: files.types, names: signatures.types },
  ])
  return [head, ...parts].join('\n')
}

function serviceInterface({ program, version, form, methods }: Version, signatures: Signatures): string {
  const list = version.procedures
    .filter(procedure => !isNull(procedure))
    .map(procedure => {
      const parameters = signatures.parameters(procedure).map(({ name, type }) => `${name}: ${type}`)
      const tail = `: Awaitable<${signatures.of(procedure.result)}>`
      return `${tsdoc(procedure.doc, '  ')}${call(methods.get(procedure.name)!, [...parameters, 'context: RpcContext'], tail, '  ')}\n`
    })
  const doc = `What a server of version ${version.number} of ${program.name} implements.`
  const body = list.length === 0 ? '{}' : `{\n${list.join('')}}`
  return list.length === 0
    ? `${tsdoc(doc)}export type ${form}Service = Record<never, never>\n`
    : `${tsdoc(doc)}export interface ${form}Service ${body}\n`
}

function serviceTable(one: Version): string {
  const { program, version, form, methods } = one
  const own = version.procedures.some(procedure => !isNull(procedure))
  const handlers = version.procedures.map(procedure => {
    const method = methods.get(procedure.name)!
    const target = `${tableOf(one)}.${method}`
    if (isNull(procedure)) return `      rpcHandler(${target}, () => {}),\n`
    const { length } = procedure.parameters
    const [taken, given] =
      length === 0
        ? ['_argument', []]
        : length === 1
          ? ['argument', ['argument']]
          : ['argument', ['...argument']]
    const body = `service.${method}(${[...given, 'context'].join(', ')})`
    const line = `      rpcHandler(${target}, (${taken}, context) => ${body}),`
    if (line.length <= WIDTH) return `${line}\n`
    return `      rpcHandler(${target}, (${taken}, context) =>\n        ${body},\n      ),\n`
  })
  const line = `[${handlers.map(handler => handler.trim().replace(/,$/, '')).join(', ')}]`
  const fits = `    handlers: ${line},`.length <= WIDTH && !line.includes('\n')
  const list = fits ? line : `[\n${handlers.join('')}    ]`
  const doc = `The dispatch table of version ${version.number} of ${program.name}, to be registered with a server.`
  const parameter = own ? 'service' : '_service'
  return (
    `${tsdoc(doc)}export function ${lowerFirst(form)}Service(${parameter}: ${form}Service): RpcService {\n  return {\n` +
    `    name: ${quoted(program.name)},\n    program: ${program.number},\n    version: ${version.number},\n` +
    `    handlers: ${list},\n  }\n}\n`
  )
}

function tablesUsed(versions: readonly Version[], isUsed: (one: Version) => boolean): Set<string> {
  return new Set(versions.filter(isUsed).map(tableOf))
}
