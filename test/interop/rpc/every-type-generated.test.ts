import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { analyze } from '../../../src/rpc/idl/analyze.ts'
import { generate } from '../../../src/rpc/idl/generate.ts'

const FILE = 'every-type.x'
const directory = import.meta.dirname

describe('interop/rpc: what is generated for every-type.x', () => {
  const text = readFileSync(join(directory, FILE), 'utf8')
  const { interface: found, problems } = analyze([{ name: FILE, text }])
  const specifiers = { xdr: '../../../src/rpc/xdr/index.ts', rpc: '../../../src/rpc/stub-types.ts' }
  const options = { file: FILE, specifiers, wireshark: true }
  const files = found === null ? new Map<string, string>() : generate(found, options)

  it('has no errors and no warnings', () => {
    expect(problems).toEqual([])
    expect(files.size).toBe(6)
  })

  it.each([...files])(
    '%s is what rpcgen makes of it, to the byte (vitest -u writes it anew)',
    async (name, made) => {
      await expect(made).toMatchFileSnapshot(join(directory, name))
    },
  )
})
