import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer as createHttpServer } from 'node:http'
import { createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { ControlClient } from './control-client.ts'

describe('node/control-client', () => {
  let folder: string
  const open = new Set<Socket>()
  const mute = createServer(socket => open.add(socket))

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'putnext-client-'))
    mute.listen(join(folder, 'mute.sock'))
    await once(mute, 'listening')
  })

  afterEach(async () => {
    for (const socket of open) socket.destroy()
    mute.close()
    await once(mute, 'close')
    rmSync(folder, { recursive: true })
  })

  it('a node that takes the connection and never answers, as a paused one does, is an error and no wait for ever', async () => {
    const client = new ControlClient(join(folder, 'mute.sock'), 50)
    const failures = [
      client.status(),
      client.plumbing(),
      client.shutdown(),
      client.capture({}),
      client.datagrams({}),
      client.ping({ address: '10.0.0.1' }).next(),
    ].map(asked =>
      expect(asked).rejects.toMatchObject({ code: 'ERR_TIMED_OUT', hint: expect.stringContaining('paused') }),
    )
    await Promise.all(failures)
  })

  it('a node that is killed in the middle of an answer has gone, and the error says what to do; an abort stays one', async () => {
    const path = join(folder, 'killed.sock')
    const node = createHttpServer((request, response) => {
      if (request.url === '/status') return void response.end('{}')
      response.writeHead(200).write('{"kind":"listening"}\n')
      response.on('close', () => request.socket.destroy())
    }).listen(path)
    await once(node, 'listening')
    const client = new ControlClient(path)
    const listening = client.listenStreams({ port: 7_000 })
    expect((await listening.next()).value).toEqual({ kind: 'listening' })
    const next = listening.next()
    node.closeAllConnections()
    await expect(next).rejects.toMatchObject({
      code: 'ERR_HANGUP',
      message: `the node at ${path} has gone: it was ended, or it crashed`,
      hint: expect.stringContaining('putnext node run'),
    })
    const stop = new AbortController()
    const serving = client.serve({ directory: '/', port: 80 } as never, stop.signal)
    await serving.next()
    const last = serving.next()
    stop.abort()
    await expect(last).rejects.toMatchObject({ name: 'AbortError' })
    node.close()
  })
})
