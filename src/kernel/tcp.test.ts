/** The kernel's TCP below our connections, against programs of plain node:net. */
import net from 'node:net'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { StackError } from '../base/errors.ts'
import type { CloseReason } from '../inet/tcp/host.ts'
import { TcpConnection } from '../socket/tcp-connection.ts'
import { TcpListener } from '../socket/tcp-listener.ts'
import { freemsg } from '../streams/mblk/alloc.ts'
import type { Mblk } from '../streams/mblk/mblk.ts'
import { M_DATA } from '../streams/mblk/types.ts'
import type { ModuleInfo } from '../streams/module.ts'
import { putnext } from '../streams/putnext.ts'
import { type KernelHost, kernelHost } from './host.ts'
import { Plain } from './testing/plain.ts'
import { until } from './testing/until.ts'

let host: KernelHost
let plain: Plain

beforeEach(() => {
  host = kernelHost({ arenaBytes: 8 * 1024 * 1024, poison: true })
  plain = new Plain()
})

afterEach(async () => {
  await host.close()
  plain.close()
  host.runtime.arena.assertWhole()
})

/** Takes all that waits, as text. */
function textOf(connection: TcpConnection): string {
  const into = Buffer.alloc(65_536)
  return into.toString('latin1', 0, connection.fill(into, 0, into.length))
}

/** Sends back whatever comes, as it lies; ends when the peer does. */
function echo(connection: TcpConnection): void {
  let held: Mblk | null = null
  const pump = (): void => {
    for (;;) {
      held ??= connection.getmsg()
      if (held === null || !connection.putmsg(held)) return
      held = null
    }
  }
  connection.onReadable = pump
  connection.onWritable = pump
  connection.onEnd = () => connection.shutdown()
  connection.onClosed = () => connection.close()
}

function collect(socket: NodeJS.ReadableStream): { text: string; ended: boolean } {
  const got = { text: '', ended: false }
  socket.on('data', (data: Buffer) => {
    got.text += data.toString('latin1')
  })
  socket.on('end', () => {
    got.ended = true
  })
  return got
}

async function listening(address: string): Promise<TcpListener> {
  const listener = TcpListener.open(host.runtime, { address, port: 0 })
  await until('listening', () => listener.isOpen)
  return listener
}

describe.each(['127.0.0.1', '::1'])('at %s', address => {
  it('a client of ours talks to a server of node:net, and both ends are told in order', async () => {
    const port = await plain.listen(address, socket => socket.pipe(socket))
    const connection = TcpConnection.connect(host.runtime, { address, port })
    let connected = false
    let text = ''
    const closed: (CloseReason | StackError | null)[] = []
    connection.onConnect = () => {
      connected = true
    }
    connection.onReadable = () => {
      text += textOf(connection)
    }
    connection.onClosed = (reason, error) => closed.push(reason, error)
    expect(connection.state).toBe('SYN-SENT')
    // What is written before it is established waits.
    connection.write(Buffer.from('hello'))
    await until('the echo', () => text === 'hello')
    expect(connected).toBe(true)
    expect(connection.state).toBe('ESTABLISHED')
    expect(connection.local.port).toBeGreaterThan(0)
    expect(connection.remote).toEqual({ address, family: address === '::1' ? 6 : 4, port })
    connection.shutdown()
    await until('the end', () => connection.ended && closed.length > 0)
    expect(closed).toEqual(['done', null])
    connection.close()
  })

  it('a client of node:net talks to a server of ours', async () => {
    const listener = await listening(address)
    expect(listener.local.address).toBe(address)
    const names: unknown[] = []
    listener.onConnection = () => {
      for (let c = listener.accept(); c !== null; c = listener.accept()) {
        names.push(c.remote)
        echo(c)
      }
    }
    const socket = await plain.connect(address, listener.local.port)
    const got = collect(socket)
    const port = socket.localPort
    socket.write('one')
    socket.end(' two')
    await until('the echo and its end', () => got.ended)
    expect(got.text).toBe('one two')
    expect(names).toEqual([{ address, family: address === '::1' ? 6 : 4, port }])
    listener.close()
  })
})

it('a listener of both families shows IPv4 peers with their IPv4 address', async () => {
  const listener = await listening('::')
  const socket = await plain.connect('127.0.0.1', listener.local.port)
  let connection: TcpConnection | null = null
  await until('accepted', () => (connection ??= listener.accept()) !== null)
  expect(connection!.remote).toEqual({ address: '127.0.0.1', family: 4, port: socket.localPort })
  expect(connection!.local.family).toBe(4)
  connection!.close()
})

