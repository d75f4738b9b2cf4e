/** Pieces of TypeScript, laid out as the project's formatter would. */
export const WIDTH = 110

/** A TSDoc comment; none for no text. */
export function tsdoc(doc: string | null, indent = ''): string {
  if (doc === null || doc.trim() === '') return ''
  const lines = doc.replaceAll('*/', '* /').split('\n')
  const [only] = lines
  if (lines.length === 1 && indent.length + only!.length + 7 <= WIDTH) return `${indent}/** ${only} */\n`
  return `${indent}/**\n${lines.map(line => `${indent} * ${line}`.trimEnd()).join('\n')}\n${indent} */\n`
}

/** `head(a, b)tail`, or an argument a line if it is too long. */
export function call(head: string, args: readonly string[], tail = '', indent = ''): string {
  return bracketed(head, '(', args, ')', tail, indent)
}

function bracketed(
  head: string,
  open: string,
  items: readonly string[],
  close: string,
  tail: string,
  indent: string,
): string {
  const space = open === '{' ? ' ' : ''
  const line = `${indent}${head}${open}${space}${items.join(', ')}${space}${close}${tail}`
  if (line.length <= WIDTH && !line.includes('\n')) return line
  const lines = items.map(item => `${indent}  ${item},\n`).join('')
  return `${indent}${head}${open}\n${lines}${indent}${close}${tail}`
}

/** `head{ a, b }tail`, or a property a line. */
export function object(head: string, properties: readonly string[], tail = '', indent = ''): string {
  return bracketed(head, '{', properties, '}', tail, indent)
}

export interface Import {
  readonly from: string
  /** Names, `type` in front of those that are only types. */
  readonly names: ReadonlySet<string>
}

/** Packages first, then files, each with its names in order; one without names is left out. */
export function imports(list: readonly Import[]): string {
  return list
    .filter(({ names }) => names.size > 0)
    .toSorted(
      (a, b) => Number(a.from.startsWith('.')) - Number(b.from.startsWith('.')) || order(a.from, b.from),
    )
    .map(importLine)
    .join('')
}

function importLine({ from, names }: Import): string {
  const bare = (name: string) => name.replace(/^type /, '')
  // What is imported as a value is a type too.
  const kept = [...names].filter(name => !(name.startsWith('type ') && names.has(bare(name))))
  const sorted = kept.toSorted((a, b) => order(bare(a), bare(b)))
  const onlyTypes = sorted.every(name => name.startsWith('type '))
  const items = onlyTypes ? sorted.map(bare) : sorted
  return `${object(onlyTypes ? 'import type ' : 'import ', items, ` from '${from}'`)}\n`
}

/** The order that the formatter keeps imports in: letters before their small ones, runs of digits as numbers. */
function order(a: string, b: string): number {
  const [x, y] = [parts(a), parts(b)]
  for (let at = 0; at < Math.min(x.length, y.length); at++) {
    const [left, right] = [x[at]!, y[at]!]
    if (left === right) continue
    if (/^\d/.test(left) && /^\d/.test(right))
      return Number(left) - Number(right) || left.length - right.length
    const byLetter =
      left.toLowerCase() < right.toLowerCase() ? -1 : left.toLowerCase() > right.toLowerCase() ? 1 : 0
    return byLetter || (left < right ? -1 : 1)
  }
  return x.length - y.length
}

function parts(text: string): string[] {
  return text.match(/\d+|\D/g) ?? []
}

/** A text as a string of TypeScript. */
export function quoted(text: string): string {
  const inner = JSON.stringify(text).slice(1, -1).replaceAll('\\"', '"')
  return inner.includes("'") && !inner.includes('"')
    ? JSON.stringify(text)
    : `'${inner.replaceAll("'", "\\'")}'`
}
