import { describe, expect, it } from 'vitest'
import { failureOf, clientRig as rig } from './testing/client-rig.ts'
import { DOUBLE, double, SAME } from './testing/scripted-server.ts'

describe('rpc/client over udp: retransmission', () => {
  it('a call that is lost is sent again, the same bytes, until an answer comes', async () => {
    const { client, net, server, pass, finish } = rig('udp', { retransmitMs: 100 })
    let lose = 3
    net.filter = () => --lose < 0
    server.onCall = double
    const made = client.call(DOUBLE, 5)
    await pass(2_000)
    expect(await made).toBe(10)
    expect(server.calls).toHaveLength(1)
    expect(client.counters).toMatchObject({ transmissions: 4, retransmissions: 3 })
    finish()
  })

  it('a reply that is lost makes the call come again with its xid', async () => {
    const { client, net, server, pass, finish } = rig('udp', { retransmitMs: 100 })
    let loseReplies = 2
    net.filter = from => from.port !== 1 || --loseReplies < 0
    server.onCall = double
    const made = client.call(DOUBLE, 5)
    await pass(2_000)
    expect(await made).toBe(10)
    expect(new Set(server.calls.map(({ xid }) => xid)).size).toBe(1)
    expect(server.calls).toHaveLength(3)
    finish()
  })

  it('an answer that comes twice ends the call once', async () => {
    const { client, server, pass, finish } = rig('udp', {}, { duplication: 1 })
    server.onCall = double
    const made = client.call(DOUBLE, 5)
    await pass(40)
    expect(await made).toBe(10)
    expect(client.counters['late-replies']).toBe(3)
    finish()
  })

  it('it backs off: no more than the deadline allows', async () => {
    const { client, net, pass, finish } = rig('udp', {
      retransmitMs: 100,
      retransmitMaxMs: 1_000,
      timeoutMs: 5_000,
    })
    net.filter = () => false
    const failure = failureOf(client.call(DOUBLE, 5))
    await pass(6_000)
    expect((await failure).outcome).toBe('unknown')
    // 0, 100, 300, 700, 1500, 2500, 3500, 4500 ms, a quarter more or less.
    expect(client.counters.transmissions).toBeGreaterThanOrEqual(7)
    expect(client.counters.transmissions).toBeLessThanOrEqual(10)
    finish()
  })

  it('nobody listens: a persistent client goes on until the deadline, and says why it was', async () => {
    const { client, net, pass, finish } = rig('udp', { timeoutMs: 1_000 })
    net.datagramServer().close()
    const failure = failureOf(client.call(DOUBLE, 5))
    await pass(2_000)
    const error = await failure
    expect(error).toMatchObject({ outcome: 'unknown', code: 'ERR_TIMED_OUT' })
    expect(error.message).toContain('nobody is there')
    finish()
  })

  it('nobody listens: another one is refused at once', async () => {
    const { client, net, pass, finish } = rig('udp', { persistent: false })
    net.datagramServer().close()
    const failure = failureOf(client.call(DOUBLE, 5))
    await pass(4)
    expect(await failure).toMatchObject({ outcome: 'refused', code: 'ERR_CONN_REFUSED' })
    finish()
  })
})

