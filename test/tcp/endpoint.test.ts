import { afterEach, describe, expect, it } from 'vitest'
import { TcpConnection, TcpListener } from '../../src/socket/tcp-endpoint.ts'
import { freemsg } from '../../src/streams/mblk/alloc.ts'
import { flat } from '../../src/streams/testing/messages.ts'
import { TcpStacks } from './stacks.ts'

let t: TcpStacks
afterEach(() => t.finish())

const text = (s: string): Uint8Array => new TextEncoder().encode(s)

function readAll(c: TcpConnection): string {
  let all = ''
  for (let mp = c.getmsg(); mp !== null; mp = c.getmsg()) {
    all += new TextDecoder().decode(flat(mp))
    freemsg(mp)
  }
  return all
}

describe.each(['loopback', 'wire'] as const)('socket/tcp-endpoint over %s', how => {
  it('RFC 9293 §3.5: a connection is asked for, accepted, and both sides hear of it from the run queue', () => {
    t = new TcpStacks(how)
    const heard: string[] = []
    const listener = t.listen()
    listener.onConnection = () => heard.push('waits')
    const client = t.connect()
    client.onConnect = () => heard.push('connected')
    expect(heard).toEqual([])
    expect(client.state).toBe('SYN-SENT')
    t.settle()
    expect(heard.sort()).toEqual(['connected', 'waits'])
    const server = listener.accept()!
    expect(listener.accept()).toBeNull()
    expect([client.state, server.state]).toEqual(['ESTABLISHED', 'ESTABLISHED'])
    expect(client.remote).toEqual({ address: t.server.address, family: 4, port: 7_000 })
    expect(server.local).toEqual(client.remote)
    expect(server.remote).toEqual(client.local)
  })

  it('bytes arrive in order, both ways, over IPv6 too', () => {
    t = new TcpStacks(how)
    const { client, server } = t.pair(t.server.address6)
    expect(client.remote.family).toBe(6)
    expect(client.write(text('hello '))).toBe(6)
    expect(client.write(text('there'))).toBe(5)
    t.settle()
    expect(readAll(server)).toBe('hello there')
    server.write(text('and back'))
    t.settle()
    expect(readAll(client)).toBe('and back')
    expect([client.bytesWritten, client.bytesRead, server.bytesRead]).toEqual([11, 8, 11])
  })

  it('what is written before the connection is there waits for it', () => {
    t = new TcpStacks(how)
    const listener = t.listen()
    const client = t.connect()
    client.write(text('early'))
    t.settle()
    const server = listener.accept()!
    t.settle()
    expect(readAll(server)).toBe('early')
  })

  it('onReadable is called when data comes, and again only for what comes after all was taken', () => {
    t = new TcpStacks(how)
    const { client, server } = t.pair()
    const seen: string[] = []
    server.onReadable = () => seen.push(readAll(server))
    client.write(text('one'))
    t.settle()
    client.write(text('two'))
    t.settle()
    expect(seen).toEqual(['one', 'two'])
    server.onReadable = null
    client.write(text('three'))
    t.settle()
    expect(seen).toHaveLength(2)
    server.onReadable = () => seen.push(readAll(server))
    t.settle()
    expect(seen).toEqual(['one', 'two', 'three'])
  })

  it('a program that paused and then took just what waited is called for what comes next', () => {
    t = new TcpStacks(how)
    const { client, server } = t.pair()
    let calls = 0
    server.onReadable = () => calls++
    client.write(text('one'))
    t.settle()
    expect(calls).toBe(1)
    freemsg(server.getmsg()!)
    client.write(text('two'))
    t.settle()
    expect(calls).toBe(2)
  })

  it('fill copies what fits, and leaves the rest for the next call', () => {
    t = new TcpStacks(how)
    const { client, server } = t.pair()
    client.write(text('abcdefgh'))
    t.settle()
    const into = new Uint8Array(6)
    expect(server.fill(into, 1, 3)).toBe(3)
    expect(server.bytesRead).toBe(3)
    expect(server.fill(into, 0, 6)).toBe(5)
    expect(new TextDecoder().decode(into.subarray(0, 5))).toBe('defgh')
    expect(server.fill(into, 0, 6)).toBe(0)
    expect(server.bytesRead).toBe(8)
  })

  it('RFC 9293 §3.6: half-close: what one side ended, the other goes on with', () => {
    t = new TcpStacks(how)
    const { client, server } = t.pair()
    const heard: string[] = []
    for (const [name, c] of [
      ['client', client],
      ['server', server],
    ] as const) {
      c.onEnd = () => heard.push(`${name} end`)
      c.onClosed = (reason, error) => heard.push(`${name} ${reason} ${error?.code ?? 'ok'}`)
    }
    client.write(text('last words'))
    client.shutdown()
    client.shutdown()
    expect(() => client.write(text('more'))).toThrow(expect.objectContaining({ code: 'ERR_STREAM_CLOSED' }))
    t.settle()
    // The end stands behind the data that was not read yet.
    expect(heard).toEqual([])
    expect(server.ended).toBe(false)
    expect(readAll(server)).toBe('last words')
    t.settle()
    expect(heard).toEqual(['server end'])
    expect([client.state, server.state]).toEqual(['FIN-WAIT-2', 'CLOSE-WAIT'])
    server.write(text('I go on'))
    t.settle()
    expect(readAll(client)).toBe('I go on')
    server.shutdown()
    t.settle()
    expect(heard.sort()).toEqual(['client done ok', 'client end', 'server done ok', 'server end'])
    expect(client.closeReason).toBe('done')
  })

  it('a reset is told after the data that came before it, and writing fails at once', () => {
    t = new TcpStacks(how)
    const { client, server } = t.pair()
    const heard: unknown[] = []
    server.onClosed = (reason, error) => heard.push(reason, error?.code)
    client.write(text('unread'))
    t.settle()
    client.abort()
    t.settle()
    expect(server.closeReason).toBe('reset')
    expect(server.state).toBe('CLOSED')
    expect(() => server.write(text('x'))).toThrow(expect.objectContaining({ code: 'ERR_CONN_RESET' }))
    expect(heard).toEqual([])
    expect(readAll(server)).toBe('unread')
    t.settle()
    expect(heard).toEqual(['reset', 'ERR_CONN_RESET'])
  })

  it('RFC 2525 §2.17: closing with data unread resets; closing with none ends in order', () => {
    t = new TcpStacks(how)
    const one = t.pair()
    one.client.write(text('never read'))
    t.settle()
    one.server.close()
    t.settle()
    expect(one.client.closeReason).toBe('reset')
    const two = t.pair()
    two.server.write(text('goodbye'))
    two.server.close()
    t.settle()
    expect(two.client.closeReason).toBeNull()
    expect(readAll(two.client)).toBe('goodbye')
    t.settle()
    expect(two.client.ended).toBe(true)
  })

  it('nobody listens: the connection is refused', () => {
    t = new TcpStacks(how)
    const client = t.connect(9)
    const heard: unknown[] = []
    client.onClosed = (reason, error) => heard.push(reason, error?.errnoName)
    t.settle()
    expect(heard).toEqual(['refused', 'ECONNREFUSED'])
  })

  it('sendOwned sends the memory as it lies, and gives it back when the peer has it', () => {
    t = new TcpStacks(how)
    const { client, server } = t.pair()
    const bytes = text('mine'.repeat(1_000))
    const released: Uint8Array[] = []
    expect(client.sendOwned(bytes, b => released.push(b))).toBe(true)
    t.settle()
    expect(readAll(server)).toBe('mine'.repeat(1_000))
    t.advance(100)
    expect(released).toEqual([bytes])
    client.shutdown()
    expect(() => client.sendOwned(bytes, b => released.push(b))).toThrow()
    expect(released).toHaveLength(2)
  })

  it('settings are checked, all or none, and shared where they are equal', () => {
    t = new TcpStacks(how)
    const { client, server } = t.pair()
    expect(() => client.set({ noDelay: true, ttl: 256 })).toThrow(/ttl has to be 1 to 255/)
    expect(client.settings.noDelay).toBe(false)
    client.set({ noDelay: true })
    expect(client.settings).toMatchObject({ noDelay: true, congestion: 'cubic' })
    server.set({ noDelay: true })
    if (how === 'loopback') expect(server.settings).toBe(client.settings)
    expect(client.info()).toMatchObject({ state: 'ESTABLISHED' })
  })

  it('a stack that is closed takes its connections and listeners along, and says so', () => {
    t = new TcpStacks(how)
    const { client, listener } = t.pair()
    const heard: string[] = []
    client.onClosed = reason => heard.push(reason)
    t.client.stack.close()
    t.settle()
    expect(heard).toEqual(['aborted'])
    expect(() => client.write(text('x'))).toThrow()
    client.close()
    listener.close()
  })
})

