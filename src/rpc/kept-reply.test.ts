/** What replies that are kept for duplicates hold of the memory that everybody needs. */
import { describe, expect, it } from 'vitest'
import { AUTH_SHORT } from './auth.ts'
import { AUTH_SESSION, sessionRequest } from './session-wire.ts'
import { handlerOf, serverBench, serviceOf } from './testing/server-harness.ts'
import { xdrInt, xdrOpaque } from './xdr/index.ts'

const bytes = serviceOf([handlerOf(1, xdrInt, xdrOpaque(), size => new Uint8Array(size))])

/** A client of its own for each: asks for a session, and makes one call. */
function callOnce(bench: ReturnType<typeof serverBench>, client: number, size: number): string {
  const peer = bench.connect()
  const clientId = client.toString(16).padStart(32, '0')
  peer.call(0, null, { credentials: sessionRequest({ clientId, boot: 1, credentials: null }) })
  bench.settle()
  const { verifier } = peer.one()
  expect(verifier.flavor).toBe(AUTH_SHORT)
  const said = new Uint8Array(8)
  new DataView(said.buffer).setUint32(0, 500)
  new DataView(said.buffer).setUint32(4, 10_000)
  peer.call(1, size, { xid: 500, credentials: verifier, verifier: { flavor: AUTH_SESSION, body: said } })
  bench.settle()
  const { status } = peer.one()
  peer.channel.close()
  bench.settle()
  return status
}

describe('rpc/kept-reply: many clients with a session that call once and are gone', () => {
  it.each([3_000, 12_000, 60_000])(
    'replies of %d bytes: the next client is answered as the first',
    async size => {
      const bench = serverBench([bytes])
      const seen = new Set<string>()
      for (let client = 0; client < 600; client++) seen.add(callOnce(bench, client, size))
      expect([...seen]).toEqual(['SUCCESS'])
      expect(bench.server.sessionCounts.open).toBe(600)
      const [, frames, supers] = bench.arena.classes
      const held = frames!.inUse * frames!.blockBytes + supers!.inUse * supers!.blockBytes
      expect(held).toBeLessThanOrEqual(bench.arena.bytes.length / 4)
      await bench.end()
    },
  )
})
