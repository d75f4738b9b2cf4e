import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { nonZero } from '../../base/counters.ts'
import { ACK, SYN } from '../wire/tcp.ts'
import { makeTcpCounters } from './counters.ts'
import { MSS_FLOOR, OPTIONS_MAX, readOptions, writeOptions, writeSynOptions } from './options.ts'
import { Segment } from './segment.ts'

const NOP = 1
const counters = makeTcpCounters()

interface Read {
  mss: number
  windowScale: number
  sackPermitted: boolean
  timestamps: readonly [number, number] | null
  sack: number[]
}
const NOTHING: Read = { mss: 0, windowScale: -1, sackPermitted: false, timestamps: null, sack: [] }

/** What a segment with these options says; garbage lies before and behind them. */
function read(options: readonly number[], control = ACK): Read & { counted: Record<string, number> } {
  const bytes = new Uint8Array(options.length + 14).fill(0xa5)
  bytes.set(options, 7)
  const seg = new Segment()
  seg.control = control
  seg.mss = seg.tsValue = seg.tsEcho = 99
  seg.sackCount = 3
  seg.hasTimestamps = seg.sackPermitted = true
  const before = { ...counters }
  readOptions(counters, seg, bytes, 7, 7 + options.length)
  const counted: Record<string, number> = {}
  for (const [name, value] of Object.entries(counters)) counted[name] = value - before[name as 'land']
  return {
    mss: seg.mss,
    windowScale: seg.windowScale,
    sackPermitted: seg.sackPermitted,
    timestamps: seg.hasTimestamps ? [seg.tsValue, seg.tsEcho] : null,
    sack: [...seg.sack.slice(0, 2 * seg.sackCount)],
    counted: nonZero(counted),
  }
}

const i32 = (value: number): number[] => [value >>> 24, value >>> 16, value >>> 8, value].map(b => b & 0xff)
const timestamps = (value: number, echo: number): number[] => [8, 10, ...i32(value), ...i32(echo)]
const sackOf = (edges: readonly number[]): number[] => [5, 2 + 4 * edges.length, ...edges.flatMap(i32)]
const mssOf = (mss: number): number[] => [2, 4, mss >> 8, mss & 0xff]

/** The rules again, over an array of options that are looked for one by one. */
function oracle(bytes: readonly number[], syn: boolean): Read {
  const found: number[][] = []
  for (let at = 0; at < bytes.length && bytes[at] !== 0; ) {
    if (bytes[at] === NOP) {
      at++
      continue
    }
    const size = bytes[at + 1] ?? 0
    if (size < 2 || at + size > bytes.length) break
    found.push(bytes.slice(at, at + size))
    at += size
  }
  const word = (option: number[], at: number): number =>
    (option[at]! << 24) | (option[at + 1]! << 16) | (option[at + 2]! << 8) | option[at + 3]!
  const first = (kind: number, size: number, when: boolean): number[] | undefined =>
    when ? found.find(option => option[0] === kind && option.length === size) : undefined
  const mss = first(2, 4, syn)
  const scale = first(3, 3, syn)
  const ts = first(8, 10, true)
  const sack = found.find(option => option[0] === 5 && option.length >= 10 && option.length % 8 === 2)
  const words = sack === undefined || syn ? 0 : (sack.length - 2) / 4
  return {
    mss: mss === undefined ? 0 : Math.max(48, (mss[2]! << 8) | mss[3]!),
    windowScale: scale === undefined ? -1 : Math.min(14, scale[2]!),
    sackPermitted: first(4, 2, syn) !== undefined,
    timestamps: ts === undefined ? null : [word(ts, 2), word(ts, 6)],
    sack: Array.from({ length: Math.min(8, words) }, (_, i) => word(sack!, 2 + 4 * i)),
  }
}

