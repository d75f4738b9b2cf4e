/** One value as a call of the encoder or the decoder, or as a codec that is handed on. */
import { behindNames, type WireType } from './model.ts'
import { listEntryOf, type TypeScriptNames } from './typescript-names.ts'

export interface CodecText {
  /** After `xdr.put` or `xdr.`: `Int`, `OpaqueFixed`. */
  readonly put: string
  readonly get: string
  /** Behind the name (and the value). */
  readonly args: readonly string[]
}

const PRIMITIVES: Readonly<Record<string, readonly [put: string, get: string, codec: string]>> = {
  int: ['putInt', 'int', 'xdrInt'],
  'unsigned int': ['putUint', 'uint', 'xdrUint'],
  float: ['putFloat', 'float', 'xdrFloat'],
  double: ['putDouble', 'double', 'xdrDouble'],
  bool: ['putBool', 'bool', 'xdrBool'],
  quadruple: ['refuseQuadruple', 'refuseQuadruple', 'xdrQuadruple'],
  'hyper bigint': ['putHyper', 'hyper', 'xdrHyper'],
  'unsigned hyper bigint': ['putUhyper', 'uhyper', 'xdrUhyper'],
  'hyper number': ['putHyperNumber', 'hyperNumber', 'xdrHyperNumber'],
  'unsigned hyper number': ['putUhyperNumber', 'uhyperNumber', 'xdrUhyperNumber'],
}

type Primitive = Extract<WireType, { kind: 'primitive' }>

function primitive({ primitive, style }: Primitive): readonly [string, string, string] {
  return PRIMITIVES[primitive.endsWith('hyper') ? `${primitive} ${style.hyper}` : primitive]!
}

export class Codecs {
  readonly #names: TypeScriptNames
  readonly #useRuntime: (name: string) => void
  readonly #useOwn: (name: string) => void

  /**
   * @param useRuntime - told of each name of `putnext/xdr` that is used
   * @param useOwn - of each codec of the interface
   */
  constructor(
    names: TypeScriptNames,
    useRuntime: (name: string) => void,
    useOwn: (name: string) => void = () => {},
  ) {
    this.#names = names
    this.#useRuntime = useRuntime
    this.#useOwn = useOwn
  }

  /** `xdr.putInt('a', value.a)` */
  put(type: WireType, field: string, value: string): { head: string; args: string[] } {
    const { put, args } = this.#text(type)
    const isQuadruple = put === 'refuseQuadruple'
    return { head: `xdr.${put}`, args: isQuadruple ? [`'${field}'`] : [`'${field}'`, value, ...args] }
  }

  /** `xdr.int('a')` */
  get(type: WireType, field: string): { head: string; args: string[] } {
    const { get, args } = this.#text(type)
    return { head: `xdr.${get}`, args: [`'${field}'`, ...args] }
  }

  #text(type: WireType): CodecText {
    const list = listEntryOf(behindNames(type))
    const real = behindNames(type)
    if (list !== null) return { put: 'putList', get: 'list', args: [this.#own(this.#names.codec(list))] }
    switch (real.kind) {
      case 'void':
        return { put: 'putNested', get: 'nested', args: [this.codec(real)] }
      case 'primitive': {
        const [put, get] = primitive(real)
        return { put, get, args: [] }
      }
      case 'string': {
        const isLatin1 = real.style.string === 'latin1'
        return {
          put: isLatin1 ? 'putLatin1' : 'putString',
          get: isLatin1 ? 'latin1' : 'string',
          args: size(real.max),
        }
      }
      case 'opaque': {
        const view = real.style.opaque === 'view' ? 'opaqueView' : 'opaque'
        const fixed = real.isFixed ? 'Fixed' : ''
        return { put: `putOpaque${fixed}`, get: `${view}${fixed}`, args: size(real.size) }
      }
      case 'array': {
        const fixed = real.isFixed ? 'Fixed' : ''
        return {
          put: `putArray${fixed}`,
          get: `array${fixed}`,
          args: [this.codec(real.of), ...size(real.size)],
        }
      }
      case 'optional':
        return { put: 'putOptional', get: 'optional', args: [this.codec(real.of)] }
      case 'named':
        if (real.type.body.kind === 'enum')
          return { put: 'putEnum', get: 'enum', args: [this.#own(this.#names.values(real.type))] }
        return { put: 'putNested', get: 'nested', args: [this.#own(this.#names.codec(real.type))] }
    }
  }

  /** An expression of type `XdrCodec`. */
  codec(type: WireType): string {
    const list = listEntryOf(type)
    if (list !== null) return this.#made('xdrList', [this.#own(this.#names.codec(list))])
    switch (type.kind) {
      case 'void':
        return this.#runtime('xdrVoid')
      case 'primitive':
        return this.#runtime(primitive(type)[2])
      case 'string':
        return this.#made(type.style.string === 'latin1' ? 'xdrLatin1' : 'xdrString', size(type.max))
      case 'opaque': {
        if (type.style.opaque === 'view' && !type.isFixed) return this.#made('xdrOpaqueView', size(type.size))
        return this.#made(type.isFixed ? 'xdrOpaqueFixed' : 'xdrOpaque', size(type.size))
      }
      case 'array':
        return this.#made(type.isFixed ? 'xdrArrayFixed' : 'xdrArray', [
          this.codec(type.of),
          ...size(type.size),
        ])
      case 'optional':
        return this.#made('xdrOptional', [this.codec(type.of)])
      case 'named':
        return this.#own(this.#names.codec(type.type))
    }
  }

  #made(name: string, args: readonly string[]): string {
    return `${this.#runtime(name)}(${args.join(', ')})`
  }

  #runtime(name: string): string {
    this.#useRuntime(name)
    return name
  }

  #own(name: string): string {
    this.#useOwn(name)
    return name
  }
}

function size(size: number | null): string[] {
  return size === null ? [] : [String(size)]
}
