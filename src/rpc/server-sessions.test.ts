import { describe, expect, it } from 'vitest'
import { milliseconds } from '../base/time.ts'
import { type OpaqueAuth, shortAuth, sysAuth } from './auth.ts'
import { NO_DEADLINE, SessionVerifier, sessionRequest } from './session-wire.ts'
import { COUNT, counting, IDEMPOTENT, SLOW } from './testing/counting.ts'
import type { RawPeer, ServerBench } from './testing/server-harness.ts'

/** Asks for a session. @returns the credentials for its calls */
function openSession(bench: ServerBench, peer: RawPeer, boot = 1): OpaqueAuth | null {
  const credentials = sessionRequest({ clientId: '0123456789abcdef'.repeat(2), boot, credentials: null })
  peer.call(0, null, { credentials })
  bench.settle()
  const { status, verifier } = peer.one()
  expect(status).toBe('SUCCESS')
  return verifier.flavor === 2 ? shortAuth(verifier.body) : null
}

/** A call of a session. */
function call(
  peer: RawPeer,
  credentials: OpaqueAuth,
  procedure: number,
  xid: number,
  { oldest = 1, left = NO_DEADLINE, argument = 0 } = {},
): void {
  const verifier = new SessionVerifier()
  verifier.set(oldest, left)
  peer.call(procedure, argument, { credentials, verifier, xid })
}

