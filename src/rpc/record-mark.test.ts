import fc from 'fast-check'
import { afterEach, describe, expect, it } from 'vitest'
import { allocb, dupmsg, esballoc, freemsg } from '../streams/mblk/alloc.ts'
import { Arena, SUPER_BLOCK_BYTES } from '../streams/mblk/arena.ts'
import type { Mblk } from '../streams/mblk/mblk.ts'
import { blockCount } from '../streams/mblk/message.ts'
import { chainOf, flat } from '../streams/testing/messages.ts'
import { FOREIGN_PIECES, LOOSE_BYTES, markFragments, markRecord, RecordSplitter } from './record-mark.ts'
import { hex, patterned, toHex } from './xdr/testing/values.ts'

const arena = new Arena({ sizeBytes: 16 * 1024 * 1024, poison: true })

afterEach(() => arena.assertWhole())

/** All records that are complete, flat. */
function drain(splitter: RecordSplitter): Uint8Array[] {
  const records: Uint8Array[] = []
  for (let mp = splitter.next(); mp !== null; mp = splitter.next()) {
    records.push(flat(mp))
    freemsg(mp)
  }
  return records
}

function split(digits: string, limits = {}): [records: string[], fault: string | null] {
  const splitter = new RecordSplitter(limits)
  splitter.push(chainOf(arena, hex(digits)))
  const records = drain(splitter).map(toHex)
  splitter.close()
  return [records, splitter.fault]
}

describe('rpc/record-mark: RFC 5531 §11', () => {
  it.each<[string, string, string[]]>([
    ['one fragment', '80000004 01020304', ['01020304']],
    ['two fragments', '00000003 010203 80000001 04', ['01020304']],
    ['two records', '80000001 01 80000002 0203', ['01', '0203']],
    ['an end of nothing, as C libraries send it', '00000002 0102 80000000 80000001 03', ['0102', '03']],
    ['half a mark', '80000001 01 8000', ['01']],
    ['half a record', '80000001 01 80000002 02', ['01']],
  ])('%s', (_, digits, records) => {
    expect(split(digits)).toEqual([records, null])
  })

  it.each<[string, string, object, string]>([
    ['2^31-1 bytes announced', 'ffffffff', {}, 'record-long'],
    ['one more than a record may have', '80000005 01', { maxRecordBytes: 4 }, 'record-long'],
    ['so with fragments', '00000003 010203 80000002', { maxRecordBytes: 4 }, 'record-long'],
    ['too many fragments', '00000001 01 00000001 02 80000001', { maxFragments: 2 }, 'record-fragments'],
    ['a fragment of nothing', '00000000 80000001 01', {}, 'record-empty'],
    ['a fragment of nothing after some', '00000001 01 00000000', {}, 'record-empty'],
    ['a record of nothing', '80000000', {}, 'record-empty'],
  ])('refuses %s', (_, digits, limits, fault) => {
    expect(split(digits, limits)).toEqual([[], fault])
  })

  it('gives what was complete before a fault, and frees all that comes after', () => {
    const splitter = new RecordSplitter()
    splitter.push(chainOf(arena, hex('80000001 01 80000000 80000001 02')))
    expect(drain(splitter).map(toHex)).toEqual(['01'])
    expect(splitter.fault).toBe('record-empty')
    splitter.push(chainOf(arena, hex('80000001 03')))
    expect(splitter.next()).toBe(null)
  })

  it('a record that comes byte by byte in foreign memory, as from the kernel, keeps few foreign blocks alive', () => {
    const splitter = new RecordSplitter()
    let most = 0
    for (const byte of [...hex('00100000'), ...new Uint8Array(50_000)]) {
      splitter.push(esballoc(arena, Uint8Array.of(byte), () => {})!)
      expect(splitter.next()).toBe(null)
      most = Math.max(most, arena.foreignInUse)
    }
    expect(most).toBeLessThanOrEqual(FOREIGN_PIECES + 1)
    splitter.close()
  })

  it('takes any division of the stream, and gives every record back', () => {
    const lengths = fc.array(fc.oneof(fc.integer({ min: 1, max: 60 }), fc.integer({ min: 1, max: 9_000 })), {
      minLength: 1,
      maxLength: 6,
    })
    const cuts = fc.array(fc.nat(), { maxLength: 30 })
    fc.assert(
      fc.property(
        lengths,
        fc.integer({ min: 1, max: 5_000 }),
        cuts,
        fc.boolean(),
        (sizes, most, numbers, byBlock) => {
          const records = sizes.map((size, at) => patterned(size + at).subarray(at))
          const stream: number[] = []
          for (const record of records) {
            // A few hundred blocks at the most, so that the arena suffices.
            const marked = markFragments(chainOf(arena, record), Math.max(most, record.length >> 5))!
            for (const byte of flat(marked)) stream.push(byte)
            freemsg(marked)
          }
          const bytes = Uint8Array.from(stream)
          const places = numbers.map(number => number % (bytes.length + 1)).sort((a, b) => a - b)
          const splitter = new RecordSplitter()
          const got: Uint8Array[] = []
          for (const mp of byBlock ? blocksOf(bytes, places) : [chainOf(arena, bytes, places)]) {
            splitter.push(mp)
            got.push(...drain(splitter))
          }
          expect(splitter.fault).toBe(null)
          expect(splitter.isBetween).toBe(true)
          expect(got.map(toHex)).toEqual(records.map(toHex))
          arena.assertWhole()
        },
      ),
      { numRuns: 200 },
    )
  })

  function blocksOf(bytes: Uint8Array, places: readonly number[]): Mblk[] {
    const ends = [...places, bytes.length]
    return ends.map((end, at) => chainOf(arena, bytes.subarray(at === 0 ? 0 : ends[at - 1], end)))
  }
})

