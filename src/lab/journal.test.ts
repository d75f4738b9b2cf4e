import { appendFileSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { Journal, type JournalEntry, readJournal, summarize } from './journal.ts'
import { knownLabs, LabDirectory, removeStaleClaims } from './lab-directory.ts'
import { recordOf } from './marks.ts'

let folder = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'putnext-journal-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

const FIRST: JournalEntry = { kind: 'lab', name: 'x', id: 'abc', pid: 1, startTime: '7' }

describe('lab/journal', () => {
  it('an entry is readable before the hook hears of it: nothing is made that is not announced', () => {
    const path = join(folder, 'journal')
    const seen: number[] = []
    using journal = new Journal(path, () => seen.push(readJournal(path).length))
    journal.write(FIRST)
    journal.write({ kind: 'namespace', name: 'x-a' })
    expect(seen).toEqual([1, 2])
  })

  it('a line that a crash has torn is passed over, and the next one is not lost with it', () => {
    const path = join(folder, 'journal')
    {
      using journal = new Journal(path)
      journal.write(FIRST)
    }
    appendFileSync(path, '{"kind":"names')
    using journal = new Journal(path)
    journal.write({ kind: 'up' })
    expect(readJournal(path).map(entry => entry.kind)).toEqual(['lab', 'up'])
    expect(readJournal(join(folder, 'none'))).toEqual([])
  })

  it('sums up: the latest process of a node, who was ended on purpose, the latest fault of a kind', () => {
    const summary = summarize([
      FIRST,
      { kind: 'namespace', name: 'x-a' },
      { kind: 'process', node: 'a' },
      { kind: 'pid', node: 'a', pid: 10, startTime: '1' },
      { kind: 'up' },
      { kind: 'stopped', node: 'a' },
      { kind: 'process', node: 'a' },
      { kind: 'pid', node: 'a', pid: 11, startTime: '2' },
      { kind: 'stopped', node: 'b' },
      { kind: 'fault', what: 'link l', value: 'down' },
      { kind: 'fault', what: 'link l', value: 'up' },
    ])
    expect(summary).toMatchObject({ id: 'abc', up: true, owner: { pid: 1 }, namespaces: ['x-a'] })
    expect(summary.processes.get('a')).toEqual({ pid: 11, startTime: '2' })
    expect(summary.allProcesses.map(one => one.pid)).toEqual([10, 11])
    expect([...summary.stopped]).toEqual(['b'])
    expect(summary.faults.get('link l')).toBe('up')
  })
})

describe('lab/lab-directory', () => {
  const owner = recordOf(process.pid)!

  it("only one command gets a lab's name, and its folder never is without a journal", () => {
    const directory = new LabDirectory('x', folder)
    expect(directory.claim(FIRST, owner)).toBe(true)
    expect(new LabDirectory('x', folder).claim(FIRST, owner)).toBe(false)
    expect(readJournal(directory.journal)).toEqual([FIRST])
    expect(knownLabs(folder)).toEqual(['x'])
    directory.remove()
    directory.remove()
    expect(knownLabs(folder)).toEqual([])
  })

  it('claims of dead commands are removed, those of living ones are not', () => {
    const path = join(folder, `.claim-${owner.pid}-${owner.startTime}-x`)
    const dead = join(folder, `.claim-${owner.pid}-1-y`)
    for (const one of [path, dead]) {
      mkdirSync(one)
      new Journal(join(one, 'journal')).close()
    }
    expect(removeStaleClaims(folder)).toBe(1)
    expect(removeStaleClaims(folder)).toBe(0)
  })
})
