import { describe, expect, it } from 'vitest'
import { checkPurity, EXCEPTIONS } from '../../scripts/check-purity.mjs'
import { ROOT, Tree } from './tree.ts'

describe('scripts/check-purity', () => {
  it('passes the tree as it is, and looks at all of it', () => {
    const { files, problems } = checkPurity(ROOT)
    expect(problems).toEqual([])
    expect(files).toBeGreaterThan(15)
  })

  it('gives a reason for each exception', () => {
    for (const { reason } of EXCEPTIONS) expect(reason.length).toBeGreaterThan(20)
  })

  it.each([
    'const now = Date.now()',
    'const d = new Date()',
    'performance.now()',
    'process.hrtime()',
    "process['env']",
    'setTimeout(f, 1)',
    'const later = setImmediate',
    'queueMicrotask(f)',
    'Math.random()',
    'Math\n  .random()',
    'crypto.getRandomValues(bytes)',
    'globalThis.x',
    'console.log(1)',
    'const text = `at ${Date.now()}`',
  ])('refuses %j in a core', source => {
    using tree = new Tree({ 'src/inet/ip/core.ts': `export {}\n${source}\n` })
    const { problems } = checkPurity(tree.root, [])
    expect(problems).toHaveLength(1)
    expect(problems[0]).toMatch(/^src\/inet\/ip\/core\.ts:2: a core uses /)
  })

  it.each([
    '// Date.now() would be the wall clock',
    "const text = 'Math.random()'",
    'this.process(message)',
    'clock.performance.now',
    'interface Timers { setTimeout: number }',
    'const updateDate = 1',
    'function process(x: number) { return x }',
  ])('allows %j', source => {
    using tree = new Tree({ 'src/streams/core.ts': source })
    expect(checkPurity(tree.root, []).problems).toEqual([])
  })

  it('leaves tests and the adapters of the distributed cores alone, but not the cores', () => {
    const source = 'Date.now()'
    using tree = new Tree({
      'src/inet/a.test.ts': source,
      'src/streams/testing/a.ts': source,
      'src/dist/raft/node.ts': source,
      'src/host/a.ts': source,
      'src/dist/raft/core.ts': source,
    })
    expect(checkPurity(tree.root, []).problems).toEqual(['src/dist/raft/core.ts:1: a core uses Date'])
  })

  it('knows exceptions, and tells when one is no longer needed', () => {
    using tree = new Tree({ 'src/base/a.ts': 'process.env' })
    const used = { path: 'src/base/a.ts', name: 'process' }
    expect(checkPurity(tree.root, [used]).problems).toEqual([])
    const { problems } = checkPurity(tree.root, [used, { path: 'src/base/a.ts', name: 'Date' }])
    expect(problems).toEqual([expect.stringContaining('no longer uses Date')])
  })
})
