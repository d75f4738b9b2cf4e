/** See `testing/compare-net.ts`: a socket is a stream, and its events come one by one, as on node:net. */
import { AsyncLocalStorage } from 'node:async_hooks'
import { once } from 'node:events'
import { finished, pipeline } from 'node:stream/promises'
import { describe, expect, it } from 'vitest'
import {
  closed,
  collect,
  pair,
  runOnBoth,
  type Scenarios,
  state,
  turn,
  watch,
} from './testing/compare-net.ts'

const scenarios: Scenarios = {
  'as an iterable': async (module, log) => {
    const { client, peer } = await pair(module)
    client.end('over and out')
    let text = ''
    for await (const data of peer) text += data
    log.add('peer', text, peer.destroyed)
    await turn()
    log.add('peer', state(peer))
    client.destroy()
    await turn()
  },

  'an iteration that breaks off': async (module, log) => {
    const { client, peer } = await pair(module)
    watch(log, 'peer', peer)
    client.on('error', () => {})
    client.write('over and out')
    for await (const data of peer) {
      log.add('peer', String(data))
      break
    }
    log.add('peer', peer.destroyed)
    await closed(client.resume())
  },

  'one event after the other: what waits for one hears the next': async (module, log) => {
    const { client, peer } = await pair(module)
    client.end('data and end at once')
    const [data] = await once(peer, 'data')
    log.add('peer', String(data))
    await once(peer, 'end')
    log.add('peer', 'end')
    await once(peer, 'close')
    await closed(client.resume())
  },

  'ticks and promises between events': async (module, log) => {
    const { client, peer } = await pair(module)
    peer.on('data', () => {
      log.add('peer', 'data')
      process.nextTick(() => log.add('peer', 'tick'))
      queueMicrotask(() => log.add('peer', 'microtask'))
    })
    peer.on('end', () => {
      log.add('peer', 'end')
      process.nextTick(() => log.add('peer', 'tick after end'))
    })
    peer.on('close', () => log.add('peer', 'close'))
    client.end('x')
    await Promise.all([closed(client.resume()), closed(peer)])
  },

  'piped back': async (module, log) => {
    const { client, peer } = await pair(module, { allowHalfOpen: true })
    watch(log, 'peer', peer, ['drain'])
    peer.pipe(peer)
    collect(log, 'client', client)
    for (let i = 0; i < 30; i++) client.write('y'.repeat(50_000))
    client.end()
    await Promise.all([closed(client), closed(peer)])
  },

  'in a pipeline': async (module, log) => {
    const { client, peer } = await pair(module)
    const ended = pipeline(
      peer,
      async function* (source: AsyncIterable<Buffer>) {
        for await (const data of source) yield String(data).toUpperCase()
      },
      async (source: AsyncIterable<string>) => {
        let text = ''
        for await (const data of source) text += data
        return text
      },
    )
    client.end('shout')
    log.add('peer', await ended)
    await closed(client.resume())
    log.add('peer', state(peer))
  },

  'a pipeline that fails': async (module, log) => {
    const { client, peer } = await pair(module)
    watch(log, 'peer', peer)
    client.on('error', () => {})
    const failed = pipeline(peer, async source => {
      for await (const data of source) throw new Error(`no ${data}`)
    }).catch(error => error)
    client.write('way')
    log.add('peer', await failed)
    await closed(client.resume())
    await turn()
    log.add('peer', peer.destroyed)
  },

  'finished() of a socket': async (module, log) => {
    const { client, peer } = await pair(module)
    const whole = finished(peer.resume())
    client.end('x')
    log.add('peer', await whole, peer.readableEnded, peer.writableFinished)
    await closed(client.resume())
    const second = await pair(module)
    const broken = finished(second.peer.resume()).catch(error => error)
    second.peer.destroy()
    log.add('peer', await broken)
    await closed(second.client.resume())
  },

  'the async context of each socket': async (module, log) => {
    const storage = new AsyncLocalStorage<string>()
    const server = storage.run('server', () =>
      module.createServer(peer => {
        log.add('server', 'connection', storage.getStore())
        peer.on('data', data => {
          log.add('server', 'data', storage.getStore())
          peer.end(data)
        })
      }),
    )
    storage.run('listen', () => server.listen(0, '127.0.0.1', () => log.add('server', storage.getStore())))
    await once(server, 'listening')
    const { port } = server.address() as { port: number }
    for (const name of ['first', 'second'])
      await storage.run(name, async () => {
        const client = module.connect(port, '127.0.0.1', () =>
          log.add('client', 'connect', storage.getStore()),
        )
        client.on('data', () => log.add('client', 'data', storage.getStore()))
        client.on('close', () => log.add('client', 'close', storage.getStore()))
        storage.run('writer', () => client.write('x', () => log.add('client', 'written', storage.getStore())))
        await closed(client)
      })
    await new Promise(resolve => server.close(resolve))
  },
}

describe('socket/net: as a stream it is what node:net has', () => {
  it.each(Object.entries(scenarios))('%s', async (_name, scenario) => {
    const { theirs, ours, refs } = await runOnBoth(scenario)
    expect(ours).toEqual(theirs)
    expect(Object.keys(theirs as object).length).toBeGreaterThan(0)
    expect(refs).toBe(0)
  })
})
