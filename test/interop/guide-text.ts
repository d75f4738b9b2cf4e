/** The commands of a guide with what stands below each, and the comparison of that with what they print, in shape. */

export interface Step {
  /** The heading that it stands under, without its number. */
  readonly section: string
  readonly command: string
  /** Lines that it prints, on either output. */
  readonly expected: readonly string[]
}

/** The `$` lines of all console blocks, in order. */
export function stepsOf(guide: string): Step[] {
  const found: { section: string; command: string; expected: string[] }[] = []
  for (const part of guide.split(/^## (?:\d+\. )?/m)) {
    const section = part.slice(0, part.indexOf('\n'))
    for (const [, block = ''] of part.matchAll(/^```console\n([\s\S]*?)^```/gm))
      for (const line of block.trimEnd().split('\n')) {
        if (line.startsWith('$ ')) found.push({ section, command: line.slice(2), expected: [] })
        else found.at(-1)!.expected.push(line)
      }
  }
  return found
}

/** A line whose numbers stand for any, and in which `...` stands for anything. */
function shape(line: string): RegExp {
  const escaped = line.trimEnd().replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
  const numbers = escaped.replace(/\d+(?:\\\.\d+)?/g, '\\s*[\\d.]+')
  return new RegExp(`^${numbers.replaceAll('\\.\\.\\.', '.*').replace(/ +/g, '\\s+')}$`)
}

/** Whether lines have the expected shapes; a line of only `...` stands for any number of lines. @returns what is wrong, or nothing */
export function mismatch(lines: readonly string[], expected: readonly string[]): string {
  let at = 0
  for (let i = 0; i < expected.length; i++) {
    if (expected[i] === '...') {
      if (i === expected.length - 1) return ''
      while (at < lines.length && !shape(expected[i + 1]!).test(lines[at]!)) at++
      continue
    }
    if (at >= lines.length) return `nothing more, but "${expected[i]}" should come`
    if (!shape(expected[i]!).test(lines[at]!)) return `"${lines[at]}" is not of the shape "${expected[i]}"`
    at++
  }
  return at < lines.length ? `"${lines[at]}" is one line too many` : ''
}
