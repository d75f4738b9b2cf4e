import { mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { checkNodeConfig } from './config.ts'
import { loadModuleFile } from './module-loader.ts'
import { Node } from './node.ts'

let directory: string

beforeEach(() => {
  directory = realpathSync(mkdtempSync(join(tmpdir(), 'putnext-loader-')))
})

afterEach(() => rmSync(directory, { recursive: true }))

function write(name: string, ...lines: readonly string[]): string {
  const path = join(directory, name)
  writeFileSync(path, lines.join('\n'))
  return path
}

// Here the test runner reads module files; what Node says of them is in src/cli/module-commands.test.ts.
describe('node/module-loader', () => {
  it('what cannot be parsed: file and line', async () => {
    const path = write('bad.mjs', 'export const one = 1', 'export const two = {', '  x: 1,,', '}')
    await expect(loadModuleFile(path)).rejects.toMatchObject({
      code: 'ERR_BAD_CONFIG',
      message: expect.stringContaining(`${path}:3 does not load`) as string,
    })
  })

  it('what throws while it is loaded: file and line', async () => {
    const path = write('throws.mjs', '// first', 'throw new RangeError("too far")')
    await expect(loadModuleFile(path)).rejects.toMatchObject({
      message: expect.stringContaining(`${path}:2 does not load: too far`) as string,
    })
  })

  it('what fails in another file says so without a line of this one', async () => {
    write('inner.mjs', 'export const = 1')
    const path = write('outer.mjs', 'import "./inner.mjs"')
    await expect(loadModuleFile(path)).rejects.toMatchObject({
      message: expect.stringMatching(/outer\.mjs does not load: \w/) as string,
    })
  })

  it('a node whose configuration names such a file does not start, and says the same', async () => {
    write('bad.mjs', '', 'let')
    const config = checkNodeConfig({ version: 1, name: 'n1', modules: ['bad.mjs'] })
    await expect(Node.start(config, { shim: null, directory })).rejects.toMatchObject({
      code: 'ERR_BAD_CONFIG',
      message: expect.stringContaining('bad.mjs:2 does not load') as string,
    })
  })
})
