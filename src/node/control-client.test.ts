import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
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
})
