import { describe, expect, it } from 'vitest'
import { checkLayers } from '../../scripts/check-layers.mjs'
import { ROOT, Tree } from './tree.ts'

const judged = (files: Record<string, string>): string[] => {
  using tree = new Tree(files)
  return checkLayers(tree.root).problems
}

describe('scripts/check-layers', () => {
  it('passes the tree as it is, and looks at all of it', () => {
    const { files, problems } = checkLayers(ROOT)
    expect(problems).toEqual([])
    expect(files).toBeGreaterThan(20)
  })

  it.each([
    [
      'an import of a floor above',
      'src/base/a.ts',
      `import { x } from '../streams/x.ts'`,
      'base may import nothing; not streams',
    ],
    [
      'a type of a floor above',
      'src/inet/ip/a.ts',
      `import type { X } from '../../driver/x.ts'`,
      'not driver',
    ],
    ['a dynamic import of a floor above', 'src/streams/a.ts', `await import('../inet/x.ts')`, 'not inet'],
    [
      'an import of the whole package',
      'src/inet/a.ts',
      `import { x } from '../index.ts'`,
      'which re-exports folders above',
    ],
    ['a folder that the table does not know', 'src/utils/a.ts', 'export {}', 'src/utils is not in the table'],
    ['an import from outside src', 'src/cli/a.ts', `import { x } from '../../test/x.ts'`, 'leaves src'],
    [
      'an import of a test',
      'src/node/a.ts',
      `import { x } from '../inet/x.test.ts'`,
      'imports the test file',
    ],
    [
      'an import of test helpers',
      'src/node/a.ts',
      `import { x } from '../streams/testing/x.ts'`,
      'which is for tests',
    ],
    [
      'a builtin in a core',
      'src/inet/a.ts',
      `import { readFileSync } from 'node:fs'`,
      'inet may not use node:fs',
    ],
    [
      'another builtin in a driver',
      'src/driver/a.ts',
      `import net from 'node:net'`,
      'driver may not use node:net',
    ],
    [
      'yaml below the configuration',
      'src/socket/a.ts',
      `import { parse } from 'yaml'`,
      'socket may not use the package yaml',
    ],
    ['any other package', 'src/cli/a.ts', `import chalk from 'chalk'`, 'cli may not use the package chalk'],
    [
      'code in an index',
      'src/base/index.ts',
      `export * from './a.ts'\nexport const x = 1`,
      'does more than re-export',
    ],
    ['an import in an index', 'src/base/index.ts', `import './a.ts'`, 'does more than re-export'],
    ['a command above a floor', 'src/lab/a.ts', `import { x } from '../cli/x.ts'`, 'not cli'],
  ])('refuses %s', (_, path, source, message) => {
    const problems = judged({ [path]: source })
    expect(problems).toHaveLength(1)
    expect(problems[0]).toContain(message)
    expect(problems[0]).toContain(path)
  })

  it.each([
    ['its own folder', 'src/inet/ip/a.ts', `import { x } from '../wire/x.ts'`],
    ['a floor below', 'src/driver/a.ts', `import { x } from '../host/x.ts'\nimport { open } from 'node:fs'`],
    [
      'configuration at the top',
      'src/lab/a.ts',
      `import { parse } from 'yaml'\nimport * as v from 'valibot'`,
    ],
    ['the runner in a test', 'src/inet/a.test.ts', `import { it } from 'vitest'\nimport fs from 'node:fs'`],
    ['helpers in a test', 'src/inet/a.test.ts', `import { x } from '../streams/testing/x.ts'`],
    ['the word in a comment', 'src/base/a.ts', `// import { x } from '../cli/x.ts'\nexport {}`],
    [
      'an index that re-exports',
      'src/base/index.ts',
      `// All of it.\nexport * from './a.ts'\nexport type {\n  B,\n} from './b.ts'\n`,
    ],
    ['the front door', 'src/index.ts', `export * from './cli/index.ts'\nexport { x } from './base/x.ts'`],
  ])('allows %s', (_, path, source) => {
    expect(judged({ [path]: source })).toEqual([])
  })
})