describe('rpc/server: at most once in a session (checklist 39)', () => {
  it('a call that comes again gets the reply of the first, by whatever connection', async () => {
    const { bench, runs, end } = counting()
    const a = bench.connect()
    const credentials = openSession(bench, a)!
    call(a, credentials, COUNT, 1)
    call(a, credentials, COUNT, 1)
    call(a, credentials, COUNT, 2)
    bench.settle()
    const b = bench.datagrams()
    call(b, credentials, COUNT, 1)
    bench.settle()
    expect(a.taken().map(reply => reply.value)).toEqual([1, 1, 2])
    expect(b.one().value).toBe(1)
    expect(runs.count).toBe(2)
    expect(bench.server.counters['duplicate-answered']).toBe(2)
    await end()
  })

  it('one that is in the works is not run again; its answer goes where it was asked for last', async () => {
    const { bench, runs, signals, finish, end } = counting()
    const a = bench.connect()
    const credentials = openSession(bench, a)!
    call(a, credentials, SLOW, 1)
    await bench.rest()
    a.channel.break()
    await bench.rest()
    // The client has a session: it may come back.
    expect(signals[0]!.aborted).toBe(false)
    const b = bench.connect()
    call(b, credentials, SLOW, 1)
    await bench.rest()
    expect(bench.server.counters['duplicate-in-progress']).toBe(1)
    finish.pop()!(77)
    await bench.rest()
    expect(b.one().value).toBe(77)
    expect(runs.slow).toBe(1)
    await end()
  })

  it('one that waits goes over to the connection by which its client came back', async () => {
    const { bench, runs, finish, end } = counting({ service: { mode: 'one-at-a-time' } })
    const a = bench.connect()
    const credentials = openSession(bench, a)!
    call(a, credentials, SLOW, 1)
    call(a, credentials, COUNT, 2)
    await bench.rest()
    const b = bench.connect()
    call(b, credentials, COUNT, 2)
    await bench.rest()
    a.channel.break()
    await bench.rest()
    finish.pop()!(1)
    await bench.rest()
    expect(b.one()).toMatchObject({ xid: 2, value: 1 })
    expect(runs.count).toBe(1)
    await end()
  })

  it('one that ran while its connection was gone is answered when the client comes back', async () => {
    const { bench, runs, finish, end } = counting()
    const a = bench.connect()
    const credentials = openSession(bench, a)!
    call(a, credentials, SLOW, 1)
    await bench.rest()
    a.channel.break()
    await bench.rest()
    finish.pop()!(77)
    await bench.rest()
    const b = bench.connect()
    call(b, credentials, SLOW, 1)
    await bench.rest()
    expect(b.one().value).toBe(77)
    expect(runs.slow).toBe(1)
    await end()
  })

  it('what the client has its answer of is forgotten, and never run', async () => {
    const { bench, runs, end } = counting()
    const a = bench.connect()
    const credentials = openSession(bench, a)!
    call(a, credentials, COUNT, 1)
    call(a, credentials, COUNT, 2, { oldest: 2 })
    bench.settle()
    a.taken()
    call(a, credentials, COUNT, 1)
    bench.settle()
    expect(a.taken()).toEqual([])
    expect([runs.count, bench.server.counters['duplicate-stale']]).toEqual([2, 1])
    await end()
  })

  it('the same number with another request, and one beyond the window: dropped, never run', async () => {
    const { bench, runs, end } = counting({ atMostOnce: { windowCalls: 4 } })
    const a = bench.connect()
    const credentials = openSession(bench, a)!
    call(a, credentials, COUNT, 1, { argument: 5 })
    call(a, credentials, COUNT, 1, { argument: 6 })
    call(a, credentials, COUNT, 5)
    bench.settle()
    expect(a.taken()).toHaveLength(1)
    const { 'duplicate-changed': changed, 'duplicate-beyond': beyond } = bench.server.counters
    expect([runs.count, changed, beyond]).toEqual([1, 1, 1])
    await end()
  })

  it('procedures that are idempotent are not remembered', async () => {
    const { bench, runs, end } = counting()
    const a = bench.connect()
    const credentials = openSession(bench, a)!
    call(a, credentials, IDEMPOTENT, 1)
    call(a, credentials, IDEMPOTENT, 1)
    bench.settle()
    expect(a.taken().map(reply => reply.value)).toEqual([1, 2])
    expect(runs.idempotent).toBe(2)
    expect(bench.server.remembered.bytes).toBe(0)
    await end()
  })

  it('a server that was started again does not know the session: AUTH_REJECTEDCRED, and nothing runs', async () => {
    const first = counting()
    const a = first.bench.connect()
    const credentials = openSession(first.bench, a)!
    const second = counting({ secretWord: () => 4_711 })
    const b = second.bench.connect()
    call(b, credentials, COUNT, 1)
    second.bench.settle()
    expect(b.one().status).toBe('AUTH_REJECTEDCRED')
    expect(second.runs.count).toBe(0)
    await first.end()
    await second.end()
  })

  it('a session that nobody used for a while is gone: AUTH_REJECTEDCRED', async () => {
    const { bench, runs, end } = counting({ atMostOnce: { sessionIdleMs: 1_000 } })
    const a = bench.connect()
    const credentials = openSession(bench, a)!
    call(a, credentials, COUNT, 1)
    bench.settle()
    bench.advance(milliseconds(2_100))
    expect(bench.server.sessionCounts).toMatchObject({ open: 0, expired: 1 })
    expect(bench.server.remembered.bytes).toBe(0)
    call(a, credentials, COUNT, 1)
    bench.settle()
    expect(a.taken().map(reply => reply.status)).toEqual(['SUCCESS', 'AUTH_REJECTEDCRED'])
    expect(runs.count).toBe(1)
    await end()
  })

  it('the same request for a session gets the same one; a server may give none', async () => {
    const { bench, end } = counting()
    const a = bench.connect()
    expect(openSession(bench, a)).toEqual(openSession(bench, a))
    expect(bench.server.sessionCounts.open).toBe(1)
    await end()
    const none = counting({ atMostOnce: { maxSessions: 0 } })
    expect(openSession(none.bench, none.bench.connect())).toBeNull()
    await none.end()
  })

  it('credentials that ask for no session get none, whatever they are', async () => {
    const { bench, end } = counting()
    const a = bench.connect()
    const credentials = sysAuth({ stamp: 1, machineName: 'host', uid: 0, gid: 0, gids: [] })
    a.call(0, null, { credentials })
    bench.settle()
    expect(a.one().verifier.flavor).toBe(0)
    await end()
  })

  it('AUTH_BADVERF for a session call whose verifier is none', async () => {
    const { bench, end } = counting()
    const a = bench.connect()
    const credentials = openSession(bench, a)!
    const { flavor } = new SessionVerifier()
    a.call(COUNT, 1, { credentials, verifier: { flavor, body: new Uint8Array(4) } })
    bench.settle()
    expect(a.one().status).toBe('AUTH_BADVERF')
    await end()
  })

  it('a call that was refused since the queue was full is refused again, and never run', async () => {
    const { bench, runs, finish, end } = counting({ service: { mode: 'one-at-a-time', maxWaiting: 0 } })
    const a = bench.connect()
    const credentials = openSession(bench, a)!
    call(a, credentials, SLOW, 1)
    call(a, credentials, COUNT, 2)
    await bench.rest()
    expect(a.one()).toMatchObject({ xid: 2, status: 'SYSTEM_ERR' })
    finish.pop()!(1)
    await bench.rest()
    a.taken()
    call(a, credentials, COUNT, 2)
    bench.settle()
    expect(a.one()).toMatchObject({ xid: 2, status: 'SYSTEM_ERR' })
    expect(runs.count).toBe(0)
    await end()
  })

  it('when the replies of a session hold all that they may, calls are refused until the client says what it has', async () => {
    const { bench, runs, end } = counting({ atMostOnce: { maxSessionBytes: 512 } })
    const a = bench.connect()
    const credentials = openSession(bench, a)!
    for (const xid of [1, 2, 3]) call(a, credentials, COUNT, xid)
    bench.settle()
    expect(a.taken().map(reply => reply.status)).toEqual(['SUCCESS', 'SUCCESS', 'SYSTEM_ERR'])
    call(a, credentials, COUNT, 4, { oldest: 3 })
    bench.settle()
    expect(a.one().status).toBe('SUCCESS')
    expect([runs.count, bench.server.counters['shed-replies-full']]).toEqual([3, 1])
    await end()
  })
})

