import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { LOCAL, MAPPED_WORD, REMOTE } from '../unitdata.ts'
import { CONNECTION_SETTINGS } from './settings.ts'
import { Tcb } from './tcb.ts'
import {
  TimeWaitTable,
  TW_DEADLINE,
  TW_FLAGS,
  TW_LOCAL,
  TW_PORTS,
  TW_RCV_NXT,
  TW_REMOTE,
  TW_SND_NXT,
  TW_TIMESTAMPS,
  TW_TS_RECENT,
  TW_WORDS,
} from './time-wait.ts'

const PORTS = (80 << 16) | 40_000
const WAIT_MS = 60_000

function connection(number: number): Tcb {
  const tcb = new Tcb(CONNECTION_SETTINGS)
  tcb.remote2 = tcb.local2 = MAPPED_WORD
  tcb.remote3 = 0x0a000000 + number
  tcb.local3 = 0x0a010001
  tcb.ports = PORTS
  tcb.rcvNxt = 1_000 + number
  tcb.sndNxt = -1_000 - number
  tcb.tsRecent = 7 * number
  return tcb
}

function segmentOf(number: number): Int32Array {
  const words = new Int32Array(24)
  words.set([0, 0, MAPPED_WORD, 0x0a000000 + number], REMOTE)
  words.set([0, 0, MAPPED_WORD, 0x0a010001], LOCAL)
  return words
}

const action = fc.oneof(
  fc.record({ add: fc.nat(30) }),
  fc.record({ add: fc.nat(30) }),
  fc.record({ remove: fc.nat(30) }),
  fc.record({ restart: fc.nat(30) }),
  fc.record({ step: fc.integer({ min: 0, max: 20_000 }) }),
)

describe('tcp/time-wait', () => {
  it('RFC 9293 §3.6.1: does exactly what a list in the order of deadlines would, and the oldest makes room', () => {
    fc.assert(
      fc.property(
        fc.array(action, { maxLength: 150, size: 'max' }),
        fc.integer(),
        fc.integer(),
        (actions, seed, start) => {
          const table = new TimeWaitTable(12, seed)
          let oracle: { number: number; deadline: number }[] = []
          let now = start
          const at = (number: number): number => table.find(segmentOf(number), 0, PORTS)
          for (const todo of actions) {
            if ('add' in todo) {
              if (oracle.some(({ number }) => number === todo.add)) continue
              expect(table.full).toBe(oracle.length === 12)
              if (table.full) oracle.shift()
              const deadline = (now + WAIT_MS) | 0
              const index = table.add(connection(todo.add), TW_TIMESTAMPS, deadline)
              expect(index).toBe(at(todo.add))
              oracle.push({ number: todo.add, deadline })
            } else if ('remove' in todo) {
              if (at(todo.remove) >= 0) table.remove(at(todo.remove))
              oracle = oracle.filter(({ number }) => number !== todo.remove)
            } else if ('restart' in todo) {
              const known = oracle.find(({ number }) => number === todo.restart)
              if (known === undefined) continue
              known.deadline = (now + WAIT_MS) | 0
              oracle = [...oracle.filter(each => each !== known), known]
              table.restart(at(todo.restart), known.deadline)
            } else {
              now = (now + todo.step) | 0
              const left = oracle.filter(({ deadline }) => ((deadline - now) | 0) > 0)
              expect(table.expire(now)).toBe(oracle.length - left.length)
              oracle = left
            }
            expect(table.size).toBe(oracle.length)
            expect(table.pollAt()).toBe(oracle[0]?.deadline ?? null)
          }
          for (let number = 0; number <= 30; number++) {
            const index = at(number)
            const known = oracle.find(each => each.number === number)
            expect(index === -1).toBe(known === undefined)
            if (known !== undefined) expect(table.words[index + TW_DEADLINE]).toBe(known.deadline)
          }
          const all: number[] = []
          table.each(index => all.push(table.words[index + TW_REMOTE + 3]! - 0x0a000000))
          expect(all.sort()).toEqual(oracle.map(({ number }) => number).sort())
        },
      ),
    )
  })

  it('keeps what is needed to answer', () => {
    const table = new TimeWaitTable(10, 1)
    const index = table.add(connection(5), TW_TIMESTAMPS | (501 << 16), 99)
    const field = (offset: number): number => table.words[index + offset]!
    expect([TW_RCV_NXT, TW_SND_NXT, TW_TS_RECENT, TW_DEADLINE].map(field)).toEqual([1_005, -1_005, 35, 99])
    expect([field(TW_FLAGS) & TW_TIMESTAMPS, field(TW_FLAGS) >>> 16]).toEqual([1, 501])
    expect([field(TW_REMOTE + 3), field(TW_LOCAL + 3), field(TW_PORTS)]).toEqual([
      0x0a000005,
      0x0a010001,
      PORTS,
    ])
  })

  it('checklist 3.5-41: bounded; when a flood comes the oldest go, and memory does not grow past the limit', () => {
    const table = new TimeWaitTable(1_000, 3)
    for (let number = 0; number < 100_000; number++) table.add(connection(number), 0, number)
    expect(table.size).toBe(1_000)
    expect(table.words.length).toBeLessThanOrEqual(1_024 * TW_WORDS)
    expect(table.find(segmentOf(98_999), 0, PORTS)).toBe(-1)
    expect(table.find(segmentOf(99_000), 0, PORTS)).toBeGreaterThanOrEqual(0)
    table.limit = 10
    table.add(connection(100_000), 0, 100_000)
    expect(table.size).toBe(10)
    expect(table.expire(100_000)).toBe(10)
    expect([table.size, table.pollAt()]).toEqual([0, null])
  })

  it('a record takes 64 bytes, and 8 to find it', () => {
    expect(4 * TW_WORDS).toBe(64)
    const table = new TimeWaitTable(65_536, 3)
    for (let number = 0; number < 65_536; number++) table.add(connection(number), 0, number)
    const { index } = table as unknown as { index: object }
    const arrays = [...Object.values(table), ...Object.values(index)]
    const bytes = arrays.reduce<number>(
      (sum, each) => sum + (each instanceof Int32Array ? each.byteLength : 0),
      0,
    )
    expect(bytes).toBe(72 * 65_536)
  })

  it('a limit of none is kept by whoever adds; to remove one twice is an error of ours', () => {
    const table = new TimeWaitTable(0, 3)
    expect(table.full).toBe(true)
    const other = new TimeWaitTable(1, 3)
    const index = other.add(connection(1), 0, 5)
    other.remove(index)
    expect(() => other.remove(index)).toThrow('twice')
  })
})
