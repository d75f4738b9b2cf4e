/** tls, http2, ws, undici and grpc over our sockets, both ends: the real packages, unchanged. */
import { once } from 'node:events'
import http from 'node:http'
import http2 from 'node:http2'
import net from 'node:net'
import { buffer, text } from 'node:stream/consumers'
import tls from 'node:tls'
import * as grpc from '@grpc/grpc-js'
import { Agent, Client, fetch, Pool, request } from 'undici'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { WebSocket, WebSocketServer } from 'ws'
import {
  connect,
  connectTls,
  createUndiciConnector,
  Server,
  type Socket,
  serve,
} from '../../src/socket/net.ts'
import type { TestHost } from '../../src/socket/testing/host.ts'
import { makeNetHost } from '../../src/socket/testing/net-host.ts'
import { CERTIFICATE, KEY } from './certificate.ts'

const TLS = { cert: CERTIFICATE, key: KEY }

let host: TestHost
beforeEach(() => {
  host = makeNetHost()
})
afterEach(async () => {
  for (let i = 0; i < 10; i++) await new Promise(resolve => setImmediate(resolve))
  expect(host.refs()).toBe(0)
  await host.finish()
})

async function listening(server: {
  listen(port: number, address: string): unknown
  address(): unknown
  once(event: string, listener: () => void): unknown
}): Promise<number> {
  server.listen(0, '127.0.0.1')
  await new Promise<void>(resolve => server.once('listening', resolve))
  return (server.address() as { port: number }).port
}

const stop = (server: { close(callback: () => void): unknown }): Promise<void> =>
  new Promise(resolve => server.close(() => resolve()))

describe('tls', () => {
  it('on a socket that is connected, and on one that is not yet', async () => {
    const server = serve(
      tls.createServer(TLS, socket => {
        socket.write(`${socket.getProtocol()} `)
        socket.pipe(socket)
      }),
      new Server(host),
    )
    const port = await listening(server)
    const connected = connect(host, port, '127.0.0.1')
    await once(connected, 'connect')
    for (const socket of [connected, connect(host, port, '127.0.0.1')]) {
      const secure = tls.connect({ socket, ca: CERTIFICATE, servername: 'stack.test' })
      secure.end('echo this')
      expect(await text(secure)).toBe('TLSv1.3 echo this')
      expect(secure.authorized).toBe(true)
      if (!socket.closed) await once(socket, 'close')
    }
    await stop(server)
  })

  it('carries 16 MB both ways', async () => {
    const server = serve(
      tls.createServer(TLS, socket => socket.pipe(socket)),
      new Server(host),
    )
    const port = await listening(server)
    const secure = connectTls(host, { host: '127.0.0.1', port, ca: CERTIFICATE, servername: 'stack.test' })
    const data = Buffer.alloc(16_000_000, 'secret')
    secure.end(data)
    expect((await buffer(secure)).equals(data)).toBe(true)
    await stop(server)
  })

  it('upgrades a connection on the way (STARTTLS), with a certificate of the client', async () => {
    const listener = new Server(host, socket => {
      socket.once('data', () => {
        socket.write('go')
        const secure = new tls.TLSSocket(socket, {
          isServer: true,
          ...TLS,
          requestCert: true,
          ca: CERTIFICATE,
        })
        secure.once('secure', () => secure.end(String(secure.getPeerCertificate().subject.CN)))
      })
    })
    const port = await listening(listener)
    const plain = connect(host, port, '127.0.0.1')
    plain.write('STARTTLS')
    await once(plain, 'data')
    const secure = tls.connect({ socket: plain, ...TLS, ca: CERTIFICATE, servername: 'stack.test' })
    expect(await text(secure)).toBe('stack.test')
    await stop(listener)
  })

  it('a handshake that is cut, and one with the wrong name', async () => {
    const server = serve(tls.createServer(TLS), new Server(host))
    const failed = once(server, 'tlsClientError')
    const port = await listening(server)
    const cut = connect(host, port, '127.0.0.1', () => cut.end('no hello'))
    expect((await failed)[0]).toBeInstanceOf(Error)
    cut.destroy()
    const wrong = tls.connect({
      socket: connect(host, port, '127.0.0.1'),
      ca: CERTIFICATE,
      servername: 'other.test',
    })
    expect((await once(wrong, 'error'))[0].code).toBe('ERR_TLS_CERT_ALTNAME_INVALID')
    await stop(server)
  })
})

