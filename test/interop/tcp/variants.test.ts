/** What kernels do beyond the plain protocol: options that we do not have, ports used again at once, a device that goes away. */
import { afterEach, describe, expect, it } from 'vitest'
import { titled } from '../../../src/host/testing/requirements.ts'
import { fromKernel, toKernel } from './connection.ts'
import { KernelPeer, type Step } from './kernel-peer.ts'
import { lacking, ON_KERNEL, type SiteOptions, STACK4, TcpSite } from './site.ts'
import { closed, drain, listening, pause, pour } from './traffic.ts'

const reason = lacking('python3')
const BYTES = 500_000
/** IPPROTO_MPTCP, and TCP_FASTOPEN_CONNECT of tcp(7), which Python does not know by name everywhere. */
const MPTCP = 262
const TCP_FASTOPEN_CONNECT = 30

let site: TcpSite

/** Opens the site, or says false where this kernel does not know a setting. */
async function opened(options: SiteOptions): Promise<boolean> {
  try {
    site = await TcpSite.open(options)
    return true
  } catch (error) {
    if (/cannot set net/.test(String(error))) return false
    throw error
  }
}

async function exchange(start: typeof fromKernel, before: readonly Step[] = []): Promise<void> {
  const { socket, peer } = await start(site, [{ do: 'exchange', bytes: BYTES }], { before })
  const [sent, got] = await Promise.all([pour(socket, BYTES), drain(socket)])
  const events = await peer.end()
  expect(events.find(({ event }) => event === 'received')).toMatchObject(sent)
  expect(events.find(({ event }) => event === 'sent')).toMatchObject(got)
}

describe.skipIf(reason !== '')(titled('variants of the kernel', reason), () => {
  afterEach(() => site?.close())

  it('RFC 9768: a kernel that asks for AccECN, with a third flag and options of its own', async context => {
    if (!(await opened({ sysctls: { tcp_ecn: 3 } }))) return context.skip('this kernel has no AccECN')
    await exchange(fromKernel)
    await exchange(toKernel)
  })

  it('RFC 8684: a kernel that offers MPTCP falls back to TCP', async context => {
    site = await TcpSite.open()
    const probe = await site.run('python3', ['-c', `import socket; socket.socket(2, 1, ${MPTCP})`]).ended
    if (probe.code !== 0) return context.skip('this kernel has no MPTCP')
    await exchange(fromKernel, [{ do: 'protocol', number: MPTCP }])
    await exchange(toKernel, [{ do: 'protocol', number: MPTCP }])
  })

  it('RFC 7413: a kernel that asks for a Fast Open cookie gets none, and its data comes', async () => {
    site = await TcpSite.open({ sysctls: { tcp_fastopen: 3 } })
    const server = site.net.createServer({ allowHalfOpen: true }, socket => void socket.pipe(socket))
    const port = await listening(server, STACK4)
    for (let i = 0; i < 2; i++) {
      const peer = new KernelPeer(site, [
        { do: 'option', name: TCP_FASTOPEN_CONNECT, value: 1 },
        { do: 'connect', address: STACK4, port },
        { do: 'send', text: 'early bird' },
        { do: 'shutdown' },
        { do: 'receive' },
      ])
      expect((await peer.end()).find(({ event }) => event === 'received')).toMatchObject({
        text: 'early bird',
      })
    }
  })

  it('RFC 6191: three hundred connections from twenty ports, which we end first', async () => {
    site = await TcpSite.open({ sysctls: { ip_local_port_range: '40000 40019' } })
    const server = site.net.createServer(socket => void socket.resume().end('bye'))
    const port = await listening(server, STACK4)
    const script = [
      'import socket',
      'for i in range(300):',
      `    s = socket.create_connection(("${STACK4}", ${port}), 20)`,
      '    assert s.recv(10) == b"bye" and s.recv(10) == b""',
      '    s.close()',
    ]
    await site.run('python3', ['-c', script.join('\n')]).succeeds()
    if (!ON_KERNEL) expect(site.counters()['time-wait-recycled']).toBeGreaterThan(200)
  })

  it.skipIf(ON_KERNEL)(
    'the device goes away under a connection: nothing breaks, and it can be given up',
    async () => {
      site = await TcpSite.open()
      const { socket } = await fromKernel(site, [{ do: 'receive' }])
      socket.write(Buffer.alloc(100_000))
      await pause(50)
      site.ip(site.netns, 'link', 'del', 'tun0')
      socket.write(Buffer.alloc(100_000))
      await pause(300)
      const gone = closed(socket)
      socket.destroy()
      expect(await gone).toBe('')
    },
  )
})
