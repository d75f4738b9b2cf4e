/** RFC 4987: a flood of SYNs from invented addresses, and honest clients in the middle of it. */
import { createHash } from 'node:crypto'
import { afterEach, describe, expect, it } from 'vitest'
import { titled } from '../../../src/host/testing/requirements.ts'
import { fromKernel } from './connection.ts'
import { lacking, ON_KERNEL, STACK4, TcpSite } from './site.ts'
import { drain, listening, pause, pour } from './traffic.ts'

const reason = lacking('python3', 'hping3')
const FLOODED_PORT = 80
const BYTES = 200_000

let site: TcpSite

describe.skipIf(reason !== '')(titled('a SYN flood', reason), () => {
  afterEach(() => site?.close())

  it.each([
    { title: 'with room for few', tcp: { synBacklog: 64, synCookies: 1 } },
    { title: 'with cookies for all', tcp: { synBacklog: 1_024, synCookies: 2 } },
  ])('honest clients of the kernel get through, $title', async ({ tcp }) => {
    site = await TcpSite.open({ tcp })
    const server = site.net.createServer({ allowHalfOpen: true }, socket => {
      const sha = createHash('sha256')
      socket.on('error', () => {})
      socket.on('data', data => sha.update(data))
      socket.on('end', () => socket.end(sha.digest('hex')))
    })
    await listening(server, STACK4, FLOODED_PORT)
    const rate = ['-i', 'u100']
    const flood = site.run('hping3', [
      '-q',
      '-S',
      '--rand-source',
      ...rate,
      '-p',
      String(FLOODED_PORT),
      STACK4,
    ])
    await pause(300)
    for (let i = 0; i < 5; i++) {
      const { socket, peer } = await fromKernel(site, [{ do: 'exchange', bytes: BYTES }])
      const [sent, got] = await Promise.all([pour(socket, BYTES), drain(socket)])
      const events = await peer.end()
      expect(events.find(({ event }) => event === 'received')).toMatchObject(sent)
      expect(events.find(({ event }) => event === 'sent')).toMatchObject(got)
    }
    const client = site.run('nc', ['-nN', STACK4, String(FLOODED_PORT)])
    client.child.stdin!.end('honest')
    expect((await client.succeeds()).stdout).toBe(createHash('sha256').update('honest').digest('hex'))
    flood.kill()
    if (ON_KERNEL) return
    const counters = site.counters()
    expect(counters['syn-cookies-sent']).toBeGreaterThan(0)
    expect(counters['syn-cookies-accepted']).toBeGreaterThan(0)
    // With cookies for all there is no other way in.
    if (tcp.synCookies === 2) expect(counters['syn-cookies-accepted']).toBe(6)
  })
})