describe('rpc/client over tcp: the connection (checklist 41)', () => {
  it('is made at the first call', async () => {
    const { client, pass, finish } = rig('tcp', {}, { delayMs: 10 })
    expect(client.counters.connections).toBe(0)
    const failure = failureOf(client.call(DOUBLE, 1, { timeoutMs: 10_000 }))
    await pass(40)
    expect(client.counters.connections).toBe(1)
    client.close()
    await failure
    finish()
  })

  it('lost with a call outstanding: nobody can tell whether it ran, and it is not sent again', async () => {
    const { client, server, pass, finish } = rig('tcp')
    const failure = failureOf(client.call(DOUBLE, 1))
    await pass(4)
    server.calls[0]!.channel.break()
    await pass(4)
    expect(await failure).toMatchObject({ outcome: 'unknown', code: 'ERR_CONN_RESET', mayHaveRun: true })
    await pass(1_000)
    expect(server.calls).toHaveLength(1)
    finish()
  })

  it('lost with an idempotent call outstanding: that is sent again on the next', async () => {
    const { client, server, pass, finish } = rig('tcp')
    const made = client.call(SAME, 3)
    await pass(4)
    server.onCall = double
    server.calls[0]!.channel.break()
    await pass(1_000)
    expect(await made).toBe(6)
    expect(server.calls.map(({ xid }) => xid)).toEqual([server.calls[0]!.xid, server.calls[0]!.xid])
    finish()
  })

  it('calls that wait go over the next, which is made with back-off', async () => {
    const { client, net, server, pass, finish } = rig('tcp', { reconnectMs: 100, reconnectMaxMs: 1_000 })
    const { onChannel } = net
    net.onChannel = null
    server.onCall = double
    const made = client.call(DOUBLE, 4)
    await pass(3_000)
    const tries = client.counters['connections-failed']
    // At 0, 100, 300, 700, 1500 and 2500 ms, a quarter more or less.
    expect(tries).toBeGreaterThanOrEqual(5)
    expect(tries).toBeLessThanOrEqual(8)
    net.onChannel = onChannel
    await pass(2_000)
    expect(await made).toBe(8)
    finish()
  })

  it('that cannot be made until the deadline: the calls were not sent', async () => {
    const { client, net, pass, finish } = rig('tcp', { timeoutMs: 1_000 })
    net.onChannel = null
    const failure = failureOf(client.call(DOUBLE, 4))
    await pass(2_000)
    const error = await failure
    expect(error).toMatchObject({ outcome: 'refused', code: 'ERR_TIMED_OUT', mayHaveRun: false })
    expect(error.cause).toMatchObject({ code: 'ERR_CONN_REFUSED' })
    finish()
  })

  it('that cannot be made: a client that is not persistent says so at once', async () => {
    const { client, net, pass, finish } = rig('tcp', { persistent: false })
    net.onChannel = null
    const failure = failureOf(client.call(DOUBLE, 4))
    await pass(4)
    expect(await failure).toMatchObject({ outcome: 'refused', code: 'ERR_CONN_REFUSED' })
    finish()
  })

  it('a server that takes connections and drops them is not pestered', async () => {
    const { client, net, pass, finish } = rig('tcp', { reconnectMs: 100, reconnectMaxMs: 400 })
    net.onChannel = channel => channel.abort()
    const failure = failureOf(client.call(SAME, 4, { timeoutMs: 4_000 }))
    await pass(5_000)
    await failure
    expect(client.counters.connections).toBeLessThan(20)
    finish()
  })

  it('ready() fails with what kept the connection from being made, and closes the client', async () => {
    const { client, net, pass, finish } = rig('tcp')
    net.onChannel = null
    const ready = client.ready()
    const failure = failureOf(ready)
    await pass(4)
    expect(await failure).toMatchObject({ code: 'ERR_CONN_REFUSED', outcome: 'refused', mayHaveRun: false })
    expect(client.isClosed).toBe(true)
    expect((await failureOf(client.call(DOUBLE, 1))).hint).toContain('make another one')
    finish()
  })

  it('a call that is not answered does not blame a connection that could not be made before', async () => {
    const { client, net, server, pass, finish } = rig('tcp', { timeoutMs: 1_000, reconnectMs: 50 })
    net.onChannel = null
    const failure = failureOf(client.call(DOUBLE, 1))
    await pass(100)
    net.onChannel = channel => server.serve(channel)
    await pass(2_000)
    expect(server.calls).toHaveLength(1)
    expect((await failure).message).toBe('DOUBLE: no answer in time')
    finish()
  })

  it('ready() gives up a connection that is never made', async () => {
    const { client, pass, finish } = rig('tcp', { timeoutMs: 500 }, { delayMs: 10_000 })
    const failed = expect(client.ready()).rejects.toMatchObject({ code: 'ERR_TIMED_OUT' })
    await pass(1_000)
    await failed
    finish()
  })
})
