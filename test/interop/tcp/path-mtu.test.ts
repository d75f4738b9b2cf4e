/** A smaller link behind a router: with its ICMP errors, and without them. */
import { afterEach, describe, expect, it } from 'vitest'
import { titled } from '../../../src/host/testing/requirements.ts'
import { KernelPeer } from './kernel-peer.ts'
import { FAR4, FAR6, lacking, ON_KERNEL, type SiteOptions, TcpSite } from './site.ts'
import { connected, drain, pour } from './traffic.ts'

const reason = lacking('python3')
const BYTES = 4 * 1024 * 1024

let site: TcpSite

/** We connect to the host behind the router. */
async function exchange(
  options: SiteOptions,
  address: string,
  bytes: number,
): Promise<Record<string, number>> {
  site = await TcpSite.open(options)
  const peer = new KernelPeer(
    site,
    [{ do: 'listen', address, port: 0 }, { do: 'accept' }, { do: 'exchange', bytes }],
    site.farNetns,
  )
  const { port } = await peer.event('listening')
  const socket = await connected(site.net.connect({ host: address, port: port!, allowHalfOpen: true }))
  const [sent, got] = await Promise.all([pour(socket, bytes), drain(socket)])
  const events = await peer.end()
  expect(events.find(({ event }) => event === 'received')).toMatchObject(sent)
  expect(events.find(({ event }) => event === 'sent')).toMatchObject(got)
  return site.counters()
}

describe.skipIf(reason !== '')(titled('path MTU', reason), () => {
  afterEach(() => site?.close())

  // The far end believes in 1,500 bytes, and announces as much.
  const router = { mtu: 1_300 }

  it.each([
    { family: 'IPv4', address: FAR4, offload: 'auto' },
    { family: 'IPv4', address: FAR4, offload: 'off' },
    { family: 'IPv6', address: FAR6, offload: 'auto' },
    { family: 'IPv6', address: FAR6, offload: 'off' },
  ] as const)(
    'RFC 1191, RFC 8201: a router says what fits ($family, offload $offload)',
    async ({ address, offload }) => {
      const counters = await exchange({ router, offload }, address, BYTES)
      if (!ON_KERNEL) expect(counters['path-mtu-lowered']).toBeGreaterThan(0)
    },
  )

  // The far end takes no more than its MTU, and nobody says so: a veth drops silently.
  it.skipIf(ON_KERNEL)('RFC 4821, RFC 8899: a black hole is found', async () => {
    const hole = { mtu: 1_500, farMtu: 1_200 }
    const counters = await exchange({ router: hole, offload: 'off' }, FAR4, 300_000)
    expect(counters['path-mtu-black-holes']).toBeGreaterThan(0)
  })
})