describe('rpc/server: deadlines (checklist 43)', () => {
  it('a call that waited for half of its time is told at once that it is not run, and is not when it comes again either', async () => {
    const { bench, runs, finish, end } = counting({ service: { mode: 'one-at-a-time' } })
    const a = bench.connect()
    const credentials = openSession(bench, a)!
    call(a, credentials, SLOW, 1)
    call(a, credentials, COUNT, 2, { left: 100 })
    call(a, credentials, COUNT, 3, { left: 1_000 })
    await bench.rest()
    bench.advance(milliseconds(49))
    expect(a.taken()).toEqual([])
    bench.advance(milliseconds(21))
    // Whatever its turn: there is time to ask somebody else.
    expect(a.taken().map(({ xid, status }) => [xid, status])).toEqual([[2, 'SYSTEM_ERR']])
    finish.pop()!(1)
    await bench.rest()
    expect(a.taken().map(({ xid, status }) => [xid, status])).toEqual([
      [1, 'SUCCESS'],
      [3, 'SUCCESS'],
    ])
    call(a, credentials, COUNT, 2, { left: 100 })
    bench.settle()
    expect(a.one().status).toBe('SYSTEM_ERR')
    expect([runs.count, bench.server.counters['shed-deadline']]).toEqual([1, 1])
    await end()
  })

  it('the signal of one that runs is aborted when its deadline passes', async () => {
    const { bench, signals, end } = counting()
    const a = bench.connect()
    const credentials = openSession(bench, a)!
    call(a, credentials, SLOW, 1, { left: 100 })
    await bench.rest()
    bench.advance(milliseconds(99))
    expect(signals[0]!.aborted).toBe(false)
    bench.advance(milliseconds(1))
    expect(signals[0]!.aborted).toBe(true)
    await end()
  })

  it('a call that its client gave up is cancelled; if it waits it is not begun', async () => {
    const { bench, runs, signals, finish, end } = counting({ service: { mode: 'one-at-a-time' } })
    const a = bench.connect()
    const credentials = openSession(bench, a)!
    call(a, credentials, SLOW, 1)
    call(a, credentials, COUNT, 2)
    call(a, credentials, COUNT, 3, { oldest: 3 })
    await bench.rest()
    expect(signals[0]!.aborted).toBe(true)
    expect(bench.server.counters['given-up']).toBe(2)
    finish.pop()!(1)
    await bench.rest()
    expect(runs.count).toBe(1)
    await end()
  })
})
