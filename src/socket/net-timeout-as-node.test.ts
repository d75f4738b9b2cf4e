/** See `testing/compare-net.ts`: the idle timer of a socket is that of node:net. */
import { once } from 'node:events'
import { describe, expect, it } from 'vitest'
import {
  close,
  closed,
  listen,
  pair,
  runOnBoth,
  type Scenarios,
  type Socket,
  thrown,
  turn,
  watch,
} from './testing/compare-net.ts'

const both = (...sockets: Socket[]): Promise<unknown> => Promise.all(sockets.map(closed))

const scenarios: Scenarios = {
  'the idle timer tells, and ends nothing': async (module, log) => {
    const { client, peer } = await pair(module)
    log.add('client', client.timeout, client.setTimeout(30, () => log.add('client', 'callback')) === client)
    client.on('timeout', () => log.add('client', 'timeout', client.destroyed))
    log.add('client', client.timeout)
    await once(client, 'timeout')
    client.setTimeout(0)
    log.add('client', client.timeout, client.listenerCount('timeout'))
    await turn(10)
    client.end()
    await both(client.resume(), peer.resume())
    log.add('client', client.setTimeout(5) === client, client.timeout)
  },

  'the idle timer begins again when something moves': async (module, log) => {
    const { client, peer } = await pair(module)
    client.setTimeout(120, () => log.add('client', 'timeout'))
    peer.resume()
    client.resume()
    for (let i = 0; i < 6; i++) {
      await new Promise(resolve => setTimeout(resolve, 40))
      if (i % 2 === 0) client.write('x')
      else peer.write('y')
    }
    log.add('client', 'moved')
    await once(client, 'timeout')
    client.destroy()
    await both(client, peer)
  },

  'the idle timer of a write that does not move': async (module, log) => {
    const { client, peer } = await pair(module)
    peer.pause()
    peer.on('error', () => {})
    client.setTimeout(60)
    client.write(Buffer.alloc(30_000_000))
    await once(client, 'timeout')
    log.add('client', client.writableLength)
    client.destroy()
    peer.destroy()
    await both(client, peer)
  },

  'the idle timer: what is wrong': async (module, log) => {
    const socket = new module.Socket()
    for (const ms of [-1, Number.NaN, Number.POSITIVE_INFINITY, '5', null, undefined, {}, true])
      log.add(
        'socket',
        thrown(() => socket.setTimeout(ms as number)),
        socket.timeout,
      )
    for (const callback of [1, 'x', {}, null])
      for (const ms of [0, 5])
        log.add(
          'socket',
          thrown(() => socket.setTimeout(ms, callback as unknown as () => void)),
        )
    socket.setTimeout(1.5, () => log.add('socket', 'timeout'))
    await once(socket, 'timeout')
    log.add('socket', socket.timeout)
    socket.destroy()
  },

  'the timeout of connect': async (module, log) => {
    const server = module.createServer(peer => peer.resume())
    const port = await listen(log, server)
    const client = module.connect({ port, host: '127.0.0.1', timeout: 200 })
    log.add('client', client.timeout)
    watch(log, 'client', client)
    client.on('timeout', () => client.destroy())
    await closed(client)
    await close(server)
  },
}

describe('socket/net: the idle timer is as node:net has it', () => {
  it.each(Object.entries(scenarios))('%s', async (_name, scenario) => {
    const { theirs, ours, refs } = await runOnBoth(scenario)
    expect(ours).toEqual(theirs)
    expect(Object.keys(theirs as object).length).toBeGreaterThan(0)
    expect(refs).toBe(0)
  })
})
