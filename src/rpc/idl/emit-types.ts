/** The file of types: constants, enums as objects of numbers, structs as interfaces, unions as unions. */
import { imports, quoted, tsdoc, WIDTH } from './code.ts'
import type { Constant, Interface, NamedType, TypeBody } from './model.ts'
import { memberName } from './names.ts'
import { type TypeScriptNames, typeText, visibleFields } from './typescript-names.ts'
import { type UnionBody, unionText } from './union-arms.ts'

/** Where generated files find what they stand on. */
export interface Specifiers {
  readonly xdr: string
  readonly rpc: string
}

type Use = (name: string) => void

export function emitTypes(from: Interface, names: TypeScriptNames, specifiers: Specifiers): string {
  const used = new Set<string>()
  const use: Use = name => {
    if (name === 'XdrOpaque') used.add('type XdrOpaque')
  }
  const parts = [
    ...constants(from.constants),
    ...from.types.map(type => tsdoc(docOf(type)) + typeOf(type, names, use)),
  ]
  const head = imports([{ from: specifiers.xdr, names: used }])
  return [head, ...parts].filter(part => part !== '').join('\n')
}

function constants(list: readonly Constant[]): string[] {
  return list.length === 0 ? [] : [list.map(one => `${tsdoc(one.doc)}${constant(one)}`).join('')]
}

function constant({ name, value }: Constant): string {
  if (typeof value === 'string') {
    const line = `export const ${name} = ${quoted(value)}\n`
    return line.length <= WIDTH + 1 ? line : `export const ${name} =\n  ${quoted(value)}\n`
  }
  const isSafe = value <= BigInt(Number.MAX_SAFE_INTEGER) && value >= BigInt(Number.MIN_SAFE_INTEGER)
  return `export const ${name} = ${value}${isSafe ? '' : 'n'}\n`
}

function typeOf(type: NamedType, names: TypeScriptNames, use: Use): string {
  const name = names.type(type)
  const { body } = type
  switch (body.kind) {
    case 'alias':
      return `export type ${name} = ${typeText(body.type, names, use)}\n`
    case 'enum':
      return enumText(name, body)
    case 'struct':
      return structText(name, visibleFields(body.fields, type.isListEntry), names, use)
    case 'union':
      return unionType(name, body, names, use)
  }
}

function enumText(name: string, { members }: Extract<TypeBody, { kind: 'enum' }>): string {
  const lines = members.map(
    member => `${tsdoc(member.doc, '  ')}  ${memberName(member.name)}: ${member.value},\n`,
  )
  return `export const ${name} = {\n${lines.join('')}} as const\nexport type ${name} = (typeof ${name})[keyof typeof ${name}]\n`
}

function structText(
  name: string,
  fields: Extract<TypeBody, { kind: 'struct' }>['fields'],
  names: TypeScriptNames,
  use: Use,
): string {
  const forms = names.fields(fields)
  const lines = fields.map(
    field =>
      `${tsdoc(field.doc, '  ')}  readonly ${forms.get(field.name)}: ${typeText(field.type, names, use)}\n`,
  )
  return `export interface ${name} {\n${lines.join('')}}\n`
}

function unionType(name: string, body: UnionBody, names: TypeScriptNames, use: Use): string {
  const text = unionText(body, names)
  const fields = [body.discriminant, ...body.arms.flatMap(({ field }) => field ?? [])]
  const forms = names.fields(fields)
  const all = text.rest === null ? text.arms : [...text.arms, text.rest]
  const hidden = text.isNumber ? [...new Set(text.arms.flatMap(({ field }) => field?.name ?? []))] : []
  const arms = all.map(arm => {
    const properties = [`readonly ${forms.get(body.discriminant.name)}: ${arm.type}`]
    if (arm.field !== null)
      properties.push(`readonly ${forms.get(arm.field.name)}: ${typeText(arm.field.type, names, use)}`)
    // A number cannot leave some values out, so that such an arm says what it lacks.
    if (arm === text.rest)
      for (const other of hidden)
        if (other !== arm.field?.name) properties.push(`readonly ${forms.get(other)}?: never`)
    return properties
  })
  return layOut(name, arms)
}

function layOut(name: string, arms: readonly (readonly string[])[]): string {
  const flat = arms.map(properties => `{ ${properties.join('; ')} }`)
  const line = `export type ${name} = ${flat.join(' | ')}\n`
  if (line.length <= WIDTH + 1) return line
  const lines = arms.map((properties, at) => {
    if (flat[at]!.length + 4 <= WIDTH) return `  | ${flat[at]}\n`
    return `  | {\n${properties.map(one => `      ${longProperty(one)}\n`).join('')}    }\n`
  })
  if (arms.length > 1) return `export type ${name} =\n${lines.join('')}`
  return `export type ${name} = {\n${arms[0]!.map(one => `  ${longProperty(one, '  ')}\n`).join('')}}\n`
}

/** A discriminant with many values has one a line. */
function longProperty(property: string, indent = '      '): string {
  if (indent.length + property.length <= WIDTH) return property
  const [head = '', type = ''] = property.split(/: (.*)/s)
  const within = /^Exclude<(\w+), (.*)>$/.exec(type)
  if (within === null)
    return `${head}:\n${type
      .split(' | ')
      .map(one => `${indent}  | ${one}`)
      .join('\n')}`
  const [, of, taken] = within
  const line = `${indent}  ${taken}`
  const rest =
    line.length <= WIDTH
      ? line
      : taken!
          .split(' | ')
          .map(one => `${indent}  | ${one}`)
          .join('\n')
  return `${head}: Exclude<\n${indent}  ${of},\n${rest}\n${indent}>`
}

/** What the type's comment says, and what the arms' do. */
function docOf({ doc, body, isListEntry }: NamedType): string | null {
  const lines = doc === null ? [] : [doc]
  if (isListEntry) lines.push('An entry of a linked list, which is an array here.')
  if (body.kind === 'union') lines.push(...armDocs(body))
  return lines.length === 0 ? null : lines.join('\n')
}

function armDocs({ arms }: UnionBody): string[] {
  return arms.flatMap(({ doc, isDefault, cases }) => {
    if (doc === null) return []
    const when = isDefault ? 'otherwise' : cases.map(({ name, value }) => name ?? value).join(', ')
    return [`- ${when}: ${doc.replaceAll('\n', ' ')}`]
  })
}
