/** How connections begin and end, with the kernel at the other side: half-close, reset, refusal, both at once. */
import type { Server } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { titled } from '../../../src/host/testing/requirements.ts'
import { until } from '../../../src/node/testing.ts'
import { TcpConnection } from '../../../src/socket/tcp-endpoint.ts'
import { fromKernel, toKernel } from './connection.ts'
import { KernelPeer, type Step } from './kernel-peer.ts'
import { KERNEL4, KERNEL6, lacking, ON_KERNEL, type SiteOptions, STACK4, STACK6, TcpSite } from './site.ts'
import { closed, connected, drain, ended, listening, pause, pour } from './traffic.ts'

const reason = lacking('python3')
const MIB = 1024 * 1024
const CLOSED_PORT = 4_999
const families = [
  { family: 'IPv4', kernel: KERNEL4, stack: STACK4 },
  { family: 'IPv6', kernel: KERNEL6, stack: STACK6 },
]

let site: TcpSite
let server: Server | null = null

async function open(options: SiteOptions = {}): Promise<void> {
  site = await TcpSite.open(options)
}

/** Whether a connection of the kernel's is in SYN-SENT. */
const synSent = async (): Promise<boolean> =>
  (await site.run('ss', ['-Htn', 'state', 'syn-sent']).succeeds()).stdout !== ''

const either = [
  { opened: 'by the kernel', open: fromKernel, address: { IPv4: STACK4, IPv6: STACK6 } },
  { opened: 'by us', open: toKernel, address: { IPv4: KERNEL4, IPv6: KERNEL6 } },
] as const

