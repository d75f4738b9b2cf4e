import { describe, expect, it } from 'vitest'
import { codeOnly, importsOf } from '../../scripts/project/source-text.mjs'

const shown = (source: string): string => codeOnly(source).replace(/ +/g, ' ').trim()

describe('scripts/project/source-text', () => {
  it.each([
    ['a line comment', 'a() // Date', 'a()'],
    ['a block comment over lines', 'a(/* Date\n * Date */)', 'a( \n )'],
    ['single and double quotes with escapes', `f('Da\\'te', "Da\\"te")`, `f(' ', " ")`],
    ['a comment sign in a string', `f('// no'); Date`, `f(' '); Date`],
    ['a quote in a comment', "// don't\nDate // isn't", 'Date'],
    [
      'a template keeps the code within',
      'f(`Date ${Date.now({ a: `x${b}` })} Date`)',
      'f(` ${Date.now({ a: ` ${b}` })} `)',
    ],
    ['a regular expression', 'x.match(/[/\'"]Date/); Date', 'x.match(/ /); Date'],
    ['a regular expression after return', 'return /Date/.test(x)', 'return / /.test(x)'],
    ['a division', 'a / Date / b', 'a / Date / b'],
    ['a division after a call', 'f(x) / Date / 2', 'f(x) / Date / 2'],
    ['a first line for the shell', '#!/usr/bin/env Date\nDate', 'Date'],
  ])('%s', (_, source, code) => {
    expect(shown(source)).toBe(code)
    expect(codeOnly(source)).toHaveLength(source.length)
  })

  it('finds every form of import with its line', () => {
    const source = [
      `import a from './a.ts'`,
      `import type { B } from './b.ts'`,
      `import {`,
      `  c,`,
      `} from "./c.ts"`,
      `export * from './d.ts'`,
      `import './e.ts'`,
      `const f = await import('./f.ts')`,
      `type G = import('./g.ts').G`,
      `// import './no.ts'`,
      `const h = "import './no.ts'"`,
    ].join('\n')
    expect(importsOf(source).map(one => `${one.specifier}:${one.line}`)).toEqual([
      './a.ts:1',
      './b.ts:2',
      './c.ts:5',
      './d.ts:6',
      './e.ts:7',
      './f.ts:8',
      './g.ts:9',
    ])
  })
})