describe('node:http2', () => {
  it('in clear, many streams over one connection', async () => {
    const server = serve(http2.createServer(), new Server(host))
    server.on('stream', (stream, headers) => {
      stream.respond({ ':status': 200, 'x-path': headers[':path'] as string })
      stream.pipe(stream)
    })
    const port = await listening(server)
    const session = http2.connect(`http://127.0.0.1:${port}`, {
      createConnection: () => connect(host, port, '127.0.0.1'),
    })
    const bodies = await Promise.all(
      Array.from({ length: 50 }, async (_, i) => {
        const stream = session.request({ ':path': `/${i}`, ':method': 'POST' })
        stream.end(`body ${i} `.repeat(2_000))
        return await text(stream)
      }),
    )
    expect(bodies.every((body, i) => body === `body ${i} `.repeat(2_000))).toBe(true)
    session.close()
    await once(session, 'close')
    await stop(server)
  })

  it('over TLS, chosen by ALPN, and HTTP/1 on the same port', async () => {
    const server = serve(
      http2.createSecureServer({ ...TLS, allowHTTP1: true }, (asked, response) =>
        response.end(asked.httpVersion),
      ),
      new Server(host),
    )
    const port = await listening(server)
    const session = http2.connect('https://stack.test', {
      createConnection: () =>
        tls.connect({
          socket: connect(host, port, '127.0.0.1'),
          ca: CERTIFICATE,
          servername: 'stack.test',
          ALPNProtocols: ['h2'],
        }),
    })
    expect(await text(session.request({ ':path': '/' }))).toBe('2.0')
    session.close()
    await once(session, 'close')
    const agent = new Agent({
      connect: createUndiciConnector(host, { ca: CERTIFICATE, servername: 'stack.test' }),
    })
    const answer = await request(`https://127.0.0.1:${port}/`, { dispatcher: agent })
    expect(await answer.body.text()).toBe('1.1')
    await agent.close()
    await stop(server)
  })
})

describe('ws', () => {
  it('messages, large ones, pings and the closing handshake', async () => {
    const web = serve(http.createServer(), new Server(host))
    const sockets = new WebSocketServer({ server: web })
    sockets.on('connection', (socket: WebSocket) => {
      socket.on('message', (data: Buffer, binary: boolean) => socket.send(data, { binary }))
    })
    const port = await listening(web)
    const socket = new WebSocket(`ws://127.0.0.1:${port}/`, {
      createConnection: () => connect(host, port, '127.0.0.1'),
    })
    await once(socket, 'open')
    socket.send('hello')
    expect(String((await once(socket, 'message'))[0])).toBe('hello')
    const large = Buffer.alloc(3_000_000, 'frame')
    socket.send(large)
    expect(large.equals((await once(socket, 'message'))[0])).toBe(true)
    socket.ping('are you there')
    expect(String((await once(socket, 'pong'))[0])).toBe('are you there')
    socket.close(4_000, 'enough')
    const [code, reason] = await once(socket, 'close')
    expect([code, String(reason)]).toEqual([4_000, 'enough'])
    sockets.close()
    await stop(web)
  })

  it('a server that goes away without a word', async () => {
    const web = serve(http.createServer(), new Server(host))
    const sockets = new WebSocketServer({ server: web })
    sockets.on('connection', (socket: { terminate(): void }) => socket.terminate())
    const port = await listening(web)
    const socket = new WebSocket(`ws://127.0.0.1:${port}/`, {
      createConnection: () => connect(host, port, '127.0.0.1'),
    })
    socket.on('error', () => {})
    expect((await once(socket, 'close'))[0]).toBe(1_006)
    sockets.close()
    await stop(web)
  })
})

