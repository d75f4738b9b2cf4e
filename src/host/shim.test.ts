import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { StackError } from '../base/errors.ts'
import * as shimFile from './shim.ts'
import { libcName, loadShim, type Shim, shimCandidates, tryShim } from './shim.ts'
import { shim as loaded, missing, titled } from './testing/requirements.ts'

const EBADF = -9
const EINVAL = -22

function plainSum(bytes: Uint8Array, initial: number): number {
  let sum = initial
  for (let i = 0; i < bytes.length; i++) sum += i % 2 === 0 ? bytes[i]! * 256 : bytes[i]!
  while (sum > 0xffff) sum = (sum % 0x10000) + Math.floor(sum / 0x10000)
  return sum
}

describe('host/shim loader', () => {
  let root = ''
  beforeAll(() => {
    root = `${mkdtempSync(join(tmpdir(), 'putnext-loader-'))}/`
  })
  afterAll(() => rmSync(root, { recursive: true }))

  it('says the command that builds a missing binary', () => {
    const attempt = () => loadShim(root)
    expect(attempt).toThrow(StackError)
    expect(attempt).toThrow(expect.objectContaining({ code: 'ERR_SHIM_MISSING' }))
    expect(attempt).toThrow(`${root}scripts/build-shim`)
    expect(tryShim(root)).toBeNull()
  })

  it('names the binary that does not load', () => {
    mkdirSync(`${root}build`)
    writeFileSync(`${root}build/putnext.node`, 'not a shared object')
    expect(() => loadShim(root)).toThrow(`${root}build/putnext.node`)
    expect(tryShim(root)).toBeNull()
  })

  it('prefers the prebuilt one for this processor and C library', () => {
    mkdirSync(`${root}prebuilds`)
    expect(shimCandidates(root)).toEqual([
      `${root}prebuilds/linux-${process.arch}-${libcName()}/putnext.node`,
      `${root}build/putnext.node`,
    ])
  })

  it('has the same descriptor words as the C side', () => {
    const header = readFileSync(
      fileURLToPath(new URL('../../native-shims/exchange.h', import.meta.url)),
      'utf8',
    )
    const theirs = [...header.matchAll(/\b(DESC_\w+|REGION_COUNT|FRAGMENT_MAX) = (\d+)/g)]
    const ours = new Map(Object.entries(shimFile))
    expect(theirs.length).toBe(15)
    for (const [, name, value] of theirs) expect([name, ours.get(name!)]).toEqual([name, Number(value)])
  })
})

const reason = missing('shim')

describe.skipIf(reason !== '')(titled('host/shim memory', reason), () => {
  const shim = loaded as Shim
  const arena = new Uint8Array(70_000)
  let id = -1
  beforeAll(() => {
    id = shim.bindArena(arena)
    for (let i = 0; i < arena.length; i++) arena[i] = (i * 31) & 0xff
  })
  afterAll(() => expect(shim.releaseArena(id)).toBe(0))

  it('RFC 1071 §3: sums the worked example', () => {
    const example = Uint8Array.of(0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7)
    expect(shim.checksumBytes(example, 0, 8, 0)).toBe(0xddf2)
  })

  it('RFC 1071: sums any range as the plain loop does', () => {
    const range = fc.record({ offset: fc.nat(64), length: fc.nat(2000), initial: fc.nat() })
    fc.assert(
      fc.property(range, ({ offset, length, initial }) => {
        const expected = plainSum(arena.slice(offset, offset + length), initial)
        expect(shim.checksum(id, offset, length, initial)).toBe(expected)
        expect(shim.checksumBytes(arena, offset, length, initial)).toBe(expected)
      }),
    )
  })

  it('sums the longest packet of ones without losing a carry', () => {
    expect(shim.checksumBytes(new Uint8Array(65_535).fill(0xff), 0, 65_535, 0x7fffffff)).toBe(
      plainSum(new Uint8Array(65_535).fill(0xff), 0x7fffffff),
    )
  })

  it('moves overlapping ranges', () => {
    const before = arena.slice(1000, 1100)
    expect(shim.copyWithin(id, 1050, 1000, 100)).toBe(0)
    expect(arena.slice(1050, 1150)).toEqual(before)
  })

  it('copies between foreign arrays, views included', () => {
    const whole = new Uint8Array(16)
    expect(shim.copyBytes(whole.subarray(4), 2, Uint8Array.of(1, 2, 3, 4), 1, 3)).toBe(0)
    expect([...whole]).toEqual([0, 0, 0, 0, 0, 0, 2, 3, 4, 0, 0, 0, 0, 0, 0, 0])
  })

  it.each([
    [-1, 1],
    [0, -1],
    [70_001, 0],
    [69_999, 2],
    [2_147_483_647, 2_147_483_647],
  ])('refuses the range at %i of %i bytes', (offset, length) => {
    expect(shim.checksum(id, offset, length, 0)).toBe(EINVAL)
    expect(shim.checksumBytes(arena, offset, length, 0)).toBe(EINVAL)
    expect(shim.copyWithin(id, offset, 0, length)).toBe(EINVAL)
    expect(shim.copyWithin(id, 0, offset, length)).toBe(EINVAL)
    expect(shim.copyBytes(arena, offset, arena, 0, length)).toBe(EINVAL)
    expect(shim.copyBytes(arena, 0, arena, offset, length)).toBe(EINVAL)
  })

  it('forgets a released arena, also when its slot is used again', () => {
    const first = shim.bindArena(new Uint8Array(8))
    expect(shim.releaseArena(first)).toBe(0)
    const second = shim.bindArena(new Uint8Array(8))
    expect(shim.checksum(first, 0, 8, 0)).toBe(EBADF)
    expect(shim.releaseArena(first)).toBe(EBADF)
    expect(shim.checksum(second, 0, 8, 0)).toBe(0)
    expect(shim.releaseArena(second)).toBe(0)
  })

  it('throws for an argument of the wrong type', () => {
    expect(() => shim.checksum(id, 'x' as never, 8, 0)).toThrow('number')
    expect(() => shim.bindArena(new Int32Array(4) as never)).toThrow('typed array')
    expect(() => (shim.bindArena as () => number)()).toThrow()
    expect(() => shim.tunName({} as never)).toThrow('number')
  })

  it('reads a clock that goes forward', () => {
    const first = shim.now()
    const second = shim.now()
    expect(second).toBeGreaterThanOrEqual(first)
    expect(Math.abs(second - Number(process.hrtime.bigint() / 1000n))).toBeLessThan(1_000_000)
  })
})
