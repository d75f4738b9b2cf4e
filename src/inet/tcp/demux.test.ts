import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Prng } from '../../base/prng.ts'
import { type IpAddress, parseAddress, UNSPECIFIED_V4, UNSPECIFIED_V6 } from '../address.ts'
import { FAMILY, LOCAL, MAPPED_WORD, REMOTE } from '../unitdata.ts'
import { ConnectionTable, ListenerTable } from './demux.ts'
import { ACCEPT_ANY, ACCEPT_EXACT, ACCEPT_NONE, Listener } from './listener.ts'
import { CONNECTION_SETTINGS } from './settings.ts'
import { Tcb } from './tcb.ts'

/** Few of each, so that tuples meet in all but one word. */
const address = fc.constantFrom<[number, number, number, number]>(
  [0, 0, MAPPED_WORD, 0x0a000001],
  [0, 0, MAPPED_WORD, 0x0a000002],
  [0x20010db8, 0, 0, 1],
  [0x20010db8, 0, 1, 1],
  [0x20010db8, 1, 0, 1],
  [-1, 0, 0, 1],
)
const tupleOf = fc.record({ remote: address, local: address, ports: fc.integer({ min: -2, max: 3 }) })
type Tuple = { remote: readonly number[]; local: readonly number[]; ports: number }
const keyOf = ({ remote, local, ports }: Tuple): string => `${remote} ${local} ${ports}`

function makeTcb({ remote, local, ports }: Tuple): Tcb {
  const tcb = new Tcb(CONNECTION_SETTINGS)
  ;[tcb.remote0, tcb.remote1, tcb.remote2, tcb.remote3] = remote as [number, number, number, number]
  ;[tcb.local0, tcb.local1, tcb.local2, tcb.local3] = local as [number, number, number, number]
  tcb.ports = ports
  return tcb
}

function wordsOf({ remote, local }: Tuple): Int32Array {
  const words = new Int32Array(30)
  words.set(remote, 3 + REMOTE)
  words.set(local, 3 + LOCAL)
  return words
}

describe('tcp/demux: connections', () => {
  it('finds exactly what a map would, through additions and removals', () => {
    const action = fc.record({ what: fc.constantFrom('add', 'add', 'remove', 'find'), tuple: tupleOf })
    fc.assert(
      fc.property(fc.array(action, { maxLength: 200, size: 'max' }), fc.integer(), (actions, seed) => {
        const table = new ConnectionTable(seed)
        const oracle = new Map<string, Tcb>()
        for (const { what, tuple } of actions) {
          const key = keyOf(tuple)
          const known = oracle.get(key)
          if (what === 'add') {
            const tcb = makeTcb(tuple)
            expect(table.add(tcb)).toBe(known === undefined)
            if (known === undefined) oracle.set(key, tcb)
          } else if (what === 'remove') {
            table.remove(known ?? makeTcb(tuple))
            oracle.delete(key)
          }
          const { remote: r, local: l, ports } = tuple
          const expected = oracle.get(key) ?? null
          expect(table.find(wordsOf(tuple), 3, ports)).toBe(expected)
          expect(table.findTuple(r[0], r[1], r[2], r[3], l[0], l[1], l[2], l[3], ports)).toBe(expected)
          expect(table.size).toBe(oracle.size)
        }
        const all = new Set<Tcb>()
        table.each(tcb => all.add(tcb))
        expect(all).toEqual(new Set(oracle.values()))
      }),
    )
  })

  it('grows to 20,000 connections and loses none; each may remove the one it is given', () => {
    const table = new ConnectionTable(5)
    const random = new Prng(6)
    const tcbs = Array.from({ length: 20_000 }, (_, i) => {
      const remote = [0x20010db8, random.int32(), random.int32(), i]
      return makeTcb({ remote, local: [0x20010db8, 0, 0, 1], ports: (80 << 16) | (i & 0xffff) })
    })
    for (const tcb of tcbs) expect(table.add(tcb)).toBe(true)
    for (const tcb of tcbs) {
      const { remote0, remote1, remote2, remote3, ports } = tcb
      expect(table.findTuple(remote0, remote1, remote2, remote3, 0x20010db8, 0, 0, 1, ports)).toBe(tcb)
    }
    const seen = new Set<Tcb>()
    table.each(tcb => {
      seen.add(tcb)
      table.remove(tcb)
    })
    expect([seen.size, table.size]).toEqual([20_000, 0])
    expect(tcbs.every(tcb => tcb.hashNext === null)).toBe(true)
  })

  it('a chain too long for chance has another hash taken, and everything is still found', () => {
    const table = new ConnectionTable(1)
    // What somebody who knew the key could do.
    const { hash } = table as unknown as { hash: { of(...words: number[]): number; rekey(): void } }
    let rekeyed = 0
    const { rekey } = hash
    hash.rekey = function () {
      rekeyed++
      rekey.call(this)
    }
    const tcbs: Tcb[] = []
    for (let i = 0; tcbs.length < 60; i++) {
      const tuple = { remote: [0, 0, MAPPED_WORD, i], local: [0, 0, MAPPED_WORD, 1], ports: 7 }
      const [r, l] = [tuple.remote, tuple.local]
      if (rekeyed === 0 && (hash.of(...r, ...l, 7) & 63) !== 0) continue
      const tcb = makeTcb(tuple)
      tcbs.push(tcb)
      expect(table.add(tcb)).toBe(true)
    }
    expect(rekeyed).toBe(1)
    for (const tcb of tcbs)
      expect(table.findTuple(0, 0, MAPPED_WORD, tcb.remote3, 0, 0, MAPPED_WORD, 1, 7)).toBe(tcb)
  })
})

