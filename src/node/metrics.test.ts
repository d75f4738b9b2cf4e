import { describe, expect, it } from 'vitest'
import { makeTestRuntime } from '../streams/testing/index.ts'
import { formatMetrics } from './metrics.ts'
import { nodeMetrics } from './node-metrics.ts'

/** One line of the text format 0.0.4: a comment, or a sample. */
const LINE =
  /^(?:# (?:HELP [a-z_]+ .+|TYPE [a-z_]+ (?:counter|gauge))|[a-z_]+(?:\{[a-z_]+="(?:[^"\\\n]|\\[\\n"])*"(?:,[a-z_]+="(?:[^"\\\n]|\\[\\n"])*")*\})? (?:[0-9.e+-]+|NaN|[+-]Inf))$/

describe('node/metrics, text format 0.0.4', () => {
  it('escapes backslash, quote and line feed in label values, and the first and last in help', () => {
    const text = formatMetrics([
      {
        name: 'putnext_test',
        help: 'a \\ and\na "line"',
        type: 'gauge',
        samples: [{ labels: { a: 'x"y\\z\n', b: '' }, value: 1.5 }],
      },
    ])
    expect(text).toBe(
      '# HELP putnext_test a \\\\ and\\na "line"\n# TYPE putnext_test gauge\nputnext_test{a="x\\"y\\\\z\\n",b=""} 1.5\n',
    )
  })

  it.each([
    [Number.NaN, 'NaN'],
    [Number.POSITIVE_INFINITY, '+Inf'],
    [Number.NEGATIVE_INFINITY, '-Inf'],
    [0, '0'],
    [2 ** 53, '9007199254740992'],
  ])('%d is written %s', (value, text) => {
    const family = { name: 'a', help: 'b', type: 'gauge' as const, samples: [{ labels: {}, value }] }
    expect(formatMetrics([family])).toContain(`\na ${text}\n`)
  })

  it('a family without samples is left out', () => {
    expect(formatMetrics([{ name: 'a', help: 'b', type: 'counter', samples: [] }])).toBe('')
  })

  it('of a node: every line is well-formed, every family comes once, no two samples are alike', () => {
    const { runtime, finish } = makeTestRuntime()
    const network = { ip: { 'packets-in': 7 } }
    const text = nodeMetrics({ name: 'n"1', version: '0', uptimeSeconds: 1, runtime, network })
    const lines = text.trimEnd().split('\n')
    for (const line of lines) expect(line).toMatch(LINE)
    const types = lines.filter(line => line.startsWith('# TYPE'))
    expect(new Set(types.map(line => line.split(' ')[2])).size).toBe(types.length)
    const samples = lines
      .filter(line => !line.startsWith('#'))
      .map(line => line.slice(0, line.lastIndexOf(' ')))
    expect(new Set(samples).size).toBe(samples.length)
    for (const line of types.filter(type => type.endsWith('counter'))) expect(line).toContain('_total ')
    expect(text).toContain('putnext_network_events_total{part="ip",counter="packets-in"} 7\n')
    finish()
  })
})
