/**
 * Values of an interface as JSON, for people and scripts:
 *
 * | in the interface | in JSON |
 * | --- | --- |
 * | int, unsigned, float, double | a number; `"NaN"`, `"Infinity"`, `"-Infinity"` |
 * | hyper | a string of decimal digits, since JSON's numbers end at 2^53; a number is taken too if it is whole and below that |
 * | bool | true, false |
 * | enum | a member's name; its number is taken too |
 * | string | a string |
 * | opaque | `"hex:00ff"` up to 64 bytes, `"base64:…"` beyond; taken are both, and `"text:…"` for UTF-8 |
 * | struct | an object, fields called as in the file |
 * | union | an object with the discriminant, and the arm's field if it has one |
 * | array, linked list | an array |
 * | `T *` | null, or the value |
 */
import { StackError } from '../../base/errors.ts'
import { armOf, type DynamicFields } from './dynamic-codec.ts'
import {
  behindNames,
  type Field,
  type Member,
  type NamedType,
  type TypeBody,
  type WireType,
} from './model.ts'
import { listEntryOf, visibleFields } from './typescript-names.ts'

type Union = Extract<TypeBody, { kind: 'union' }>
type Opaque = Extract<WireType, { kind: 'opaque' }>

const HEX_BYTES_MAX = 64
const DEPTH_MAX = 100
const NOT_FINITE = new Map([
  ['NaN', Number.NaN],
  ['Infinity', Number.POSITIVE_INFINITY],
  ['-Infinity', Number.NEGATIVE_INFINITY],
])

/**
 * The arguments of a procedure: nothing for none, the value of the only one, or an array of them.
 * @throws StackError `ERR_BAD_ARGUMENT` with the place
 */
export function argumentFromJson(parameters: readonly Field[], json: unknown): unknown {
  if (parameters.length === 0) {
    if (json === undefined || json === null) return undefined
    throw new StackError('ERR_BAD_ARGUMENT', 'this procedure takes no arguments')
  }
  if (parameters.length === 1) return valueFromJson(parameters[0]!.type, json, parameters[0]!.name || 'args')
  const values = severalArguments(json, parameters.length)
  return parameters.map(({ name, type }, at) => valueFromJson(type, values[at], name || `args[${at}]`))
}

function severalArguments(json: unknown, count: number): readonly unknown[] {
  if (Array.isArray(json) && json.length === count) return json
  const wanted = `this procedure takes an array of ${count} arguments`
  return wrong('args', Array.isArray(json) ? `${wanted}, not of ${json.length}` : wanted)
}

/** @throws StackError `ERR_BAD_ARGUMENT` with the place */
export function valueFromJson(type: WireType, json: unknown, place: string, depth = 0): unknown {
  if (depth > DEPTH_MAX) wrong(place, `nested deeper than ${DEPTH_MAX}`)
  const real = behindNames(type)
  const list = listEntryOf(real)
  const inner = (of: WireType) => (one: unknown, at: number) =>
    valueFromJson(of, one, `${place}[${at}]`, depth + 1)
  if (list !== null) return array(json, place).map(inner({ kind: 'named', type: list }))
  switch (real.kind) {
    case 'void':
      return json === undefined || json === null ? undefined : wrong(place, 'there is no value here')
    case 'primitive':
      return primitiveFromJson(real.primitive, json, place)
    case 'string':
      return typeof json === 'string' ? json : bad(place, json, 'a string')
    case 'opaque':
      return opaqueFromJson(real, json, place)
    case 'array': {
      const values = real.isFixed ? tuple(json, real.size!, place) : array(json, place)
      return values.map(inner(real.of))
    }
    case 'optional':
      return json === null || json === undefined ? null : valueFromJson(real.of, json, place, depth + 1)
    case 'named':
      return namedFromJson(real.type, json, place, depth)
  }
}

function namedFromJson(type: NamedType, json: unknown, place: string, depth: number): unknown {
  const { body, isListEntry } = type
  switch (body.kind) {
    case 'alias':
      return valueFromJson(body.type, json, place, depth + 1)
    case 'enum':
      return enumFromJson(body.members, json, place)
    case 'struct':
      return fieldsFromJson(visibleFields(body.fields, isListEntry), json, place, depth)
    case 'union': {
      const { discriminant } = body
      const given = record(json, place)[discriminant.name]
      const value = valueFromJson(discriminant.type, given, `${place}.${discriminant.name}`, depth + 1)
      const arm = armOf(body, Number(value))
      if (arm === null) bad(`${place}.${discriminant.name}`, given, `one of ${casesOf(body)}`)
      return fieldsFromJson(
        arm.field === null ? [discriminant] : [discriminant, arm.field],
        json,
        place,
        depth,
      )
    }
  }
}

function casesOf({ arms }: Union): string {
  return arms.flatMap(({ cases }) => cases.map(({ name, value }) => name ?? String(value))).join(', ')
}

function fieldsFromJson(
  fields: readonly Field[],
  json: unknown,
  place: string,
  depth: number,
): DynamicFields {
  const given = record(json, place)
  const unknown = Object.keys(given).find(key => !fields.some(({ name }) => name === key))
  if (unknown !== undefined) {
    wrong(
      `${place}.${unknown}`,
      `there is no such field; there are ${fields.map(({ name }) => name).join(', ')}`,
    )
  }
  return Object.fromEntries(
    fields.map(({ name, type }) => [name, valueFromJson(type, given[name], `${place}.${name}`, depth + 1)]),
  )
}

