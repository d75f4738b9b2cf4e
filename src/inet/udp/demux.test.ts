import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Prng } from '../../base/prng.ts'
import type { AnyQueue } from '../../streams/module.ts'
import { fromV4Word, type IpAddress, UNSPECIFIED_V4, UNSPECIFIED_V6 } from '../address.ts'
import { FAMILY, LOCAL, LOCAL_PORT, REMOTE, REMOTE_PORT, UNITDATA_WORDS } from '../unitdata.ts'
import { Demux } from './demux.ts'
import { Endpoint } from './endpoint.ts'
import { chooseEphemeral } from './ports.ts'
import { address } from './testing/udp-test.ts'

interface Options {
  readonly family?: 4 | 6
  readonly only?: boolean
  readonly reuse?: boolean
  readonly peer?: readonly [IpAddress, number]
}

function endpoint(local: IpAddress | string, port: number, options: Options = {}): Endpoint {
  const e = new Endpoint(
    null as unknown as AnyQueue,
    options.family ?? 6,
    options.reuse ?? false,
    options.only ?? false,
  )
  e.setLocal(typeof local === 'string' ? address(local) : local)
  e.port = port
  if (options.peer !== undefined) e.setRemote(...options.peer)
  return e
}

function words(from: IpAddress, fromPort: number, to: IpAddress, port: number): Int32Array {
  const block = new Int32Array(UNITDATA_WORDS)
  block[FAMILY] = from.family
  block.set(from.words, REMOTE)
  block.set(to.words, LOCAL)
  block[REMOTE_PORT] = fromPort
  block[LOCAL_PORT] = port
  return block
}

const find = (demux: Demux, from: string, fromPort: number, to: string, port: number): Endpoint | null =>
  demux.find(words(address(from), fromPort, address(to), port), 0)

describe('inet/udp/demux', () => {
  it('the exact connected match comes before the bound address, and that before any', () => {
    const demux = new Demux(1)
    const any = endpoint('::', 7, { reuse: true })
    const any4 = endpoint('0.0.0.0', 7, { family: 4, reuse: true })
    const bound = endpoint('10.0.0.2', 7, { reuse: true })
    const connected = endpoint('10.0.0.2', 7, { reuse: true, peer: [address('10.0.0.1'), 99] })
    for (const e of [connected, bound, any, any4]) demux.add(e)
    expect(find(demux, '10.0.0.1', 99, '10.0.0.2', 7)).toBe(connected)
    expect(find(demux, '10.0.0.1', 98, '10.0.0.2', 7)).toBe(bound)
    expect(find(demux, '10.0.0.1', 99, '10.0.0.3', 7)).toBe(any4)
    expect(find(demux, 'fd00::1', 99, 'fd00::2', 7)).toBe(any)
    expect(find(demux, '10.0.0.1', 99, '10.0.0.2', 8)).toBeNull()
    demux.remove(any4)
    expect(find(demux, '10.0.0.1', 99, '10.0.0.3', 7)).toBe(any)
  })

  it('a connected endpoint takes nothing from anybody else', () => {
    const demux = new Demux(1)
    demux.add(endpoint('::', 7, { peer: [address('fd00::1'), 99] }))
    expect(find(demux, 'fd00::1', 98, 'fd00::2', 7)).toBeNull()
    expect(find(demux, 'fd00::3', 99, 'fd00::2', 7)).toBeNull()
    expect(find(demux, 'fd00::1', 99, 'fd00::2', 7)).not.toBeNull()
  })

  it('RFC 3493 §3.7, §5.3: IPv6 takes IPv4 too, unless it is to be IPv6 alone', () => {
    const demux = new Demux(1)
    demux.add(endpoint('::', 7, { only: true }))
    demux.add(endpoint('::', 8))
    expect(find(demux, '10.0.0.1', 1, '10.0.0.2', 7)).toBeNull()
    expect(find(demux, '10.0.0.1', 1, '10.0.0.2', 8)).not.toBeNull()
    expect(find(demux, 'fd00::1', 1, 'fd00::2', 7)).not.toBeNull()
  })

  it('of two that share an address, the one bound last gets what comes', () => {
    const demux = new Demux(1)
    const [first, second] = [endpoint('::', 7, { reuse: true }), endpoint('::', 7, { reuse: true })]
    demux.add(first)
    demux.add(second)
    expect(find(demux, '10.0.0.1', 1, '10.0.0.2', 7)).toBe(second)
    demux.remove(second)
    expect(find(demux, '10.0.0.1', 1, '10.0.0.2', 7)).toBe(first)
  })

  // What the Linux kernel answered to bind(2), second socket after first, is the last column.
  it.each([
    ['0.0.0.0', 4, false, '0.0.0.0', 4, false, true],
    ['0.0.0.0', 4, false, '127.0.0.1', 4, false, true],
    ['127.0.0.1', 4, false, '127.0.0.2', 4, false, false],
    ['::', 6, false, '0.0.0.0', 4, false, true],
    ['::', 6, true, '0.0.0.0', 4, false, false],
    ['0.0.0.0', 4, false, '::', 6, false, true],
    ['::1', 6, false, '127.0.0.1', 4, false, false],
    ['::1', 6, false, '::', 6, true, true],
    ['::', 6, false, '127.0.0.1', 4, false, true],
  ] as const)(
    '%s (family %i, alone %s) and %s (family %i, alone %s) conflict: %s',
    (a, fa, oa, b, fb, ob, yes) => {
      const demux = new Demux(1)
      demux.add(endpoint(a, 7, { family: fa, only: oa }))
      expect(demux.conflicts(endpoint(b, 0, { family: fb, only: ob }), 7)).toBe(yes)
      expect(demux.conflicts(endpoint(b, 0, { family: fb, only: ob }), 8)).toBe(false)
    },
  )

  it('sharing needs the consent of both', () => {
    const demux = new Demux(1)
    demux.add(endpoint('::', 7, { reuse: true }))
    expect(demux.conflicts(endpoint('::', 0, { reuse: true }), 7)).toBe(false)
    expect(demux.conflicts(endpoint('::', 0), 7)).toBe(true)
  })

  it('finds what a plain search through a list finds, whatever comes and goes', () => {
    const v4 = fc.integer({ min: 0x0a000000, max: 0x0a000003 }).map(fromV4Word)
    const v6 = fc.integer({ min: 1, max: 3 }).map((n): IpAddress => ({ family: 6, words: [-2, 0, 0, n] }))
    const port = fc.integer({ min: 1, max: 3 })
    const packet = fc.oneof(fc.tuple(v4, port, v4, port), fc.tuple(v6, port, v6, port))
    const local = fc.oneof(v4, v6, fc.constant(UNSPECIFIED_V4), fc.constant(UNSPECIFIED_V6))
    const step = fc.record({ local, port, peer: fc.option(packet), remove: fc.boolean() })
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 30 }),
        fc.array(packet, { maxLength: 20 }),
        (steps, packets) => {
          const demux = new Demux(7)
          const list: Endpoint[] = []
          for (const each of steps) {
            if (each.remove && list.length > 0) demux.remove(list.shift()!)
            const peer = each.peer === null ? {} : { peer: [each.peer[0], each.peer[1]] as const }
            const e = endpoint(each.local, each.port, { family: each.local.family, reuse: true, ...peer })
            demux.add(e)
            list.push(e)
          }
          for (const [from, fromPort, to, toPort] of packets) {
            const block = words(from, fromPort, to, toPort)
            expect(demux.find(block, 0)).toBe(search(list, block))
          }
          for (const e of list) demux.remove(e)
          expect(demux.bound.size).toBe(0)
          for (const [from, fromPort, to, toPort] of packets)
            expect(demux.find(words(from, fromPort, to, toPort), 0)).toBeNull()
        },
      ),
      { numRuns: 500 },
    )
  })

  it('thousands of connected endpoints on one port are told apart', () => {
    const demux = new Demux(3)
    const all = Array.from({ length: 5_000 }, (_, i) =>
      endpoint('::', 53, { reuse: true, peer: [fromV4Word(0x0a000000 + i), 1_000 + (i % 7)] }),
    )
    for (const e of all) demux.add(e)
    for (let i = 0; i < all.length; i += 13) {
      const block = words(fromV4Word(0x0a000000 + i), 1_000 + (i % 7), address('10.9.9.9'), 53)
      expect(demux.find(block, 0)).toBe(all[i])
    }
    for (const e of all) demux.remove(e)
    expect(demux.bound.size).toBe(0)
  })
})

