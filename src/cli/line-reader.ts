/** Lines out of chunks of bytes, none longer than a bound: a writer that never ends its line must not fill the memory. */

const NEWLINE = 0x0a

export class LineReader {
  private readonly limit: number
  private readonly onLine: (text: string | null) => void
  private parts: Uint8Array[] = []
  private size = 0
  /** The line in hand is too long already: what is left of it is thrown away. */
  private skipping = false

  /** @param limit - bytes; @param onLine - takes a line without its end, or null for one that was too long */
  constructor(limit: number, onLine: (text: string | null) => void) {
    this.limit = limit
    this.onLine = onLine
  }

  take(chunk: Uint8Array): void {
    let start = 0
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
      this.add(chunk.subarray(start, end))
      this.finish()
      start = end + 1
    }
    if (start < chunk.length) this.add(chunk.subarray(start))
  }

  /** There is nothing more: a last line without an end is one all the same. */
  end(): void {
    if (this.size > 0 || this.skipping) this.finish()
  }

  private add(part: Uint8Array): void {
    if (this.skipping) return
    this.size += part.length
    if (this.size <= this.limit) {
      this.parts.push(part)
      return
    }
    this.parts = []
    this.skipping = true
  }

  private finish(): void {
    const line = this.skipping ? null : new TextDecoder().decode(Buffer.concat(this.parts, this.size))
    this.parts = []
    this.size = 0
    this.skipping = false
    this.onLine(line)
  }
}
