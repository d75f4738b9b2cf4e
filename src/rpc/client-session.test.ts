import { describe, expect, it } from 'vitest'
import { AUTH_NONE, AUTH_SHORT, AUTH_SYS, NO_AUTH, readSysAuth, sysAuth } from './auth.ts'
import { AUTH_SESSION, readSessionHandle, readSessionRequest, SessionCall } from './session-wire.ts'
import { AUTH_REJECTEDCRED, AUTH_TOOWEAK } from './status.ts'
import type { TestChannel } from './testing/channel-pair.ts'
import { clientRig, failureOf } from './testing/client-rig.ts'
import { DOUBLE, deny, double, giveSession, SAME, type SeenCall, succeed } from './testing/scripted-server.ts'

const OPTIONS = { atMostOnce: true, program: DOUBLE.program, version: DOUBLE.version } as const
const TRANSPORTS = ['tcp', 'udp'] as const

/** The number of the session that a call goes under; null for none. */
const sessionOf = (call: SeenCall): number | null =>
  call.credentials.flavor === AUTH_SHORT ? readSessionHandle(call.credentials.body)!.session : null

function verifierOf(call: SeenCall): SessionCall {
  const said = new SessionCall()
  expect(call.verifier.flavor).toBe(AUTH_SESSION)
  expect(said.read(call.verifier.body)).toBe(true)
  return said
}

/** A server that gives sessions 1, 2, 3, …, knows the last `known` of them, and holds what else it is sent. */
function sessionRig(transport: 'tcp' | 'udp', options = {}) {
  const rig = clientRig(transport, { ...OPTIONS, ...options })
  const { server } = rig
  const held: SeenCall[] = []
  const state = { sessions: 0, knows: 1, answers: true, windowCalls: 1_024 }
  server.onCall = call => {
    if (call.procedure === 0) return giveSession(call, ++state.sessions, state.windowCalls)
    if ((sessionOf(call) ?? 0) < state.knows) return deny(call, AUTH_REJECTEDCRED)
    if (state.answers) double(call)
    else held.push(call)
  }
  /** The server is started again: it knows none of the sessions there are. */
  const restart = () => {
    state.knows = state.sessions + 1
    held.length = 0
  }
  return { ...rig, held, state, restart }
}

