/** Programs that have the sockets of a node through its port, plain and mapped: the same scenarios on both. */
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, statSync } from 'node:fs'
import { setTimeout as wait } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { StackError } from '../../src/base/errors.ts'
import { tryShim } from '../../src/host/shim.ts'
import { attach } from '../../src/ipc/index.ts'
import { until } from '../../src/node/testing.ts'
import { netOn, type Socket } from '../../src/socket/net.ts'
import { TcpConnection, TcpListener } from '../../src/socket/tcp-endpoint.ts'
import { dupb, freemsg } from '../../src/streams/mblk/alloc.ts'
import type { Mblk } from '../../src/streams/mblk/mblk.ts'
import { messageBytes } from '../../src/streams/mblk/message.ts'
import { messageFrom, readMessage } from '../../src/streams/mblk/pullup.ts'
import { echo, echoOn, exchange, FAR, NEAR, noise, Pair, sha } from './programs.ts'

const absent = tryShim() === null
const HOWS = [
  { port: 'plain', mapped: false },
  { port: 'mapped', mapped: true },
]

describe.skipIf(absent).each(HOWS)(`ipc, $port${absent ? ' (skipped: no native shim)' : ''}`, how => {
  let pair: Pair
  beforeEach(async () => {
    pair = await Pair.start({ mapped: how.mapped })
  })
  afterEach(async () => {
    await pair.finish()
  })

  const opened = (listener: TcpListener): Promise<void> =>
    new Promise((resolve, reject) => {
      if (listener.isOpen) return resolve()
      listener.onOpen = error => (error === null ? resolve() : reject(error))
    })

  it('a client connects, and its bytes come back whole', async () => {
    const listener = echo(pair.far.runtime)
    const client = await pair.attach(how)
    const connection = TcpConnection.connect(client.runtime, { address: FAR, port: listener.local.port })
    const bytes = noise(4 * 1024 * 1024)
    expect(await exchange(connection, bytes)).toEqual({ bytes: bytes.length, hash: sha(bytes) })
    listener.close()
  })

  it('a client listens, accepts, and answers', async () => {
    const client = await pair.attach(how)
    const listener = echo(client.runtime)
    await opened(listener)
    expect(listener.local.port).toBeGreaterThan(0)
    const bytes = noise(1024 * 1024)
    const connection = TcpConnection.connect(pair.far.runtime, { address: NEAR, port: listener.local.port })
    expect(await exchange(connection, bytes)).toEqual({ bytes: bytes.length, hash: sha(bytes) })
    listener.close()
  })

  it('two clients of one node reach each other', async () => {
    const [a, b] = [await pair.attach(how), await pair.attach(how)]
    const listener = echo(a.runtime)
    await opened(listener)
    const bytes = noise(2 * 1024 * 1024)
    const connection = TcpConnection.connect(b.runtime, { address: NEAR, port: listener.local.port })
    expect(await exchange(connection, bytes)).toEqual({ bytes: bytes.length, hash: sha(bytes) })
    listener.close()
  })

  it('many connections of several clients at once, each with its own bytes', async () => {
    const listener = echo(pair.far.runtime)
    const clients = [await pair.attach(how), await pair.attach(how), await pair.attach(how)]
    const done = clients.flatMap(client =>
      Array.from({ length: 10 }, async (_, i) => {
        const bytes = noise(1 + i * 20_000)
        const connection = TcpConnection.connect(client.runtime, {
          address: FAR,
          port: listener.local.port,
        })
        expect(await exchange(connection, bytes)).toEqual({ bytes: bytes.length, hash: sha(bytes) })
      }),
    )
    await Promise.all(done)
    listener.close()
  })

  it('names, settings and requests come from the node', async () => {
    const listener = echo(pair.far.runtime)
    const client = await pair.attach(how)
    expect(client.node).toMatchObject({ name: 'near', pid: process.pid })
    expect(client.mapped).toBe(how.mapped)
    const connection = TcpConnection.connect(client.runtime, { address: FAR, port: listener.local.port })
    await new Promise<void>(resolve => {
      connection.onConnect = () => resolve()
    })
    expect(connection.remote).toEqual({ address: FAR, family: 4, port: listener.local.port })
    expect(connection.local).toMatchObject({ address: NEAR, family: 4 })
    expect(connection.local.port).toBeGreaterThan(0)
    connection.set({ noDelay: true })
    expect(connection.settings.noDelay).toBe(true)
    expect(() => connection.set({ ttl: 4_711 })).toThrow(
      expect.objectContaining({ code: 'ERR_BAD_ARGUMENT' }),
    )
    expect(await connection.stream.ioctl('tcp.info')).toMatchObject({ state: 'ESTABLISHED' })
    await expect(connection.stream.ioctl('no.such')).rejects.toMatchObject({ code: 'ERR_IOCTL' })
    connection.close()
    listener.close()
  })

  it('settings are known at once, checked at the call, and what was set before the node answered stays', async () => {
    const listener = echo(pair.far.runtime)
    const client = await pair.attach(how)
    const to = { address: FAR, port: listener.local.port }
    expect(() => TcpConnection.connect(client.runtime, { ...to, settings: { ttl: 4_711 } })).toThrow(
      expect.objectContaining({ code: 'ERR_BAD_ARGUMENT' }),
    )
    expect(() => TcpListener.open(client.runtime, { port: 0, settings: { ttl: 4_711 } })).toThrow(
      expect.objectContaining({ code: 'ERR_BAD_ARGUMENT' }),
    )
    const connection = TcpConnection.connect(client.runtime, { ...to, settings: { ttl: 9 } })
    expect(connection.settings.ttl).toBe(9)
    connection.set({ noDelay: true })
    await new Promise<void>(resolve => {
      connection.onConnect = () => resolve()
    })
    expect(connection.settings).toMatchObject({ ttl: 9, noDelay: true })
    expect(await connection.stream.ioctl('tcp.set', {})).toMatchObject({ ttl: 9, noDelay: true })
    connection.close()
    listener.close()
  })

  it('half-close: each direction ends by itself', async () => {
    const client = await pair.attach(how)
    const listener = TcpListener.open(pair.far.runtime, { port: 0, address: '0.0.0.0' })
    const connection = TcpConnection.connect(client.runtime, { address: FAR, port: listener.local.port })
    const seen: string[] = []
    connection.onEnd = () => seen.push('end')
    connection.onClosed = reason => {
      seen.push(reason)
      connection.close()
    }
    let peer: TcpConnection | null = null
    await until(() => {
      peer = listener.accept()
      return peer !== null
    })
    const far = peer as unknown as TcpConnection
    far.shutdown()
    await until(() => seen.length === 1)
    // This side still sends.
    expect(connection.write(noise(100_000))).toBe(100_000)
    connection.shutdown()
    let got = 0
    let ended = false
    far.onEnd = () => {
      ended = true
    }
    far.onReadable = () => {
      for (let mp = far.getmsg(); mp !== null; mp = far.getmsg()) {
        got += messageBytes(mp)
        freemsg(mp)
      }
    }
    await until(() => ended)
    expect(got).toBe(100_000)
    await until(() => seen.length === 2)
    expect(seen).toEqual(['end', 'done'])
    far.close()
    listener.close()
  })

  it('a program that does not read stops its own peer, and no other connection', async () => {
    const client = await pair.attach(how)
    const listener = TcpListener.open(client.runtime, { port: 0, address: '0.0.0.0' })
    await opened(listener)
    const { port } = listener.local
    const slow = TcpConnection.connect(pair.far.runtime, { address: NEAR, port })
    const bytes = noise(64 * 1024 * 1024)
    let sent = 0
    slow.onWritable = () => {
      while (sent < bytes.length) {
        const taken = slow.write(bytes.subarray(sent, sent + 65_536))
        if (taken === 0) return
        sent += taken
      }
    }
    slow.onConnect = () => slow.onWritable!()
    let held: TcpConnection | null = null
    listener.onConnection = () => {
      for (let c = listener.accept(); c !== null; c = listener.accept()) {
        if (held === null) held = c
        else echoOn(c)
      }
    }
    let before = -1
    await until(async () => {
      before = sent
      await wait(100)
      return sent > 0 && sent === before
    }, 'the sender to stop')
    expect(sent).toBeLessThan(16 * 1024 * 1024)
    // The others of the same client go on.
    const other = TcpConnection.connect(pair.far.runtime, { address: NEAR, port })
    const more = noise(1024 * 1024)
    expect(await exchange(other, more)).toEqual({ bytes: more.length, hash: sha(more) })
    // And so does it, when it is read.
    const stopped = sent
    const reader = held as unknown as TcpConnection
    reader.onReadable = () => {
      for (let mp = reader.getmsg(); mp !== null; mp = reader.getmsg()) freemsg(mp)
    }
    await until(() => sent > stopped + 8 * 1024 * 1024)
    reader.close()
    slow.abort()
    listener.close()
  })

  it('a peer that does not read stops the program, and memory stays bounded', async () => {
    const client = await pair.attach(how)
    const listener = TcpListener.open(pair.far.runtime, { port: 0, address: '0.0.0.0' })
    const connection = TcpConnection.connect(client.runtime, { address: FAR, port: listener.local.port })
    let sent = 0
    const block = noise(65_536)
    const send = (): void => {
      for (let taken = -1; taken !== 0 && sent < 64 * 1024 * 1024; sent += taken)
        taken = connection.write(block)
    }
    connection.onWritable = send
    connection.onConnect = send
    let before = -1
    await until(async () => {
      before = sent
      await wait(100)
      return sent > 0 && sent === before
    }, 'the program to be stopped')
    expect(sent).toBeLessThan(16 * 1024 * 1024)
    connection.abort()
    listener.accept()?.close()
    listener.close()
  })

  it('messages longer than the credit that is left go in parts: the client is not ended for them', async () => {
    const client = await pair.attach(how)
    const listener = TcpListener.open(pair.far.runtime, { port: 0, address: '0.0.0.0' })
    const connection = TcpConnection.connect(client.runtime, { address: FAR, port: listener.local.port })
    // One block, and messages that are many views of it: its memory is no bound.
    const bytes = noise(65_536)
    const block = messageFrom(client.runtime.arena, bytes, 0, bytes.length, 'edge')!
    const views = 64
    const total = 4 * views * bytes.length
    let sent = 0
    let ended: StackError | null = null
    client.onDown = error => {
      ended = error
    }
    let held: Mblk | null = null
    const send = (): void => {
      while (sent < total) {
        if (held === null)
          for (let i = 0; i < views; i++) {
            const view = dupb(block)!
            view.cont = held
            held = view
          }
        if (!connection.putmsg(held!)) return
        held = null
        sent += views * bytes.length
      }
    }
    connection.onWritable = send
    connection.onConnect = send
    // Nobody reads over there until all stands still: TCP is full, and the credit used up.
    let before = -1
    await until(async () => {
      before = sent
      await wait(100)
      return sent > 0 && sent === before
    }, 'the program to be stopped')
    expect(ended).toBeNull()
    const hash = createHash('sha256')
    const wanted = createHash('sha256')
    for (let i = 0; i < total; i += bytes.length) wanted.update(bytes)
    let got = 0
    const far = listener.accept()!
    const read = (): void => {
      for (let mp = far.getmsg(); mp !== null; mp = far.getmsg()) {
        const part = new Uint8Array(messageBytes(mp))
        readMessage(mp, 0, part, 0, part.length, 'edge')
        hash.update(part)
        got += part.length
        freemsg(mp)
      }
    }
    far.onReadable = read
    read()
    await until(() => got === total || ended !== null, 'all to arrive')
    expect(ended).toBeNull()
    expect(hash.digest('hex')).toBe(wanted.digest('hex'))
    freemsg(block)
    connection.close()
    far.close()
    listener.close()
  })

  it('large messages of the program’s own memory for peers that read nothing: other connections go on, and so do ends', async () => {
    const silent = TcpListener.open(pair.far.runtime, { port: 0, address: '0.0.0.0' })
    const client = await pair.attach(how)
    const bytes = noise(4 * 1024 * 1024)
    let released = 0
    const make = (): TcpConnection => {
      const connection = TcpConnection.connect(client.runtime, { address: FAR, port: silent.local.port })
      const send = (): void => {
        while (connection.sendOwned(bytes, () => released++));
      }
      connection.onWritable = send
      connection.onConnect = send
      return connection
    }
    const stuck = [make(), make(), make(), make()]
    const peers: TcpConnection[] = []
    await until(() => {
      const peer = silent.accept()
      if (peer !== null) peers.push(peer)
      return peers.length === stuck.length
    })
    // Whatever is to be full is full.
    await wait(300)
    // What comes in over other connections needs credit, which the client gives.
    const source = TcpListener.open(pair.far.runtime, { port: 0, address: '0.0.0.0' })
    source.onConnection = () => {
      const peer = source.accept()!
      let left = 16
      const send = (): void => {
        while (left > 0 && peer.sendOwned(bytes, () => {})) left--
        if (left === 0) peer.close()
      }
      peer.onWritable = send
      send()
    }
    const reader = TcpConnection.connect(client.runtime, { address: FAR, port: source.local.port })
    let got = 0
    reader.onReadable = () => {
      for (let mp = reader.getmsg(); mp !== null; mp = reader.getmsg()) {
        got += messageBytes(mp)
        freemsg(mp)
      }
    }
    await until(() => got === 16 * bytes.length, `all to come: ${got}`)
    reader.close()
    // A connection that stands still can be given up, and its peer hears of it.
    const reasons: string[] = []
    for (const peer of peers) peer.onClosed = reason => reasons.push(reason)
    const before = released
    for (const connection of stuck) connection.abort()
    for (const peer of peers)
      peer.onReadable = () => {
        for (let mp = peer.getmsg(); mp !== null; mp = peer.getmsg()) freemsg(mp)
      }
    await until(() => reasons.length === 4)
    expect(reasons).toEqual(['reset', 'reset', 'reset', 'reset'])
    await until(() => released > before)
    for (const connection of [...stuck, ...peers]) connection.close()
    silent.close()
    source.close()
  })

  it('data that can be neither cut nor sent ends its connection, with a counter: nothing is missing in silence', async () => {
    const listener = echo(pair.far.runtime)
    const client = await pair.attach(how)
    const connection = TcpConnection.connect(client.runtime, { address: FAR, port: listener.local.port })
    await new Promise<void>(resolve => {
      connection.onConnect = () => resolve()
    })
    const { arena } = client.runtime
    const bytes = noise(60_000)
    const message = messageFrom(arena, bytes, 0, bytes.length, 'edge')!
    for (let i = 0; i < 9; i++) {
      const view = dupb(message)!
      view.cont = message.cont
      message.cont = view
    }
    let error: StackError | null = null
    connection.onClosed = (_reason, why) => {
      error = why
    }
    const limit = (arena as unknown as { viewLimit: number; viewsMade: number }).viewsMade
    Object.assign(arena, { viewLimit: limit })
    connection.putmsg(message)
    await until(() => error !== null)
    expect(error).toMatchObject({ code: 'ERR_NO_BUFFERS' })
    expect(client.counters['no-views']).toBe(1)
    connection.close()
    listener.close()
    Object.assign(arena, { viewLimit: 1_000 })
  })

  it('what cannot be opened says why', async () => {
    const client = await pair.attach(how)
    const ended = (c: TcpConnection): Promise<StackError | null> =>
      new Promise(resolve => {
        c.onClosed = (_reason, error) => {
          c.close()
          resolve(error)
        }
      })
    const refused = TcpConnection.connect(client.runtime, { address: FAR, port: 9 })
    expect((await ended(refused))?.code).toBe('ERR_CONN_REFUSED')
    const nowhere = TcpConnection.connect(client.runtime, { address: '192.0.2.1', port: 9 })
    expect((await ended(nowhere))?.code).toBe('ERR_NETWORK_UNREACHABLE')
    expect(() => TcpConnection.connect(client.runtime, { address: 'nonsense', port: 9 })).toThrow(
      expect.objectContaining({ code: 'ERR_BAD_ADDRESS' }),
    )
    const first = TcpListener.open(client.runtime, { port: 7_001 })
    await opened(first)
    const second = TcpListener.open(client.runtime, { port: 7_001 })
    await expect(opened(second)).rejects.toMatchObject({ code: 'ERR_ADDR_IN_USE' })
    first.close()
    second.close()
  })

  it('a client that goes loses its connections, and nobody else does', async () => {
    const listener = TcpListener.open(pair.far.runtime, { port: 0, address: '0.0.0.0' })
    const peers: TcpConnection[] = []
    const reasons: string[] = []
    listener.onConnection = () => {
      for (let c = listener.accept(); c !== null; c = listener.accept()) {
        const peer = c
        peers.push(peer)
        peer.onReadable = () => {
          for (let mp = peer.getmsg(); mp !== null; mp = peer.getmsg()) freemsg(mp)
        }
        peer.onClosed = reason => {
          reasons.push(reason)
          peer.close()
        }
      }
    }
    const [gone, stays] = [await pair.attach(how), await pair.attach(how)]
    TcpConnection.connect(gone.runtime, { address: FAR, port: listener.local.port }).write(noise(200_000))
    const kept = TcpConnection.connect(stays.runtime, { address: FAR, port: listener.local.port })
    await until(() => peers.length === 2)
    const { ipc } = pair.near
    // As if the process had died: the socket closes, and nothing is said.
    for (const stream of [...gone.runtime.streams])
      if (stream.bottom.info.name === 'tcp')
        (stream.bottom.state as { reason: string | null }).reason = 'aborted'
    await gone.close()
    await until(() => reasons.length === 1)
    expect(reasons).toEqual(['reset'])
    await until(() => (ipc!.describe() as { clients: unknown[] }).clients.length === 1)
    expect(ipc!.counters['ended-gone']).toBe(1)
    expect(kept.state).toBe('ESTABLISHED')
    kept.close()
    listener.close()
  })

  it('a node that ends is an error for its clients, once, and they do not hang', async () => {
    const client = await pair.attach(how)
    const listener = echo(pair.far.runtime)
    const { Socket: Ours, createServer } = netOn(client)
    const socket = new Ours()
    socket.connect(listener.local.port, FAR)
    await once(socket, 'connect')
    const server = createServer()
    server.listen(0, '0.0.0.0')
    await once(server, 'listening')
    const down: StackError[] = []
    client.onDown = error => down.push(error)
    const failed = once(socket, 'error')
    const serverFailed = once(server, 'error')
    await pair.near.close()
    expect((await failed)[0]).toMatchObject({ code: 'ECONNRESET' })
    expect((await serverFailed)[0]).toMatchObject({ syscall: 'listen' })
    expect(down.map(({ code }) => code)).toEqual(['ERR_CONN_RESET'])
    expect(() => TcpConnection.connect(client.runtime, { address: FAR, port: 1 })).toThrow(
      expect.objectContaining({ code: 'ERR_CONN_RESET' }),
    )
    await expect(pair.attach(how)).rejects.toMatchObject({ code: 'ERR_NOT_FOUND' })
    expect(existsSync(pair.path)).toBe(false)
    listener.close()
  })

  it('putnext/net: Socket and Server over the port', async () => {
    const client = await pair.attach(how)
    const { createServer, connect } = netOn(client)
    const server = createServer(socket => socket.pipe(socket))
    server.listen(0, '0.0.0.0')
    await once(server, 'listening')
    const { port } = server.address() as { port: number }
    expect(port).toBeGreaterThan(0)
    const bytes = noise(3 * 1024 * 1024)
    const socket: Socket = netOn(pair.far).connect(port, NEAR)
    socket.end(bytes)
    const parts: Buffer[] = []
    for await (const part of socket) parts.push(part as Buffer)
    expect(sha(Buffer.concat(parts))).toBe(sha(bytes))
    server.close()
    const taken = netOn(client).createServer()
    taken.listen(port, '0.0.0.0')
    await once(taken, 'listening')
    const twice = createServer()
    twice.listen(port, '0.0.0.0')
    expect((await once(twice, 'error'))[0]).toMatchObject({ code: 'EADDRINUSE', syscall: 'listen', port })
    taken.close()
    const refused = connect(9, FAR)
    expect((await once(refused, 'error'))[0]).toMatchObject({ code: 'ECONNREFUSED', syscall: 'connect' })
  })

  it('bytes copied, by place: none by us for large messages', async () => {
    const listener = echo(pair.far.runtime)
    const client = await pair.attach(how)
    const connection = TcpConnection.connect(client.runtime, { address: FAR, port: listener.local.port })
    const bytes = noise(8 * 1024 * 1024)
    const near = pair.near.runtime.arena.copies
    const own = client.runtime.arena.copies
    await exchange(connection, bytes)
    // The programs of this test copy in and out, at the edge.
    // TCP may gather some small pieces, where blocks met.
    expect(near.stack.bytes).toBeLessThan(bytes.length / 100)
    expect(own.stack.bytes).toBe(0)
    expect(near.ipc.bytes + own.ipc.bytes).toBeLessThan(how.mapped ? 100 : 200_000)
    const kernel = near['ipc-kernel'].bytes + own['ipc-kernel'].bytes
    // Each way in and out of the socket: four times, and headers.
    if (how.mapped) expect(kernel).toBeLessThan(400_000)
    else expect(kernel / bytes.length).toBeCloseTo(4, 1)
    listener.close()
  })
})

