import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { namedIn } from '../../scripts/check-docs.mjs'
import { judgeContents, promisedFiles } from '../../scripts/check-package.mjs'
import { checkSize } from '../../scripts/check-size.mjs'
import { filesUnder } from '../../scripts/project/source-text.mjs'
import { ROOT, Tree } from './tree.ts'

const MANIFEST = {
  bin: { putnext: 'dist/cli/main.js' },
  exports: { '.': { types: './dist/index.d.ts', default: './dist/index.js' }, './internal/*': null },
}
const module = (name: string): string[] => [
  `dist/${name}.js`,
  `dist/${name}.js.map`,
  `dist/${name}.d.ts`,
  `src/${name}.ts`,
]
const WHOLE = [
  ...['package.json', 'README.md', 'LICENSE', 'CHANGELOG.md', 'scripts/build-shim', 'native-shims/tun.c'],
  ...module('index'),
  ...module('cli/main'),
]

describe('scripts/check-package', () => {
  it('finds every file that package.json promises', () => {
    expect(promisedFiles(MANIFEST)).toEqual(['dist/cli/main.js', 'dist/index.d.ts', 'dist/index.js'])
  })

  it('passes a whole package', () => {
    expect(judgeContents(WHOLE, MANIFEST)).toEqual([])
  })

  it.each(['LICENSE', 'dist/index.js.map', 'dist/cli/main.d.ts', 'dist/index.js', 'src/index.ts'])(
    'misses %s',
    path => {
      const problems = judgeContents(
        WHOLE.filter(one => one !== path),
        MANIFEST,
      )
      expect(problems.join()).toContain(path)
    },
  )

  it.each(['src/inet/a.test.ts', 'dist/a.test.d.ts', 'test/fuzz/fuzz.ts', 'native-shims/build/a.o'])(
    'refuses %s',
    path => {
      expect(judgeContents([...WHOLE, path], MANIFEST)).toEqual([`does not belong in the package: ${path}`])
    },
  )
})

describe('package.json', () => {
  it('exports every subpath that a document, an example or a template imports', () => {
    const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { exports: object }
    const documents = [
      'README.md',
      ...filesUnder(ROOT, 'docs', /\.(md|mjs|ts)$/),
      ...filesUnder(ROOT, 'src/cli', /-template\.ts$/),
    ]
    const imported = documents.flatMap(path =>
      [...readFileSync(join(ROOT, path), 'utf8').matchAll(/from 'putnext((?:\/[a-z-]+)*)'/g)].map(
        match => `.${match[1]}`,
      ),
    )
    expect(imported).toContain('./net')
    expect(imported.filter(subpath => !(subpath in manifest.exports))).toEqual([])
  })
})

describe('the published types', () => {
  it('bring those of Node.js along at every entry: TypeScript 7 looks at none that nobody names', () => {
    const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
      exports: Record<string, { types?: string } | string | null>
    }
    const entries = Object.values(manifest.exports).flatMap(entry =>
      entry !== null && typeof entry !== 'string' && entry.types !== undefined ? [entry.types] : [],
    )
    expect(entries.length).toBeGreaterThan(10)
    for (const entry of entries) {
      const source = join(ROOT, entry.replace('./dist/', 'src/').replace(/\.d\.ts$/, '.ts'))
      expect(readFileSync(source, 'utf8'), source).toMatch(
        /^\/\/\/ <reference types="node" preserve="true" \/>\n/,
      )
    }
  })
})

describe('scripts/check-size', () => {
  it('warns above 400 lines and fails above 500', () => {
    const lines = (count: number): string => '\n'.repeat(count)
    using tree = new Tree({
      'src/a.ts': lines(400),
      'src/b.ts': lines(401),
      'src/c.ts': lines(500),
      'native-shims/d.c': lines(501),
    })
    expect(checkSize(tree.root)).toEqual({
      files: 4,
      warnings: ['src/c.ts: 500 lines', 'src/b.ts: 401 lines'],
      problems: ['native-shims/d.c: 501 lines'],
    })
  })
})

describe('scripts/check-docs', () => {
  it('finds scripts, links and commands', () => {
    const text = [
      'Run scripts/demo, see [the guide](docs/guide.md#start) and [RFC](https://example.org).',
      '```sh',
      '$ npx putnext lab up docs/examples/labs/pair.yaml',
      'putnext doctor --json   # [not](a-link)',
      '```',
    ].join('\n')
    expect(namedIn(text)).toEqual({
      scripts: ['scripts/demo'],
      links: ['docs/guide.md#start', 'https://example.org'],
      commands: ['doctor', 'lab'],
    })
  })
})