describe.each(TRANSPORTS)('rpc/client-session over %s: asking', transport => {
  it('asks by NULL with AUTH_SYS, then calls go under the handle, with what is outstanding and the time left', async () => {
    const { client, server, state, held, pass, finish } = sessionRig(transport, { timeoutMs: 2_000 })
    state.answers = false
    const made = [client.call(DOUBLE, 1), client.call(DOUBLE, 2)]
    await pass(4)
    const [asked, first, second] = server.calls
    expect(asked).toMatchObject({ procedure: 0, credentials: { flavor: AUTH_SYS }, verifier: NO_AUTH })
    expect(readSessionRequest(readSysAuth(asked!.credentials.body)!)).toMatchObject({ credentials: null })
    expect([sessionOf(first!), sessionOf(second!)]).toEqual([1, 1])
    expect(client.isAtMostOnce).toBe(true)
    expect(verifierOf(second!).oldestXid).toBe(first!.xid)
    expect(verifierOf(first!).millisecondsLeft).toBeGreaterThan(1_900)
    expect(verifierOf(first!).millisecondsLeft).toBeLessThanOrEqual(2_000)
    for (const call of held.splice(0)) double(call)
    await pass(4)
    expect(await Promise.all(made)).toEqual([2, 4])
    const next = client.call(DOUBLE, 3)
    await pass(4)
    // The first two are answered: the server may forget them.
    expect(verifierOf(held[0]!).oldestXid).toBe(held[0]!.xid)
    double(held[0]!)
    await pass(4)
    expect(await next).toBe(6)
    expect(client.counters.sessions).toBe(1)
    finish()
  })

  it('the session speaks for whom the credentials name', async () => {
    const credentials = sysAuth({ stamp: 9, machineName: 'here', uid: 5, gid: 6, gids: [7] })
    const { client, server, pass, finish } = sessionRig(transport, { credentials })
    const ready = client.ready()
    await pass(4)
    await ready
    const request = readSessionRequest(readSysAuth(server.calls[0]!.credentials.body)!)
    expect(request!.credentials).toMatchObject({ machineName: 'here', uid: 5, gid: 6, gids: [7] })
    expect(request!.clientId).toMatch(/^[0-9a-f]{32}$/)
    finish()
  })

  it.each(['answers NULL as any server does', 'denies it'])(
    'a server that %s: an ordinary client',
    async how => {
      const { client, server, pass, finish } = clientRig(transport, OPTIONS)
      server.onCall = call => {
        if (call.procedure !== 0) double(call)
        else if (how === 'denies it') deny(call, AUTH_TOOWEAK)
        else succeed(call, 0)
      }
      const made = client.call(DOUBLE, 4)
      await pass(4)
      expect(await made).toBe(8)
      expect(client.isAtMostOnce).toBe(false)
      expect(server.calls[1]).toMatchObject({ credentials: { flavor: AUTH_NONE }, verifier: NO_AUTH })
      expect(client.counters['sessions-denied']).toBe(1)
      finish()
    },
  )

  it.each(['answers NULL as any server does', 'denies it'])(
    'a server that %s, and a session is required: the call is refused, not sent, and the next one asks again',
    async how => {
      const { client, server, pass, finish } = clientRig(transport, { ...OPTIONS, atMostOnce: 'required' })
      server.onCall = call => (how === 'denies it' ? deny(call, AUTH_TOOWEAK) : succeed(call, 0))
      for (let i = 0; i < 2; i++) {
        const failure = failureOf(client.call(DOUBLE, 4))
        await pass(4)
        expect(await failure).toMatchObject({ outcome: 'refused', code: 'ERR_NOT_SUPPORTED' })
        // Nothing is asked for nobody.
        await pass(5_000)
      }
      const failed = expect(client.ready()).rejects.toMatchObject({ code: 'ERR_NOT_SUPPORTED' })
      await pass(4)
      await failed
      expect(server.calls.map(({ procedure }) => procedure)).toEqual([0, 0, 0])
      expect([client.isAtMostOnce, client.counters['sessions-denied']]).toEqual([false, 3])
      finish()
    },
  )

  it('ready() fails if nobody answers, and a call waits until its deadline: it was not sent', async () => {
    const { client, server, pass, finish } = clientRig(transport, { ...OPTIONS, timeoutMs: 500 })
    const failure = failureOf(client.call(DOUBLE, 1, { timeoutMs: 300 }))
    const failed = expect(client.ready()).rejects.toMatchObject({ code: 'ERR_TIMED_OUT' })
    await pass(1_000)
    expect(await failure).toMatchObject({ outcome: 'refused', code: 'ERR_TIMED_OUT' })
    await failed
    expect(server.calls.every(({ procedure }) => procedure === 0)).toBe(true)
    finish()
  })

  it('no call goes beyond the window of replies that the server keeps', async () => {
    const { client, held, state, pass, finish } = sessionRig(transport)
    state.answers = false
    state.windowCalls = 3
    const ready = client.ready()
    await pass(4)
    await ready
    const made = Array.from({ length: 6 }, (_, i) => client.call(DOUBLE, i))
    await pass(4)
    expect(held).toHaveLength(3)
    double(held[1]!)
    await pass(4)
    expect(held).toHaveLength(3)
    double(held[0]!)
    await pass(4)
    expect(held).toHaveLength(5)
    state.answers = true
    for (const call of held.splice(2)) double(call)
    await pass(8)
    expect(await Promise.all(made)).toEqual([0, 2, 4, 6, 8, 10])
    finish()
  })

  it('a call that waited says how long is left when it is sent', async () => {
    const { client, held, state, pass, finish } = sessionRig(transport, {
      maxInFlight: 1,
      timeoutMs: 1_000,
      retransmitMs: 5_000,
    })
    state.answers = false
    const made = [client.call(DOUBLE, 1), client.call(DOUBLE, 2)]
    await pass(600)
    double(held[0]!)
    await pass(4)
    expect(verifierOf(held[1]!).millisecondsLeft).toBeLessThan(500)
    double(held[1]!)
    await pass(4)
    expect(await Promise.all(made)).toEqual([2, 4])
    finish()
  })
})

