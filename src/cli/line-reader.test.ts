import { describe, expect, it } from 'vitest'
import { LineReader } from './line-reader.ts'

function read(limit: number, chunks: readonly string[]): (string | null)[] {
  const lines: (string | null)[] = []
  const reader = new LineReader(limit, line => lines.push(line))
  for (const chunk of chunks) reader.take(new TextEncoder().encode(chunk))
  reader.end()
  return lines
}

describe('cli/line-reader', () => {
  it('lines are the same however the bytes come', () => {
    const text = 'one\n\nzwei ö€\nthree'
    const bytes = new TextEncoder().encode(text)
    const lines: (string | null)[] = []
    const reader = new LineReader(100, line => lines.push(line))
    for (const byte of bytes) reader.take(Uint8Array.of(byte))
    reader.end()
    expect(lines).toEqual(['one', '', 'zwei ö€', 'three'])
    expect(read(100, [text])).toEqual(lines)
  })

  it('a line beyond the limit is told once, and the next one is read', () => {
    expect(read(4, ['1234\n12345\nab\n'])).toEqual(['1234', null, 'ab'])
    expect(read(4, ['123', '45', '6789', '\nok'])).toEqual([null, 'ok'])
    expect(read(4, ['12345'])).toEqual([null])
  })

  it('no line where there is nothing', () => {
    expect(read(4, [])).toEqual([])
    expect(read(4, ['a\n'])).toEqual(['a'])
  })
})
