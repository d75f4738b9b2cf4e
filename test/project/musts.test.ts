import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { idsOf, makeDocument, TABLES, table, testsByRequirement } from '../../scripts/make-must-table.mjs'
import { MUSTS } from '../../scripts/project/rfc9293-musts.mjs'
import { SHOULDS } from '../../scripts/project/rfc9293-shoulds.mjs'
import { Tree } from './tree.ts'

describe('the requirements of RFC 9293', () => {
  it('the list has each of the 69 once', () => {
    const ids = MUSTS.map(({ id }) => id).sort((a, b) => a - b)
    expect(ids).toEqual(Array.from({ length: 69 }, (_, i) => i + 1))
  })

  it('the list of recommendations has each of the 31 once', () => {
    const ids = SHOULDS.map(({ id }) => id).sort((a, b) => a - b)
    expect(ids).toEqual(Array.from({ length: 31 }, (_, i) => i + 1))
  })

  it('each has a test with its name', () => {
    const tests = testsByRequirement('.')
    const ids = TABLES.flatMap(({ kind, list }) => list.map(({ id }) => `${kind}-${id}`))
    expect(ids.filter(id => !tests.has(id))).toEqual([])
  })

  it('the tables of docs/supported.md are what node scripts/make-must-table.mjs makes', () => {
    const { text, problems } = makeDocument('.')
    expect(problems).toEqual([])
    expect(readFileSync('docs/supported.md', 'utf8')).toBe(text)
  })

  it.each([
    ['MUST-7: x', [7]],
    ['MUST-58, MUST-59: x', [58, 59]],
    ['MUST-8 and 9: x', [8, 9]],
    ['MUST-2/3: x', [2, 3]],
    ['MUST-24 to 29: x', [24, 25, 26, 27, 28, 29]],
    ['a MUST-7', []],
    ['SHLD-9, MUST-20 (R1): x', ['SHLD-9', 'MUST-20']],
    ['MUST-36, SHLD-29, 30: x', ['MUST-36', 'SHLD-29', 'SHLD-30']],
  ])('%s names %j', (title, ids) => {
    expect(idsOf(title)).toEqual(ids.map(id => (typeof id === 'number' ? `MUST-${id}` : id)))
  })

  it('titles are found in tests and transcripts; what is not met, or has no test, says so', () => {
    using tree = new Tree({
      'src/inet/tcp/a.test.ts': "it('MUST-1: x', () => {})\nit(\n  `MUST-2: it's`,\n  () => {},\n)\n",
      'src/inet/tcp/b.ts': "const x = 'MUST-3: not a test'\n",
      'test/conformance/c.txt': '# MUST-1: y\n',
    })
    const tests = testsByRequirement(tree.root)
    expect([...tests]).toEqual([
      ['MUST-1', ['src/inet/tcp/a.test.ts', 'test/conformance/c.txt']],
      ['MUST-2', ['src/inet/tcp/a.test.ts']],
    ])
    const text = table(tests, TABLES[0]!)
    expect(text).toContain('2 of 69 are met')
    expect(text).toMatch(/MUST-3 .*\*\*no test\*\*/)
    expect(text).toMatch(/MUST-51 .*\*\*not met\*\*/)
    expect(text).toContain('[c.txt](../test/conformance/c.txt)')
  })
})
