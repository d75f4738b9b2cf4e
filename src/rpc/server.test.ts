import { describe, expect, it } from 'vitest'
import { makeTestRuntime } from '../streams/testing/runtime.ts'
import { type OpaqueAuth, sysAuth } from './auth.ts'
import { RpcServer } from './server.ts'
import { AUTH_TOOWEAK, GARBAGE_ARGS } from './status.ts'
import { RpcStatusError } from './status-error.ts'
import { intHandler, PROGRAM, serverBench, serviceOf, VERSION } from './testing/server-harness.ts'

const TWICE = 1
const THROWS = 2

const service = serviceOf([
  intHandler(TWICE, argument => 2 * argument),
  intHandler(THROWS, () => {
    throw new Error('a secret of the handler')
  }),
])

const opaque = (flavor: number, ...body: number[]): OpaqueAuth => ({ flavor, body: Uint8Array.from(body) })

describe('rpc/server: what a call is answered (RFC 5531 §9, checklist 71)', () => {
  it('SUCCESS with the result', async () => {
    const bench = serverBench([service])
    const peer = bench.connect()
    const xid = peer.call(TWICE, 21)
    bench.settle()
    expect(peer.one()).toMatchObject({ xid, status: 'SUCCESS', value: 42 })
    await bench.end()
  })

  it('§12.1: the NULL procedure, which a service need not define', async () => {
    const bench = serverBench([service])
    const peer = bench.connect()
    peer.call(0)
    bench.settle()
    expect(peer.one()).toMatchObject({ status: 'SUCCESS', value: null })
    await bench.end()
  })

  it('PROG_UNAVAIL, PROG_MISMATCH with the lowest and the highest version that is here, PROC_UNAVAIL', async () => {
    const bench = serverBench([service, serviceOf([intHandler(TWICE, a => a, { version: 7 })], 7)])
    const peer = bench.connect()
    peer.call(TWICE, 1, { program: PROGRAM + 1 })
    peer.call(TWICE, 1, { version: 5 })
    peer.call(99, 1)
    bench.settle()
    expect(peer.taken()).toMatchObject([
      { status: 'PROG_UNAVAIL' },
      { status: 'PROG_MISMATCH', low: VERSION, high: 7 },
      { status: 'PROC_UNAVAIL' },
    ])
    const { 'prog-unavail': a, 'prog-mismatch': b, 'proc-unavail': c } = bench.server.counters
    expect([a, b, c]).toEqual([1, 1, 1])
    await bench.end()
  })

  it('GARBAGE_ARGS for arguments that end too early, and for bytes behind them', async () => {
    const bench = serverBench([service])
    const peer = bench.connect()
    peer.call(TWICE)
    peer.words(7, 0, 2, PROGRAM, VERSION, TWICE, 0, 0, 0, 0, 21, 22)
    bench.settle()
    expect(peer.taken().map(reply => reply.status)).toEqual(['GARBAGE_ARGS', 'GARBAGE_ARGS'])
    expect(bench.server.counters['garbage-args']).toBe(2)
    expect(bench.errors).toEqual([])
    await bench.end()
  })

  it('SYSTEM_ERR for what a handler throws, and the program is told of it', async () => {
    const bench = serverBench([service])
    const peer = bench.connect()
    peer.call(THROWS, 1)
    bench.settle()
    expect(peer.one().status).toBe('SYSTEM_ERR')
    expect(bench.errors).toMatchObject([{ message: 'a secret of the handler' }])
    expect(bench.server.counters['system-err']).toBe(1)
    await bench.end()
  })

  it('SYSTEM_ERR for a result that is not of its type', async () => {
    const bench = serverBench([serviceOf([intHandler(TWICE, () => 'text' as never)])])
    const peer = bench.connect()
    peer.call(TWICE, 1)
    bench.settle()
    expect(peer.one().status).toBe('SYSTEM_ERR')
    expect(bench.errors).toMatchObject([{ fault: 'xdr-value' }])
    await bench.end()
  })

  it('the status of an RpcStatusError, accepted or denied, thrown or rejected', async () => {
    const bench = serverBench([
      serviceOf([
        intHandler(1, () => {
          throw RpcStatusError.accepted(GARBAGE_ARGS)
        }),
        intHandler(2, () => Promise.reject(RpcStatusError.denied(AUTH_TOOWEAK))),
      ]),
    ])
    const peer = bench.connect()
    peer.call(1, 1)
    peer.call(2, 1)
    await bench.rest()
    expect(peer.taken().map(reply => reply.status)).toEqual(['GARBAGE_ARGS', 'AUTH_TOOWEAK'])
    expect(bench.errors).toEqual([])
    await bench.end()
  })

  it('RPC_MISMATCH 2 to 2 for another version of the protocol', async () => {
    const bench = serverBench([service])
    const peer = bench.connect()
    peer.words(9, 0, 3, 1, 2, 3)
    bench.settle()
    expect(peer.one()).toMatchObject({ xid: 9, status: 'RPC_MISMATCH', low: 2, high: 2 })
    await bench.end()
  })

  it('nothing for what is no call, or ends within its header', async () => {
    const bench = serverBench([service])
    const peer = bench.connect()
    peer.words(1)
    peer.words(1, 1, 0, 0, 0, 0)
    peer.words(1, 0, 2, PROGRAM)
    bench.settle()
    expect(peer.taken()).toEqual([])
    expect(bench.server.counters['call-truncated']).toBe(2)
    expect(bench.server.counters['call-not-a-call']).toBe(1)
    peer.call(TWICE, 4)
    bench.settle()
    expect(peer.one().value).toBe(8)
    await bench.end()
  })

  it('the same by datagrams', async () => {
    const bench = serverBench([service])
    const peers = [bench.datagrams(), bench.datagrams()]
    for (const [at, peer] of peers.entries()) peer.call(TWICE, 10 + at)
    peers[0]!.call(77)
    bench.settle()
    expect(peers.map(peer => peer.taken().map(({ status, value }) => [status, value]))).toEqual([
      [
        ['SUCCESS', 20],
        ['PROC_UNAVAIL', null],
      ],
      [['SUCCESS', 22]],
    ])
    await bench.end()
  })
})

