/** What RFC 9293 asks of programs: those of this package keep to it. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'

/** Where programs are; the script door (`sim`) does what its script says. */
const PROGRAMS = ['node', 'lab', 'bench', 'cli']
/** The port for programs of other processes does what they say. */
const PORT = join('src', 'node', 'ipc-')

function filesThatSay(what: RegExp): string[] {
  return PROGRAMS.flatMap(folder =>
    readdirSync(join('src', folder), { recursive: true, encoding: 'utf8' })
      .filter(name => name.endsWith('.ts') && !name.endsWith('.test.ts'))
      .map(name => join('src', folder, name))
      .filter(path => !path.startsWith(PORT) && what.test(readFileSync(path, 'utf8'))),
  )
}

describe('the programs of this package', () => {
  it('are looked at', () => {
    expect(filesThatSay(/TcpConnection/).length).toBeGreaterThan(0)
  })

  it('SHLD-13: none sends urgent data', () => {
    expect(filesThatSay(/writeUrgent|URGENT_REQ/)).toEqual([])
  })

  it('SHLD-23: none changes the differentiated services field of a connection', () => {
    expect(filesThatSay(/\.set\(\{[^}]*trafficClass/)).toEqual([])
  })
})