describe.skipIf(reason !== '')(titled('opening and closing with the kernel', reason), () => {
  afterEach(async () => {
    server?.close()
    server = null
    await site?.close()
  })

  describe.each(either)('a connection opened $opened', ({ open: start, address }) => {
    it.each(['IPv4', 'IPv6'] as const)(
      'RFC 9293 §3.6: we end first, and go on receiving (%s)',
      async family => {
        await open()
        const { socket, peer } = await start(
          site,
          [{ do: 'receive' }, { do: 'send', bytes: MIB }, { do: 'close' }],
          { address: address[family] },
        )
        const sent = pour(socket, 100_000)
        const got = await drain(socket)
        expect((await peer.end()).filter(({ event }) => event !== 'accepted')).toMatchObject(
          expect.arrayContaining([
            expect.objectContaining({ event: 'received', ended: true, ...(await sent) }),
            expect.objectContaining({ event: 'sent', ...got }),
          ]),
        )
        expect(got.bytes).toBe(MIB)
      },
    )

    it('RFC 9293 §3.6: the kernel ends first, and goes on receiving', async () => {
      await open()
      const { socket, peer } = await start(site, [
        { do: 'send', bytes: 100_000 },
        { do: 'shutdown' },
        { do: 'receive' },
        { do: 'close' },
      ])
      const got = await drain(socket)
      const sent = await pour(socket, MIB)
      const events = await peer.end()
      expect(events.find(({ event }) => event === 'sent')).toMatchObject(got)
      expect(events.find(({ event }) => event === 'received')).toMatchObject({ ...sent, ended: true })
    })

    it('RFC 9293 §3.5.3: a reset by the kernel', async () => {
      await open()
      const { socket, peer } = await start(site, [{ do: 'wait' }, { do: 'reset' }])
      peer.go()
      expect(await closed(socket)).toBe('ECONNRESET')
      await peer.end()
    })

    it('RFC 9293 §3.10.5: a reset by us', async () => {
      await open()
      const { socket, peer } = await start(site, [{ do: 'failure' }])
      socket.resetAndDestroy()
      expect((await peer.end()).find(({ event }) => event === 'failure')).toMatchObject({
        errno: 'ECONNRESET',
      })
    })

    it('RFC 2525 §2.17: we close while data was not read, and the kernel is reset', async () => {
      await open()
      const { socket, peer } = await start(site, [{ do: 'send', bytes: 200_000 }, { do: 'failure' }])
      socket.pause()
      await peer.event('sent')
      await pause(50)
      socket.destroy()
      expect((await peer.end()).find(({ event }) => event === 'failure')).toMatchObject({
        errno: 'ECONNRESET',
      })
    })

    it('RFC 2525 §2.17: the kernel closes while data was not read, and we are reset', async () => {
      await open()
      const { socket, peer } = await start(site, [{ do: 'wait' }, { do: 'close' }])
      socket.write(Buffer.alloc(50_000))
      await pause(50)
      peer.go()
      expect(await closed(socket)).toBe('ECONNRESET')
      await peer.end()
    })

    it('RFC 9293 §3.6 fig. 13: both end at once', async () => {
      // With a delay on the link each end sends its FIN before it sees the other one.
      await open({ modules: [{ impair: { delay: '30ms' } }] })
      const { socket, peer } = await start(site, [
        { do: 'wait' },
        { do: 'shutdown' },
        { do: 'receive' },
        { do: 'close' },
      ])
      const told = closed(socket)
      peer.go()
      socket.end()
      await ended(socket)
      expect(await told).toBe('')
      expect((await peer.end()).find(({ event }) => event === 'received')).toMatchObject({
        bytes: 0,
        ended: true,
      })
    })
  })

  it.each(families)('RFC 9293 §3.10.7.1: nobody listens ($family)', async ({ kernel, stack }) => {
    await open()
    const peer = new KernelPeer(site, [{ do: 'connect', address: stack, port: CLOSED_PORT }])
    expect((await peer.end()).at(-1)).toMatchObject({ event: 'error', errno: 'ECONNREFUSED' })
    const socket = site.net.connect({ host: kernel, port: CLOSED_PORT })
    expect(await closed(socket)).toBe('ECONNREFUSED')
  })

  it.skipIf(ON_KERNEL)('MUST-10: both connect at once', async () => {
    await open({ modules: [{ impair: { delay: '300ms' } }] })
    const [ours, theirs] = [7_001, 7_002]
    const peer = new KernelPeer(site, [
      { do: 'bind', address: KERNEL4, port: theirs },
      { do: 'wait' },
      { do: 'connect', address: STACK4, port: ours },
      { do: 'exchange', bytes: MIB },
    ])
    peer.go()
    // The kernel's SYN is on its way for a while.
    await until(synSent, 'the kernel has sent its SYN')
    const socket = site.net.connect({ host: KERNEL4, port: theirs, localPort: ours, allowHalfOpen: true })
    await connected(socket)
    const [sent, got] = await Promise.all([pour(socket, MIB), drain(socket)])
    const events = await peer.end()
    expect(events.find(({ event }) => event === 'received')).toMatchObject(sent)
    expect(events.find(({ event }) => event === 'sent')).toMatchObject(got)
  })

  it.skipIf(ON_KERNEL)(
    'MUST-56, RFC 5461: an opening that ends with an ICMP unreachable says why',
    async () => {
      await open({ router: { mtu: 1_500 }, tcp: { rtoInitialMs: 300 } })
      site.ip(site.netns, 'route', 'add', 'unreachable', '10.99.0.0/16')
      // The soft error does not end it: the SYN is sent again, and only then the program hears.
      const connection = TcpConnection.connect(site.side.node!.runtime, {
        address: '10.99.0.1',
        port: 80,
        settings: { userTimeoutMs: 500 },
      })
      const error = await new Promise(resolve => {
        connection.onClosed = (_, error) => resolve(error?.code)
      })
      connection.close()
      expect(error).toBe('ERR_HOST_UNREACHABLE')
      expect(site.counters()['errors-soft']).toBe(2)
    },
  )

  it('RFC 1122 §4.2.2.13: a port is used again at once after its connection was in TIME-WAIT', async () => {
    await open()
    server = site.net.createServer(socket => socket.end('bye'))
    const port = await listening(server, STACK4)
    // We end first, so that ours is the end that waits; Linux reuses the tuple with a later timestamp.
    const again: Step[] = [
      { do: 'bind', address: KERNEL4, port: 7_777 },
      { do: 'connect', address: STACK4, port },
      { do: 'receive' },
      { do: 'close' },
    ]
    for (let i = 0; i < 3; i++) {
      const events = await new KernelPeer(site, again).end()
      expect(events.find(({ event }) => event === 'received')).toMatchObject({ text: 'bye', ended: true })
      expect(events.at(-1)).toMatchObject({ event: 'done' })
    }
  })
})