describe('rpc/server: who calls (RFC 5531 §8, checklist 42)', () => {
  it('AUTH_BADCRED for credentials that are too long, cut off, or no AUTH_SYS', async () => {
    const bench = serverBench([service])
    const peer = bench.connect()
    peer.words(1, 0, 2, PROGRAM, VERSION, TWICE, 0, 401)
    peer.words(2, 0, 2, PROGRAM, VERSION, TWICE, 0, 12, 0)
    peer.call(TWICE, 1, { credentials: opaque(1, 1, 2, 3, 4) })
    bench.settle()
    expect(peer.taken().map(reply => reply.status)).toEqual(['AUTH_BADCRED', 'AUTH_BADCRED', 'AUTH_BADCRED'])
    await bench.end()
  })

  it('AUTH_BADVERF for a verifier that is too long', async () => {
    const bench = serverBench([service])
    const peer = bench.connect()
    peer.words(1, 0, 2, PROGRAM, VERSION, TWICE, 0, 0, 0, 500)
    bench.settle()
    expect(peer.one().status).toBe('AUTH_BADVERF')
    await bench.end()
  })

  it('AUTH_REJECTEDCRED for a short hand that nobody gave: the client begins anew', async () => {
    const bench = serverBench([service])
    const peer = bench.connect()
    peer.call(TWICE, 1, { credentials: opaque(2, 1, 2, 3, 4) })
    bench.settle()
    expect(peer.one().status).toBe('AUTH_REJECTEDCRED')
    await bench.end()
  })

  it('RFC 9289 §4.1: a probe for TLS is refused, and the connection goes on', async () => {
    const bench = serverBench([service])
    const peer = bench.connect()
    peer.call(0, null, { credentials: opaque(7) })
    peer.call(TWICE, 1)
    bench.settle()
    expect(peer.taken().map(reply => reply.status)).toEqual(['AUTH_BADCRED', 'SUCCESS'])
    await bench.end()
  })

  it('checklist 42: credentials are refused before arguments are looked at, and before programs', async () => {
    const bench = serverBench([service], { authenticate: () => AUTH_TOOWEAK })
    const peer = bench.connect()
    peer.call(TWICE)
    peer.call(TWICE, 1, { program: 5 })
    bench.settle()
    expect(peer.taken().map(reply => reply.status)).toEqual(['AUTH_TOOWEAK', 'AUTH_TOOWEAK'])
    await bench.end()
  })

  it('a hook decides about flavors that the server does not know, and a handler sees whom it found', async () => {
    const seen: unknown[] = []
    const bench = serverBench(
      [
        serviceOf([
          intHandler(TWICE, (_argument, context) => {
            seen.push(context.principal.name ?? context.principal.sys?.uid)
            return 0
          }),
        ]),
      ],
      {
        authenticate: (credentials, _verifier, _procedure, known) =>
          known ?? (credentials.flavor === 99 ? { flavor: 99, sys: null, name: 'alice' } : AUTH_TOOWEAK),
      },
    )
    const peer = bench.connect()
    const sys = sysAuth({ stamp: 1, machineName: 'here', uid: 1000, gid: 1, gids: [] })
    peer.call(TWICE, 1, { credentials: opaque(99) })
    peer.call(TWICE, 1, { credentials: sys })
    peer.call(TWICE, 1, { credentials: opaque(98) })
    bench.settle()
    expect(peer.taken().map(reply => reply.status)).toEqual(['SUCCESS', 'SUCCESS', 'AUTH_TOOWEAK'])
    expect(seen).toEqual(['alice', 1000])
    await bench.end()
  })

  it('a hook that throws denies with AUTH_FAILED', async () => {
    const bench = serverBench([service], {
      authenticate: () => {
        throw new Error('no directory')
      },
    })
    const peer = bench.connect()
    peer.call(TWICE, 1)
    bench.settle()
    expect(peer.one().status).toBe('AUTH_FAILED')
    expect(bench.errors).toHaveLength(1)
    await bench.end()
  })
})

