/** The interface of every type between our client and server on the kernel's sockets and programs in C, over the loopback: nothing of our stack is in it. */
import { spawn } from 'node:child_process'
import { createServer } from 'node:net'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { titled } from '../../../src/host/testing/requirements.ts'
import { type KernelHost, kernelHost } from '../../../src/kernel/index.ts'
import { RpcClient } from '../../../src/rpc/client.ts'
import { RpcServer } from '../../../src/rpc/server.ts'
import { EveryTypeV1Client, EveryTypeV3Client } from './every-type-client.ts'
import { EveryTypePrograms, everyTypeService, numbered } from './every-type-peer.ts'
import { everyTypeV1Service, everyTypeV3Service } from './every-type-server.ts'
import { Color } from './every-type-types.ts'
import { lackingXdrPeer } from './xdr-peer.ts'

const reason = lackingXdrPeer()
const BUFFER = '60000'

const WAYS = [
  ['tcp', '127.0.0.1'],
  ['tcp', '::1'],
  ['udp', '127.0.0.1'],
  ['udp', '::1'],
] as const

/** A port that nobody has at the moment. */
async function freePort(address: string): Promise<number> {
  const server = createServer()
  await new Promise<void>(resolve => server.listen(0, address, resolve))
  const { port } = server.address() as { port: number }
  await new Promise(resolve => server.close(resolve))
  return port
}

let programs: EveryTypePrograms
let host: KernelHost
const ends: (() => unknown)[] = []

describe.skipIf(reason !== '')(titled("every type with C, on the kernel's sockets", reason), () => {
  beforeAll(() => {
    programs = new EveryTypePrograms()
  }, 60_000)
  afterAll(() => programs?.close())
  beforeEach(() => {
    host = kernelHost({ poison: true })
  })
  afterEach(async () => {
    for (const end of ends.splice(0).reverse()) await end()
    await host.close()
    host.runtime.arena.assertWhole()
  })

  it.each(WAYS)('%s, %s: a client in C and our server', async (transport, address) => {
    const server = new RpcServer(host)
    server.add(everyTypeV1Service(everyTypeService)).add(everyTypeV3Service({ etThree: () => 3 }))
    const [place] = await server.listen({ port: 0, transports: [transport] })
    ends.push(() => server.close())
    const run = (what: string): Promise<string> =>
      new Promise(resolve => {
        const child = spawn(programs.client, [transport, address, String(place!.port), BUFFER, what, 'host'])
        let text = ''
        child.stdout.on('data', data => {
          text += data
        })
        child.on('close', () => resolve(text))
      })
    expect(await run('types')).toBe('ok\n')
    const last = transport === 'tcp' ? 1 << 20 : 8_000
    const sum = numbered(last).reduce((total, byte) => total + byte, 0)
    expect(await run('blobs')).toMatch(new RegExp(`\n${last} ${sum}\n$`))
    expect((await run('errors')).trim().split('\n')).toEqual([
      'program 8',
      'version 9 1-3',
      'procedure 10',
      'garbage 11',
      'weak 7 5',
      'fail 12',
      'after 0',
    ])
  })

  it.each(WAYS)('%s, %s: our client and a server in C', async (transport, address) => {
    const port = await freePort(address)
    const child = spawn(programs.server, [transport, address, String(port), BUFFER])
    ends.push(() => child.kill())
    await new Promise(resolve => child.stdout.once('data', resolve))
    const client = await RpcClient.connect(host, { address, port, transport })
    ends.push(() => client.close())
    const calls = new EveryTypeV1Client(client)
    expect(await calls.add(-(2n ** 63n) + 1n, -1)).toBe(-(2n ** 63n))
    expect(await calls.square(1 / 3)).toBe((1 / 3) ** 2)
    expect(await calls.color(Color.GREEN)).toBe(Color.BLUE)
    expect(await calls.lookup(1)).toEqual({ status: 1, moved: -1n })
    expect(await new EveryTypeV3Client(client).etThree()).toBe(3)
    const length = transport === 'tcp' ? 1 << 20 : 8_000
    const bytes = await calls.blob(length)
    expect(Buffer.compare(bytes, numbered(length))).toBe(0)
    expect(await calls.sum(bytes)).toBe(bytes.reduce((sum, byte) => sum + byte, 0))
    await expect(calls.weak()).rejects.toMatchObject({ outcome: 'answered', status: 'AUTH_TOOWEAK' })
  })
})