it('half-close: after its own end a side still gets what the other sends', async () => {
  const port = await plain.listen('127.0.0.1', socket => {
    socket.on('end', () => setTimeout(() => socket.end('late'), 20)).resume()
  })
  const connection = TcpConnection.connect(host.runtime, { address: '127.0.0.1', port })
  let text = ''
  connection.onReadable = () => {
    text += textOf(connection)
  }
  connection.onConnect = () => connection.shutdown()
  await until('FIN-WAIT', () => connection.state === 'FIN-WAIT-1')
  expect(() => connection.write(Buffer.from('x'))).toThrow(/shut down/)
  await until('the end', () => connection.ended)
  expect(text).toBe('late')
  connection.close()
})

it('the peer ends first: this side goes on writing until it ends itself', async () => {
  const listener = await listening('127.0.0.1')
  let connection: TcpConnection | null = null
  listener.onConnection = () => {
    connection = listener.accept()
    connection!.onReadable = () => textOf(connection!)
  }
  const socket = await plain.connect('127.0.0.1', listener.local.port)
  const got = collect(socket)
  socket.end('x')
  await until('their end', () => connection?.ended === true)
  expect(connection!.state).toBe('CLOSE-WAIT')
  connection!.write(Buffer.from('still here'))
  await until('data after it', () => got.text === 'still here')
  expect(got.ended).toBe(false)
  connection!.shutdown()
  await until('our end', () => got.ended)
  connection!.close()
})

it('what is written before close still goes out, and then the end', async () => {
  let got: { text: string; ended: boolean } | null = null
  const port = await plain.listen('127.0.0.1', socket => {
    got = collect(socket)
  })
  const connection = TcpConnection.connect(host.runtime, { address: '127.0.0.1', port })
  connection.write(Buffer.from('last words'))
  connection.close()
  await until('the end', () => got?.ended === true)
  expect(got!.text).toBe('last words')
})

describe('what goes wrong', () => {
  const fate = (connection: TcpConnection): Promise<[CloseReason, StackError | null]> =>
    new Promise(resolve => {
      connection.onClosed = (reason, error) => resolve([reason, error])
    })

  it('nobody listens: refused', async () => {
    const port = await plain.listen('127.0.0.1', () => {})
    plain.close()
    const connection = TcpConnection.connect(host.runtime, { address: '127.0.0.1', port })
    const [reason, error] = await fate(connection)
    expect(reason).toBe('refused')
    expect(error?.code).toBe('ERR_CONN_REFUSED')
    expect(connection.state).toBe('CLOSED')
    connection.close()
  })

  it('the peer resets: reset, behind the data that came before', async () => {
    const port = await plain.listen('127.0.0.1', socket => {
      socket.write('before')
      setTimeout(() => socket.resetAndDestroy(), 30)
    })
    const connection = TcpConnection.connect(host.runtime, { address: '127.0.0.1', port })
    let text = ''
    connection.onReadable = () => {
      text += textOf(connection)
    }
    const [reason, error] = await fate(connection)
    expect(text).toBe('before')
    expect(reason).toBe('reset')
    expect(error?.code).toBe('ERR_CONN_RESET')
    expect(() => connection.write(Buffer.from('x'))).toThrow(
      expect.objectContaining({ code: 'ERR_CONN_RESET' }),
    )
    connection.close()
  })

  it('abort resets the peer at once, whatever it has not taken', async () => {
    const errors: unknown[] = []
    const port = await plain.listen('127.0.0.1', socket => {
      socket.resume().on('error', error => errors.push((error as NodeJS.ErrnoException).code))
    })
    const connection = TcpConnection.connect(host.runtime, { address: '127.0.0.1', port })
    connection.onConnect = () => connection.abort()
    await until('the reset', () => errors.length > 0)
    expect(errors).toEqual(['ECONNRESET'])
  })

  it('RFC 2525 §2.17: closing with data that was not read resets the peer', async () => {
    const errors: unknown[] = []
    const port = await plain.listen('127.0.0.1', socket => {
      socket.write('never read')
      socket.resume().on('error', error => errors.push((error as NodeJS.ErrnoException).code))
    })
    const connection = TcpConnection.connect(host.runtime, { address: '127.0.0.1', port })
    await until('data', () => connection.stream.top.count > 0)
    connection.close()
    await until('the reset', () => errors.length > 0)
    expect(errors).toEqual(['ECONNRESET'])
  })

  it('the port is taken: told by onOpen, since Node tells it late', async () => {
    const port = await plain.listen('127.0.0.1', () => {})
    const listener = TcpListener.open(host.runtime, { address: '127.0.0.1', port })
    const error = await new Promise<StackError | null>(resolve => {
      listener.onOpen = resolve
    })
    expect(error?.code).toBe('ERR_ADDR_IN_USE')
    expect(listener.isOpen).toBe(false)
    listener.close()
  })

  it('connections beyond the backlog are reset, and counted', async () => {
    const listener = TcpListener.open(host.runtime, { address: '127.0.0.1', port: 0, backlog: 1 })
    await until('listening', () => listener.isOpen)
    const first = await plain.connect('127.0.0.1', listener.local.port)
    await until('one waits', () => host.counters['in-connections'] === 1)
    const second = net.connect(listener.local.port, '127.0.0.1')
    const errors: unknown[] = []
    second.resume().on('error', error => errors.push((error as NodeJS.ErrnoException).code))
    await until('the other is reset', () => errors.length > 0)
    expect(errors).toEqual(['ECONNRESET'])
    expect(first.destroyed).toBe(false)
    expect(host.counters['backlog-overflows']).toBe(1)
    // Nobody accepted it: it is reset.
    listener.close()
    await until('it too', () => first.resume().destroyed)
  })

  it('addresses and settings that cannot be are refused at once', async () => {
    const refused = (code: string): unknown => expect.objectContaining({ code })
    const connect = (more: object) => () =>
      TcpConnection.connect(host.runtime, { address: '127.0.0.1', port: 9, ...more } as never)
    expect(connect({ address: 'localhost' })).toThrow(refused('ERR_BAD_ADDRESS'))
    expect(connect({ port: 0 })).toThrow(refused('ERR_BAD_ARGUMENT'))
    expect(connect({ nonsense: 1 })).toThrow(refused('ERR_BAD_ARGUMENT'))
    expect(connect({ settings: { congestion: 'newreno' } })).toThrow(refused('ERR_NOT_SUPPORTED'))
    expect(connect({ settings: { ttl: 300 } })).toThrow(refused('ERR_BAD_ARGUMENT'))
    expect(host.runtime.streams.size).toBe(0)
  })
})

