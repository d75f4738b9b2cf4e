import { describe, expect, it } from 'vitest'
import { ManualClock, seconds } from '../../base/time.ts'
import { parseAddress } from '../../inet/address.ts'
import { AUTH_TOOWEAK, PROC_UNAVAIL } from '../status.ts'
import type { RpcCaller, RpcContext } from '../stub-types.ts'
import { isFromHere, type RpcbindCaller } from './caller.ts'
import { leaseOf, leaseText } from './lease.ts'
import { netidNamed } from './netid.ts'
import { Registrations } from './registrations.ts'
import { RpcbindV2Client, RpcbindV3Client, RpcbindV4Client } from './rpcbind-client.ts'
import { type RpcbindServiceOptions, RpcbindServices } from './services.ts'

const PROGRAM = 0x2000_0001
const HERE = parseAddress('10.77.1.2')!
const HERE6 = parseAddress('fd77:1::2')!
const UNIX_SECONDS = 1_795_000_000

/** The services, and stubs that call them as if from anywhere. */
function rpcbind(options: Partial<RpcbindServiceOptions> = {}) {
  const clock = new ManualClock()
  const table = new Registrations()
  let caller: RpcbindCaller
  const services = new RpcbindServices({
    table,
    callerOf: () => caller,
    now: () => clock.now(),
    unixSeconds: () => UNIX_SECONDS,
    ...options,
  })
  const handlers = services.services().flatMap(service => service.handlers)
  const as = (netid: string, more: Partial<RpcbindCaller> = {}) => {
    const known = netidNamed(netid)!
    const from: RpcbindCaller = {
      netid: known,
      isLocal: true,
      local: known.family === 4 ? HERE : HERE6,
      credentials: null,
      ...more,
    }
    const stub: RpcCaller = {
      call: async (procedure, argument) => {
        caller = from
        const { program, version, procedure: number } = procedure
        const found = handlers.find(
          ({ procedure: one }) =>
            one.program === program && one.version === version && one.procedure === number,
        )!
        return (await found.handle(argument, {} as RpcContext)) as never
      },
    }
    return { v2: new RpcbindV2Client(stub), v3: new RpcbindV3Client(stub), v4: new RpcbindV4Client(stub) }
  }
  return { as, services, table, clock }
}

const uid = (number: number) => ({
  credentials: { stamp: 0, machineName: 'n1', uid: number, gid: number, gids: [] },
})
const map = (vers: number, netid: string, address: string, owner = '') => {
  return { prog: PROGRAM, vers, netid, address, owner }
}

describe('rpc/rpcbind/services: RFC 1833 §3, the port mapper', () => {
  it('SET, GETPORT, DUMP, UNSET', async () => {
    const { as } = rpcbind()
    const { v2 } = as('udp')
    const port = (protocol: number, number: number) => ({ prog: PROGRAM, vers: 1, protocol, port: number })
    expect(await v2.set(port(17, 1_000))).toBe(true)
    expect(await v2.set(port(6, 1_001))).toBe(true)
    expect(await v2.set(port(6, 1_002))).toBe(false)
    expect(await v2.set(port(132, 1_000))).toBe(false)
    expect(await v2.set({ ...port(17, 70_000), vers: 2 })).toBe(false)
    expect(await v2.set({ ...port(17, 0), vers: 2 })).toBe(false)
    expect([await v2.getport(port(17, 0)), await v2.getport(port(6, 0))]).toEqual([1_000, 1_001])
    expect(await v2.getport(port(132, 0))).toBe(0)
    expect(await v2.getport({ ...port(17, 0), vers: 9 })).toBe(1_000)
    expect(await v2.getport({ ...port(17, 0), prog: 1 })).toBe(0)
    expect((await v2.dump()).map(one => one.map)).toEqual([port(17, 1_000), port(6, 1_001)])
    expect(await v2.unset(port(17, 0))).toBe(true)
    expect(await v2.dump()).toEqual([])
    expect(await v2.unset(port(17, 0))).toBe(false)
  })

  it('knows nothing of IPv6', async () => {
    const { as } = rpcbind()
    await as('udp6').v4.set(map(1, 'udp6', '::.3.232'))
    expect(await as('udp').v2.dump()).toEqual([])
    expect(await as('udp').v2.unset({ prog: PROGRAM, vers: 1, protocol: 17, port: 0 })).toBe(false)
    expect(await as('udp6').v4.dump()).toHaveLength(1)
  })
})

