import { describe, expect, it } from 'vitest'
import { Prng } from '../../base/prng.ts'
import { MAPPED_WORD } from '../unitdata.ts'
import { SequenceKeys } from './isn.ts'

const SECRET = Int32Array.of(1, -2, 3, -4, 5, -6, 7, -8)
const US = [0, 0, MAPPED_WORD, 0x0a000002] as const
const PEER = [0, 0, MAPPED_WORD, 0x0a000001] as const
const isnOf = (keys: SequenceKeys, clock: number, ports: number): number =>
  keys.isn(clock, ...PEER, ...US, ports)

/** Chi-squared of the bytes of many numbers, for each byte position: 255 degrees of freedom. */
function chiOfBytes(values: Iterable<number>): number[] {
  const counts = Array.from({ length: 4 }, () => new Int32Array(256))
  let total = 0
  for (const value of values) {
    total++
    for (let i = 0; i < 4; i++) counts[i]![(value >>> (8 * i)) & 0xff]!++
  }
  return counts.map(each => each.reduce((sum, count) => sum + (count - total / 256) ** 2 / (total / 256), 0))
}

describe('tcp/isn', () => {
  it('MUST-8, RFC 6528 §3: of one tuple, it follows a clock of 4 microseconds', () => {
    const keys = new SequenceKeys(SECRET)
    const base = isnOf(keys, 0, 7)
    for (const clock of [1, 250, 1_000_000, 0x7fffffff, -0x80000000, -1])
      expect((isnOf(keys, clock, 7) - base) | 0).toBe(clock)
  })

  it('MUST-9, SHLD-1, RFC 6528 §3: each word of the tuple makes it another', () => {
    const keys = new SequenceKeys(SECRET)
    const words = [1, 2, 3, 4, 5, 6, 7, 8, 9] as const
    const seen = new Set([keys.isn(0, ...words)])
    for (let i = 0; i < 9; i++) {
      const other = [...words] as unknown as [...typeof words]
      ;(other as number[])[i]! ^= 1
      seen.add(keys.isn(0, ...other))
    }
    expect(seen.size).toBe(10)
    expect(keys.isn(0, 1, 2, 3, 4, 5, 6, 7, 8, 9)).not.toBe(keys.isn(0, 5, 6, 7, 8, 1, 2, 3, 4, 9))
  })

  it('checklist 3.5-34: no reuse after a restart: every word of the secret makes it another', () => {
    const seen = new Set([isnOf(new SequenceKeys(SECRET), 0, 7)])
    for (let i = 0; i < 4; i++) {
      const secret = SECRET.slice()
      secret[i]! ^= 1
      seen.add(isnOf(new SequenceKeys(secret), 0, 7))
    }
    expect(seen.size).toBe(5)
  })

  it('checklist 3.5-34: a million of them, and of their differences, show nothing', () => {
    const keys = new SequenceKeys(SECRET)
    const samples = 1_000_000
    const values = new Int32Array(samples)
    // Connections from one address, ports in a row, 20 microseconds apart: what nmap's sequence test looks at.
    for (let i = 0; i < samples; i++)
      values[i] = isnOf(keys, 5 * i, (80 << 16) | (i & 0xffff) | ((i >> 16) << 24))
    const differences = values.map((value, i) => (i === 0 ? 0 : value - values[i - 1]!))
    for (const chi of [...chiOfBytes(values), ...chiOfBytes(differences.subarray(1))]) {
      // Mean 255, standard deviation 22.6.
      expect(chi).toBeGreaterThan(255 - 5 * 22.6)
      expect(chi).toBeLessThan(255 + 5 * 22.6)
    }
    // Birthday: 116 pairs are to be expected among a million.
    const pairs = samples - new Set(values).size
    expect(pairs).toBeGreaterThan(60)
    expect(pairs).toBeLessThan(180)
  })

  it('RFC 7323 §5.4: the timestamp offset is that of the two addresses, whatever the ports', () => {
    const keys = new SequenceKeys(SECRET)
    const offset = keys.tsOffset(...PEER, ...US)
    keys.isn(1, ...PEER, ...US, 99)
    expect(keys.tsOffset(...PEER, ...US)).toBe(offset)
    expect(keys.tsOffset(0, 0, MAPPED_WORD, 0x0a000003, ...US)).not.toBe(offset)
    expect(keys.tsOffset(...PEER, 0, 0, MAPPED_WORD, 0x0a000009)).not.toBe(offset)
    const other = SECRET.slice()
    other[4]! ^= 1
    expect(new SequenceKeys(other).tsOffset(...PEER, ...US)).not.toBe(offset)
  })

  it('one use tells nothing of another', () => {
    const keys = new SequenceKeys(SECRET)
    const results = [16, 17, 18, 19].map(purpose => keys.hash3(purpose, ...PEER, ...US, 0, 0, 0))
    results.push(keys.tsOffset(...PEER, ...US), keys.isn(0, ...PEER, ...US, 0))
    results.push(keys.hash3(16, ...PEER, ...US, 0, 1, 0), keys.hash3(16, ...PEER, ...US, 0, 0, 1))
    results.push(keys.hash3(16, ...PEER, ...US, 1, 0, 0))
    expect(new Set(results).size).toBe(9)
  })

  it('random keys give random hashes of the same tuple', () => {
    const random = new Prng(4)
    const results = Array.from({ length: 20_000 }, () => {
      const secret = Int32Array.from({ length: 8 }, () => random.int32())
      return isnOf(new SequenceKeys(secret), 0, 7)
    })
    for (const chi of chiOfBytes(results)) expect(chi).toBeLessThan(255 + 5 * 22.6)
  })
})