describe('tcp/options: reading', () => {
  it('MUST-4, MUST-5: options of every kind, at any place', () => {
    const all = [...mssOf(1_460), NOP, 3, 3, 7, 4, 2, ...timestamps(1, -2), 0]
    expect(read(all, SYN)).toMatchObject({
      mss: 1_460,
      windowScale: 7,
      sackPermitted: true,
      timestamps: [1, -2],
      counted: {},
    })
    expect(read([NOP, NOP, ...timestamps(-1, 5), NOP, NOP, ...sackOf([1, 2, 3, 4])])).toMatchObject({
      timestamps: [-1, 5],
      sack: [1, 2, 3, 4],
      counted: { 'sack-blocks-in': 2 },
    })
    expect(read([...timestamps(3, 4), NOP, 0]).timestamps).toEqual([3, 4])
  })

  it('MUST-6: options that nobody knows are skipped by their length', () => {
    for (const unknown of [
      [19, 18, ...new Array<number>(16).fill(3)],
      [34, 2],
      [253, 4, 1, 2],
      [28, 4, 8, 10],
    ])
      expect(read([...unknown, ...mssOf(536)], SYN)).toMatchObject({ mss: 536, counted: {} })
  })

  it('what lies behind the end of options does not count', () => {
    expect(read([0, ...mssOf(536)], SYN)).toMatchObject({ ...NOTHING, counted: {} })
    expect(read([NOP, NOP, 0, ...timestamps(1, 1)])).toMatchObject(NOTHING)
  })

  it('no options, and every field of the segment before is gone', () => {
    expect(read([])).toMatchObject({ ...NOTHING, counted: {} })
    expect(read([], SYN)).toMatchObject({ ...NOTHING, counted: {} })
  })

  it.each<[string, number[]]>([
    ['length 0', [99, 0, ...mssOf(536)]],
    ['length 1', [99, 1, ...mssOf(536)]],
    ['length past the header', [99, 7, ...mssOf(536)]],
    ['no room for a length', [...timestamps(1, 2), 2]],
    ['MSS cut off', [2, 4, 5]],
    ['length 255', [8, 255]],
  ])('MUST-7, checklist 3.5-29: %s ends the options', (_, bytes) => {
    const result = read(bytes, SYN)
    expect(result.mss).toBe(0)
    expect(result.counted).toEqual({ 'option-malformed': 1 })
  })

  it.each<[string, number[]]>([
    ['MSS of 3', [2, 3, 5]],
    ['MSS of 6', [2, 6, 5, 6, 7, 8]],
    ['scale of 2', [3, 2]],
    ['scale of 4', [3, 4, 1, 1]],
    ['SACK-permitted of 3', [4, 3, 0]],
    ['timestamps of 9', [8, 9, 1, 2, 3, 4, 5, 6, 7]],
    ['timestamps of 12', [8, 12, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]],
    ['SACK of 2', [5, 2]],
    ['SACK of half a block', [5, 6, 1, 2, 3, 4]],
    ['SACK of a block and a half', [5, 14, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]],
  ])('checklist 3.5-29: %s is left out, and those behind it are read', (_, bytes) => {
    const result = read([...bytes, ...timestamps(1, 2)], SYN)
    expect(result).toMatchObject({ ...NOTHING, timestamps: [1, 2], counted: { 'option-malformed': 1 } })
  })

  it('checklist 3.5-29: MSS 0 and tiny ones are clamped, as Linux does (CVE-2019-11479)', () => {
    expect(MSS_FLOOR).toBe(48)
    expect([0, 1, 47].map(mss => read(mssOf(mss), SYN).mss)).toEqual([48, 48, 48])
    expect([48, 49, 536, 65_535].map(mss => read(mssOf(mss), SYN).mss)).toEqual([48, 49, 536, 65_535])
    expect(read(mssOf(0), SYN).counted).toEqual({ 'mss-clamped': 1 })
  })

  it('RFC 7323 §2.3: a window scale above 14 is 14', () => {
    expect([0, 14, 15, 255].map(shift => read([3, 3, shift], SYN).windowScale)).toEqual([0, 14, 14, 14])
    expect(read([3, 3, 15], SYN).counted).toEqual({ 'window-scale-clamped': 1 })
  })

  it('RFC 9293 §3.7.1, RFC 7323 §2.2, RFC 2018 §2: MSS, scale and SACK-permitted count on a SYN alone', () => {
    const bytes = [...mssOf(1_460), 3, 3, 7, 4, 2]
    expect(read(bytes, ACK)).toMatchObject({ ...NOTHING, counted: {} })
    expect(read(bytes, SYN | ACK)).toMatchObject({ mss: 1_460, windowScale: 7, sackPermitted: true })
  })

  it('RFC 2018 §3: SACK blocks on a SYN are none', () => {
    expect(read(sackOf([1, 2]), SYN)).toMatchObject({ ...NOTHING, counted: {} })
  })

  it('checklist 3.5-29: of two options of a kind, the first counts', () => {
    expect(read([...timestamps(1, 2), ...timestamps(3, 4)]).timestamps).toEqual([1, 2])
    expect(read([NOP, NOP, ...timestamps(1, 2), ...timestamps(3, 4)]).timestamps).toEqual([1, 2])
    expect(read([...mssOf(100), ...mssOf(200), 3, 3, 1, 3, 3, 2], SYN)).toMatchObject({
      mss: 100,
      windowScale: 1,
    })
    expect(read([...sackOf([1, 2]), ...sackOf([3, 4])]).sack).toEqual([1, 2])
  })

  it('hostile: whatever the bytes, it says what the rules say, and reads nothing outside', () => {
    const piece = fc.oneof(
      fc.constantFrom([0], [1], [1, 1], [2, 4, 5, 180], [3, 3, 8], [4, 2], timestamps(1, 2), sackOf([9, 10])),
      fc.array(fc.nat(255), { maxLength: 6 }),
      fc.tuple(fc.nat(8), fc.nat(12)),
    )
    const options = fc.array(piece, { maxLength: 8 }).map(pieces => pieces.flat().slice(0, OPTIONS_MAX))
    fc.assert(
      fc.property(options, fc.constantFrom(SYN, SYN | ACK, ACK), (bytes, control) => {
        expect(read(bytes, control)).toMatchObject(oracle(bytes, (control & SYN) !== 0))
      }),
      { numRuns: 2_000 },
    )
  })
})