const any4 = UNSPECIFIED_V4
const any6 = UNSPECIFIED_V6
const one4 = parseAddress('10.0.0.1')!
const one6 = parseAddress('2001:db8::1')!
const two6 = parseAddress('2001:db8::2')!

interface Shape {
  readonly address: IpAddress
  readonly ipv6Only?: boolean
  readonly reuse?: boolean
  readonly port?: number
}

let nextId = 1
/** As `listen` makes them. */
function makeListener({ address, ipv6Only = false, reuse = false, port = 80 }: Shape): Listener {
  const family = address.family
  const l = new Listener(nextId++, family, { port, ipv6Only, reuseAddress: reuse }, CONNECTION_SETTINGS)
  const [w0, w1, w2, w3] = address.words
  const any = address === any4 || address === any6
  l.port = port
  l.accept4 = family === 4 ? (any ? ACCEPT_ANY : ACCEPT_EXACT) : any && !ipv6Only ? ACCEPT_ANY : ACCEPT_NONE
  l.accept6 = family === 4 ? ACCEPT_NONE : any ? ACCEPT_ANY : ACCEPT_EXACT
  if (any) return l
  l.local0 = w0
  l.local1 = w1
  l.local2 = w2
  l.local3 = w3
  return l
}

function toAddress(address: IpAddress): Int32Array {
  const words = new Int32Array(24)
  words[FAMILY] = address.family
  words.set(address.words, LOCAL)
  return words
}

describe('tcp/demux: listeners', () => {
  const table = (...shapes: Shape[]): [ListenerTable, ...Listener[]] => {
    const listeners = shapes.map(makeListener)
    const made = new ListenerTable()
    for (const l of listeners) made.add(l)
    return [made, ...listeners]
  }

  it('an exact address goes before any, IPv4 alone before both families', () => {
    const [t, both, four, exact4, exact6] = table(
      { address: any6 },
      { address: any4 },
      { address: one4 },
      { address: one6 },
    )
    expect(t.find(toAddress(one4), 0, 80)).toBe(exact4)
    expect(t.find(toAddress(parseAddress('10.0.0.9')!), 0, 80)).toBe(four)
    expect(t.find(toAddress(one6), 0, 80)).toBe(exact6)
    expect(t.find(toAddress(two6), 0, 80)).toBe(both)
    expect(t.find(toAddress(one4), 0, 81)).toBeNull()
    t.remove(four!)
    expect(t.find(toAddress(parseAddress('10.0.0.9')!), 0, 80)).toBe(both)
    t.remove(exact4!)
    expect(t.find(toAddress(one4), 0, 80)).toBe(both)
  })

  it('RFC 3493 §5.3: one of IPv6 alone gets no IPv4', () => {
    const [t, six] = table({ address: any6, ipv6Only: true })
    expect(t.find(toAddress(one4), 0, 80)).toBeNull()
    expect(t.find(toAddress(one6), 0, 80)).toBe(six)
  })

  it('of two that share, the one that came last gets it, and the other when that is gone', () => {
    const [t, first, second] = table({ address: one4, reuse: true }, { address: one4, reuse: true })
    expect(t.find(toAddress(one4), 0, 80)).toBe(second)
    t.remove(second!)
    t.remove(second!)
    expect(t.find(toAddress(one4), 0, 80)).toBe(first)
    t.remove(first!)
    expect([t.find(toAddress(one4), 0, 80), t.size, t.has(80)]).toEqual([null, 0, false])
  })

  it.each<[string, Shape, Shape, boolean]>([
    ['the same address', { address: one4 }, { address: one4 }, true],
    ['any and one of it', { address: any4 }, { address: one4 }, true],
    ['both families and one of IPv4', { address: any6 }, { address: one4 }, true],
    ['both families and any of IPv4', { address: any6 }, { address: any4 }, true],
    ['IPv6 alone and any of IPv4', { address: any6, ipv6Only: true }, { address: any4 }, false],
    ['IPv6 alone and one of IPv6', { address: any6, ipv6Only: true }, { address: one6 }, true],
    ['two addresses', { address: one6 }, { address: two6 }, false],
    ['two families', { address: one4 }, { address: one6 }, false],
    ['two ports', { address: one4 }, { address: one4, port: 81 }, false],
    ['both share', { address: one4, reuse: true }, { address: any4, reuse: true }, false],
    ['one shares', { address: one4, reuse: true }, { address: one4 }, true],
  ])('%s: in the way %j', (_, a, b, expected) => {
    for (const [there, comes] of [
      [a, b],
      [b, a],
    ] as const) {
      const [t, own] = table(there)
      expect(t.conflicts(makeListener(comes))).toBe(expected)
      expect(t.conflicts(own!)).toBe(false)
    }
  })

  it('each visits all, and may remove the one it is given', () => {
    const [t, ...all] = table({ address: one4 }, { address: one6 }, { address: one4, port: 81 })
    const seen: Listener[] = []
    t.each(l => {
      seen.push(l)
      t.remove(l)
    })
    expect(new Set(seen)).toEqual(new Set(all))
    expect(t.size).toBe(0)
  })
})
