import { once } from 'node:events'
import { describe, expect, it } from 'vitest'
import {
  closed,
  collect,
  pair,
  runOnBoth,
  type Scenarios,
  state,
  thrown,
  turn,
  watch,
} from './testing/compare-net.ts'

/** Until the other end has had that many bytes. */
async function received(socket: { bytesRead: number }, bytes: number): Promise<void> {
  for (let i = 0; i < 500 && socket.bytesRead < bytes; i++) await turn(0)
}

const scenarios: Scenarios = {
  'there and back': async (module, log) => {
    const { client, peer } = await pair(module)
    watch(log, 'client', client)
    watch(log, 'peer', peer)
    peer.on('data', data => peer.write(`<${data}>`))
    client.on('data', data => {
      log.add('client', 'data', String(data), client.bytesRead, client.bytesWritten)
      client.end('bye')
    })
    client.write('hello', () => log.add('client', 'written'))
    await Promise.all([closed(client), closed(peer)])
    log.add('client', state(client))
    log.add('peer', state(peer))
  },

  'what write returns, and when drain comes': async (module, log) => {
    for (const highWaterMark of [undefined, 1_000, 0, 100_000]) {
      const { client, peer } = await pair(module, {}, { highWaterMark })
      peer.resume()
      log.add('client', client.writableHighWaterMark, client.readableHighWaterMark)
      client.on('drain', () => log.add('client', 'drain', client.writableLength))
      let total = 0
      for (const bytes of [1, 999, 1_000, 1_001, 16_383, 16_384, 16_385, 65_536, 0]) {
        const written = client.write(Buffer.alloc(bytes), () => log.add('client', 'done', bytes))
        log.add('client', bytes, written, client.writableLength, client.writableNeedDrain)
        total += bytes
        await received(peer, total)
      }
      client.end()
      await Promise.all([closed(client), closed(peer)])
    }
  },

  'several writes in one turn': async (module, log) => {
    const { client, peer } = await pair(module)
    collect(log, 'peer', peer)
    client.on('drain', () => log.add('client', 'drain'))
    for (let i = 0; i < 40; i++) {
      const written = client.write('x'.repeat(1_000), () => log.add('client', 'done', i))
      log.add('client', i, written, client.writableLength)
    }
    client.end(() => log.add('client', 'ended'))
    client.resume()
    await Promise.all([closed(client), closed(peer)])
  },

  'cork and uncork, in all encodings': async (module, log) => {
    const { client, peer } = await pair(module)
    const chunks: Buffer[] = []
    peer.on('data', data => chunks.push(data))
    client.cork()
    for (const [text, encoding] of [
      ['grün €', 'utf8'],
      ['grün', 'latin1'],
      ['grün', 'binary'],
      ['abc', 'ascii'],
      ['4a4b', 'hex'],
      ['aGk=', 'base64'],
      ['aGk', 'base64url'],
      ['hü', 'utf16le'],
      ['hü', 'ucs2'],
    ] as const)
      log.add(
        'client',
        client.write(text, encoding, () => log.add('client', 'done', text)),
      )
    client.write(Buffer.from('buffer'))
    client.write(new Uint8Array([1, 2, 3]))
    log.add('client', client.writableLength, client.bytesWritten)
    client.uncork()
    log.add('client', client.writableLength, client.bytesWritten)
    client.end(new Uint8Array([4]))
    await Promise.all([closed(client.resume()), closed(peer)])
    log.add('peer', Buffer.concat(chunks).toString('hex'))
  },

  'what cannot be written': async (module, log) => {
    const { client, peer } = await pair(module)
    peer.resume()
    for (const chunk of [null, undefined, 5, {}, [], true, Symbol.iterator])
      log.add(
        'client',
        thrown(() => client.write(chunk as unknown as string)),
      )
    log.add(
      'client',
      thrown(() => client.write('x', 'no-encoding' as BufferEncoding)),
    )
    log.add('client', client.write(''), client.write(Buffer.alloc(0)), client.bytesWritten)
    client.end()
    await Promise.all([closed(client.resume()), closed(peer)])
  },

  'a lot, with a reader that is slower': async (module, log) => {
    const { client, peer } = await pair(module)
    const chunk = Buffer.alloc(1_000_000, 'ab')
    // How much the system takes before it says no is its own business.
    for (let i = 0; i < 12; i++) client.write(chunk)
    log.add('client', client.write(chunk), client.writableLength > 1_000_000, client.writableNeedDrain)
    await turn()
    log.add('client', client.bufferSize === client.writableLength, client.bytesWritten)
    let ones = 0
    let total = 0
    peer.on('data', data => {
      total += data.length
      ones += data[0]! & 1
    })
    await once(client, 'drain')
    log.add('client', client.writableLength, client.bytesWritten)
    client.end()
    await Promise.all([closed(client.resume()), closed(peer)])
    log.add('peer', total, ones > 0)
  },

  'a piece is a Buffer with memory of its own': async (module, log) => {
    const { client, peer } = await pair(module)
    client.end('a piece')
    const [data] = (await once(peer, 'data')) as [Buffer]
    log.add('peer', Buffer.isBuffer(data), data.byteOffset, data.buffer.byteLength)
    const memory = data.buffer as ArrayBuffer
    structuredClone(memory, { transfer: [memory] })
    log.add('peer', data.length)
    await Promise.all([closed(client.resume()), closed(peer)])
  },

  'pause and resume': async (module, log) => {
    const { client, peer } = await pair(module)
    let seen = 0
    peer.on('data', data => {
      seen += data.length
    })
    peer.pause()
    log.add('peer', peer.isPaused(), peer.readableFlowing)
    client.end('hello')
    await turn()
    log.add('peer', seen, peer.bytesRead > 5, peer.readableEnded)
    peer.resume()
    await Promise.all([closed(client.resume()), closed(peer)])
    log.add('peer', seen, peer.bytesRead)
  },

  'read in pieces': async (module, log) => {
    const { client, peer } = await pair(module)
    client.end('0123456789')
    await once(peer, 'readable')
    log.add('peer', String(peer.read(3)), peer.readableLength)
    log.add('peer', String(peer.read(4)), peer.readableLength, peer.read(100))
    peer.unshift(Buffer.from('back'))
    log.add('peer', String(peer.read()), peer.read())
    await Promise.all([closed(client.resume()), closed(peer.resume())])
  },

  'readable and its end': async (module, log) => {
    const { client, peer } = await pair(module)
    watch(log, 'peer', peer)
    let text = ''
    peer.on('readable', () => {
      for (let data = peer.read(); data !== null; data = peer.read()) text += data
    })
    client.write('one ')
    await turn()
    client.end('two')
    await Promise.all([closed(client.resume()), closed(peer)])
    log.add('peer', text)
  },

  'strings that are cut between pieces': async (module, log) => {
    const { client, peer } = await pair(module)
    peer.setEncoding('utf8')
    const texts: string[] = []
    peer.on('data', text => texts.push(text as unknown as string))
    const bytes = Buffer.from('€uro')
    client.write(bytes.subarray(0, 2))
    await turn()
    client.end(bytes.subarray(2))
    await Promise.all([closed(client.resume()), closed(peer)])
    log.add('peer', texts.join('|'))
  },

  'bytesWritten and bytesRead on the way': async (module, log) => {
    const { client, peer } = await pair(module)
    peer.resume()
    client.cork()
    client.write('12345')
    client.write('ü')
    log.add('client', client.bytesWritten)
    client.uncork()
    log.add('client', client.bytesWritten)
    await received(peer, 7)
    log.add('peer', peer.bytesRead)
    client.end('end')
    await Promise.all([closed(client.resume()), closed(peer)])
    log.add('client', client.bytesWritten, client.bytesRead)
    log.add('peer', peer.bytesRead, peer.bytesWritten)
  },

  pauseOnConnect: async (module, log) => {
    const { client, peer } = await pair(module, { pauseOnConnect: true })
    log.add('peer', peer.isPaused(), peer.readableFlowing)
    client.end('early')
    collect(log, 'peer', peer)
    await turn()
    log.add('peer', peer.bytesRead)
    peer.resume()
    await Promise.all([closed(client.resume()), closed(peer)])
  },

  'highWaterMark of a server': async (module, log) => {
    for (const highWaterMark of [undefined, 10, 0, -1, 200_000]) {
      const { client, peer } = await pair(module, highWaterMark === undefined ? {} : { highWaterMark })
      log.add('peer', peer.readableHighWaterMark, peer.writableHighWaterMark)
      log.add('peer', peer.write('0123456789'), peer.write(''))
      peer.end()
      await Promise.all([closed(client.resume()), closed(peer.resume())])
    }
  },

  'a write that waits for the connection keeps its order': async (module, log) => {
    const server = module.createServer(peer => collect(log, 'peer', peer))
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as { port: number }
    const client = module.connect(port, '127.0.0.1')
    for (let i = 0; i < 10; i++) client.write(`${i} `)
    client.on('connect', () => client.end('last'))
    await closed(client.resume())
    await new Promise(resolve => server.close(resolve))
  },

  'onread: into the memory of the program': async (module, log) => {
    const buffer = Buffer.alloc(4)
    let text = ''
    const onread = {
      buffer,
      callback: (size: number, same: Uint8Array): boolean => {
        text += Buffer.from(same.buffer, same.byteOffset, size).toString()
        if (same !== buffer || size > 4) log.add('client', 'not mine', size)
        return true
      },
    }
    const { client, peer } = await pair(module, {}, { onread })
    watch(log, 'client', client)
    client.on('data', () => log.add('client', 'data'))
    peer.end('0123456789')
    await Promise.all([closed(client), closed(peer.resume())])
    log.add('client', text, client.bytesRead)
  },

  'onread: a new piece of memory each time': async (module, log) => {
    const pieces: string[] = []
    let made = 0
    const onread = {
      buffer: () => {
        made++
        return new Uint8Array(3)
      },
      callback: (size: number, buffer: Uint8Array): boolean => {
        pieces.push(Buffer.from(buffer.subarray(0, size)).toString())
        return true
      },
    }
    const { client, peer } = await pair(module, {}, { onread })
    peer.end('0123456789')
    await Promise.all([closed(client.resume()), closed(peer.resume())])
    log.add('client', pieces.join(''), pieces.length, made)
  },

  'onread: false stops, resume goes on': async (module, log) => {
    let count = 0
    const onread = {
      buffer: Buffer.alloc(2),
      callback: (): boolean => ++count % 2 === 0,
    }
    const { client, peer } = await pair(module, {}, { onread })
    peer.end('01234567')
    for (let i = 0; i < 6; i++) {
      await turn()
      log.add('client', count, client.readableFlowing, client.bytesRead, client.readableEnded)
      if (i % 2 === 0) client.resume()
      else client.read()
    }
    if (!client.closed) await closed(client.resume())
  },

  'onread: paused and resumed': async (module, log) => {
    let count = 0
    const onread = {
      buffer: Buffer.alloc(2),
      callback: (): boolean => {
        count++
        return true
      },
    }
    const { client, peer } = await pair(module, {}, { onread })
    client.pause()
    peer.write('0123')
    await turn()
    log.add('client', count, client.isPaused())
    client.resume()
    await turn()
    log.add('client', count, client.bytesRead)
    peer.end()
    await Promise.all([closed(client), closed(peer.resume())])
  },
}

describe('socket/net: traffic is as node:net has it', () => {
  it.each(Object.entries(scenarios))('%s', async (_name, scenario) => {
    const { theirs, ours, refs } = await runOnBoth(scenario)
    expect(ours).toEqual(theirs)
    expect(Object.keys(theirs as object).length).toBeGreaterThan(0)
    expect(refs).toBe(0)
  })
})
