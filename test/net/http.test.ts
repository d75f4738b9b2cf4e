/** node:http and node:https over our sockets, both ends. */
import { once } from 'node:events'
import http from 'node:http'
import https from 'node:https'
import { text } from 'node:stream/consumers'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createAgent, createSecureAgent, createServer, netOn, Server, serve } from '../../src/socket/net.ts'
import type { TestHost } from '../../src/socket/testing/host.ts'
import { makeNetHost } from '../../src/socket/testing/net-host.ts'
import { CERTIFICATE, KEY } from './certificate.ts'

interface Answer {
  readonly status: number | undefined
  readonly headers: http.IncomingHttpHeaders
  readonly body: string
  readonly reused: boolean
}

async function ask(
  options: http.RequestOptions & { secure?: boolean },
  body?: string | Buffer,
): Promise<Answer> {
  const request = (options.secure ? https : http).request(options)
  request.end(body)
  const [response] = (await once(request, 'response')) as [http.IncomingMessage]
  return {
    status: response.statusCode,
    headers: response.headers,
    body: await text(response),
    reused: request.reusedSocket,
  }
}

describe('node:http on our stack', () => {
  let host: TestHost
  let agent: http.Agent
  beforeEach(() => {
    host = makeNetHost()
    agent = createAgent(host, { keepAlive: true })
  })
  afterEach(async () => {
    agent.destroy()
    for (let i = 0; i < 5; i++) await new Promise(resolve => setImmediate(resolve))
    expect(host.refs()).toBe(0)
    await host.finish()
  })

  const start = async (listener: http.RequestListener): Promise<{ server: http.Server; port: number }> => {
    const server = serve(http.createServer(listener), new Server(host))
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return { server, port: (server.address() as { port: number }).port }
  }
  const stop = (server: http.Server): Promise<unknown> => new Promise(resolve => server.close(resolve))

  it('serves requests, and keeps connections for the next', async () => {
    const { server, port } = await start((request, response) => {
      response.setHeader('X-Peer', String(request.socket.remoteAddress))
      response.end(`${request.method} ${request.url}`)
    })
    const at = { agent, host: '127.0.0.1', port }
    const first = await ask({ ...at, path: '/one' })
    expect(first).toMatchObject({ status: 200, body: 'GET /one', reused: false })
    expect(first.headers['x-peer']).toBe('127.0.0.1')
    expect(await ask({ ...at, path: '/two', method: 'DELETE' })).toMatchObject({
      body: 'DELETE /two',
      reused: true,
    })
    // Its close ends what is idle, as Node's.
    expect(await stop(server)).toBeUndefined()
    expect(server.listening).toBe(false)
  })

  it('carries large bodies both ways', async () => {
    const { server, port } = await start((request, response) => request.pipe(response))
    const body = Buffer.alloc(8_000_000, 'abcdefg')
    const { body: back } = await ask({ agent, host: '127.0.0.1', port, method: 'POST' }, body)
    expect(back.length).toBe(body.length)
    expect(back === body.toString()).toBe(true)
    await stop(server)
  })

  it('serves many at once', async () => {
    const { server, port } = await start((request, response) => {
      setTimeout(() => response.end(request.url), Math.random() * 5)
    })
    const asked = Array.from({ length: 100 }, (_, i) =>
      ask({ agent, host: '127.0.0.1', port, path: `/${i}` }),
    )
    expect((await Promise.all(asked)).map(({ body }) => body)).toEqual(asked.map((_, i) => `/${i}`))
    await stop(server)
  })

  it('100-continue and trailers', async () => {
    const { server, port } = await start(async (request, response) => {
      const sent = await text(request)
      response.writeHead(200, { Trailer: 'X-Sum' })
      response.write(sent)
      response.addTrailers({ 'X-Sum': String(sent.length) })
      response.end()
    })
    const request = http.request({
      ...{ agent, host: '127.0.0.1', port, method: 'POST' },
      headers: { Expect: '100-continue', 'Transfer-Encoding': 'chunked' },
    })
    request.flushHeaders()
    await once(request, 'continue')
    request.end('continued')
    const [response] = (await once(request, 'response')) as [http.IncomingMessage]
    expect(await text(response)).toBe('continued')
    expect(response.trailers['x-sum']).toBe('9')
    await stop(server)
  })

  it('upgrades, and CONNECT through a proxy', async () => {
    const { server, port } = await start((_request, response) => response.end('inside'))
    server.on('upgrade', (_request, socket) => {
      socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n')
      socket.pipe(socket)
    })
    server.on('connect', (_request, socket) => {
      const inner = netOn(host).connect(port, '127.0.0.1', () => {
        socket.write('HTTP/1.1 200 Connection established\r\n\r\n')
        socket.pipe(inner).pipe(socket)
      })
    })
    const upgrade = http.request({
      ...{ agent, host: '127.0.0.1', port },
      headers: { Connection: 'Upgrade', Upgrade: 'echo' },
    })
    upgrade.end()
    const [, socket] = await once(upgrade, 'upgrade')
    socket.write('over the line')
    expect(String((await once(socket, 'data'))[0])).toBe('over the line')
    socket.end()
    await once(socket, 'close')
    const tunnel = http.request({ agent, host: '127.0.0.1', port, method: 'CONNECT', path: 'somewhere:80' })
    tunnel.end()
    const [, through] = await once(tunnel, 'connect')
    through.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
    expect(await text(through)).toMatch(/inside$/)
    await stop(server)
  })

  it('timeouts and aborted requests', async () => {
    const { server, port } = await start(() => {})
    const at = { agent, host: '127.0.0.1', port }
    const slow = http.get({ ...at, timeout: 30 })
    await once(slow, 'timeout')
    slow.destroy()
    expect(await once(slow, 'error').then(([error]) => error.code)).toBe('ECONNRESET')
    const aborted = http.get({ ...at, signal: AbortSignal.timeout(30) })
    expect(await once(aborted, 'error').then(([error]) => error.name)).toBe('AbortError')
    server.closeAllConnections()
    await stop(server)
    const refused = http.get(at)
    const [error] = await once(refused, 'error')
    expect(error).toMatchObject({ code: 'ECONNREFUSED', syscall: 'connect', address: '127.0.0.1', port })
  })

  it('a server on a listener that listens already, and a plain one that is told each socket', async () => {
    const listener = createServer(host)
    listener.listen(0, '127.0.0.1')
    await once(listener, 'listening')
    const server = serve(
      http.createServer((_request, response) => response.end('late')),
      listener,
    )
    await once(server, 'listening')
    const { port } = listener.address() as { port: number }
    expect(await ask({ host: '127.0.0.1', port, agent })).toMatchObject({ body: 'late' })
    await stop(server)
    expect(listener.listening).toBe(false)
    const plain = http.createServer((_request, response) => response.end('plain'))
    const own = createServer(host, { allowHalfOpen: true }, socket => plain.emit('connection', socket))
    own.listen(0, '127.0.0.1')
    await once(own, 'listening')
    const at = { host: '127.0.0.1', port: (own.address() as { port: number }).port }
    const createConnection = (): ReturnType<typeof netOn>['Socket']['prototype'] =>
      netOn(host).connect(at.port, at.host)
    expect(await ask({ ...at, createConnection })).toMatchObject({ body: 'plain' })
    await new Promise(resolve => own.close(resolve))
  })

  it('a client that ends its half still gets the answer', async () => {
    const { server, port } = await start((_request, response) =>
      setTimeout(() => response.end('patience'), 10),
    )
    Object.assign(server, { httpAllowHalfOpen: true })
    const socket = netOn(host).connect(port, '127.0.0.1')
    socket.end('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
    expect(await text(socket)).toMatch(/patience$/)
    await stop(server)
  })

  it('a request that comes with the end of the client’s data gets the answer', async () => {
    const { server, port } = await start((_request, response) => response.end('at once'))
    const socket = netOn(host).connect(port, '127.0.0.1')
    socket.end('GET / HTTP/1.0\r\n\r\n')
    expect(await text(socket)).toMatch(/at once$/)
    await stop(server)
  })

  it('https: both ends know who the other is', async () => {
    const server = serve(
      https.createServer({ cert: CERTIFICATE, key: KEY }, (request, response) => {
        const { remoteAddress, remotePort, remoteFamily, localPort } = request.socket
        response.end(JSON.stringify({ remoteAddress, remotePort, remoteFamily, localPort }))
      }),
      new Server(host),
    )
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as { port: number }
    const secure = createSecureAgent(host, { ca: CERTIFICATE })
    const request = https.get({ agent: secure, host: '127.0.0.1', servername: 'stack.test', port })
    const [response] = (await once(request, 'response')) as [http.IncomingMessage]
    const { remoteAddress, remotePort, localPort } = response.socket
    expect({ remoteAddress, remotePort }).toEqual({ remoteAddress: '127.0.0.1', remotePort: port })
    expect(JSON.parse(await text(response))).toEqual({
      ...{ remoteAddress: '127.0.0.1', remotePort: localPort, remoteFamily: 'IPv4', localPort: port },
    })
    const stranger = new Promise(resolve =>
      server.once('tlsClientError', (_error, socket) => resolve(socket.remoteAddress)),
    )
    const plain = netOn(host).connect(port, '127.0.0.1')
    plain.on('error', () => {}).end('no TLS at all')
    expect(await stranger).toBe('127.0.0.1')
    secure.destroy()
    await new Promise(resolve => server.close(resolve))
  })

  it('https, with a session for the next connection', async () => {
    const server = serve(
      https.createServer({ cert: CERTIFICATE, key: KEY }, (request, response) => {
        const { authorized, encrypted } = request.socket as unknown as {
          authorized: boolean
          encrypted: boolean
        }
        response.end(`${request.url} ${encrypted} ${authorized}`)
      }),
      new Server(host),
    )
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as { port: number }
    const secure = createSecureAgent(host, { ca: CERTIFICATE })
    const at = { agent: secure, host: '127.0.0.1', servername: 'stack.test', port, secure: true }
    expect(await ask({ ...at, path: '/a' })).toMatchObject({ status: 200, body: '/a true false' })
    const again = https.request({ ...at, path: '/b' })
    again.end()
    const [response] = (await once(again, 'response')) as [http.IncomingMessage]
    expect(await text(response)).toBe('/b true false')
    expect((response.socket as unknown as { isSessionReused(): boolean }).isSessionReused()).toBe(true)
    const unknown = https.get({ ...at, agent: createSecureAgent(host) })
    expect((await once(unknown, 'error'))[0].code).toBe('DEPTH_ZERO_SELF_SIGNED_CERT')
    await new Promise(resolve => server.close(resolve))
    secure.destroy()
  })
})