describe('tcp/options: writing', () => {
  const syn = fc.record({
    mss: fc.integer({ min: 48, max: 65_535 }),
    scale: fc.integer({ min: -1, max: 14 }),
    sack: fc.boolean(),
    ts: fc.option(fc.tuple(fc.integer(), fc.integer())),
  })

  it('a SYN says what it was given, in whole words, and writes nothing else', () => {
    fc.assert(
      fc.property(syn, ({ mss, scale, sack, ts }) => {
        const bytes = new Uint8Array(64).fill(0xa5)
        const size = writeSynOptions(bytes, 9, mss, scale, sack, ts !== null, ts?.[0] ?? 0, ts?.[1] ?? 0)
        expect(size % 4).toBe(0)
        expect(size).toBeLessThanOrEqual(20)
        const said = read([...bytes.subarray(9, 9 + size)], SYN)
        expect(said).toMatchObject({
          mss,
          windowScale: scale,
          sackPermitted: sack,
          timestamps: ts,
          counted: {},
        })
        expect(bytes.subarray(0, 9).every(byte => byte === 0xa5)).toBe(true)
        expect(bytes.subarray(9 + size).every(byte => byte === 0xa5)).toBe(true)
      }),
    )
  })

  it.each<[string, boolean, boolean, number, string]>([
    ['all', true, true, 7, '020405b4 0402080a 00000001 00000002 01030307'],
    ['no timestamps', true, false, 7, '020405b4 01010402 01030307'],
    ['no SACK', false, true, 7, '020405b4 0101080a 00000001 00000002 01030307'],
    ['no scale', true, true, -1, '020405b4 0402080a 00000001 00000002'],
    ['MSS alone', false, false, -1, '020405b4'],
  ])('%s: in the order of Linux, so that a fingerprint is no other', (_, sack, ts, scale, hex) => {
    const bytes = new Uint8Array(40)
    const size = writeSynOptions(bytes, 0, 1_460, scale, sack, ts, 1, 2)
    expect(Buffer.from(bytes.subarray(0, size)).toString('hex')).toBe(hex.replaceAll(' ', ''))
  })

  it('RFC 2018 §3: any other segment has timestamps and as many SACK blocks as fit', () => {
    const edges = fc.array(fc.integer(), { minLength: 12, maxLength: 12 })
    fc.assert(
      fc.property(fc.option(fc.tuple(fc.integer(), fc.integer())), edges, fc.nat(6), (ts, sack, count) => {
        const bytes = new Uint8Array(64).fill(0xa5)
        const size = writeOptions(
          bytes,
          9,
          ts !== null,
          ts?.[0] ?? 0,
          ts?.[1] ?? 0,
          Int32Array.from(sack),
          count,
        )
        expect(size % 4).toBe(0)
        expect(size).toBeLessThanOrEqual(OPTIONS_MAX)
        const blocks = Math.min(count, ts === null ? 4 : 3)
        const said = read([...bytes.subarray(9, 9 + size)])
        expect(said).toMatchObject({ timestamps: ts, sack: sack.slice(0, 2 * blocks) })
        expect(said.counted['option-malformed']).toBeUndefined()
        expect(bytes.subarray(0, 9).every(byte => byte === 0xa5)).toBe(true)
        expect(bytes.subarray(9 + size).every(byte => byte === 0xa5)).toBe(true)
      }),
    )
  })

  it('nothing to say takes no bytes', () => {
    expect(writeOptions(new Uint8Array(0), 0, false, 0, 0, new Int32Array(8), 0)).toBe(0)
  })
})
