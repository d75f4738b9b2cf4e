/** Programs that have the sockets of a node through its port. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { tryShim } from '../../src/host/shim.ts'
import { TcpConnection } from '../../src/socket/tcp-endpoint.ts'
import { echo, exchange, FAR, NEAR, noise, Pair, sha } from './programs.ts'

const absent = tryShim() === null
describe.skipIf(absent).each([{ mapped: false }, { mapped: true }])(
  `ipc%j${absent ? ' (skipped: no native shim)' : ''}`,
  how => {
    let pair: Pair
    beforeEach(async () => {
      pair = await Pair.start({ mapped: how.mapped })
    })
    afterEach(async () => {
      await pair.finish()
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
      await new Promise<void>(resolve => {
        listener.onOpen = () => resolve()
      })
      expect(listener.local.port).toBeGreaterThan(0)
      const bytes = noise(1024 * 1024)
      const connection = TcpConnection.connect(pair.far.runtime, { address: NEAR, port: listener.local.port })
      expect(await exchange(connection, bytes)).toEqual({ bytes: bytes.length, hash: sha(bytes) })
      listener.close()
    })
  },
)
