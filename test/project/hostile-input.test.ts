/** The table of docs/supported.md about hostile input, held against the tests and the counters. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { filesUnder, readSource } from '../../scripts/project/source-text.mjs'
import { TCP_COUNTERS } from '../../src/inet/tcp/counters.ts'
import { ROOT } from './tree.ts'

const FIRST = 28
const LAST = 58

interface Row {
  readonly entry: number
  readonly counters: readonly string[]
}

function rows(): Row[] {
  const text = readFileSync(join(ROOT, 'docs/supported.md'), 'utf8')
  const section = /## TCP: hostile and broken input\n([\s\S]*?)\n## /.exec(text)![1]!
  return [...section.matchAll(/^\| (\d+) \|.*\|(.*)\|$/gm)].map(([, entry, counters]) => ({
    entry: Number(entry),
    counters: [...counters!.matchAll(/`([a-z-]+)`/g)].map(match => match[1]!),
  }))
}

const PATHS = [
  ...filesUnder(ROOT, 'src/inet/tcp', /\.test\.ts$/),
  ...filesUnder(ROOT, 'src/inet/wire', /\.test\.ts$/),
  ...filesUnder(ROOT, 'test', /\.(test\.ts|py|txt)$/).filter(path => !path.startsWith('test/project/')),
]
const TESTS = PATHS.map(path => readSource(ROOT, path))

/** Numbers behind the word in titles: `checklist 3.5-42, -43`, `checklist 28 and 29`, `checklist 46`. */
function entriesTested(): Set<number> {
  const lists = TESTS.flatMap(text => [...text.matchAll(/checklist ((?:3\.5-)?\d+(?:(?:, | and )-?\d+)*)/g)])
  return new Set(lists.flatMap(([, list]) => list!.replaceAll('3.5-', '').match(/\d+/g)!.map(Number)))
}

describe('docs/supported.md: hostile and broken input', () => {
  const table = rows()

  it('has every entry of the checklist, in order', () => {
    const expected = Array.from({ length: LAST - FIRST + 1 }, (_, i) => FIRST + i)
    expect(table.map(({ entry }) => entry)).toEqual(expected)
  })

  it('each has a test with its number', () => {
    const tested = entriesTested()
    expect(table.filter(({ entry }) => !tested.has(entry)).map(({ entry }) => entry)).toEqual([])
  })

  it('each counter is one of TCP, and some test looks at it', () => {
    const named = [...new Set(table.flatMap(({ counters }) => counters))]
    expect(named.filter(name => !(TCP_COUNTERS as readonly string[]).includes(name))).toEqual([])
    const looked = (name: string): boolean => {
      const key = new RegExp(`(['"\`]${name}['"\`]|[.]${name}\\b)`)
      return TESTS.some(text => key.test(text))
    }
    expect(named.filter(name => !looked(name))).toEqual([])
  })
})