describe('rpc/server: a hook that answers what is no principal', () => {
  it.each([
    ['a promise', Promise.resolve({ flavor: 0, sys: null }), 'AUTH_FAILED'],
    ['nothing', undefined, 'AUTH_FAILED'],
    ['a truth', true, 'AUTH_FAILED'],
    ['null, as it was given for a flavor that nobody knows', null, 'AUTH_BADCRED'],
  ])('%s: nobody is let in', async (_, found, status) => {
    const bench = serverBench([service], { authenticate: () => found as never })
    const peer = bench.connect()
    peer.call(TWICE, 1)
    bench.settle()
    expect(peer.one().status).toBe(status)
    await bench.end()
  })
})

describe('rpc/server: what it refuses of its program', () => {
  it('a version twice, a handler twice, a setting that is none', () => {
    const { runtime, finish } = makeTestRuntime()
    const server = new RpcServer({ runtime })
    server.add(service)
    const twice = serviceOf([intHandler(1, a => a), intHandler(1, a => a)], 4)
    expect(() => server.add(service)).toThrow(expect.objectContaining({ code: 'ERR_ALREADY' }))
    expect(() => server.add(twice)).toThrow(expect.objectContaining({ code: 'ERR_BAD_ARGUMENT' }))
    expect(() => new RpcServer({ runtime }, { stallMs: -1 })).toThrow(
      expect.objectContaining({ code: 'ERR_BAD_CONFIG' }),
    )
    expect(() => server.add(serviceOf([], 9), { concurrency: 0 })).toThrow(
      expect.objectContaining({ code: 'ERR_BAD_CONFIG' }),
    )
    expect(() => server.add(serviceOf([], 9), { mode: 'parallel' as never })).toThrow(
      expect.objectContaining({ hint: 'one of one-at-a-time, ordered, concurrent' }),
    )
    finish()
  })

  it('an implementation instead of its service, as JavaScript lets happen', () => {
    const { runtime, finish } = makeTestRuntime()
    const implementation = { double: (a: number) => 2 * a }
    expect(() => new RpcServer({ runtime }).add(implementation as never)).toThrow(
      expect.objectContaining({ code: 'ERR_BAD_ARGUMENT', hint: expect.stringContaining('Service()') }),
    )
    finish()
  })
})
