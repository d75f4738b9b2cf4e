import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type ManualClock, seconds } from '../../base/time.ts'
import { makeTestHost, type TestHost } from '../../socket/testing/host.ts'
import { sysAuth } from '../auth.ts'
import { RpcClient } from '../client.ts'
import { RpcServer } from '../server.ts'
import { type RpcProcedure, type RpcService, rpcHandler } from '../stub-types.ts'
import { xdrInt } from '../xdr/index.ts'
import { RpcbindClient, rpcbindLookup } from './client.ts'
import { entriesOf, RpcRegistration } from './registration.ts'
import { RpcbindServer } from './server.ts'
import { formatUniversal } from './universal-address.ts'

const PROGRAM = 0x2000_0001

const double: RpcProcedure<number, number> = {
  name: 'DOUBLE',
  program: PROGRAM,
  version: 1,
  procedure: 1,
  isIdempotent: true,
  argument: xdrInt,
  result: xdrInt,
}
const service: RpcService = {
  name: 'DOUBLER',
  program: PROGRAM,
  version: 1,
  handlers: [rpcHandler(double, value => 2 * value)],
}

let host: TestHost
let rpcbind: RpcbindServer
const open: { close(): unknown }[] = []

const later = <T extends { close(): unknown }>(what: T): T => {
  open.push(what)
  return what
}
const ask = (address = '127.0.0.1', uid?: number) => {
  const credentials =
    uid === undefined
      ? {}
      : { credentials: sysAuth({ stamp: 0, machineName: 'here', uid, gid: uid, gids: [] }) }
  return later(new RpcbindClient(host, { address, ...credentials }))
}

beforeEach(async () => {
  host = makeTestHost()
  rpcbind = await RpcbindServer.start(host, { unixSeconds: () => 1_795_000_000 })
})

afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close()
  await rpcbind.close()
  await host.finish()
})

describe.each(['127.0.0.1', '::1'])('rpc/rpcbind over the stack, asked at %s', address => {
  const isV4 = address === '127.0.0.1'

  it.each(['udp', 'tcp'] as const)('SET, GETADDR, UNSET; found by %s', async transport => {
    const client = ask(address, 1_000)
    const netid = isV4 ? transport : `${transport}6`
    const entry = { program: PROGRAM, version: 1, netid, address: isV4 ? '0.0.0.0.3.232' : '::.3.232' }
    expect(await client.find(PROGRAM, 1, transport)).toBeNull()
    expect(await client.set(entry)).toBe(true)
    const found = await client.find(PROGRAM, 1, transport)
    expect(formatUniversal(found!)).toBe(`${address}.3.232`)
    expect((await client.find(PROGRAM, 2, transport))?.port).toBe(1_000)
    expect(await client.find(PROGRAM, 2, transport, true)).toBeNull()
    const { version, entries } = await client.dump()
    expect(version).toBe(4)
    expect(entries).toContainEqual({ ...entry, owner: '1000' })
    expect(await ask(address, 2_000).unset(PROGRAM, 1, '')).toBe(false)
    expect(await client.unset(PROGRAM, 1, '')).toBe(true)
    expect(await client.find(PROGRAM, 1, transport)).toBeNull()
  })

  it('finds itself, in all versions that are there', async () => {
    const client = ask(address)
    expect((await client.find(100_000, 4, 'udp'))?.port).toBe(111)
    const own = (await client.dump()).entries.map(({ netid, version }) => `${netid} ${version}`)
    expect(own).toEqual([
      'tcp 4',
      'tcp 3',
      'tcp 2',
      'tcp6 4',
      'tcp6 3',
      'udp 4',
      'udp 3',
      'udp 2',
      'udp6 4',
      'udp6 3',
    ])
    const ports = (await client.dumpPorts()).map(({ netid, version }) => `${netid} ${version}`)
    expect(ports).toEqual(own.filter(one => !one.includes('6')))
    expect(await ask(address, 0).unset(100_000, 4, '')).toBe(false)
  })

  it.each(['udp', 'tcp'] as const)(
    'a server registers, a client binds to it by its program, over %s',
    async transport => {
      const server = later(new RpcServer(host)).add(service)
      const places = await server.listen({ port: 0 })
      const registration = later(await RpcRegistration.start(host.runtime, ask(address, 0), server, places))
      expect(registration.entries.map(({ netid }) => netid)).toEqual(['tcp6', 'tcp', 'udp6', 'udp'])
      const lookup = rpcbindLookup(host, { address })
      const client = later(
        await RpcClient.connect(host, { address, transport, program: PROGRAM, version: 1, lookup }),
      )
      expect(await client.call(double, 21)).toBe(42)
      await registration.close()
      await expect(lookup(PROGRAM, 1, transport)).rejects.toMatchObject({ code: 'ERR_NOT_FOUND' })
    },
  )
})

