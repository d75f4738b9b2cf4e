/** What a request's target names below the served directory. RFC 3986 §3.3, §2.1; RFC 9110 §17.3 (attacks by path names). */

/** A path as its decoded names, or why it is none. */
export type RequestPath =
  | {
      readonly kind: 'path'
      readonly names: readonly string[]
      /** It ends with a slash: a directory is meant. */
      readonly directory: boolean
    }
  | { readonly kind: 'refused'; readonly reason: string }

/** Longer than what a Linux path may be, before decoding. */
const TARGET_CHARACTERS_MAX = 8_192
const ORIGIN = /^[a-z][a-z0-9+.-]*:\/\/[^/?#]*/i

const refused = (reason: string): RequestPath => ({ kind: 'refused', reason })

/**
 * Reads the target of a request line; origin form, or the absolute form that proxies send.
 * A name that would climb out of the directory, or that no file can have, is refused: nothing is silently rewritten.
 */
export function readRequestPath(target: string): RequestPath {
  if (target.length > TARGET_CHARACTERS_MAX) return refused('the path is too long')
  const raw = target.replace(ORIGIN, '').split(/[?#]/, 1)[0]!
  if (!raw.startsWith('/')) return refused('the path does not begin with a slash')
  const names: string[] = []
  const parts = raw.split('/')
  for (const part of parts) {
    const name = decode(part)
    if (name === null) return refused('the path is not percent-encoded UTF-8')
    if (name.includes('/') || name.includes('\0'))
      return refused('a name in the path has a slash or a zero in it')
    if (name === '..') return refused('the path climbs')
    // Empty names (`//`) and `.` name the same directory, as for open(2).
    if (name !== '' && name !== '.') names.push(name)
  }
  const last = parts.at(-1)!
  return { kind: 'path', names, directory: last === '' || decode(last) === '.' }
}

function decode(part: string): string | null {
  try {
    return decodeURIComponent(part)
  } catch {
    return null
  }
}

/** The path of a directory for a `Location` header: never two slashes in front, which would name another host. */
export function directoryLocation(names: readonly string[]): string {
  return names.length === 0 ? '/' : `/${names.map(encodeURIComponent).join('/')}/`
}

/** Hidden by convention; `.well-known` (RFC 8615) is meant to be seen. */
export function isHidden(names: readonly string[]): boolean {
  return names.some(name => name.startsWith('.') && name !== '.well-known')
}
