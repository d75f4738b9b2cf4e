/**
 * Names of the file as names of TypeScript: types `PascalCase`, fields and procedures `camelCase`, constants and members
 * as they are. Where two would become one, both stay as they are written.
 */

/** Words that cannot stand where a type's or a constant's name is declared, or that would hide what generated code uses. */
const RESERVED: ReadonlySet<string> = new Set(
  (
    'abstract any arguments as async await bigint boolean break case catch class const continue debugger declare default delete do ' +
    'else enum eval export extends false finally for from function get if implements import in infer instanceof interface is keyof ' +
    'let module namespace never new null number object of package private protected public readonly return set static string super ' +
    'switch symbol this throw true try type typeof undefined unique unknown var void while with yield ' +
    '__proto__ AggregateError Atomics BigInt64Array BigUint64Array Boolean DataView Date EvalError FinalizationRegistry Float32Array ' +
    'Float64Array Function Infinity Int16Array Int32Array Int8Array Intl Iterator JSON Math NaN Proxy RangeError ReferenceError ' +
    'Reflect RegExp SharedArrayBuffer ArrayBuffer SyntaxError TypeError URIError Uint16Array Uint32Array Uint8ClampedArray WeakMap ' +
    'WeakRef WeakSet Array BigInt Exclude Map Number Object Promise ReadonlySet Set String Uint8Array XdrCodec XdrOpaque constructor then ' +
    'Awaitable RpcCaller RpcCallOptions RpcContext RpcProcedure RpcService AbortSignal Error Symbol'
  ).split(' '),
)

function words(name: string): string[] {
  const parts = name.split('_').filter(part => part !== '')
  // SHOUTED names have no words but those between underscores.
  return /[a-z]/.test(name) ? parts : parts.map(part => part.toLowerCase())
}

export function pascalCase(name: string): string {
  const joined = words(name)
    .map(word => word[0]!.toUpperCase() + word.slice(1))
    .join('')
  return usable(joined, name)
}

/** `dir_attributes` is `dirAttributes`, `CREATE3args` is `create3args`. */
export function camelCase(name: string): string {
  return usable(camelWords(name), name)
}

/** The same as {@link camelCase} for a property, which may be called anything but what sets a prototype, or makes a promise of a value. */
export function propertyCase(name: string): string {
  const made = camelWords(name)
  return /^[A-Za-z]/.test(made) && made !== 'then' ? made : `${name}_`
}

/** Members of an enum stay as they are written, save the one word that is no key of an object literal but sets its prototype. */
export function memberName(name: string): string {
  return name === '__proto__' ? `${name}_` : name
}

/** The same as {@link propertyCase} for a method, since a class has a constructor. */
function methodCase(name: string): string {
  const made = propertyCase(name)
  return made === 'constructor' ? `${made}_` : made
}

function camelWords(name: string): string {
  const [first = '', ...rest] = words(name)
  const head = first.replace(/^[A-Z][A-Z0-9]*(?=[a-z0-9_]|$)/, part => part.toLowerCase())
  const tail = rest.map(word => word[0]!.toUpperCase() + word.slice(1)).join('')
  return head.slice(0, 1).toLowerCase() + head.slice(1) + tail
}

function usable(made: string, original: string): string {
  const name = /^[A-Za-z]/.test(made) ? made : original
  return RESERVED.has(name) ? `${name}_` : name
}

/** @returns for each name its form; where two have the same, or one that is taken, the name itself */
export function formsOf(
  names: readonly string[],
  form: (name: string) => string,
  taken: ReadonlySet<string> = new Set(),
): ReadonlyMap<string, string> {
  const counts = new Map<string, number>()
  const distinct = [...new Set(names)]
  for (const name of distinct) counts.set(form(name), (counts.get(form(name)) ?? 0) + 1)
  return new Map(
    distinct.map(name => {
      const made = form(name)
      const clashes = counts.get(made)! > 1 || taken.has(made)
      return [name, clashes ? usable(name, name) : made]
    }),
  )
}

/** Procedures without the prefix that all of them have, or that says no more than "procedure". */
export function procedureForms(names: readonly string[]): ReadonlyMap<string, string> {
  const prefix = sharedPrefix(names)
  const short = names.map(name => name.slice(prefix.length))
  const forms = formsOf(short, methodCase)
  return new Map(names.map((name, at) => [name, forms.get(short[at]!)!]))
}

function sharedPrefix(names: readonly string[]): string {
  const [first = ''] = names
  if (names.length === 1) return /^[A-Za-z0-9]*proc[A-Za-z0-9]*_(?=[A-Za-z])/i.exec(first)?.[0] ?? ''
  const prefixes = [...first.matchAll(/_/g)].map(match => first.slice(0, match.index + 1))
  return (
    prefixes.findLast(prefix =>
      names.every(name => name.startsWith(prefix) && /^[A-Za-z]/.test(name.slice(prefix.length))),
    ) ?? ''
  )
}

/** `NFS_PROGRAM` in its version 3 is `NfsV3`. */
export function versionForm(program: string, version: number): string {
  const short = program.replace(/_?(PROGRAM|PROG|program|prog)$/, '')
  return `${pascalCase(short === '' ? program : short)}V${version}`
}

export function lowerFirst(name: string): string {
  return name.replace(/^[A-Z]+(?=[A-Z][a-z]|[0-9_]|$)|^[A-Z]/, head => head.toLowerCase())
}