describe('undici', () => {
  const start = async (): Promise<{ server: http.Server; origin: string }> => {
    const server = serve(
      http.createServer((asked, response) => {
        response.setHeader('x-url', asked.url ?? '')
        asked.pipe(response)
      }),
      new Server(host),
    )
    return { server, origin: `http://127.0.0.1:${await listening(server)}` }
  }

  it('request, Pool, Client with pipelining', async () => {
    const { server, origin } = await start()
    const makeConnection = createUndiciConnector(host)
    const agent = new Agent({ connect: makeConnection })
    const answer = await request(`${origin}/a?b=1`, { dispatcher: agent, method: 'PUT', body: 'put' })
    expect([answer.statusCode, answer.headers['x-url'], await answer.body.text()]).toEqual([
      200,
      '/a?b=1',
      'put',
    ])
    await agent.close()
    const pool = new Pool(origin, { connect: makeConnection, connections: 8 })
    const many = Array.from({ length: 60 }, async (_, i) => {
      const { body } = await pool.request({ path: '/', method: 'POST', body: `${i}` })
      return await body.text()
    })
    expect(await Promise.all(many)).toEqual(many.map((_, i) => `${i}`))
    await pool.close()
    const client = new Client(origin, { connect: makeConnection, pipelining: 10 })
    const paths = await Promise.all(
      Array.from({ length: 30 }, async (_, i) => {
        const { headers, body } = await client.request({ path: `/${i}`, method: 'GET' })
        await body.dump()
        return headers['x-url']
      }),
    )
    expect(paths).toEqual(paths.map((_, i) => `/${i}`))
    await client.close()
    await stop(server)
  })

  it('fetch, its own and the global one', async () => {
    const { server, origin } = await start()
    const dispatcher = new Agent({ connect: createUndiciConnector(host) })
    const own = await fetch(`${origin}/own`, { dispatcher, method: 'POST', body: 'x'.repeat(1_000_000) })
    expect((await own.text()).length).toBe(1_000_000)
    const options = { dispatcher } as unknown as RequestInit
    const response = await globalThis.fetch(`${origin}/global`, options)
    expect(response.headers.get('x-url')).toBe('/global')
    await response.text()
    await dispatcher.close()
    await stop(server)
  })

  it('what fails is told as undici tells it', async () => {
    const { server, origin } = await start()
    await stop(server)
    const agent = new Agent({ connect: createUndiciConnector(host) })
    await expect(request(origin, { dispatcher: agent })).rejects.toMatchObject({ code: 'ECONNREFUSED' })
    await agent.close()
  })
})

