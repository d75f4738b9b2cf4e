import { afterEach, describe, expect, it } from 'vitest'
import { TCP_SETTINGS } from '../inet/tcp/settings.ts'
import { TcpConnection, TcpListener } from '../socket/tcp-endpoint.ts'
import type { ModuleInfo } from '../streams/module.ts'
import { putnext } from '../streams/putnext.ts'
import { checkNodeConfig, parseNodeConfig } from './config.ts'
import { Node } from './node.ts'
import { nodeMetrics } from './node-metrics.ts'
import { configureModule, describePlumbing, findStream, pushModule } from './plumbing.ts'
import { until } from './testing.ts'

const HEAD = 'version: 1\nname: n1\n'

describe('node/config: tcp', () => {
  it('settings have the names of putnext plumb NODE set tcp; sizes and durations are written as elsewhere', () => {
    const { tcp } = parseNodeConfig(
      `${HEAD}tcp: {receiveBytes: 64KiB, delayedAckMs: 10ms, sack: false}\n`,
      'n',
    )
    expect(tcp).toEqual({ receiveBytes: 65_536, delayedAckMs: 10, sack: 0 })
    expect(parseNodeConfig(HEAD, 'n').tcp).toEqual({})
  })

  it.each([
    [
      'tcp: {receiveByte: 1}',
      /3:7: tcp.receiveByte: unknown key "receiveByte"; did you mean "receiveBytes"\?/,
    ],
    ['tcp: {delayedAckMs: 1s}', /3:21: tcp.delayedAckMs: has to be 0 to 500 milliseconds/],
    ['tcp: {sack: sometimes}', /3:13: tcp.sack: must be \(number \| boolean\), not "sometimes"/],
    ['tcp: {sendBytes: 16MiB}', /3:1: tcp: sendBytes \(16777216\) must not be more than sendBytesMax/],
  ])('%s is refused with its place', (line, message) => {
    expect(() => parseNodeConfig(`${HEAD}${line}\n`, 'n')).toThrow(message)
  })
})

describe('node: tcp of a live node', () => {
  let node: Node
  afterEach(async () => {
    expect((await node.close()).arenaWhole).toBe(true)
  })

  const start = async (tcp: object = {}): Promise<void> => {
    node = await Node.start(checkNodeConfig({ version: 1, name: 'n1', tcp }), { shim: null })
  }

  const settings = (): Record<string, unknown> =>
    (node.network.describe() as { tcp: { settings: Record<string, unknown> } }).tcp.settings

  it('settings change as a whole or not at all, and take effect at once', async () => {
    await start({ receiveBytes: 8_192 })
    const { runtime } = node
    expect(settings()).toEqual({ ...TCP_SETTINGS, receiveBytes: 8_192 })
    configureModule(runtime, 'tcp', 'tcp', { receiveBytes: '1MiB', portFirst: 40_000, portLast: 40_001 })
    expect(settings()).toMatchObject({ receiveBytes: 1_048_576, portFirst: 40_000 })
    for (const wrong of [{ delayedAckMs: 1, ecn: 9 }, { delayedAckMs: 1, no: 1 }, { portFirst: 40_002 }]) {
      expect(() => configureModule(runtime, 'tcp', 'tcp', wrong)).toThrow(
        expect.objectContaining({ code: 'ERR_BAD_CONFIG' }),
      )
    }
    expect(settings()).toMatchObject({ delayedAckMs: 40, portFirst: 40_000 })
    const listener = TcpListener.open(runtime, { port: 0 })
    expect([40_000, 40_001]).toContain(listener.local.port)
    listener.close()
  })

  it('a connection is plumbed by its addresses, which nobody has to be told', async () => {
    await start()
    const { runtime } = node
    const module: ModuleInfo<null> = {
      name: 'pass',
      hiwat: 65_536,
      lowat: 16_384,
      open: () => null,
      close: () => {},
      read: { put: putnext },
      write: { put: putnext },
    }
    runtime.registry.register(module)
    const listener = TcpListener.open(runtime, { port: 80 })
    const client = TcpConnection.connect(runtime, { address: '127.0.0.1', port: 80 })
    let waiting = false
    listener.onConnection = () => {
      waiting = true
    }
    await until(() => waiting)
    const name = `tcp:127.0.0.1:${client.local.port}-127.0.0.1:80`
    expect(findStream(runtime, name)).toBe(client.stream)
    expect(findStream(runtime, 'tcp:[::]:80')).toBe(listener.stream)
    pushModule(runtime, name, 'pass')
    expect(client.stream.modules).toEqual(['pass'])
    configureModule(runtime, name, 'tcp', { noDelay: true })
    expect(client.settings.noDelay).toBe(true)
    const view = describePlumbing(runtime).find(stream => stream.name === name)!
    expect(view.instances.map(({ label }) => label)).toEqual(['head', 'pass', 'tcp'])
    expect(view.instances[2]!.settings).toMatchObject({ state: 'ESTABLISHED', remote: '127.0.0.1:80' })
    expect(node.network.describe()).toMatchObject({
      tcp: { states: { ESTABLISHED: 2 }, listeners: [{ local: '[::]:80', waiting: 1 }] },
    })
    // Connections are no labels of metrics: there would be no end of them.
    const metrics = nodeMetrics({
      name: 'n1',
      version: '1',
      uptimeSeconds: 1,
      runtime,
      network: node.counters(),
    })
    expect(metrics).toContain('putnext_network_events_total{part="tcp",counter="active-opens"} 1')
    expect(metrics).not.toContain(name)
    client.close()
    listener.close()
  })
})
