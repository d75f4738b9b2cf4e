/** Conditional requests: RFC 9110 §13. */
import type { IncomingHttpHeaders } from 'node:http'

/** What a request's conditions are held against. */
export interface Validators {
  /** A strong entity tag, with its quotes. */
  readonly etag: string
  /** Milliseconds since 1970, cut to whole seconds. */
  readonly lastModifiedMs: number
}

/** `proceed`, or the status to answer with. */
export type ConditionResult = 'proceed' | 304 | 412

/** The validators of a file. @param modifiedMs - as `fs.Stats.mtimeMs` */
export function validatorsOf(size: number, modifiedMs: number): Validators {
  const etag = `"${size.toString(16)}-${Math.round(modifiedMs * 1_000).toString(16)}"`
  return { etag, lastModifiedMs: Math.floor(modifiedMs / 1_000) * 1_000 }
}

/** The conditions of a GET or HEAD in the order of RFC 9110 §13.2.2. */
export function checkConditions(headers: IncomingHttpHeaders, own: Validators): ConditionResult {
  const { 'if-match': ifMatch, 'if-none-match': ifNoneMatch } = headers
  const unmodifiedSince = httpDate(headers['if-unmodified-since'])
  const modifiedSince = httpDate(headers['if-modified-since'])
  if (ifMatch !== undefined) {
    if (!listMatches(ifMatch, own.etag, false)) return 412
  } else if (unmodifiedSince !== null && own.lastModifiedMs > unmodifiedSince) return 412
  if (ifNoneMatch !== undefined) return listMatches(ifNoneMatch, own.etag, true) ? 304 : 'proceed'
  return modifiedSince !== null && own.lastModifiedMs <= modifiedSince ? 304 : 'proceed'
}

/** Whether a `Range` still holds: RFC 9110 §13.1.5. */
export function rangeStillHolds(ifRange: string | undefined, own: Validators): boolean {
  if (ifRange === undefined) return true
  const text = ifRange.trim()
  if (text.startsWith('"') || text.startsWith('W/')) return text === own.etag
  return httpDate(text) === own.lastModifiedMs
}

/** @param weak - compare weakly (§8.8.3.2): `W/` in front makes no difference */
function listMatches(header: string, etag: string, weak: boolean): boolean {
  if (header.trim() === '*') return true
  const tags = header.match(/(?:W\/)?"[^"]*"/g) ?? []
  return tags.some(tag => (weak ? tag.replace(/^W\//, '') : tag) === etag)
}

function httpDate(text: string | undefined): number | null {
  const ms = text === undefined ? Number.NaN : Date.parse(text)
  return Number.isNaN(ms) ? null : ms
}