describe('@grpc/grpc-js', () => {
  // Without a schema: bytes in, bytes out.
  const plain = (value: Buffer): Buffer => value
  const method = (
    path: string,
    requestStream: boolean,
    responseStream: boolean,
  ): grpc.MethodDefinition<Buffer, Buffer> => ({
    path,
    requestStream,
    responseStream,
    requestSerialize: plain,
    requestDeserialize: plain,
    responseSerialize: plain,
    responseDeserialize: plain,
  })
  const echo = { one: method('/test.Echo/One', false, false), many: method('/test.Echo/Many', true, true) }

  /** The frame of a message (its length in front), as gRPC over HTTP/2 has it. */
  const frame = (message: string): Buffer => {
    const bytes = Buffer.alloc(5 + message.length)
    bytes.writeUInt32BE(message.length, 1)
    bytes.write(message, 5)
    return bytes
  }

  it('a server on our listener: a call, a stream of messages, an error', async () => {
    const server = new grpc.Server()
    server.addService(echo, {
      one: (call: grpc.ServerUnaryCall<Buffer, Buffer>, callback: grpc.sendUnaryData<Buffer>) =>
        String(call.request) === 'fail'
          ? callback({ code: grpc.status.NOT_FOUND, details: 'no such thing' })
          : callback(null, Buffer.from(`<${call.request}>`)),
      many: (call: grpc.ServerDuplexStream<Buffer, Buffer>) => {
        call.on('data', message => call.write(message)).on('end', () => call.end())
      },
    })
    const listener = new Server(host)
    serve(server.createConnectionInjector(grpc.ServerCredentials.createInsecure()), listener)
    const port = await listening(listener)
    // The client of the package cannot be given a socket; node:http2 speaks the protocol.
    let socket: Socket | undefined
    const session = http2.connect(`http://127.0.0.1:${port}`, {
      createConnection: () => {
        socket = connect(host, port, '127.0.0.1')
        return socket
      },
    })
    const call = async (path: string, ...messages: string[]): Promise<[string, unknown]> => {
      const stream = session.request({
        ':method': 'POST',
        ':path': path,
        'content-type': 'application/grpc',
        te: 'trailers',
      })
      let status: unknown
      stream.on('trailers', trailers => {
        status = trailers['grpc-status']
      })
      stream.on('response', headers => {
        status ??= headers['grpc-status']
      })
      for (const message of messages) stream.write(frame(message))
      stream.end()
      return [(await buffer(stream)).toString('latin1'), status]
    }
    expect(await call('/test.Echo/One', 'hi')).toEqual([frame('<hi>').toString('latin1'), '0'])
    expect((await call('/test.Echo/One', 'fail'))[1]).toBe(String(grpc.status.NOT_FOUND))
    const sent = Array.from({ length: 200 }, (_, i) => `message ${i}`)
    expect(await call('/test.Echo/Many', ...sent)).toEqual([
      sent.map(one => frame(one).toString('latin1')).join(''),
      '0',
    ])
    session.close()
    await once(socket!, 'close')
    server.forceShutdown()
    await stop(listener)
  })

  it('its own client, by a door of the kernel’s: a call, messages of the server, messages both ways, an error', async () => {
    const server = new grpc.Server()
    const service = { ...echo, list: method('/test.Echo/List', false, true) }
    server.addService(service, {
      one: (call: grpc.ServerUnaryCall<Buffer, Buffer>, callback: grpc.sendUnaryData<Buffer>) =>
        String(call.request) === 'fail'
          ? callback({ code: grpc.status.NOT_FOUND, details: 'no such thing' })
          : callback(null, Buffer.from(`<${call.request}>`)),
      many: (call: grpc.ServerDuplexStream<Buffer, Buffer>) => {
        call.on('data', message => call.write(message)).on('end', () => call.end())
      },
      list: (call: grpc.ServerWritableStream<Buffer, Buffer>) => {
        for (let i = 0; i < Number(call.request); i++) call.write(Buffer.alloc(2_000, String(i)))
        call.end()
      },
    })
    const listener = new Server(host)
    serve(server.createConnectionInjector(grpc.ServerCredentials.createInsecure()), listener)
    const port = await listening(listener)
    // The client of the package takes no socket: what it opens in the kernel is passed on to our stack, byte for byte.
    const passed: Socket[] = []
    const door = net.createServer(outside => {
      const inside = connect(host, port, '127.0.0.1')
      passed.push(inside)
      for (const each of [outside, inside]) each.on('error', () => {})
      inside.on('close', () => outside.destroy())
      outside.pipe(inside).pipe(outside)
    })
    const client = new (grpc.makeGenericClientConstructor(service, 'Echo'))(
      `127.0.0.1:${await listening(door)}`,
      grpc.credentials.createInsecure(),
    )
    const one = (text: string): Promise<string> =>
      new Promise((resolve, reject) =>
        client['one']!(Buffer.from(text), (error: Error | null, value?: Buffer) =>
          error === null ? resolve(String(value)) : reject(error),
        ),
      )
    expect(await one('hi')).toBe('<hi>')
    await expect(one('fail')).rejects.toMatchObject({ code: grpc.status.NOT_FOUND, details: 'no such thing' })
    const listed: number[] = []
    for await (const message of client['list']!(Buffer.from('300')) as AsyncIterable<Buffer>)
      listed.push(message.length)
    expect(listed).toEqual(new Array(300).fill(2_000))
    const call = client['many']!() as grpc.ClientDuplexStream<Buffer, Buffer>
    for (let i = 0; i < 100; i++) call.write(Buffer.from(`message ${i}`))
    call.end()
    let count = 0
    for await (const message of call as AsyncIterable<Buffer>)
      expect(String(message)).toBe(`message ${count++}`)
    expect(count).toBe(100)
    // One connection carried it all.
    expect(passed.map(({ bytesRead }) => bytesRead > 600_000)).toEqual([true])
    client.close()
    // Its pool would keep the connection for another while.
    passed[0]!.destroy()
    await once(passed[0]!, 'close')
    server.forceShutdown()
    await Promise.all([stop(listener), stop(door)])
  })
})