describe('settings', () => {
  it('those that Node has are taken over, the others refused; tcp.info is not to be had', async () => {
    const port = await plain.listen('127.0.0.1', () => {})
    const connection = TcpConnection.connect(host.runtime, {
      address: '127.0.0.1',
      port,
      settings: { noDelay: true, sendBytes: 65_536 },
    })
    expect(connection.settings).toMatchObject({ noDelay: true, sendBytes: 65_536 })
    connection.set({ keepAlive: true, keepIdleMs: 5_000 })
    expect(connection.settings.keepAlive).toBe(true)
    expect(() => connection.set({ cork: true })).toThrow(
      expect.objectContaining({ code: 'ERR_NOT_SUPPORTED' }),
    )
    expect(connection.settings.cork).toBe(false)
    expect(connection.info()).toBeNull()
    await expect(connection.stream.ioctl('tcp.info')).rejects.toMatchObject({ code: 'ERR_NOT_SUPPORTED' })
    await expect(connection.stream.ioctl('tcp.set', { noDelay: false })).resolves.toMatchObject({
      noDelay: false,
    })
    connection.abort()
  })
})

it('a module that is pushed on a connection sees what passes, both ways', async () => {
  const seen: string[] = []
  const note = (way: string, mp: Mblk): void => {
    if (mp.type === M_DATA) seen.push(way + Buffer.from(mp.dblk.bytes.subarray(mp.rptr, mp.wptr)).toString())
  }
  const look: ModuleInfo<null> = {
    name: 'look',
    hiwat: 65_536,
    lowat: 16_384,
    open: () => null,
    close: () => {},
    read: {
      put: (q, mp) => {
        note('up ', mp)
        putnext(q, mp)
      },
    },
    write: {
      put: (q, mp) => {
        note('down ', mp)
        putnext(q, mp)
      },
    },
  }
  const port = await plain.listen('127.0.0.1', socket => socket.pipe(socket))
  const connection = TcpConnection.connect(host.runtime, { address: '127.0.0.1', port })
  connection.stream.push(look)
  let text = ''
  connection.onReadable = () => {
    text += textOf(connection)
  }
  connection.write(Buffer.from('ping'))
  await until('the echo', () => text === 'ping')
  expect(seen).toEqual(['down ping', 'up ping'])
  connection.shutdown()
  await until('the end behind it', () => connection.ended)
  connection.close()
})

it('what comes in is answered within the callback that brought it', async () => {
  const listener = await listening('127.0.0.1')
  let writes = 0
  listener.onConnection = () => {
    const connection = listener.accept()!
    connection.onReadable = () => {
      for (let mp = connection.getmsg(); mp !== null; mp = connection.getmsg()) {
        freemsg(mp)
        connection.write(Buffer.from('a'))
        connection.write(Buffer.from('b'))
        writes = host.runtime.arena.copies.kernel.calls
        // Before the event loop comes to anything else.
        setImmediate(() => {
          writes = host.runtime.arena.copies.kernel.calls - writes
        })
      }
    }
  }
  const socket = await plain.connect('127.0.0.1', listener.local.port)
  const got = collect(socket)
  socket.write('x')
  await until('the answer', () => got.text === 'ab')
  await until('the immediate', () => writes <= 1)
  // Both messages, one write.
  expect(writes).toBe(1)
})

it('without options every call gives the same host, until it is closed', async () => {
  const one = kernelHost()
  expect(kernelHost()).toBe(one)
  expect(kernelHost({})).not.toBe(one)
  await one.close()
  expect(kernelHost()).not.toBe(one)
})