describe.skipIf(absent)(`ipc: the socket${absent ? ' (skipped: no native shim)' : ''}`, () => {
  it('its file is its owner’s, is taken over from a node that died, and goes with the node', async () => {
    const pair = await Pair.start()
    expect(statSync(pair.path).mode & 0o777).toBe(0o600)
    const shim = tryShim()!
    const { path } = pair
    await pair.near.close()
    // What a killed node leaves: a file that nobody listens behind.
    const fd = shim.unixListen(path, 1)
    shim.fdClose(fd)
    expect(existsSync(path)).toBe(true)
    await pair.finish()
  })

  it('options that are none are told before anything is opened', async () => {
    const pair = await Pair.start()
    const options = [
      { arenaBytes: 10 },
      { arenaBytes: 'x' },
      { arenaBytes: 2 ** 31 },
      { timeoutMs: 0 },
      { timeoutMs: Number.NaN },
      { mapped: 'yes' },
    ]
    for (const each of options)
      await expect(pair.attach(each as object)).rejects.toMatchObject({ code: 'ERR_BAD_ARGUMENT' })
    for (const path of [undefined, ''])
      await expect(attach(path as string)).rejects.toMatchObject({ code: 'ERR_BAD_ARGUMENT' })
    expect(pair.near.ipc!.counters.accepted).toBe(0)
    await pair.finish()
  })

  it('a node that shares nothing says so, and so does one that has enough clients', async () => {
    const pair = await Pair.start({ clients: 1 })
    await expect(pair.attach({ mapped: true })).rejects.toMatchObject({ code: 'ERR_NOT_SUPPORTED' })
    await pair.attach()
    await expect(pair.attach()).rejects.toMatchObject({ code: 'ERR_BUSY' })
    expect(pair.near.ipc!.counters['refused-hello']).toBe(2)
    await pair.finish()
  })

  it('a client has as many connections as it may, and no more', async () => {
    const pair = await Pair.start({ connections: 2 })
    const listener = echo(pair.far.runtime)
    const client = await pair.attach()
    const all = [1, 2, 3].map(() =>
      TcpConnection.connect(client.runtime, { address: FAR, port: listener.local.port }),
    )
    const error = await new Promise<StackError | null>(resolve => {
      all[2]!.onClosed = (_reason, why) => resolve(why)
    })
    expect(error?.code).toBe('ERR_NO_BUFFERS')
    for (const each of all) each.close()
    listener.close()
    await pair.finish()
  })
})
