import type { LookupFunction } from 'node:net'
import { describe, expect, it } from 'vitest'
import { close, closed, listen, runOnBoth, type Scenarios, state, watch } from './testing/compare-net.ts'

const answer =
  (...all: { address: string; family: number }[]): LookupFunction =>
  (_name, options, callback) => {
    if (options.all) setImmediate(callback, null, all)
    else setImmediate(callback, null, all[0]!.address, all[0]!.family)
  }
const V4 = { address: '127.0.0.1', family: 4 }
const V6 = { address: '::1', family: 6 }

const scenarios: Scenarios = {
  'the lookup function and its event': async (module, log) => {
    const server = module.createServer(peer => peer.end())
    const port = await listen(log, server)
    for (const options of [
      { family: 4 },
      { family: 'IPv4' as unknown as number },
      { hints: 8, family: 4 },
      { autoSelectFamily: false },
      { localAddress: '127.0.0.1' },
      {},
    ]) {
      const client = module.connect({
        port,
        host: 'a.name',
        ...options,
        lookup: (name, asked, callback) => {
          log.add('lookup', name, { ...asked, hints: typeof asked.hints })
          answer(V4)(name, asked, callback)
        },
      })
      watch(log, 'client', client.resume())
      await closed(client)
    }
    await close(server)
  },

  'a lookup that fails, or answers nonsense': async (module, log) => {
    const failing: LookupFunction = (_name, _options, callback) =>
      callback(Object.assign(new Error('no such name'), { code: 'ENOTFOUND' }), '', 0)
    const nonsense = (address: unknown, family: unknown): LookupFunction =>
      answer({ address: address as string, family: family as number })
    for (const lookup of [
      failing,
      nonsense('nowhere', 4),
      nonsense('127.0.0.1', 5),
      nonsense(undefined, 4),
      nonsense('127.0.0.1', undefined),
    ])
      for (const autoSelectFamily of [true, false]) {
        const client = module.connect({ port: 9, host: 'a.name', lookup, autoSelectFamily })
        log.add('client', state(client))
        watch(log, 'client', client)
        await closed(client)
      }
  },

  'several addresses: the next one is tried when one is refused': async (module, log) => {
    const server = module.createServer(peer => peer.end())
    const port = await listen(log, server)
    const client = module.connect({ port, host: 'both', lookup: answer(V6, V4) })
    watch(log, 'client', client.resume())
    client.on('connect', () => log.add('client', state(client)))
    await closed(client)
    log.add('client', client.autoSelectFamilyAttemptedAddresses)
    await close(server)
  },

  'several addresses, each once, the families in turns': async (module, log) => {
    const server = module.createServer()
    const port = await listen(log, server)
    await close(server)
    const lookup = answer(V4, V4, { address: 'nonsense', family: 4 }, V6, { address: '::1', family: 5 }, V6)
    const client = watch(log, 'client', module.connect({ port, host: 'many', lookup }))
    await closed(client)
    log.add('client', client.autoSelectFamilyAttemptedAddresses)
  },

  'several addresses that all fail: an AggregateError': async (module, log) => {
    const server = module.createServer()
    const port = await listen(log, server)
    await close(server)
    const client = module.connect({ port, host: 'both', lookup: answer(V4, V6) })
    watch(log, 'client', client)
    await closed(client)
    log.add('client', state(client))
  },

  'several addresses of which one is usable': async (module, log) => {
    const server = module.createServer(peer => peer.end())
    const port = await listen(log, server)
    const lookup = answer(V4, { address: 'nonsense', family: 6 })
    const client = watch(log, 'client', module.connect({ port, host: 'one', lookup }).resume())
    await closed(client)
    log.add('client', client.autoSelectFamilyAttemptedAddresses)
    await close(server)
  },
}

describe('socket/net: names are found as node:net finds them', () => {
  it.each(Object.entries(scenarios))('%s', async (_name, scenario) => {
    const { theirs, ours, refs } = await runOnBoth(scenario)
    expect(ours).toEqual(theirs)
    expect(Object.keys(theirs as object).length).toBeGreaterThan(0)
    expect(refs).toBe(0)
  })
})
