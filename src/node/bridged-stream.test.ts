import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { Duplex, PassThrough } from 'node:stream'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { ERROR_CODES } from '../base/errors.ts'
import { asStackError, BridgedStream, joinStreams } from './bridged-stream.ts'

let server: Server
let pairs: { here: Socket; there: Socket }[]

beforeEach(async () => {
  pairs = []
  server = createServer({ allowHalfOpen: true })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
})

afterEach(() => {
  for (const { here, there } of pairs) {
    here.destroy()
    there.destroy()
  }
  server.close()
})

/** Two ends of a kernel connection. */
async function pair(): Promise<{ here: Socket; there: Socket }> {
  const accepted = once(server, 'connection') as Promise<[Socket]>
  const { port } = server.address() as AddressInfo
  const here = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  const [there] = await accepted
  here.on('error', () => {})
  there.on('error', () => {})
  pairs.push({ here, there })
  return { here, there }
}

interface Bridge {
  readonly peer: Socket
  readonly far: BridgedStream
  readonly carrier: Socket
  /** What is joined to the carrier, with the peer at its other end. */
  readonly socket: Socket
}

/** A connection `peer` -- joined -- `far`, the bridge's far side. */
async function bridge(): Promise<Bridge> {
  const [connection, carrier] = [await pair(), await pair()]
  joinStreams(connection.there, new BridgedStream(carrier.there))
  const far = new BridgedStream(carrier.here)
  far.on('error', () => {})
  return { peer: connection.here, far, carrier: carrier.here, socket: connection.there }
}

/** All that comes, up to its end; unlike an async iterator it leaves the other direction alone. */
function buffer(stream: Duplex): Promise<Buffer> {
  const chunks: Buffer[] = []
  stream.on('data', (chunk: Buffer) => chunks.push(chunk))
  return new Promise((resolve, reject) => {
    stream.on('end', () => resolve(Buffer.concat(chunks)))
    stream.on('error', reject)
  })
}

describe('node/bridged-stream', () => {
  it('carries data both ways, and each end by itself', async () => {
    const { peer, far } = await bridge()
    const closed = once(peer, 'close')
    far.write('question')
    far.end(' and end')
    expect((await buffer(peer)).toString()).toBe('question and end')
    peer.end('answer')
    expect((await buffer(far)).toString()).toBe('answer')
    await closed
  })

  it('the end of the peer leaves the other direction open', async () => {
    const { peer, far } = await bridge()
    peer.end('first')
    expect((await buffer(far)).toString()).toBe('first')
    far.end('second')
    expect((await buffer(peer)).toString()).toBe('second')
  })

  it('megabytes arrive byte for byte, however the frames are cut', async () => {
    const { peer, far } = await bridge()
    const bytes = Buffer.alloc(5_000_003, 'abcdefghijklm')
    far.end(bytes)
    peer.end(bytes)
    expect((await buffer(peer)).equals(bytes)).toBe(true)
    expect((await buffer(far)).equals(bytes)).toBe(true)
  })

  it('a frame may come byte by byte', async () => {
    const carrier = new PassThrough()
    const stream = new BridgedStream(Duplex.from({ readable: carrier, writable: new PassThrough().resume() }))
    for (const byte of [0, 0, 0, 0, 2, 104, 105, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 33, 1, 0, 0, 0, 0])
      carrier.write(Buffer.of(byte))
    expect((await buffer(stream)).toString()).toBe('hi!')
  })

  it('backpressure: a reader that does not read stops the writer', async () => {
    const { peer, far } = await bridge()
    let written = 0
    const chunk = Buffer.alloc(65_536)
    while (far.write(chunk) && written < 1_000) written++
    for (let quiet = 0; quiet < 5; ) {
      const before = written
      await new Promise(resolve => setTimeout(resolve, 20))
      while (!far.writableNeedDrain && far.write(chunk)) written++
      quiet = written === before ? quiet + 1 : 0
      expect(written * chunk.length).toBeLessThan(64 * 1024 * 1024)
    }
    peer.resume()
    await once(far, 'drain')
  })

  it('a reset of the peer is one, with its code', async () => {
    const { peer, far } = await bridge()
    far.resume()
    peer.resetAndDestroy()
    expect(await once(far, 'error').catch(([error]) => [error])).toMatchObject([{ code: 'ECONNRESET' }])
  })

  it('a reset of this side reaches the peer', async () => {
    const { peer, far } = await bridge()
    peer.resume()
    const failed = new Promise(resolve => peer.on('error', resolve))
    far.on('error', () => {})
    far.destroy(new Error('enough'))
    expect(await failed).toMatchObject({ code: 'ECONNRESET' })
  })

  it('a carrier that dies is a reset, on both sides', async () => {
    const { peer, far, carrier } = await bridge()
    peer.resume()
    const failed = new Promise(resolve => peer.on('error', resolve))
    const told = new Promise(resolve => far.on('error', resolve))
    carrier.destroy()
    expect(await told).toMatchObject({ code: 'ECONNRESET' })
    await failed
  })

  it('a carrier that dies after its end was sent breaks the connection', async () => {
    const { peer, far, carrier, socket } = await bridge()
    far.end()
    expect((await buffer(peer)).length).toBe(0)
    carrier.destroy()
    await once(socket, 'close')
  })

  it('a carrier that dies is noticed, too, while the peer takes nothing and nothing of it is read', async () => {
    const { far, carrier, socket } = await bridge()
    const chunk = Buffer.alloc(65_536)
    for (let quiet = 0; quiet < 5; quiet++) {
      while (!far.writableNeedDrain && far.write(chunk)) quiet = 0
      await new Promise(resolve => setTimeout(resolve, 20))
    }
    expect(socket.writableNeedDrain).toBe(true)
    carrier.destroy()
    await once(socket, 'close')
  })

  it.each([
    ['an unknown kind', [9, 0, 0, 0, 0]],
    ['an end with a body', [1, 0, 0, 0, 1]],
    ['data of 4 GiB', [0, 255, 255, 255, 255]],
    ['data behind the end', [1, 0, 0, 0, 0, 0, 0, 0, 0, 1]],
  ])('%s is a protocol error', async (_what, bytes) => {
    const carrier = new PassThrough()
    const stream = new BridgedStream(Duplex.from({ readable: carrier, writable: new PassThrough().resume() }))
    stream.resume()
    const failed = new Promise(resolve => stream.on('error', resolve))
    carrier.write(Buffer.from(bytes))
    expect(await failed).toMatchObject({ code: 'EPROTO' })
  })

  it('errors of sockets get the codes of the control port', () => {
    const error = Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' })
    expect(asStackError(error, ERROR_CODES).code).toBe('ERR_CONN_REFUSED')
    expect(asStackError(new Error('?'), ERROR_CODES).code).toBe('ERR_HOST')
  })
})
