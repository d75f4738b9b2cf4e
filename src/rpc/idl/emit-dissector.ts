/**
 * A dissector for Wireshark and tshark, in Lua: tables that describe the interface, and in front of them what reads
 * messages by these tables (`dissector-lua.ts`).
 */

import { DISSECTOR_LUA } from './dissector-lua.ts'
import type { Field, Interface, NamedType, WireType } from './model.ts'

export function emitDissector({ types, programs }: Interface, name: string): string {
  const description = types.map(type => `T[${text(type.name)}] = ${typeTable(type)}`)
  const versions = programs.flatMap(program =>
    program.versions.map(version => {
      const procedures = version.procedures.map(({ name: own, number, parameters, result }) => {
        const fields = `{${parameters.map(fieldTable).join(', ')}}`
        return `  [${number}] = {name = ${text(own)}, arguments = ${fields}, result = ${wireTable(result)}},\n`
      })
      const key = `${program.number} .. "." .. ${version.number}`
      return `V[${key}] = {name = ${text(`${program.name} version ${version.number}`)}, procedures = {\n${procedures.join('')}}}`
    }),
  )
  const head = `-- Made by putnext rpcgen. To use it: wireshark -X lua_script:${name}.lua, or put it among the plugins.\n`
  const id = name.replace(/[^a-z0-9]/g, '_')
  const start = `local NAME = ${text(`putnext_${id}`)}\nlocal TITLE = ${text(`${name}.x over ONC RPC`)}\nlocal T, V = {}, {}\n`
  return [head + start, ...description, ...versions, DISSECTOR_LUA].join('\n')
}

function typeTable({ body }: NamedType): string {
  switch (body.kind) {
    case 'alias':
      return wireTable(body.type)
    case 'enum':
      return `{kind = "enum", names = {${body.members.map(({ name, value }) => `[${value}] = ${text(name)}`).join(', ')}}}`
    case 'struct':
      return `{kind = "struct", fields = {${body.fields.map(fieldTable).join(', ')}}}`
    case 'union': {
      const arms = body.arms.filter(({ isDefault }) => !isDefault)
      const cases = arms.flatMap(({ cases, field }) =>
        cases.map(({ value }) => `[${value}] = ${field === null ? 'false' : fieldTable(field)}`),
      )
      const rest = body.arms.find(({ isDefault }) => isDefault)?.field ?? null
      const last = rest === null ? '' : `, rest = ${fieldTable(rest)}`
      return `{kind = "union", discriminant = ${fieldTable(body.discriminant)}, cases = {${cases.join(', ')}}${last}}`
    }
  }
}

function fieldTable({ name, type }: Field): string {
  return `{name = ${text(name)}, type = ${wireTable(type)}}`
}

function wireTable(type: WireType): string {
  switch (type.kind) {
    case 'void':
      return '{kind = "void"}'
    case 'primitive':
      return `{kind = ${text(type.primitive)}}`
    case 'named':
      return `{kind = "named", name = ${text(type.type.name)}}`
    case 'string':
      return '{kind = "string"}'
    case 'opaque':
      return type.isFixed ? `{kind = "fixed opaque", size = ${type.size}}` : '{kind = "opaque"}'
    case 'array':
      return type.isFixed
        ? `{kind = "fixed array", size = ${type.size}, of = ${wireTable(type.of)}}`
        : `{kind = "array", of = ${wireTable(type.of)}}`
    case 'optional':
      return `{kind = "optional", of = ${wireTable(type.of)}}`
  }
}

function text(value: string): string {
  return JSON.stringify(value)
}
