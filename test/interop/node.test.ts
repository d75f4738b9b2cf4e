import { execFileSync, spawnSync } from 'node:child_process'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createNamespace, deleteNamespace } from '../../src/host/namespace.ts'
import type { Shim } from '../../src/host/shim.ts'
import { shim as loaded, missing, titled } from '../../src/host/testing/requirements.ts'
import { checkNodeConfig, type NodeConfigInput } from '../../src/node/config.ts'
import { Node } from '../../src/node/node.ts'
import { pushModule } from '../../src/node/plumbing.ts'
import { until } from '../../src/node/testing.ts'
import { TcpConnection, TcpListener } from '../../src/socket/tcp-endpoint.ts'
import { freemsg, M_DATA, type ModuleInfo, messageBytes, putnext } from '../../src/streams/index.ts'

const reason = missing('shim', 'namespaces', 'tun', 'ip')

/** Fails at the first packet that comes up. */
const brittle: ModuleInfo = {
  name: 'brittle',
  hiwat: 1_024,
  lowat: 256,
  open: () => null,
  close: () => {},
  read: {
    put: (q, mp) => {
      if (mp.type === M_DATA) throw new TypeError('a slip in somebody’s module')
      putnext(q, mp)
    },
  },
  write: { put: putnext },
}

describe.skipIf(reason !== '')(titled('a node on TUN devices', reason), () => {
  const shim = loaded as Shim
  const netns = `pxn-${process.pid}`
  let node: Node | null = null

  beforeEach(() => createNamespace(shim, netns))

  afterEach(async () => {
    const report = await node?.close()
    node = null
    deleteNamespace(shim, netns)
    expect(report?.arenaWhole ?? true).toBe(true)
  })

  const inside = (command: string, ...args: string[]): string =>
    execFileSync('ip', ['netns', 'exec', netns, command, ...args], { encoding: 'utf8' })

  const link = (name: string, subnet: number) => ({
    name,
    driver: 'tun' as const,
    netns,
    addresses: [`10.77.${subnet}.2/24`, `fd77:${subnet}::2/64`],
    kernel: { addresses: [`10.77.${subnet}.1/24`, `fd77:${subnet}::1/64`] },
  })

  async function start(config: Partial<NodeConfigInput>): Promise<Node> {
    node = await Node.start(checkNodeConfig({ version: 1, name: 'n1', arena: { size: '8MiB' }, ...config }))
    return node
  }

  /** The kernel's ping; asynchronous, since the node that answers lives in this process. */
  async function kernelPing(address: string, count = 1): Promise<number> {
    const { spawn } = await import('node:child_process')
    const args = ['netns', 'exec', netns, 'ping', '-c', String(count), '-i', '0.05', '-W', '2', address]
    const child = spawn('ip', args, { stdio: 'ignore' })
    return new Promise(resolve => child.on('exit', code => resolve(code ?? -1)))
  }

  const ping = (address: string, bytes = 56) =>
    node!.network.ping({ address, sequence: 1, bytes, timeoutMs: 2_000 })

  it('RFC 792, RFC 4443: answers the kernel, and asks it, in both families, fragments included', async () => {
    await start({ links: [link('tun0', 1)] })
    expect(await kernelPing('10.77.1.2', 3)).toBe(0)
    expect(await kernelPing('fd77:1::2', 3)).toBe(0)
    expect(await ping('10.77.1.1')).toMatchObject({ kind: 'reply', from: '10.77.1.1', bytes: 56, ttl: 64 })
    expect(await ping('fd77:1::1', 8_000)).toMatchObject({ kind: 'reply', from: 'fd77:1::1', bytes: 8_000 })
    expect(await ping('10.99.0.1')).toMatchObject({ kind: 'error', reason: 'no route to the network' })
  })

  it('a stream of the node to itself leaves timers and the device their turns', async () => {
    await start({ links: [link('tun0', 1)], arena: { size: '64MiB' } })
    const { runtime } = node!
    const listener = TcpListener.open(runtime, { port: 7_000 })
    let received = 0
    listener.onConnection = () => {
      const sink = listener.accept()!
      sink.onReadable = () => {
        for (let mp = sink.getmsg(); mp !== null; mp = sink.getmsg()) {
          received += messageBytes(mp)
          freemsg(mp)
        }
      }
    }
    const source = TcpConnection.connect(runtime, { address: '10.77.1.2', port: 7_000 })
    const block = Buffer.alloc(128 * 1024)
    const send = (): void => {
      while (source.sendOwned(block, () => {}));
    }
    source.onConnect = source.onWritable = send
    await until(() => received > 0)
    const { scheduler } = runtime
    let turns = 0
    let running = true
    const turn = (): void => {
      turns++
      if (running) setImmediate(turn)
    }
    turn()
    const [receivedBefore, runsBefore] = [received, scheduler.runs]
    for (let i = 0; i < 20; i++) expect(await ping('10.77.1.1')).toMatchObject({ kind: 'reply' })
    await new Promise(resolve => setTimeout(resolve, 300))
    running = false
    source.abort()
    listener.close()
    expect(received).toBeGreaterThan(receivedBefore)
    // What fits into 2 ms: some hundreds. By counts, since a machine that is busy stretches every clock.
    expect((scheduler.runs - runsBefore) / turns).toBeLessThan(1_500)
  })

  it('sets the kernel side as configured', async () => {
    await start({
      links: [
        {
          ...link('tun0', 1),
          device: 'dev0',
          mtu: 1_400,
          txqueuelen: 250,
          kernel: { addresses: ['10.77.1.1/24'], routes: [{ to: '10.88.0.0/16', via: '10.77.1.2' }] },
        },
      ],
    })
    expect(inside('ip', 'link', 'show', 'dev0')).toMatch(/mtu 1400 .*qlen 250/)
    expect(inside('ip', 'route')).toContain('10.88.0.0/16 via 10.77.1.2 dev dev0')
  })

  it('all or nothing: when the second link cannot be had, the first is gone, and the error says which', async () => {
    const twice = { ...link('tun1', 2), kernel: { addresses: ['10.77.2.1/24', '10.77.2.1/24'] } }
    await expect(start({ links: [link('tun0', 1), twice] })).rejects.toMatchObject({
      message: expect.stringContaining('link tun1: '),
    })
    expect(inside('ip', 'link')).not.toContain('tun0')
  })

  it('a namespace that is not there', async () => {
    await expect(start({ links: [{ ...link('tun0', 1), netns: 'nowhere-at-all' }] })).rejects.toMatchObject({
      code: 'ERR_NOT_FOUND',
    })
  })

  it('lives on when a device is removed while it is open', async () => {
    await start({ links: [link('tun0', 1), link('tun1', 2)] })
    expect(await kernelPing('10.77.1.2')).toBe(0)
    inside('ip', 'link', 'del', 'tun0')
    expect(await kernelPing('10.77.2.2', 2)).toBe(0)
    const states = node!.status().links.map(({ name, state }) => [name, state])
    expect(states).toEqual([
      ['tun0', 'device gone'],
      ['tun1', 'up'],
    ])
    expect(node!.events.since().map(({ name }) => name)).toContain('tun.gone')
    node!.removeLink('tun0')
    node!.addLink({ ...checkNodeConfig({ version: 1, name: 'x', links: [link('tun0', 1)] }).links[0]! })
    expect(await kernelPing('10.77.1.2')).toBe(0)
  })

  it('lives on, link and all, when a module on the link throws', async () => {
    await start({ links: [link('tun0', 1)] })
    node!.runtime.registry.register(brittle)
    pushModule(node!.runtime, 'tun0', 'brittle')
    await kernelPing('10.77.1.2')
    expect(node!.links.get('tun0')!.stream.modules).toEqual([])
    expect(node!.events.since().map(({ name }) => name)).toContain('stream.module-fault')
    expect(await kernelPing('10.77.1.2')).toBe(0)
    expect(await ping('10.77.1.1')).toMatchObject({ kind: 'reply' })
  })

  it('RFC 768: talks to a UDP program of the kernel', async () => {
    await start({ links: [link('tun0', 1)] })
    const endpoint = node!.network.openDatagrams({ family: 4 })
    const got = new Promise<string>(resolve => {
      endpoint.onDatagram = ({ data }) => resolve(Buffer.from(data).toString())
    })
    const echo = `const s=require('dgram').createSocket('udp4');s.on('message',(m,r)=>s.send(m,r.port,r.address,()=>s.close()));s.bind(9000,'10.77.1.1',()=>console.log('ready'))`
    const { spawn } = await import('node:child_process')
    const child = spawn('ip', ['netns', 'exec', netns, process.execPath, '-e', echo], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    await new Promise(resolve => child.stdout.once('data', resolve))
    await endpoint.send(Buffer.from('hello'), { address: '10.77.1.1', port: 9_000 })
    expect(await got).toBe('hello')
    endpoint.close()
    await new Promise(resolve => child.on('exit', resolve))
  })

  it('leaves no process, device or socket behind', async () => {
    await start({ links: [link('tun0', 1)] })
    await node!.close()
    expect(spawnSync('ip', ['netns', 'exec', netns, 'ip', 'link', 'show', 'tun0']).status).not.toBe(0)
  })
})

describe('nodes of one process, joined by a wire', () => {
  it('reach each other, and both give all memory back', async () => {
    const { Arena } = await import('../../src/streams/index.ts')
    const { Wires } = await import('../../src/node/wires.ts')
    const [arena, wires] = [new Arena({ sizeBytes: 8 * 1024 * 1024 }), new Wires()]
    const make = (n: number): Promise<Node> =>
      Node.start(
        checkNodeConfig({
          version: 1,
          name: `n${n}`,
          seed: n,
          links: [
            { name: 'w0', driver: 'wire', wire: 'lan', addresses: [`10.0.0.${n}/24`, `fd00::${n}/64`] },
          ],
        }),
        { arena, wires, shim: null },
      )
    const nodes = [await make(1), await make(2)]
    // An end hears that the other one is there in the next turn of its own loop.
    const up = (each: Node): boolean =>
      JSON.stringify(each.network.describe()).includes('"name":"w0","index":2,"up":true')
    await until(() => nodes.every(up), 'the wire is up')
    for (const address of ['10.0.0.2', 'fd00::2'])
      expect(
        await nodes[0]!.network.ping({ address, sequence: 7, bytes: 1_400, timeoutMs: 2_000 }),
      ).toMatchObject({
        kind: 'reply',
        sequence: 7,
        from: address,
      })
    await nodes[0]!.close()
    expect((await nodes[1]!.close()).arenaWhole).toBe(true)
  })
})
