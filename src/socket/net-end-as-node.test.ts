/** See `testing/compare-net.ts`: how sockets end, in order or not, is the same on node:net and on ours. */
import { EventEmitter, once } from 'node:events'
import { describe, expect, it } from 'vitest'
import {
  close,
  closed,
  collect,
  listen,
  pair,
  runOnBoth,
  type Scenarios,
  type Socket,
  state,
  turn,
  watch,
} from './testing/compare-net.ts'

const both = (...sockets: Socket[]): Promise<unknown> => Promise.all(sockets.map(closed))

const scenarios: Scenarios = {
  'the client ends': async (module, log) => {
    const { client, peer } = await pair(module)
    watch(log, 'client', client.resume())
    watch(log, 'peer', peer.resume())
    client.end('bye', () => log.add('client', 'callback', state(client)))
    log.add('client', state(client))
    await both(client, peer)
    log.add('client', state(client))
    log.add('peer', state(peer))
  },

  'the server ends': async (module, log) => {
    const { client, peer } = await pair(module)
    watch(log, 'client', client.resume())
    watch(log, 'peer', peer.resume())
    peer.end()
    await both(client, peer)
  },

  'both end at once': async (module, log) => {
    const { client, peer } = await pair(module)
    watch(log, 'client', client.resume())
    watch(log, 'peer', peer.resume())
    peer.end('x')
    client.end('y')
    await both(client, peer)
  },

  'allowHalfOpen: one goes on after the other ended': async (module, log) => {
    const { client, peer } = await pair(module, { allowHalfOpen: true })
    watch(log, 'client', client)
    watch(log, 'peer', peer)
    collect(log, 'client', client)
    peer.resume()
    peer.on('end', async () => {
      log.add('peer', 'at end', state(peer))
      peer.write('still ')
      await turn()
      peer.end('here')
    })
    client.end('I am done')
    await both(client, peer)
  },

  'allowHalfOpen on the client': async (module, log) => {
    const { client, peer } = await pair(module, {}, { allowHalfOpen: true })
    watch(log, 'client', client.resume())
    collect(log, 'peer', peer)
    peer.end()
    await once(client, 'end')
    await turn()
    log.add('client', state(client))
    client.write('one more')
    client.end()
    await both(client, peer)
  },

  'without a reader the end is not seen': async (module, log) => {
    const { client, peer } = await pair(module)
    watch(log, 'peer', peer)
    client.end('data')
    await turn()
    log.add('peer', state(peer))
    peer.resume()
    await both(client.resume(), peer)
  },

  'written after the end': async (module, log) => {
    const { client, peer } = await pair(module)
    watch(log, 'client', client.resume())
    peer.on('error', () => {}).resume()
    client.end('x')
    log.add(
      'client',
      client.write('late', error => log.add('client', 'callback', error)),
    )
    await both(client, peer)
    log.add(
      'client',
      client.write('later', error => log.add('client', 'callback', error)),
    )
    await turn()
  },

  'written after the other ended: EPIPE': async (module, log) => {
    const { client, peer } = await pair(module)
    watch(log, 'client', client.resume())
    peer.end()
    peer.on('error', () => {}).resume()
    client.on('end', () => {
      // Not yet: the socket ends itself one tick later.
      log.add(
        'client',
        client.write('just', error => log.add('client', 'first', error)),
      )
      setImmediate(() =>
        log.add(
          'client',
          client.write('late', error => log.add('client', 'second', error)),
        ),
      )
    })
    await both(client, peer)
    await turn()
  },

  'end: twice, with callbacks, after the finish': async (module, log) => {
    const { client, peer } = await pair(module)
    peer.resume()
    client.resume()
    log.add('client', client.end('x', () => log.add('client', 'first')) === client)
    client.end((error?: Error) => log.add('client', 'second', error))
    client.end('more', (error?: Error) => log.add('client', 'third', error))
    client.on('error', error => log.add('client', error))
    await both(client, peer)
    client.end((error?: Error) => log.add('client', 'fourth', error))
    await turn()
  },

  'destroyed: the other sees the end': async (module, log) => {
    const { client, peer } = await pair(module)
    watch(log, 'client', client)
    watch(log, 'peer', peer.resume())
    log.add('client', client.destroy() === client, state(client))
    client.destroy(new Error('too late'))
    await both(client, peer)
    log.add('client', state(client))
  },

  'destroyed with an error': async (module, log) => {
    const { client, peer } = await pair(module)
    watch(log, 'client', client)
    watch(log, 'peer', peer.resume())
    client.destroy(new Error('mine'))
    log.add('client', client.errored?.message, client.destroyed, client.closed)
    await both(client, peer)
    log.add('client', client.errored?.message, client.closed)
  },

  'destroyed with writes under way': async (module, log) => {
    const { client, peer } = await pair(module)
    peer.pause()
    peer.on('error', () => {})
    watch(log, 'client', client, ['drain'])
    for (let i = 0; i < 3; i++)
      client.write(Buffer.alloc(20_000_000), error => log.add('client', 'callback', i, error ?? 'none'))
    await turn()
    client.destroy()
    client.write('x', error => log.add('client', 'late', error))
    await closed(client)
    peer.destroy()
    await closed(peer)
  },

  'destroyed with data that nobody read: the other is reset': async (module, log) => {
    const { client, peer } = await pair(module)
    watch(log, 'client', client.resume())
    peer.pause()
    client.write('never read')
    await turn()
    peer.destroy()
    await both(client, peer)
    log.add('client', state(client))
  },

  destroySoon: async (module, log) => {
    const { client, peer } = await pair(module)
    watch(log, 'client', client, ['drain'])
    collect(log, 'peer', peer)
    client.write(Buffer.alloc(300_000))
    client.destroySoon()
    log.add('client', client.destroyed, client.writableEnded)
    await both(client, peer)
    const second = await pair(module)
    second.peer.resume()
    second.client.end()
    await once(second.client, 'finish')
    second.client.destroySoon()
    log.add('client', second.client.destroyed)
    await both(second.client, second.peer)
  },

  'resetAndDestroy: the other hears ECONNRESET': async (module, log) => {
    const { client, peer } = await pair(module)
    watch(log, 'client', client)
    watch(log, 'peer', peer.resume())
    log.add('client', client.resetAndDestroy() === client, client.destroyed)
    await both(client, peer)
    log.add('peer', state(peer))
  },

  'resetAndDestroy before and after': async (module, log) => {
    const server = module.createServer(peer => {
      watch(log, 'peer', peer.resume())
    })
    const port = await listen(log, server)
    const client = watch(log, 'client', module.connect(port, '127.0.0.1'))
    client.resetAndDestroy()
    log.add('client', client.destroyed)
    await closed(client)
    client.resetAndDestroy()
    await turn()
    log.add('client', state(client))
    await close(server)
  },

  'a reset while writing': async (module, log) => {
    const { client, peer } = await pair(module)
    watch(log, 'client', client, ['drain'])
    client.resume()
    peer.pause()
    client.write(Buffer.alloc(20_000_000), error => log.add('client', 'callback', error?.message ?? 'none'))
    await turn()
    peer.resetAndDestroy()
    await both(client, peer)
  },

  'a reset while writing only': async (module, log) => {
    const { client, peer } = await pair(module)
    watch(log, 'client', client, ['drain'])
    client.pause()
    peer.pause()
    client.write(Buffer.alloc(20_000_000), error => log.add('client', 'callback', error))
    await turn()
    peer.resetAndDestroy()
    await both(client, peer)
  },

  'a reset that a socket which reads nothing learns by writing': async (module, log) => {
    const { client, peer } = await pair(module, { pauseOnConnect: true })
    watch(log, 'peer', peer)
    client.resetAndDestroy()
    await closed(client)
    await turn()
    log.add('peer', state(peer))
    peer.write('x', error => log.add('peer', 'callback', error))
    await closed(peer)
  },

  'data before a reset is still read': async (module, log) => {
    const { client, peer } = await pair(module)
    watch(log, 'client', client)
    client.on('data', data => log.add('client', 'data', String(data)))
    peer.write('last words')
    await turn()
    peer.resetAndDestroy()
    await both(client, peer)
  },

  'the peer goes away with half of the connection open': async (module, log) => {
    const { client, peer } = await pair(module, {}, { allowHalfOpen: true })
    watch(log, 'client', client.resume())
    peer.destroy()
    await once(client, 'end')
    client.write('x', error => log.add('client', 'first', error ?? 'none'))
    await turn()
    client.write('y', error => log.add('client', 'second', error))
    await closed(client)
  },

  'an error in a listener of data': async (module, log) => {
    const { client, peer } = await pair(module)
    watch(log, 'peer', peer)
    peer.on('data', data => peer.destroy(new Error(`no ${data}`)))
    client.on('error', () => {})
    client.write('way')
    await both(client.resume(), peer)
  },

  'close tells whether there was an error': async (module, log) => {
    for (const end of [
      (socket: Socket) => socket.end(),
      (socket: Socket) => socket.destroy(),
      (socket: Socket) => socket.destroy(new Error('mine')),
      (socket: Socket) => socket.resetAndDestroy(),
      (socket: Socket) => socket.emit('error', new Error('not mine')),
    ]) {
      const { client, peer } = await pair(module)
      peer.on('error', () => {}).resume()
      client.on('error', () => {}).resume()
      client.on('close', failed => log.add('client', 'close', failed))
      end(client)
      if (!client.destroyed) client.end()
      await closed(client)
      if (!peer.closed) await closed(peer)
    }
  },

  'what is left after the end': async (module, log) => {
    const { client, peer } = await pair(module)
    log.add('client', client.remotePort !== undefined, client.localAddress)
    peer.resume()
    client.end('x')
    await both(client.resume(), peer)
    log.add('client', client.remoteAddress, client.localAddress, client.address())
    log.add('peer', peer.remoteAddress, peer.remoteFamily, peer.localPort)
    log.add('client', client.setNoDelay() === client, client.setKeepAlive(true) === client)
    log.add('client', client.ref() === client, client.unref() === client, client.pause() === client)
  },

  dispose: async (module, log) => {
    const { client, peer } = await pair(module)
    peer.resume()
    watch(log, 'client', client)
    log.add('client', await client[Symbol.asyncDispose]())
    log.add('client', client.destroyed)
    if (!peer.closed) await closed(peer)
  },

  'a server whose listener fails a promise': async (module, log) => {
    EventEmitter.captureRejections = true
    try {
      const server = module.createServer(async peer => {
        watch(log, 'peer', peer)
        throw new Error('of a promise')
      })
      const port = await listen(log, server)
      const client = module.connect(port, '127.0.0.1')
      client.on('error', () => {})
      await closed(client.resume())
      await close(server)
    } finally {
      EventEmitter.captureRejections = false
    }
  },

  'options are set at any time': async (module, log) => {
    const { client, peer } = await pair(module, {
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: 5_000,
    })
    for (const socket of [client, peer]) {
      log.add('socket', socket.setNoDelay() === socket, socket.setNoDelay(false) === socket)
      log.add('socket', socket.setKeepAlive() === socket, socket.setKeepAlive(true, 2_000) === socket)
    }
    client.end()
    await both(client.resume(), peer.resume())
  },
}

describe('socket/net: ending is as node:net has it', () => {
  it.each(Object.entries(scenarios))('%s', async (_name, scenario) => {
    const { theirs, ours, refs } = await runOnBoth(scenario)
    expect(ours).toEqual(theirs)
    expect(Object.keys(theirs as object).length).toBeGreaterThan(0)
    expect(refs).toBe(0)
  })
})
