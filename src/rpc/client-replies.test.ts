import { describe, expect, it } from 'vitest'
import { writeAccepted, writeProgramMismatch, writeRpcMismatch } from './message.ts'
import { AUTH_TOOWEAK, PROC_UNAVAIL, PROG_UNAVAIL, SUCCESS, SYSTEM_ERR } from './status.ts'
import type { RpcProcedure } from './stub-types.ts'
import { failureOf, clientRig as rig } from './testing/client-rig.ts'
import { DOUBLE, deny, double, succeed } from './testing/scripted-server.ts'
import { type XdrEncoder, type XdrError, type XdrOpaque, xdrOpaqueView } from './xdr/index.ts'

const TRANSPORTS = ['tcp', 'udp'] as const

describe.each(TRANSPORTS)('rpc/client over %s: what the server answers', transport => {
  const answers = [
    [
      'PROG_UNAVAIL',
      'ERR_NOT_FOUND',
      false,
      (xdr: XdrEncoder, xid: number) => writeAccepted(xdr, xid, PROG_UNAVAIL),
    ],
    [
      'PROC_UNAVAIL',
      'ERR_NOT_SUPPORTED',
      false,
      (xdr: XdrEncoder, xid: number) => writeAccepted(xdr, xid, PROC_UNAVAIL),
    ],
    [
      'PROG_MISMATCH',
      'ERR_NOT_SUPPORTED',
      false,
      (xdr: XdrEncoder, xid: number) => writeProgramMismatch(xdr, xid, 2, 4),
    ],
    ['SYSTEM_ERR', 'ERR_HOST', true, (xdr: XdrEncoder, xid: number) => writeAccepted(xdr, xid, SYSTEM_ERR)],
    [
      'RPC_MISMATCH',
      'ERR_NOT_SUPPORTED',
      false,
      (xdr: XdrEncoder, xid: number) => writeRpcMismatch(xdr, xid),
    ],
  ] as const
  it.each(answers)('%s is an error of its own', async (status, code, mayHaveRun, write) => {
    const { client, server, pass, finish } = rig(transport)
    server.onCall = call => call.reply(xdr => write(xdr, call.xid))
    const failure = failureOf(client.call(DOUBLE, 1))
    await pass(4)
    const error = await failure
    expect(error).toMatchObject({ outcome: 'answered', status, code, mayHaveRun })
    expect(error.hint).toBeTypeOf('string')
    if (status === 'PROG_MISMATCH') expect(error.versions).toEqual([2, 4])
    finish()
  })

  it('AUTH_ERROR says why', async () => {
    const { client, server, pass, finish } = rig(transport)
    server.onCall = call => deny(call, AUTH_TOOWEAK)
    const failure = failureOf(client.call(DOUBLE, 1))
    await pass(4)
    expect(await failure).toMatchObject({ outcome: 'answered', status: 'AUTH_TOOWEAK', code: 'ERR_ACCESS' })
    finish()
  })

  it('results that cannot be decoded: the call succeeded, and the error says where', async () => {
    const { client, server, pass, finish } = rig(transport)
    const struct: RpcProcedure<number, boolean> = {
      ...DOUBLE,
      result: { encode: () => {}, decode: xdr => xdr.bool('isThere') },
    }
    server.onCall = call => succeed(call, 7)
    const failure = failureOf(client.call(struct, 1))
    await pass(4)
    const error = await failure
    expect(error).toMatchObject({
      outcome: 'answered',
      status: 'SUCCESS',
      fault: 'xdr-bool',
      mayHaveRun: true,
    })
    expect((error.cause as XdrError).path).toBe('result.isThere')
    expect(client.counters['results-undecodable']).toBe(1)
    finish()
  })

  const words = (xdr: XdrEncoder, ...all: number[]): void => {
    for (const word of all) xdr.putInt('', word)
  }
  const spoiled = [
    ['reply-truncated', (xdr: XdrEncoder, xid: number) => words(xdr, xid, 1)],
    ['reply-status', (xdr: XdrEncoder, xid: number) => words(xdr, xid, 1, 0, 0, 0, 99)],
    ['reply-verifier', (xdr: XdrEncoder, xid: number) => words(xdr, xid, 1, 0, 0, 401)],
  ] as const
  it.each(spoiled)('%s: the call ends, its effect unknown', async (fault, write) => {
    const { client, server, pass, finish } = rig(transport)
    server.onCall = call => call.reply(xdr => write(xdr, call.xid))
    const failure = failureOf(client.call(DOUBLE, 1))
    await pass(4)
    expect(await failure).toMatchObject({ outcome: 'unknown', code: 'ERR_PROTOCOL', fault })
    expect(client.counters[fault]).toBe(1)
    finish()
  })

  it('reply-not-a-reply: a call from the server with the same xid ends nothing', async () => {
    const { client, server, pass, finish } = rig(transport)
    const made = client.call(DOUBLE, 4)
    await pass(4)
    const call = server.calls[0]!
    call.reply(xdr => words(xdr, call.xid, 0, 2, 1, 1, 1))
    await pass(4)
    expect(client.counters['reply-not-a-reply']).toBe(1)
    double(call)
    await pass(4)
    expect(await made).toBe(8)
    finish()
  })

  const view = { ...DOUBLE, result: xdrOpaqueView() } as unknown as RpcProcedure<number, XdrOpaque>

  it("views in results are the caller's", async () => {
    const { client, server, pass, finish } = rig(transport)
    const bytes = Uint8Array.from({ length: 4_000 }, (_, i) => i)
    server.onCall = call =>
      call.reply(xdr => {
        writeAccepted(xdr, call.xid, SUCCESS)
        xdr.putOpaque('', bytes)
      })
    const made = client.call(view, 1)
    await pass(4)
    const result = await made
    expect(result.toBytes()).toEqual(bytes)
    result.free()
    finish()
  })

  it('views are freed when the rest of the results cannot be decoded', async () => {
    const { client, server, pass, finish } = rig(transport)
    server.onCall = call =>
      call.reply(xdr => {
        writeAccepted(xdr, call.xid, SUCCESS)
        xdr.putOpaque('', new Uint8Array(4_000))
        xdr.putInt('', 1)
      })
    const failure = failureOf(client.call(view, 1))
    await pass(4)
    expect(await failure).toMatchObject({ fault: 'xdr-trailing' })
    // Would find blocks that did not come home.
    finish()
  })
})
