/** Byte ranges of a GET: RFC 9110 §14. */

/** First and last byte, both included. */
export interface ByteRange {
  readonly first: number
  readonly last: number
}

/** What to answer with: all of it (no range, or one that is to be ignored), parts, or 416. */
export type RangeAnswer =
  | { readonly kind: 'whole' }
  | { readonly kind: 'parts'; readonly ranges: readonly ByteRange[] }
  | { readonly kind: 'unsatisfiable' }

/** RFC 9110 §14.2 lets a server ignore a request with many small ranges; this many are answered. */
export const RANGES_MAX = 16

const WHOLE: RangeAnswer = { kind: 'whole' }
const SPEC = /^([0-9]*)-([0-9]*)$/

/**
 * Reads a `Range` header.
 * @param header - undefined without one
 * @param size - of the file, in bytes
 */
export function readRange(header: string | undefined, size: number): RangeAnswer {
  const set = header === undefined ? null : /^bytes[ \t]*=(.*)$/i.exec(header)
  // RFC 9110 §14.2: a unit or a syntax that is not understood is ignored.
  if (set === null) return WHOLE
  const specs = set[1]!.split(',').map(spec => spec.trim())
  const wanted = specs.filter(spec => spec !== '')
  if (wanted.length === 0 || wanted.length > RANGES_MAX) return WHOLE
  const ranges: ByteRange[] = []
  for (const spec of wanted) {
    const range = readSpec(spec, size)
    if (range === 'invalid') return WHOLE
    if (range !== null) ranges.push(range)
  }
  if (ranges.length === 0) return { kind: 'unsatisfiable' }
  return overlaps(ranges) ? WHOLE : { kind: 'parts', ranges }
}

/** @returns null for a range beyond the end */
function readSpec(spec: string, size: number): ByteRange | null | 'invalid' {
  const match = SPEC.exec(spec)
  if (match === null) return 'invalid'
  const [, from, to] = match
  if (from === '') {
    if (to === '') return 'invalid'
    const suffix = Number(to)
    return suffix === 0 || size === 0 ? null : { first: Math.max(0, size - suffix), last: size - 1 }
  }
  const first = Number(from)
  const last = to === '' ? Number.POSITIVE_INFINITY : Number(to)
  if (last < first) return 'invalid'
  return first >= size ? null : { first, last: Math.min(last, size - 1) }
}

/** RFC 9110 §17.15: overlapping ranges are how a small request asks for a large answer. */
function overlaps(ranges: readonly ByteRange[]): boolean {
  const sorted = [...ranges].sort((a, b) => a.first - b.first)
  return sorted.some((range, i) => i > 0 && range.first <= sorted[i - 1]!.last)
}

/** The `Content-Range` of a part. */
export function contentRange({ first, last }: ByteRange, size: number): string {
  return `bytes ${first}-${last}/${size}`
}