function primitiveFromJson(primitive: string, json: unknown, place: string): unknown {
  switch (primitive) {
    case 'bool':
      return typeof json === 'boolean' ? json : bad(place, json, 'true or false')
    case 'hyper':
    case 'unsigned hyper': {
      const isDigits = typeof json === 'string' && /^-?[0-9]{1,20}$/.test(json)
      if (isDigits || Number.isSafeInteger(json)) return BigInt(json as string | number)
      return bad(place, json, 'a string of decimal digits')
    }
    case 'float':
    case 'double': {
      const number = typeof json === 'string' ? NOT_FINITE.get(json) : json
      return typeof number === 'number' ? number : bad(place, json, 'a number')
    }
    default:
      return Number.isInteger(json) ? json : bad(place, json, 'a whole number')
  }
}

function enumFromJson(members: readonly Member[], json: unknown, place: string): number {
  const found = members.find(({ name, value }) => name === json || value === json)
  return found?.value ?? bad(place, json, `one of ${members.map(({ name }) => name).join(', ')}`)
}

function opaqueFromJson({ isFixed, size }: Opaque, json: unknown, place: string): Uint8Array {
  const wanted = 'bytes, as "hex:00ff", "base64:AP8=" or "text:abc"'
  const match = typeof json === 'string' ? /^(hex|base64|text):(.*)$/s.exec(json) : null
  if (match === null) bad(place, json, wanted)
  const [, form, text] = match as unknown as [string, string, string]
  const isWhole = form === 'text' || (form === 'hex' ? /^(?:[0-9a-fA-F]{2})*$/.test(text) : isBase64(text))
  if (!isWhole) bad(place, json, wanted)
  const bytes = bytesOf(form, text)
  if (isFixed && bytes.length !== size) wrong(place, `${bytes.length} bytes, must be ${size}`)
  return bytes
}

/** In whole bytes, with its padding or without. */
function isBase64(text: string): boolean {
  const digits = text.replace(/={1,2}$/, '').length
  return (
    /^[A-Za-z0-9+/]*={0,2}$/.test(text) &&
    digits % 4 !== 1 &&
    (digits === text.length || text.length % 4 === 0)
  )
}

function bytesOf(form: string, text: string): Uint8Array {
  if (form === 'text') return new TextEncoder().encode(text)
  if (form === 'base64') return Uint8Array.from(atob(text), character => character.charCodeAt(0))
  return Uint8Array.from({ length: text.length / 2 }, (_, at) =>
    Number.parseInt(text.slice(2 * at, 2 * at + 2), 16),
  )
}

/** What JSON has for a value: see the table above. */
export function valueToJson(type: WireType, value: unknown): unknown {
  const real = behindNames(type)
  const list = listEntryOf(real)
  if (list !== null) return (value as unknown[]).map(one => valueToJson({ kind: 'named', type: list }, one))
  switch (real.kind) {
    case 'void':
      return null
    case 'primitive':
      if (typeof value === 'bigint') return String(value)
      return typeof value === 'number' && !Number.isFinite(value) ? String(value) : value
    case 'string':
      return value
    case 'opaque':
      return opaqueToJson(value as Uint8Array)
    case 'array':
      return (value as unknown[]).map(one => valueToJson(real.of, one))
    case 'optional':
      return value === null ? null : valueToJson(real.of, value)
    case 'named':
      return namedToJson(real.type, value)
  }
}

function namedToJson({ body, isListEntry }: NamedType, value: unknown): unknown {
  const shown = (fields: readonly Field[]) =>
    Object.fromEntries(
      fields.map(({ name, type }) => [name, valueToJson(type, (value as DynamicFields)[name])]),
    )
  switch (body.kind) {
    case 'alias':
      return valueToJson(body.type, value)
    case 'enum':
      return body.members.find(one => one.value === value)?.name ?? value
    case 'struct':
      return shown(visibleFields(body.fields, isListEntry))
    case 'union': {
      const { discriminant } = body
      const arm = armOf(body, Number((value as DynamicFields)[discriminant.name]))
      return shown(arm === null || arm.field === null ? [discriminant] : [discriminant, arm.field])
    }
  }
}

function opaqueToJson(bytes: Uint8Array): string {
  if (bytes.length <= HEX_BYTES_MAX)
    return `hex:${[...bytes].map(byte => byte.toString(16).padStart(2, '0')).join('')}`
  let text = ''
  for (const byte of bytes) text += String.fromCharCode(byte)
  return `base64:${btoa(text)}`
}

function array(json: unknown, place: string): readonly unknown[] {
  return Array.isArray(json) ? json : bad(place, json, 'an array')
}

function tuple(json: unknown, size: number, place: string): readonly unknown[] {
  const values = array(json, place)
  return values.length === size ? values : wrong(place, `${values.length} elements, must be ${size}`)
}

function record(json: unknown, place: string): DynamicFields {
  const isRecord = typeof json === 'object' && json !== null && !Array.isArray(json)
  return isRecord ? (json as DynamicFields) : bad(place, json, 'an object')
}

/** What is not of the type may be long. */
const SHOWN = 40

function bad(place: string, json: unknown, wanted: string): never {
  if (json === undefined) return wrong(place, `missing, must be ${wanted}`)
  const text = JSON.stringify(json)
  return wrong(place, `${text.length > SHOWN ? `${text.slice(0, SHOWN)}...` : text} is not ${wanted}`)
}

function wrong(place: string, text: string): never {
  throw new StackError('ERR_BAD_ARGUMENT', `${place}: ${text}`)
}
