import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { LOCAL, MAPPED_WORD, REMOTE } from '../unitdata.ts'
import {
  HalfOpenTable,
  HO_BEGAN_AT,
  HO_FAMILY,
  HO_ISS,
  HO_LOCAL,
  HO_PORTS,
  HO_REMOTE,
  HO_RETRIES,
  HO_WORDS,
} from './half-open.ts'

/** A control block from one of 2^16 peers. */
function peer(number: number, at = 2): Int32Array {
  const words = new Int32Array(at + 24)
  words.set([0, 0, MAPPED_WORD, 0x0a000000 + number], at + REMOTE)
  words.set([0x20010db8, 1, 2, 3], at + LOCAL)
  return words
}
const PORTS = (443 << 16) | 50_000

const action = fc.oneof(
  fc.record({ add: fc.nat(30) }),
  fc.record({ add: fc.nat(30) }),
  fc.record({ remove: fc.nat(30) }),
  fc.record({ schedule: fc.nat(30), ahead: fc.integer({ min: 1, max: 5_000 }) }),
  fc.record({ step: fc.integer({ min: 0, max: 2_000 }) }),
)

describe('tcp/half-open', () => {
  it('does exactly what a map of records with deadlines would', () => {
    fc.assert(
      fc.property(
        fc.array(action, { maxLength: 150, size: 'max' }),
        fc.integer(),
        fc.integer(),
        (actions, seed, start) => {
          const table = new HalfOpenTable(20, seed)
          const oracle = new Map<number, { iss: number; deadline: number | null }>()
          let now = start
          const at = (number: number): number => table.find(peer(number), 2, PORTS)
          for (const todo of actions) {
            if ('add' in todo) {
              if (oracle.has(todo.add)) continue
              const index = table.add(peer(todo.add), 2, PORTS, now)
              expect(index === -1).toBe(oracle.size === 20)
              if (index === -1) continue
              expect([...table.words.slice(index, index + 9)]).toEqual([
                ...peer(todo.add).slice(2 + REMOTE, 2 + LOCAL + 4),
                PORTS,
              ])
              expect(table.words[index + HO_BEGAN_AT]).toBe(now)
              expect([HO_ISS, HO_RETRIES, HO_FAMILY].map(field => table.words[index + field])).toEqual([
                0, 0, 0,
              ])
              table.words[index + HO_ISS] = now ^ todo.add
              oracle.set(todo.add, { iss: now ^ todo.add, deadline: null })
            } else if ('remove' in todo) {
              if (oracle.delete(todo.remove)) table.remove(at(todo.remove))
            } else if ('schedule' in todo) {
              const known = oracle.get(todo.schedule)
              if (known === undefined) continue
              known.deadline = (now + todo.ahead) | 0
              table.schedule(at(todo.schedule), known.deadline, now)
            } else {
              now = (now + todo.step) | 0
              const due = [...oracle].filter(
                ([, { deadline }]) => deadline !== null && ((deadline - now) | 0) <= 0,
              )
              const called: number[] = []
              table.expire(now, index => {
                const number = table.words[index + HO_REMOTE + 3]! - 0x0a000000
                called.push(number)
                // Every other one is given up.
                if (number % 2 === 0) table.remove(index)
              })
              expect(called.sort()).toEqual(due.map(([number]) => number).sort())
              for (const [number, record] of due) {
                record.deadline = null
                if (number % 2 === 0) oracle.delete(number)
              }
            }
            expect(table.size).toBe(oracle.size)
          }
          for (let number = 0; number <= 30; number++) {
            const index = at(number)
            expect(index === -1).toBe(!oracle.has(number))
            if (index !== -1) expect(table.words[index + HO_ISS]).toBe(oracle.get(number)!.iss)
          }
          const all: number[] = []
          table.each(index => {
            all.push(table.words[index + HO_REMOTE + 3]! - 0x0a000000)
          })
          expect(all.sort()).toEqual([...oracle.keys()].sort())
          const deadlines = [...oracle.values()].flatMap(({ deadline }) =>
            deadline === null ? [] : [deadline],
          )
          const poll = table.pollAt()
          expect(poll === null).toBe(deadlines.length === 0)
          for (const deadline of deadlines) expect((deadline - poll!) | 0).toBeGreaterThanOrEqual(-1)
        },
      ),
    )
  })

  it('checklist 3.5-36: a flood fills it up to its limit and no further, in bounded memory, and it empties again', () => {
    const table = new HalfOpenTable(4_096, 1)
    for (let round = 0; round < 3; round++) {
      let full = 0
      for (let number = 0; number < 10_000; number++) {
        const index = table.add(peer(number), 2, PORTS, 0)
        if (index === -1) full++
        else table.schedule(index, 1_000, 0)
      }
      expect([table.size, full]).toEqual([4_096, 10_000 - 4_096])
      expect(table.words.length).toBeLessThanOrEqual(8_192 * HO_WORDS)
      expect(table.find(peer(17), 2, PORTS)).toBeGreaterThanOrEqual(0)
      expect(table.find(peer(9_999), 2, PORTS)).toBe(-1)
      table.expire(1_000, index => table.remove(index))
      expect([table.size, table.pollAt()]).toEqual([0, null])
    }
  })

  it('a record takes 92 bytes, with index and deadline at most 128', () => {
    expect(4 * HO_WORDS).toBe(92)
    const table = new HalfOpenTable(65_536, 1)
    for (let number = 0; number < 65_536; number++)
      table.schedule(table.add(peer(number), 2, PORTS, 0), 1_000 + number, 0)
    const { index, wheel } = table as unknown as Record<string, Record<string, unknown>>
    const arrays = [table, index!, wheel!].flatMap(part => Object.values(part))
    const bytes = arrays.reduce<number>(
      (sum, each) => sum + (each instanceof Int32Array ? each.byteLength : 0),
      0,
    )
    // The wheel's own slots, and that its entries begin at 1, cost once.
    expect(bytes).toBeLessThanOrEqual(128 * 65_536)
  })

  it('the control block may lie anywhere, and the tuple can be given in words', () => {
    const table = new HalfOpenTable(8, 1)
    const index = table.add(peer(1, 7), 7, PORTS, 5)
    expect(table.find(peer(1, 0), 0, PORTS)).toBe(index)
    expect(table.find(peer(1, 0), 0, PORTS + 1)).toBe(-1)
    const words = [0, 0, MAPPED_WORD, 0x0a000001, 0x20010db8, 1, 2, 3] as const
    expect(table.findTuple(...words, PORTS)).toBe(index)
    table.remove(index)
    // With all in one bucket, so to speak, every word is compared, not only hashed.
    const { index: inner } = table as unknown as { index: { hash: { of(): number } } }
    inner.hash.of = () => 0
    const again = table.add(peer(1), 2, PORTS, 5)
    expect(table.findTuple(...words, PORTS)).toBe(again)
    for (let i = 0; i < 8; i++) {
      const other = [...words] as [number, number, number, number, number, number, number, number]
      other[i]! ^= 1
      expect(table.findTuple(...other, PORTS)).toBe(-1)
    }
    expect(table.findTuple(...words, PORTS ^ 1)).toBe(-1)
    expect(table.words[index + HO_LOCAL]).toBe(0x20010db8)
    expect(table.words[index + HO_PORTS]).toBe(PORTS)
  })

  it('to remove one twice is an error of ours', () => {
    const table = new HalfOpenTable(8, 1)
    const index = table.add(peer(1), 2, PORTS, 0)
    table.remove(index)
    expect(() => table.remove(index)).toThrow('twice')
  })
})
