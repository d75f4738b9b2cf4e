/** The words that name a type, and what they mean on the wire. */
import type { Primitive, TypeSyntax } from './ast.ts'
import type { TokenReader } from './token-reader.ts'

/** Names that C's headers have and rpcgen knows. */
const NAMED: Readonly<Record<string, Primitive>> = {
  bool: 'bool',
  bool_t: 'bool',
  float: 'float',
  double: 'double',
  quadruple: 'quadruple',
  hyper: 'hyper',
  longlong_t: 'hyper',
  quad_t: 'hyper',
  int64_t: 'hyper',
  u_hyper: 'unsigned hyper',
  u_longlong_t: 'unsigned hyper',
  u_quad_t: 'unsigned hyper',
  uint64_t: 'unsigned hyper',
  u_int64_t: 'unsigned hyper',
  int8_t: 'int',
  int16_t: 'int',
  int32_t: 'int',
  u_char: 'unsigned int',
  u_short: 'unsigned int',
  u_int: 'unsigned int',
  u_long: 'unsigned int',
  uint8_t: 'unsigned int',
  uint16_t: 'unsigned int',
  uint32_t: 'unsigned int',
  u_int8_t: 'unsigned int',
  u_int16_t: 'unsigned int',
  u_int32_t: 'unsigned int',
}

const INTEGER_WORDS = new Set(['unsigned', 'signed', 'int', 'long', 'short', 'char', 'hyper'])

/** `unsigned`, `long int`, `unsigned hyper`, `u_int`, ...; `null` if no such type stands here. */
export function parsePrimitive(reader: TokenReader): TypeSyntax | null {
  const { text, place, kind } = reader.peek()
  if (kind !== 'identifier') return null
  if (INTEGER_WORDS.has(text)) return { kind: 'primitive', primitive: integer(reader), place }
  if (!Object.hasOwn(NAMED, text)) return null
  reader.take()
  if (text === 'quadruple')
    reader.problems.warn(
      place,
      'no JavaScript value holds a quadruple: what has one is refused when it is sent or comes',
      'opaque[16] takes its bytes as they are',
    )
  return { kind: 'primitive', primitive: NAMED[text]!, place }
}

/** `long` is 32 bits, as in C when ONC RPC was made; `long long` is a hyper. */
function integer(reader: TokenReader): Primitive {
  const words: string[] = []
  const { place } = reader.peek()
  while (reader.peek().kind === 'identifier' && INTEGER_WORDS.has(reader.peek().text))
    words.push(reader.take().text)
  const isUnsigned = words.includes('unsigned')
  const isHyper = words.includes('hyper') || words.filter(word => word === 'long').length > 1
  if (words.length > 4 || (isUnsigned && words.includes('signed')))
    reader.fail(place, `"${words.join(' ')}" is no type`)
  if (isHyper) return isUnsigned ? 'unsigned hyper' : 'hyper'
  return isUnsigned ? 'unsigned int' : 'int'
}