describe.each(TRANSPORTS)('rpc/client-session over %s: a server that was started again', transport => {
  it('what was not sent goes under a new session', async () => {
    const { client, state, restart, pass, finish } = sessionRig(transport)
    const first = client.call(DOUBLE, 1)
    await pass(4)
    await first
    restart()
    const made = [client.call(SAME, 2), client.call(DOUBLE, 3)]
    await pass(8)
    if (transport === 'tcp') {
      expect(await Promise.all(made)).toEqual([4, 6])
    } else {
      expect(await made[0]).toBe(4)
      expect((await failureOf(made[1]!)).outcome).toBe('unknown')
    }
    expect(state.sessions).toBe(2)
    const next = client.call(DOUBLE, 4)
    await pass(4)
    expect(await next).toBe(8)
    expect(client.isAtMostOnce).toBe(true)
    finish()
  })

  it('an idempotent call is sent again under the new one', async () => {
    const { client, server, pass, restart, finish } = sessionRig(transport)
    const ready = client.ready()
    await pass(4)
    await ready
    restart()
    const made = client.call(SAME, 5)
    await pass(8)
    expect(await made).toBe(10)
    expect(server.calls.map(sessionOf)).toEqual([null, 1, null, 2])
    expect(client.counters['sessions-rejected']).toBe(1)
    finish()
  })

  it('each request for a session names another boot, so that the server gives another', async () => {
    const { client, server, restart, pass, finish } = sessionRig(transport)
    const first = client.call(SAME, 1)
    await pass(4)
    await first
    restart()
    const second = client.call(SAME, 2)
    await pass(8)
    await second
    const requests = server.calls
      .filter(({ procedure }) => procedure === 0)
      .map(({ credentials }) => readSessionRequest(readSysAuth(credentials.body)!)!)
    expect(requests).toHaveLength(2)
    expect(requests[0]!.clientId).toBe(requests[1]!.clientId)
    expect(requests[0]!.boot).not.toBe(requests[1]!.boot)
    finish()
  })
})

describe('rpc/client-session: what may have run is not sent under another session', () => {
  it('over TCP a call that was sent once and rejected did not run: it goes under the new session', async () => {
    const { client, server, restart, pass, finish } = sessionRig('tcp')
    const ready = client.ready()
    await pass(4)
    await ready
    restart()
    const made = client.call(DOUBLE, 5)
    await pass(8)
    expect(await made).toBe(10)
    expect(server.calls.map(sessionOf)).toEqual([null, 1, null, 2])
    finish()
  })

  it('over UDP the network may have doubled it: its effect is unknown', async () => {
    const { client, server, restart, pass, finish } = sessionRig('udp')
    const ready = client.ready()
    await pass(4)
    await ready
    restart()
    const failure = failureOf(client.call(DOUBLE, 5))
    await pass(8)
    expect(await failure).toMatchObject({ outcome: 'unknown', code: 'ERR_CONN_RESET', mayHaveRun: true })
    expect(server.calls.filter(({ procedure }) => procedure === DOUBLE.procedure)).toHaveLength(1)
    finish()
  })

  it('checklist 41: reconnected, a call of a session is sent again, the same bytes', async () => {
    const { client, server, held, state, pass, finish } = sessionRig('tcp')
    state.answers = false
    const made = client.call(DOUBLE, 5)
    await pass(4)
    held[0]!.channel.break()
    state.answers = true
    await pass(500)
    expect(await made).toBe(10)
    const sent = server.calls.filter(({ procedure }) => procedure === DOUBLE.procedure)
    expect(sent).toHaveLength(2)
    expect(sent[0]).toMatchObject({
      xid: sent[1]!.xid,
      credentials: sent[1]!.credentials,
      verifier: sent[1]!.verifier,
    })
    expect(state.sessions).toBe(1)
    finish()
  })

  it('reconnected to a server that was started again, its effect is unknown', async () => {
    const channels: TestChannel[] = []
    const { client, held, state, restart, pass, finish } = sessionRig('tcp')
    state.answers = false
    const [failure, same] = [failureOf(client.call(DOUBLE, 5)), client.call(SAME, 6)]
    await pass(4)
    channels.push(held[0]!.channel)
    state.answers = true
    restart()
    channels[0]!.break()
    await pass(500)
    expect(await failure).toMatchObject({ outcome: 'unknown', code: 'ERR_CONN_RESET' })
    expect(await same).toBe(12)
    finish()
  })

  it('the connection lost while it is asked for: it is asked for on the next', async () => {
    const { client, server, pass, finish } = clientRig('tcp', OPTIONS)
    const made = client.call(DOUBLE, 5)
    await pass(4)
    server.onCall = call => (call.procedure === 0 ? giveSession(call, 1) : double(call))
    server.calls[0]!.channel.break()
    await pass(500)
    expect(await made).toBe(10)
    expect(client.isAtMostOnce).toBe(true)
    finish()
  })
})