describe('rpc/rpcbind/registration', () => {
  const clock = () => host.runtime.clock as ManualClock
  /** Lets time pass, with what timers begin, in the steps of renewal. */
  const pass = async (total: number) => {
    for (let left = total; left > 0; left--) {
      clock().advance(seconds(1))
      host.settle()
      await new Promise(resolve => setImmediate(resolve))
    }
  }
  const isThere = async () => (await ask().find(PROGRAM, 1, 'udp')) !== null

  it('an entry of a server that lives is renewed; checklist 4.6-44: that of one that died goes', async () => {
    const server = later(new RpcServer(host)).add(service)
    const places = await server.listen({ port: 0 })
    const registration = await RpcRegistration.start(host.runtime, rpcbind.here, server, places)
    await pass(200)
    expect(await isThere()).toBe(true)
    expect(rpcbind.counters['renewed']).toBeGreaterThan(20)
    // It dies: nothing renews, and nothing says so.
    ;(registration as unknown as { isClosed: boolean }).isClosed = true
    await pass(61)
    expect(await isThere()).toBe(false)
    expect(rpcbind.counters['expired']).toBe(4)
  })

  it('a restart of rpcbind is mended by the next renewal', async () => {
    const server = later(new RpcServer(host)).add(service)
    const places = await server.listen({ port: 0 })
    const troubles: string[] = []
    later(
      await RpcRegistration.start(host.runtime, ask('127.0.0.1', 0), server, places, {
        onTrouble: error => troubles.push(error.code),
      }),
    )
    await rpcbind.close()
    rpcbind = await RpcbindServer.start(host, {})
    expect(await isThere()).toBe(false)
    await pass(25)
    expect(await isThere()).toBe(true)
  })

  it('the port of an earlier life is replaced; the entry of somebody else is not', async () => {
    const server = later(new RpcServer(host)).add(service)
    const places = await server.listen({ port: 0 })
    await rpcbind.here.set({ program: PROGRAM, version: 1, netid: 'udp', address: '0.0.0.0.3.232' }, null)
    const registration = await RpcRegistration.start(host.runtime, rpcbind.here, server, places)
    expect((await ask().find(PROGRAM, 1, 'udp'))?.port).toBe(places[0]!.port)
    await registration.close()
    await rpcbind.here.set({ program: PROGRAM, version: 1, netid: 'udp', address: '0.0.0.0.3.232' }, null)
    const foreign = RpcRegistration.start(host.runtime, ask('127.0.0.1', 1_000), server, places)
    await expect(foreign).rejects.toMatchObject({ code: 'ERR_BUSY' })
    // What it had made by then is gone again.
    const left = (await ask().dump()).entries.filter(({ program }) => program === PROGRAM)
    expect(left.map(({ owner }) => owner)).toEqual(['superuser'])
  })

  it('a place on all addresses is one of IPv4, too; another address may be told to callers', () => {
    const server = { services: [{ program: PROGRAM, version: 1 }] }
    const place = { transport: 'tcp', address: '::', port: 1_000 } as const
    const told = (address?: string) =>
      entriesOf(server, [place], address).map(one => `${one.netid} ${one.address}`)
    expect(told()).toEqual(['tcp6 ::.3.232', 'tcp 0.0.0.0.3.232'])
    expect(told('10.77.1.2')).toEqual(['tcp 10.77.1.2.3.232'])
    expect(() => told('n1')).toThrow('no IP address')
  })
})