describe.each([3, 4] as const)('rpc/rpcbind/services: RFC 1833 §2.2, version %i', version => {
  const pick = (stubs: ReturnType<ReturnType<typeof rpcbind>['as']>): RpcbindV3Client | RpcbindV4Client =>
    version === 3 ? stubs.v3 : stubs.v4

  it('GETADDR answers for the transport that the call came by, at the address that it came to', async () => {
    const { as } = rpcbind()
    await pick(as('tcp')).set(map(1, 'udp', '0.0.0.0.3.232'))
    await pick(as('tcp')).set(map(1, 'tcp', '10.99.0.1.3.233'))
    await pick(as('tcp')).set(map(1, 'tcp6', '::.3.234'))
    const asked = map(1, 'tcp', '')
    expect(await pick(as('udp')).getaddr(asked)).toBe('10.77.1.2.3.232')
    expect(await pick(as('tcp')).getaddr(asked)).toBe('10.99.0.1.3.233')
    expect(await pick(as('tcp6')).getaddr(asked)).toBe('fd77:1::2.3.234')
    expect(await pick(as('udp6')).getaddr(asked)).toBe('')
    expect(await pick(as('udp')).getaddr({ ...asked, vers: 7 })).toBe('10.77.1.2.3.232')
  })

  it('a list tells all transports, and who registered', async () => {
    const { as } = rpcbind()
    await pick(as('tcp', uid(0))).set(map(1, 'udp', '0.0.0.0.3.232', 'somebody'))
    await pick(as('tcp', uid(1_000))).set(map(1, 'tcp6', '::.3.234'))
    await pick(as('tcp')).set(map(1, 'tcp', '0.0.0.0.3.233'))
    expect((await pick(as('tcp')).dump()).map(one => one.map)).toEqual([
      map(1, 'udp', '0.0.0.0.3.232', 'superuser'),
      map(1, 'tcp6', '::.3.234', '1000'),
      map(1, 'tcp', '0.0.0.0.3.233', 'unknown'),
    ])
    expect(await pick(as('tcp')).unset(map(1, 'udp', ''))).toBe(false)
    expect(await pick(as('tcp', uid(1_000))).unset(map(1, 'tcp6', ''))).toBe(true)
    expect(await pick(as('tcp', uid(0))).unset(map(1, '', ''))).toBe(true)
    expect(await pick(as('tcp')).dump()).toEqual([])
  })

  it('GETTIME, UADDR2TADDR, TADDR2UADDR', async () => {
    const v = pick(rpcbind().as('udp'))
    expect(await v.gettime()).toBe(UNIX_SECONDS)
    const netbuf = await v.uaddr2taddr('10.77.1.2.0.111')
    expect(await v.taddr2uaddr(netbuf)).toBe('10.77.1.2.0.111')
    expect(await v.uaddr2taddr('nowhere')).toEqual({ maxlen: 0, bytes: new Uint8Array(0) })
    expect(await v.taddr2uaddr({ maxlen: 4, bytes: Uint8Array.of(1, 2, 3, 4) })).toBe('')
  })

  it.each([
    ['an unknown transport', 'sctp', '0.0.0.0.3.232'],
    ['an address of another family', 'udp', '::.3.232'],
    ['no address', 'udp', ''],
    ['a path', 'local', '/run/rpcbind.sock'],
  ])('SET refuses %s', async (_, netid, address) => {
    const { as, services } = rpcbind()
    expect(await pick(as('tcp')).set(map(1, netid, address))).toBe(false)
    expect(services.counters['refused-bad-address']).toBe(1)
  })

  it('checklist 4.6-44: the lease of a server that died ends', async () => {
    const { as, clock } = rpcbind()
    const v = pick(as('udp'))
    await v.set(map(1, 'udp', '0.0.0.0.3.232', leaseText(60)))
    clock.advance(seconds(59))
    expect(await v.set(map(1, 'udp', '0.0.0.0.3.232', leaseText(60)))).toBe(true)
    clock.advance(seconds(59))
    expect(await v.getaddr(map(1, '', ''))).not.toBe('')
    clock.advance(seconds(1))
    expect(await v.getaddr(map(1, '', ''))).toBe('')
  })
})

describe('rpc/rpcbind/services: RFC 1833 §2.2.2, what version 4 adds', () => {
  it('GETVERSADDR answers for no other version', async () => {
    const { v4 } = rpcbind().as('udp')
    await v4.set(map(2, 'udp', '0.0.0.0.3.232'))
    expect(await v4.getversaddr(map(2, '', ''))).toBe('10.77.1.2.3.232')
    expect(await v4.getversaddr(map(1, '', ''))).toBe('')
    expect(await v4.getaddr(map(1, '', ''))).toBe('10.77.1.2.3.232')
  })

  it('GETADDRLIST tells every transport that the caller can use, with what netconfig says of it', async () => {
    const { v4 } = rpcbind().as('tcp')
    await v4.set(map(1, 'udp', '0.0.0.0.3.232'))
    await v4.set(map(1, 'tcp6', 'fd77:1::9.3.232'))
    await v4.set(map(1, 'udp6', '::.3.232'))
    await v4.set(map(2, 'tcp', '0.0.0.0.3.232'))
    expect((await v4.getaddrlist(map(1, '', ''))).map(({ entry }) => entry)).toEqual([
      { address: '10.77.1.2.3.232', netid: 'udp', semantics: 1, family: 'inet', protocol: 'udp' },
      { address: 'fd77:1::9.3.232', netid: 'tcp6', semantics: 3, family: 'inet6', protocol: 'tcp' },
    ])
  })

  it('GETSTAT counts by version, procedure and program', async () => {
    const { as } = rpcbind()
    const { v2, v3, v4 } = as('tcp')
    await v2.null()
    await v2.getport({ prog: PROGRAM, vers: 1, protocol: 17, port: 0 })
    await v3.set(map(1, 'tcp', '0.0.0.0.3.232'))
    await v3.getaddr(map(1, '', ''))
    await v3.getaddr(map(1, '', ''))
    await v3.getaddr({ ...map(1, '', ''), prog: 1 })
    await v4.unset(map(1, 'tcp', ''))
    const [two, three, four] = await v4.getstat()
    expect(two).toMatchObject({
      calls: [1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0],
      addresses: [{ prog: PROGRAM, vers: 1, success: 0, failure: 1, netid: 'udp' }],
    })
    expect(three).toMatchObject({
      calls: [0, 1, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0],
      set: 1,
      addresses: [
        { prog: PROGRAM, success: 2, failure: 0, netid: 'tcp' },
        { prog: 1, success: 0, failure: 1 },
      ],
    })
    expect(four).toMatchObject({ calls: [0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], unset: 1 })
  })
})

