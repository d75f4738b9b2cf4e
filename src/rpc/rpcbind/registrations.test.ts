import { describe, expect, it } from 'vitest'
import { nonZero } from '../../base/counters.ts'
import { instant, seconds } from '../../base/time.ts'
import { type Registration, Registrations, SUPERUSER } from './registrations.ts'

const at = (second: number) => instant(second * 1_000_000)
const CALC = 0x2000_0001

function entry(version: number, more: Partial<Registration> = {}): Registration {
  return { program: CALC, version, netid: 'udp', address: '0.0.0.0.3.232', owner: '1000', ...more }
}

describe('rpc/rpcbind/registrations', () => {
  it('one entry for each version and transport; the same once more is true, another address is not', () => {
    const table = new Registrations()
    expect(table.set(entry(1), null, at(0))).toBe(true)
    expect(table.set(entry(1, { netid: 'tcp' }), null, at(0))).toBe(true)
    expect(table.set(entry(1), null, at(1))).toBe(true)
    expect(table.set(entry(1, { address: '0.0.0.0.3.233' }), null, at(1))).toBe(false)
    expect(table.list(at(1))).toHaveLength(2)
    expect(table.find(CALC, 1, 'udp', at(1))).toMatchObject({ address: '0.0.0.0.3.232', owner: '1000' })
    expect(nonZero(table.counters)).toEqual({ set: 2, renewed: 1, 'refused-taken': 1 })
  })

  it('RFC 1833 §2.2.1: another version is found where the asked one is not, unless exactly that one is asked for', () => {
    const table = new Registrations()
    table.set(entry(2), null, at(0))
    table.set(entry(3, { netid: 'tcp' }), null, at(0))
    expect(table.findAnyVersion(CALC, 1, 'udp', at(0))?.version).toBe(2)
    expect(table.find(CALC, 1, 'udp', at(0))).toBeNull()
    expect(table.findAnyVersion(CALC + 1, 2, 'udp', at(0))).toBeNull()
    expect(table.findAnyVersion(CALC, 2, 'udp6', at(0))).toBeNull()
  })

  it('checklist 4.6-44: only the owner and the superuser take an entry away', () => {
    const table = new Registrations()
    table.set(entry(1), null, at(0))
    table.set(entry(1, { netid: 'tcp', owner: '2000' }), null, at(0))
    expect(table.unset(CALC, 1, 'udp', '2000', at(0))).toBe(false)
    expect(table.unset(CALC, 1, 'udp', 'unknown', at(0))).toBe(false)
    // Of all transports: what is one's own goes, and the answer says that not all went.
    expect(table.unset(CALC, 1, '', '1000', at(0))).toBe(false)
    expect(table.list(at(0)).map(({ netid }) => netid)).toEqual(['tcp'])
    expect(table.unset(CALC, 1, '', SUPERUSER, at(0))).toBe(true)
    expect(table.unset(CALC, 1, '', SUPERUSER, at(0))).toBe(false)
    expect(table.size).toBe(0)
    expect(table.counters['refused-not-owner']).toBe(3)
  })

  it('nobody takes away or prolongs what is permanent', () => {
    const table = new Registrations()
    table.setPermanent(entry(4, { owner: SUPERUSER }))
    expect(table.unset(CALC, 4, '', SUPERUSER, at(0))).toBe(false)
    expect(table.set(entry(4, { owner: SUPERUSER }), seconds(1), at(0))).toBe(true)
    expect(table.find(CALC, 4, 'udp', at(100))).not.toBeNull()
  })

  it('checklist 4.6-44: an entry with a lease goes when its server has died, and stays while it is renewed', () => {
    const table = new Registrations()
    table.set(entry(1), seconds(60), at(0))
    table.set(entry(2), seconds(90), at(0))
    table.set(entry(3), null, at(0))
    expect(table.set(entry(1), seconds(60), at(40))).toBe(true)
    expect(table.list(at(89)).map(({ version }) => version)).toEqual([1, 2, 3])
    expect(table.list(at(90)).map(({ version }) => version)).toEqual([1, 3])
    expect(table.find(CALC, 1, 'udp', at(99))).not.toBeNull()
    expect(table.findAnyVersion(CALC, 1, 'udp', at(100))?.version).toBe(3)
    expect(table.set(entry(1, { address: '0.0.0.0.4.0', owner: '7' }), null, at(100))).toBe(true)
    expect(table.counters.expired).toBe(2)
  })

  it("somebody else's SET does not change a lease", () => {
    const table = new Registrations()
    table.set(entry(1), seconds(60), at(0))
    expect(table.set(entry(1, { owner: '2000' }), null, at(10))).toBe(true)
    expect(table.find(CALC, 1, 'udp', at(60))).toBeNull()
  })

  it('is bounded: what is there stays, what does not fit is refused', () => {
    const table = new Registrations(3)
    for (let version = 1; version <= 5; version++) table.set(entry(version), null, at(0))
    expect(table.list(at(0)).map(({ version }) => version)).toEqual([1, 2, 3])
    expect(table.counters['refused-full']).toBe(2)
    expect(table.set(entry(2), null, at(0))).toBe(true)
    table.unset(CALC, 2, 'udp', '1000', at(0))
    expect(table.set(entry(5), null, at(0))).toBe(true)
  })
})