describe('socket/tcp-endpoint: trouble', () => {
  it('SHLD-9: a program hears when what it sends is not acknowledged for long, in front of what it has not read', () => {
    t = new TcpStacks('wire')
    const { client, server } = t.pair()
    const heard: unknown[] = []
    client.onTrouble = error => heard.push(error.code)
    client.onClosed = reason => heard.push(reason)
    server.write(text('unread'))
    t.settle()
    t.server.stack.removeAddress('wire0', '10.77.0.2/24')
    client.write(text('lost'))
    t.advance(30_000)
    expect([heard, client.state]).toEqual([['ERR_TIMED_OUT'], 'ESTABLISHED'])
    t.server.stack.addAddress('wire0', '10.77.0.2/24')
    t.advance(60_000)
    expect([readAll(client), readAll(server), heard.length]).toEqual(['unread', 'lost', 1])
  })
})

describe('socket/tcp-endpoint: what is refused', () => {
  it.each([
    ['an address that is none', { address: 'nowhere', port: 1 }, 'ERR_BAD_ADDRESS'],
    ['a port out of range', { address: '127.0.0.1', port: 65_536 }, 'ERR_BAD_ARGUMENT'],
    ['port 0', { address: '127.0.0.1', port: 0 }, 'ERR_BAD_ARGUMENT'],
    [
      'a local address of somebody else',
      { address: '127.0.0.1', port: 1, localAddress: '10.9.9.9' },
      'ERR_ADDR_NOT_AVAILABLE',
    ],
    ['a field that nobody knows', { address: '127.0.0.1', port: 1, color: 1 } as never, 'ERR_BAD_ARGUMENT'],
    ['a network that is not there', { address: '192.0.2.1', port: 1 }, 'ERR_NETWORK_UNREACHABLE'],
  ])('connect: %s', (_what, options, code) => {
    t = new TcpStacks('loopback')
    expect(() => TcpConnection.connect(t.client.runtime, options)).toThrow(expect.objectContaining({ code }))
    expect([...t.client.runtime.streams].filter(stream => !stream.isNamed)).toEqual([])
  })

  it('two listeners on one port', () => {
    t = new TcpStacks('loopback')
    const first = t.listen(80)
    expect(first.local).toEqual({ address: '::', family: 6, port: 80 })
    expect(() => t.listen(80)).toThrow(expect.objectContaining({ code: 'ERR_ADDR_IN_USE' }))
    first.close()
    expect(t.listen(80, '127.0.0.1').local).toEqual({ address: '127.0.0.1', family: 4, port: 80 })
    expect(() => TcpListener.open(t.client.runtime, { port: -1 })).toThrow(
      expect.objectContaining({ code: 'ERR_BAD_ARGUMENT' }),
    )
  })
})