describe('rpc/rpcbind/services: who may what', () => {
  it('checklist 4.6-44: another machine sets and unsets nothing, unless it is allowed to', async () => {
    const { as, services } = rpcbind()
    const away = as('tcp', { isLocal: false, ...uid(0) })
    expect(await away.v4.set(map(1, 'udp', '0.0.0.0.3.232'))).toBe(false)
    expect(await away.v2.set({ prog: PROGRAM, vers: 1, protocol: 17, port: 9 })).toBe(false)
    await as('tcp').v4.set(map(1, 'udp', '0.0.0.0.3.232'))
    expect(await away.v4.unset(map(1, '', ''))).toBe(false)
    expect(await away.v2.unset({ prog: PROGRAM, vers: 1, protocol: 17, port: 9 })).toBe(false)
    expect(await away.v4.dump()).toHaveLength(1)
    expect(services.counters['refused-not-local']).toBe(5)
    const open = rpcbind({ changes: 'anyone' })
    const root = open.as('tcp', { isLocal: false, ...uid(0) })
    expect(await root.v4.set(map(1, 'udp', '0.0.0.0.3.232'))).toBe(true)
    await open.as('tcp').v4.set(map(2, 'udp', '0.0.0.0.3.232'))
    // Root of another machine is nobody's superuser here.
    expect(await root.v4.unset(map(2, '', ''))).toBe(false)
    expect(await root.v4.unset(map(1, '', ''))).toBe(true)
  })

  it('who is here: loopback, or the address that the call came to', () => {
    const from = (remote: string, local: string | null) =>
      isFromHere(parseAddress(remote)!, local === null ? null : parseAddress(local))
    expect([from('127.0.0.1', null), from('::1', null), from('10.77.1.2', '10.77.1.2')]).toEqual(
      Array(3).fill(true),
    )
    expect([from('10.77.1.1', '10.77.1.2'), from('10.77.1.1', null)]).toEqual([false, false])
  })

  it('checklist 3.4-27: a datagram from elsewhere gets no list, which would be longer than itself', async () => {
    const { as, services } = rpcbind()
    const away = as('udp', { isLocal: false })
    const tooWeak = { authStatus: AUTH_TOOWEAK }
    for (const call of [
      () => away.v2.dump(),
      () => away.v3.dump(),
      () => away.v4.dump(),
      () => away.v4.getstat(),
    ])
      await expect(call()).rejects.toMatchObject(tooWeak)
    expect(services.counters['refused-amplification']).toBe(4)
    expect(await as('tcp', { isLocal: false }).v4.dump()).toEqual([])
    expect(await as('udp').v4.dump()).toEqual([])
    expect(await rpcbind({ amplifies: true }).as('udp', { isLocal: false }).v4.dump()).toEqual([])
  })

  it('calls are not passed on', async () => {
    const { as, services } = rpcbind()
    const { v2, v3, v4 } = as('tcp')
    const call = { prog: PROGRAM, vers: 1, proc: 0, args: new Uint8Array(0) }
    for (const ask of [v2.callit(call), v3.callit(call), v4.bcast(call), v4.indirect(call)])
      await expect(ask).rejects.toMatchObject({ acceptStatus: PROC_UNAVAIL })
    expect(services.counters['refused-forwarding']).toBe(4)
  })

  it('a lease is asked for in a field that other servers do not read, and bounded', () => {
    expect([leaseOf(leaseText(60)), leaseOf(leaseText(1)), leaseOf(leaseText(99_999))]).toEqual([
      60, 5, 3_600,
    ])
    expect([leaseOf(''), leaseOf('superuser'), leaseOf('putnext lease=0')]).toEqual([null, null, null])
  })
})
