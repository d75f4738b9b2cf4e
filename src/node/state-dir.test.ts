import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { controlSocketPath, knownNodes, resolveNode, stateDirectory } from './state-dir.ts'

let directory: string
let env: Record<string, string>

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'putnext-state-'))
  env = { PUTNEXT_STATE_DIR: directory }
  for (const lab of ['pair', 'ring']) mkdirSync(join(directory, lab))
  for (const socket of ['gw.sock', 'pair/n1.sock', 'pair/n2.sock', 'ring/n1.sock', 'pair/n1.log'])
    writeFileSync(join(directory, socket), '')
})

afterEach(() => rmSync(directory, { recursive: true }))

describe('node/state directory', () => {
  it('is where the environment says, else where root or the user has it', () => {
    expect(stateDirectory(env)).toBe(directory)
    const user = process.geteuid!()
    expect(stateDirectory({ XDG_RUNTIME_DIR: '/run/user/7' })).toBe(
      user === 0 ? '/run/putnext' : '/run/user/7/putnext',
    )
  })

  it('knows nodes by their sockets, those of labs too', () => {
    expect(knownNodes(env)).toEqual(['gw', 'pair/n1', 'pair/n2', 'ring/n1'])
    expect(knownNodes({ PUTNEXT_STATE_DIR: join(directory, 'none') })).toEqual([])
  })

  it.each([
    ['gw', 'gw.sock'],
    ['pair/n1', 'pair/n1.sock'],
    ['n2', 'pair/n2.sock'],
  ])('%s is found', (node, path) => {
    expect(resolveNode(node, env)).toBe(join(directory, path))
  })

  it('a path is taken as it is', () => {
    expect(resolveNode('/run/x.sock', env)).toBe('/run/x.sock')
    expect(resolveNode('./x.sock', env)).toBe('./x.sock')
  })

  it('a name of two nodes is refused with both, an unknown one with a guess', () => {
    expect(() => resolveNode('n1', env)).toThrow(
      expect.objectContaining({ hint: 'say which: pair/n1, ring/n1' }),
    )
    expect(() => resolveNode('pair/n3', env)).toThrow(
      expect.objectContaining({
        code: 'ERR_NOT_FOUND',
        hint: expect.stringContaining('did you mean "pair/n'),
      }),
    )
    expect(() => resolveNode('..', env)).toThrow(expect.objectContaining({ code: 'ERR_NOT_FOUND' }))
  })

  it('has a place for the node of a lab', () => {
    expect(controlSocketPath('n1', 'pair', env)).toBe(join(directory, 'pair', 'n1.sock'))
  })
})
