/** `rpcmod` as a node's plumbing has it: pushed by its name on a connection that lives. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { TcpConnection, TcpListener } from '../socket/tcp-endpoint.ts'
import { freemsg } from '../streams/mblk/alloc.ts'
import { flat } from '../streams/testing/messages.ts'
import { checkNodeConfig } from './config.ts'
import { Node } from './node.ts'
import { describePlumbing, popModule, pushableModules, pushModule } from './plumbing.ts'
import { until } from './testing.ts'

const bytes = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'latin1'))
const LAST = '\x80\0\0'

let node: Node
let client: TcpConnection
let server: TcpConnection
let listener: TcpListener
let name: string

beforeEach(async () => {
  node = await Node.start(checkNodeConfig({ version: 1, name: 'n1' }), { shim: null })
  listener = TcpListener.open(node.runtime, { port: 111 })
  client = TcpConnection.connect(node.runtime, { address: '127.0.0.1', port: 111 })
  let accepted: TcpConnection | null = null
  listener.onConnection = () => {
    accepted = listener.accept()
  }
  await until(() => accepted !== null)
  server = accepted!
  name = `tcp:127.0.0.1:111-127.0.0.1:${client.local.port}`
})

afterEach(async () => {
  client.close()
  server.close()
  listener.close()
  expect((await node.close()).arenaWhole).toBe(true)
})

function take(connection: TcpConnection): string | null {
  const mp = connection.getmsg()
  if (mp === null) return null
  const text = Buffer.from(flat(mp)).toString('latin1')
  freemsg(mp)
  return text
}

async function next(connection: TcpConnection): Promise<string> {
  let text: string | null = null
  await until(() => {
    text ??= take(connection)
    return text !== null
  })
  return text!
}

describe('node: rpcmod on a connection (RFC 5531 §11)', () => {
  it('a stream of bytes becomes one of records when it is pushed, and of bytes again when it is popped', async () => {
    const { runtime } = node
    expect(pushableModules(runtime)).toContain('rpcmod')
    pushModule(runtime, name, 'rpcmod', { maxRecordBytes: 1_000 })
    // Two records in one write, the second in two fragments.
    client.write(bytes(`${LAST}\x03one\0\0\0\x02tw${LAST}\x01o`))
    expect(await next(server)).toBe('one')
    expect(await next(server)).toBe('two')
    server.write(bytes('answer'))
    expect(await next(client)).toBe(`${LAST}\x06answer`)
    const shown = describePlumbing(runtime).find(stream => stream.name === name)!.instances
    expect(shown.map(({ label }) => label)).toEqual(['head', 'rpcmod', 'tcp'])
    expect(shown[1]).toMatchObject({
      settings: { maxRecordBytes: 1_000 },
      counters: { 'in-records': 2, 'in-fragments': 3, 'out-records': 1 },
    })
    expect(popModule(runtime, name)).toBe('rpcmod')
    client.write(bytes('plain'))
    expect(await next(server)).toBe('plain')
  })

  it('checklist 71: a record longer than it was told is in its counter, and the stream says why it is over', async () => {
    const { runtime } = node
    pushModule(runtime, name, 'rpcmod', { maxRecordBytes: 1_000 })
    client.write(bytes('\x7f\xff\xff\xffxyz'))
    const view = () => describePlumbing(runtime).find(stream => stream.name === name)!
    await until(() => view().error !== null)
    expect(view().error).toBe('ERR_PROTOCOL: rpcmod: record-long')
    expect(view().instances[1]!.counters['record-long']).toBe(1)
  })

  it('options that are none are refused, and the connection stays as it was', async () => {
    expect(() => pushModule(node.runtime, name, 'rpcmod', { maxRecord: 1 })).toThrow(
      expect.objectContaining({ code: 'ERR_BAD_CONFIG', message: expect.stringContaining('maxRecordBytes') }),
    )
    client.write(bytes('plain'))
    expect(await next(server)).toBe('plain')
  })
})