/** What the demultiplexer is to find, by the book: best score, the last one added first. */
function search(list: readonly Endpoint[], block: Int32Array): Endpoint | null {
  const v4 = block[FAMILY] === 4
  const score = (e: Endpoint): number => {
    if (e.port !== block[LOCAL_PORT] || !e.takes(block, 0, v4)) return 0
    if (e.connected) return e.isFromPeer(block, 0, v4) ? 100 : 0
    return (e.isLocal(block, 0) ? 4 : 0) + (v4 && e.family === 4 ? 2 : 1)
  }
  let best: Endpoint | null = null
  for (const e of [...list].reverse()) {
    if (score(e) > 0 && (best === null || score(e) > score(best))) best = e
  }
  return best
}

describe('inet/udp/ports', () => {
  const range = { first: 32_768, last: 60_999 }

  it('RFC 6056 §3: ports are spread over the whole range and do not follow each other', () => {
    const random = new Prng(5)
    const chosen = Array.from({ length: 20_000 }, () => chooseEphemeral(random, range, () => false))
    const buckets = new Array<number>(16).fill(0)
    for (const port of chosen) {
      expect(port >= range.first && port <= range.last).toBe(true)
      buckets[Math.floor(((port - range.first) * 16) / 28_232)]!++
    }
    for (const count of buckets) expect(Math.abs(count - 1_250)).toBeLessThan(200)
    const inSequence = chosen.filter((port, i) => i > 0 && port === chosen[i - 1]! + 1).length
    expect(inSequence).toBeLessThan(10)
  })

  it('the last free port is found, and none when there is none', () => {
    const random = new Prng(5)
    expect(chooseEphemeral(random, range, port => port !== 45_678)).toBe(45_678)
    expect(chooseEphemeral(random, range, () => true)).toBe(0)
  })
})