describe('rpc/record-mark: memory', () => {
  it('joins and copies nothing: a record is the blocks it came in', () => {
    const bytes = patterned(60_000)
    const marked = markRecord(chainOf(arena, bytes, [20_000, 40_000], 128))!
    expect(toHex(flat(marked).subarray(0, 4))).toBe('8000ea60')
    const blocks = [marked, marked.cont, marked.cont!.cont]
    const before = { ...arena.copies.stack }
    const splitter = new RecordSplitter()
    splitter.push(marked)
    const record = splitter.next()!
    expect([record, record.cont, record.cont!.cont]).toEqual(blocks)
    expect(blockCount(record)).toBe(3)
    expect(arena.copies.stack).toEqual(before)
    freemsg(record)
  })

  it('marks in place where there is headroom, and cuts fragments without a copy', () => {
    const before = { ...arena.copies.stack }
    const mp = chainOf(arena, patterned(10), [], 128)
    const marked = markFragments(mp, 4)!
    expect(marked).toBe(mp)
    expect(toHex(flat(marked))).toBe('0000000400070e15000000041c232a3180000002383f')
    expect(arena.copies.stack).toEqual(before)
    freemsg(marked)
  })

  it('bounds what a peer that sends a byte at a time makes it hold', () => {
    // Not poisoned: that would fill 66 KB for each byte.
    const arena = new Arena({ sizeBytes: 16 * 1024 * 1024 })
    const splitter = new RecordSplitter()
    const size = 100_000
    splitter.push(chainOf(arena, hex(`8${size.toString(16).padStart(7, '0')}`)))
    let most = 0
    for (let i = 0; i < size - 1; i++) {
      const mp = allocb(arena, SUPER_BLOCK_BYTES)!
      mp.dblk.bytes[mp.wptr++] = i
      splitter.push(mp)
      if (splitter.next() !== null) throw new Error('a record before its end')
      if (i % 1_000 === 0) most = Math.max(most, held(arena))
    }
    expect(most).toBeLessThan(LOOSE_BYTES + size + 2 * SUPER_BLOCK_BYTES)
    const last = allocb(arena, 1)!
    last.dblk.bytes[last.wptr++] = size - 1
    splitter.push(last)
    const record = splitter.next()!
    expect(
      Buffer.compare(
        flat(record),
        Uint8Array.from({ length: size }, (_, at) => at),
      ),
    ).toBe(0)
    freemsg(record)
    arena.assertWhole()
  })

  function held(arena: Arena): number {
    return arena.classes.reduce((sum, { inUse, blockBytes }) => sum + inUse * blockBytes, 0)
  }

  it('writes nothing into blocks that are not its own, when it copies', () => {
    const splitter = new RecordSplitter()
    const byte = () => {
      const mp = allocb(arena, SUPER_BLOCK_BYTES)!
      mp.dblk.bytes[mp.wptr++] = 1
      splitter.push(mp)
    }
    splitter.push(chainOf(arena, hex('000003f0')))
    for (let i = 0; i < 8; i++) byte()
    expect(splitter.next()).toBe(null)
    expect(arena.copies.stack.calls).toBeGreaterThan(0)
    // The rest of the fragment, and the next one's mark, in a block that somebody else has, too.
    const shared = chainOf(arena, Uint8Array.from([...patterned(1_000), 0x80, 0, 0, 4]))
    const theirs = dupmsg(shared)!
    const before = flat(theirs)
    splitter.push(shared)
    for (let i = 0; i < 4; i++) byte()
    const record = splitter.next()!
    expect(Buffer.compare(flat(theirs), before)).toBe(0)
    expect(toHex(flat(record))).toBe(`${'01'.repeat(8)}${toHex(patterned(1_000))}${'01'.repeat(4)}`)
    freemsg(record)
    freemsg(theirs)
  })

  it('frees an unfinished record when it is closed', () => {
    const splitter = new RecordSplitter()
    splitter.push(chainOf(arena, hex('00000002 0102 80000009 03')))
    expect(splitter.next()).toBe(null)
    expect(splitter.isBetween).toBe(false)
    splitter.close()
    expect(arena.state().blocksInUse).toBe(0)
  })
})
