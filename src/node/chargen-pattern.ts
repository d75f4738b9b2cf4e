/** The characters of RFC 864: lines of 72, each beginning one character further on. */

const LINE_CHARACTERS = 72
const FIRST_CHARACTER = 0x20
const CHARACTERS = 95
/** Characters, CR, LF. */
const LINE_BYTES = LINE_CHARACTERS + 2
/** After so many bytes the pattern begins anew. */
export const PATTERN_BYTES = CHARACTERS * LINE_BYTES

/**
 * Writes the pattern.
 * @param line - which line to begin with
 * @returns the line to begin with next, if what was written ends anywhere in a line
 */
export function writePattern(bytes: Uint8Array, at: number, size: number, line: number): number {
  let column = 0
  let first = line
  for (let i = at; i < at + size; i++) {
    if (column < LINE_CHARACTERS) bytes[i] = FIRST_CHARACTER + ((first + column) % CHARACTERS)
    else bytes[i] = column === LINE_CHARACTERS ? 0x0d : 0x0a
    if (++column < LINE_BYTES) continue
    column = 0
    first = (first + 1) % CHARACTERS
  }
  return (first + 1) % CHARACTERS
}
