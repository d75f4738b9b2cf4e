import { describe, expect, it } from 'vitest'
import { Prng } from '../base/prng.ts'
import { freemsg } from '../streams/mblk/alloc.ts'
import { messageBytes } from '../streams/mblk/message.ts'
import { messageFrom, readMessage } from '../streams/mblk/pullup.ts'
import { sysAuth } from './auth.ts'
import { writeCall } from './message.ts'
import { AUTH_SESSION, sessionRequest } from './session-wire.ts'
import { handlerOf, intHandler, PROGRAM, serverBench, serviceOf, VERSION } from './testing/server-harness.ts'
import { XdrEncoder, XdrOpaque, xdrArray, xdrInt, xdrOpaqueView, xdrString } from './xdr/index.ts'

const MESSAGES = 20_000

describe('rpc/server: whatever a peer sends', () => {
  it(`${MESSAGES} mutated calls: counted or answered as the RFC says, nothing thrown, no block lost, others served`, async () => {
    const bench = serverBench(
      [
        serviceOf([
          intHandler(1, n => n),
          handlerOf(2, xdrOpaqueView(), xdrOpaqueView(), view => view),
          handlerOf(3, xdrArray(xdrString(64)), xdrInt, async texts => texts.length),
        ]),
      ],
      { atMostOnce: { maxSessions: 16, maxCalls: 64 } },
    )
    const { runtime, arena } = bench
    const { client, server } = bench.net.pair()
    bench.server.accept(server)
    const datagrams = bench.datagrams().channel
    for (const channel of [client, datagrams]) {
      channel.onReadable = () => {
        for (let mp = channel.receive(); mp !== null; mp = channel.receive()) freemsg(mp)
      }
    }
    const good = bench.connect()
    const random = new Prng(7)
    const seeds = seedCalls(new XdrEncoder(arena))
    for (let n = 0; n < MESSAGES; n++) {
      const bytes = seeds[random.below(seeds.length)]!.slice()
      for (let flips = random.below(4); flips > 0; flips--) {
        const at = random.below(bytes.length)
        bytes[at] = random.below(3) === 0 ? 0xff : random.int32() & 0xff
      }
      const length = random.below(8) === 0 ? 1 + random.below(bytes.length) : bytes.length
      ;(n % 2 === 0 ? client : datagrams).send(messageFrom(arena, bytes, 0, length, 'edge')!)
      if (n % 64 === 63) await bench.rest()
    }
    await bench.rest()
    runtime.turn()
    expect(bench.errors).toEqual([])
    const { counters, sessionCounts, remembered } = bench.server
    expect(counters.calls).toBeGreaterThan(MESSAGES / 2)
    for (const name of [
      'call-truncated',
      'call-credentials',
      'denied-auth',
      'denied-rpc-version',
      'prog-unavail',
      'prog-mismatch',
      'proc-unavail',
      'garbage-args',
    ] as const) {
      expect(`${name} ${counters[name] > 0}`).toBe(`${name} true`)
    }
    expect(sessionCounts.open).toBeLessThanOrEqual(16)
    expect(remembered.calls).toBeLessThanOrEqual(64)
    good.call(1, 5)
    bench.settle()
    expect(good.one().value).toBe(5)
    await bench.end()
  })

  /** Good calls of all kinds, as bytes. */
  function seedCalls(encoder: XdrEncoder): Uint8Array[] {
    const sys = sysAuth({ stamp: 1, machineName: 'host', uid: 1, gid: 2, gids: [3] })
    const session = sessionRequest({ clientId: 'ab'.repeat(16), boot: 1, credentials: null })
    const verifier = { flavor: AUTH_SESSION, body: new Uint8Array(8) }
    const make = (procedure: number, credentials: typeof sys, put: () => void): Uint8Array => {
      encoder.start()
      writeCall(encoder, 1_000 + procedure, PROGRAM, VERSION, procedure, credentials, verifier)
      put()
      const mp = encoder.finish()
      const bytes = new Uint8Array(messageBytes(mp))
      readMessage(mp, 0, bytes, 0, bytes.length, 'edge')
      freemsg(mp)
      return bytes
    }
    return [
      make(0, session, () => {}),
      make(1, sys, () => encoder.putInt('n', 5)),
      make(2, sys, () => encoder.putOpaque('o', XdrOpaque.of(new Uint8Array(1_500)))),
      make(3, session, () => encoder.putArray('a', ['one', 'two'], xdrString(64))),
    ]
  }
})
