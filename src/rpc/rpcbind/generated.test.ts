import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { analyze } from '../idl/analyze.ts'
import { generate } from '../idl/generate.ts'

const FILE = 'rpcbind.x'
const directory = import.meta.dirname

describe('rpc/rpcbind: what is generated', () => {
  const text = readFileSync(join(directory, FILE), 'utf8')
  const { interface: found, problems } = analyze([{ name: FILE, text }])
  const specifiers = { xdr: '../xdr/index.ts', rpc: '../stub-types.ts' }
  const files = found === null ? new Map<string, string>() : generate(found, { file: FILE, specifiers })

  it(`${FILE} has no errors and no warnings`, () => {
    expect(problems).toEqual([])
    expect(files.size).toBe(5)
  })

  it.each([...files])(
    '%s is what rpcgen makes of it, to the byte (vitest -u writes it anew)',
    async (name, made) => {
      await expect(made).toMatchFileSnapshot(join(directory, name))
    },
  )
})
