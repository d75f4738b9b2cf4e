/** Strings and bytes: UTF-8 checked both ways, and Latin-1 for bytes that are no text. */

/** @returns the length of a string in UTF-8; -1 if half of a surrogate pair stands alone */
export function utf8Bytes(text: string): number {
  let bytes = text.length
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    if (unit < 0x80) continue
    bytes++
    if (unit < 0x800) continue
    bytes++
    if (unit < 0xd800 || unit > 0xdfff) continue
    const low = text.charCodeAt(i + 1)
    if (unit > 0xdbff || !(low >= 0xdc00 && low <= 0xdfff)) return -1
    // Two units, four bytes: three were counted for the first, one stands for the second.
    i++
  }
  return bytes
}

/** @param length - what {@link utf8Bytes} said */
export function writeUtf8(into: Uint8Array, at: number, text: string, length: number): void {
  if (length === text.length) return writeLatin1(into, at, text)
  for (let i = 0; i < text.length; i++) {
    const point = text.codePointAt(i)!
    if (point < 0x80) {
      into[at++] = point
      continue
    }
    if (point < 0x800) {
      into[at++] = 0xc0 | (point >> 6)
    } else {
      if (point < 0x1_0000) {
        into[at++] = 0xe0 | (point >> 12)
      } else {
        i++
        into[at++] = 0xf0 | (point >> 18)
        into[at++] = 0x80 | ((point >> 12) & 0x3f)
      }
      into[at++] = 0x80 | ((point >> 6) & 0x3f)
    }
    into[at++] = 0x80 | (point & 0x3f)
  }
}

export function latin1Fits(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 0xff) return false
  return true
}

export function writeLatin1(into: Uint8Array, at: number, text: string): void {
  for (let i = 0; i < text.length; i++) into[at + i] = text.charCodeAt(i)
}

/** Bytes that one call of `String.fromCharCode` takes. */
const PIECE_BYTES = 4_096

export function readLatin1(bytes: Uint8Array, start: number, end: number): string {
  let text = ''
  for (let at = start; at < end; at += PIECE_BYTES) {
    text += String.fromCharCode.apply(null, bytes.subarray(at, Math.min(end, at + PIECE_BYTES)) as never)
  }
  return text
}

// A byte order mark is a character of the string like any other.
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** @returns null if the bytes are not UTF-8 */
export function readUtf8(bytes: Uint8Array, start: number, end: number): string | null {
  let all = 0
  if (end - start <= 64) {
    for (let i = start; i < end; i++) all |= bytes[i]!
    if (all < 0x80) return readLatin1(bytes, start, end)
  }
  try {
    return utf8.decode(bytes.subarray(start, end))
  } catch {
    return null
  }
}
