/** Windows that are small, closed, or never opened; keep-alive and urgent data, with the kernel's TCP at the other side. */
import { afterEach, describe, expect, it } from 'vitest'
import { titled } from '../../../src/host/testing/requirements.ts'
import { TcpConnection } from '../../../src/socket/tcp-endpoint.ts'
import { fromKernel, toKernel } from './connection.ts'
import { KernelPeer, type Step } from './kernel-peer.ts'
import { KERNEL4, lacking, ON_KERNEL, TcpSite } from './site.ts'
import { closed, drain, pause, pour } from './traffic.ts'

const reason = lacking('python3')
const MIB = 1024 * 1024

let site: TcpSite

const option = (name: string, value: number, level = 'tcp'): Step => ({ do: 'option', name, value, level })

describe.skipIf(reason !== '')(titled('windows with the kernel', reason), () => {
  afterEach(() => site?.close())

  it.each([2_304, 8_192, 40_000])('the kernel has a receive buffer of %i bytes', async size => {
    site = await TcpSite.open()
    const { socket, peer } = await toKernel(site, [{ do: 'receive' }, { do: 'close' }], {
      before: [option('SO_RCVBUF', size, 'socket')],
    })
    const sent = await pour(socket, 300_000)
    expect((await peer.end()).find(({ event }) => event === 'received')).toMatchObject(sent)
  })

  it.each([4_096, 20_000])('ours has a receive buffer of %i bytes', async receiveBytes => {
    site = await TcpSite.open({ tcp: { receiveBytes, receiveBytesMax: receiveBytes } })
    const { socket, peer } = await fromKernel(site, [{ do: 'send', bytes: 500_000 }, { do: 'close' }])
    const got = await drain(socket)
    expect((await peer.end()).find(({ event }) => event === 'sent')).toMatchObject(got)
  })

  it('MUST-38, MUST-39: a reader that takes 100 bytes at a time', async () => {
    site = await TcpSite.open()
    const { socket, peer } = await fromKernel(site, [{ do: 'receive', chunk: 100 }], {
      before: [option('SO_RCVBUF', 4_096, 'socket')],
    })
    const sent = await pour(socket, 200_000)
    expect((await peer.end()).find(({ event }) => event === 'received')).toMatchObject(sent)
    // Silly windows would have made some 2,000 segments of it.
    if (!ON_KERNEL) expect(site.counters()['segments-out']).toBeLessThan(600)
  })

  it('MUST-35, MUST-36: the kernel closes its window for a while, and opens it again', async () => {
    site = await TcpSite.open()
    const steps: Step[] = [{ do: 'sleep', ms: 1_500 }, { do: 'receive' }]
    const { socket, peer } = await toKernel(site, steps, { before: [option('SO_RCVBUF', 8_192, 'socket')] })
    const sent = await pour(socket, MIB)
    expect((await peer.end()).find(({ event }) => event === 'received')).toMatchObject(sent)
    if (!ON_KERNEL) expect(site.counters()['window-probes-out']).toBeGreaterThan(0)
  })

  it('MUST-34, MUST-35: ours closes its window for a while, and opens it again', async () => {
    site = await TcpSite.open()
    const { socket, peer } = await fromKernel(site, [{ do: 'send', bytes: 20 * MIB }, { do: 'close' }], {
      pauseOnConnect: true,
    })
    await pause(1_500)
    // A window is a promise: what waits is bounded, and the kernel is stuck.
    expect(peer.events.some(({ event }) => event === 'sent')).toBe(false)
    const got = await drain(socket.resume())
    expect((await peer.end()).find(({ event }) => event === 'sent')).toMatchObject(got)
  })

  it('the kernel announces an MSS of 88 bytes', async () => {
    site = await TcpSite.open()
    const { socket, peer } = await fromKernel(site, [{ do: 'exchange', bytes: 100_000 }], {
      before: [option('TCP_MAXSEG', 88)],
    })
    const [sent, got] = await Promise.all([pour(socket, 100_000), drain(socket)])
    const events = await peer.end()
    expect(events.find(({ event }) => event === 'received')).toMatchObject(sent)
    expect(events.find(({ event }) => event === 'sent')).toMatchObject(got)
  })

  it('MUST-24 to MUST-29: answers the kernel’s keep-alive probes', async () => {
    site = await TcpSite.open()
    const { socket, peer } = await fromKernel(
      site,
      [{ do: 'sleep', ms: 2_600 }, { do: 'info' }, { do: 'send', text: 'still here' }, { do: 'close' }],
      {
        before: [
          option('SO_KEEPALIVE', 1, 'socket'),
          option('TCP_KEEPIDLE', 1),
          option('TCP_KEEPINTVL', 1),
          option('TCP_KEEPCNT', 2),
        ],
      },
    )
    const got = await drain(socket)
    expect(got.bytes).toBe(10)
    expect((await peer.end()).find(({ event }) => event === 'info')).toMatchObject({ state: 1, probes: 0 })
  })

  it.skipIf(ON_KERNEL)('MUST-24 to MUST-29: keep-alive finds out whether the kernel is there', async () => {
    site = await TcpSite.open()
    const peer = new KernelPeer(site, [
      { do: 'listen', address: KERNEL4, port: 0 },
      { do: 'accept' },
      { do: 'wait' },
    ])
    // Linux answers such segments twice a second at the most.
    const { port } = await peer.event('listening')
    const connection = TcpConnection.connect(site.side.node!.runtime, {
      address: KERNEL4,
      port: port!,
      settings: { keepAlive: true, keepIdleMs: 600, keepIntervalMs: 300, keepProbes: 2 },
    })
    await pause(1_500)
    expect(site.counters()['keep-alives-out']).toBe(2)
    expect(connection.state).toBe('ESTABLISHED')
    const gone = new Promise(resolve => {
      connection.onClosed = (reason, error) => resolve({ reason, code: error?.code })
    })
    site.ip(site.netns, 'address', 'del', `${KERNEL4}/24`, 'dev', 'tun0')
    expect(await gone).toEqual({ reason: 'timed-out', code: 'ERR_TIMED_OUT' })
    connection.close()
  })

  it('RFC 6093 §6: urgent data of the kernel stays in the stream', async () => {
    site = await TcpSite.open()
    const { socket, peer } = await fromKernel(site, [
      { do: 'send', text: 'abc' },
      { do: 'urgent', text: 'X' },
      { do: 'send', text: 'def' },
      { do: 'close' },
    ])
    let text = ''
    socket.on('data', data => {
      text += data.toString()
    })
    await closed(socket.on('end', () => socket.end()))
    await peer.end()
    // Linux takes the last urgent byte out of its own streams; ours are as RFC 6093 advises.
    expect(text).toBe(ON_KERNEL ? 'abcdef' : 'abcXdef')
  })
})
