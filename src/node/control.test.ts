import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readlinkSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type ModuleInfo, putnext } from '../streams/index.ts'
import { checkNodeConfig } from './config.ts'
import { ControlPort } from './control.ts'
import { ControlClient } from './control-client.ts'
import { Node } from './node.ts'
import { until } from './testing.ts'

let directory: string
let path: string
let node: Node
let port: ControlPort
let client: ControlClient
let asked = 0

const counting: ModuleInfo<{ limit: number; seen: number }> = {
  name: 'counting',
  hiwat: 1_024,
  lowat: 256,
  open: () => ({ limit: 10, seen: 3 }),
  close: () => {},
  read: { put: putnext },
  write: { put: putnext },
  counters: ({ seen }) => ({ seen }),
  configure: (q, options) => {
    q.state.limit = (options as { limit: number }).limit
  },
  describe: ({ limit }) => ({ limit }),
}

const fickle: ModuleInfo = {
  ...counting,
  name: 'fickle',
  open: () => {
    throw new TypeError('not today')
  },
} as ModuleInfo

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'putnext-control-'))
  path = join(directory, 'n1.sock')
  const config = checkNodeConfig({
    version: 1,
    name: 'n1',
    arena: { size: '4MiB' },
    links: [{ name: 'w0', driver: 'wire', wire: 'lan', addresses: ['10.0.0.1/24'] }],
  })
  node = await Node.start(config, { shim: null })
  node.runtime.registry.register(counting)
  node.runtime.registry.register(fickle)
  asked = 0
  port = await ControlPort.open(node, { path, onShutdown: () => asked++ })
  client = new ControlClient(path)
})

afterEach(async () => {
  await port.close()
  const { arenaWhole } = await node.close()
  rmSync(directory, { recursive: true })
  expect(arenaWhole).toBe(true)
})

/** A raw request: what a program in another language would send. */
function raw(
  method: string,
  target: string,
  body: string | Buffer = '',
): Promise<{ status: number; text: string; headers: Record<string, unknown> }> {
  return new Promise((resolve, reject) => {
    const sent = request({ socketPath: path, method, path: target, agent: false }, response => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => {
        text += chunk
      })
      response.on('end', () => resolve({ status: response.statusCode!, text, headers: response.headers }))
    })
    sent.on('error', reject)
    sent.end(body)
  })
}

describe('node/control', () => {
  it('tells the status of the node, its links and what can be pushed', async () => {
    const status = await client.status()
    expect(status).toMatchObject({
      name: 'n1',
      pid: process.pid,
      services: { echo: { udp: null, tcp: null }, files: null },
    })
    expect(status.links).toEqual([
      { name: 'w0', driver: 'wire', addresses: ['10.0.0.1/24'], modules: [], state: 'up' },
    ])
    const { streams, modules } = await client.plumbing()
    expect(streams.find(({ name }) => name === 'w0')?.instances.at(-1)).toMatchObject({
      label: 'wire',
      kind: 'driver',
    })
    expect(modules).toContain('counting')
  })

  it('pushes, sets and takes off a module on a live link', async () => {
    await client.change({ op: 'push', stream: 'w0', module: 'counting' })
    await client.change({ op: 'insert', stream: 'w0', module: 'counting', below: 'counting' })
    expect(node.links.get('w0')!.stream.modules).toEqual(['counting', 'counting#2'])
    const { stream } = await client.change({
      op: 'configure',
      stream: 'w0',
      module: 'counting#2',
      options: { limit: 5 },
    })
    const found = stream!.instances.map(({ label, settings, counters }) => [label, settings, counters])
    expect(found.slice(1, 3)).toEqual([
      ['counting', { limit: 10 }, { seen: 3 }],
      ['counting#2', { limit: 5 }, { seen: 3 }],
    ])
    await client.change({ op: 'remove', stream: 'w0', module: 'counting#2' })
    await client.change({ op: 'pop', stream: 'w0' })
    expect(node.links.get('w0')!.stream.modules).toEqual([])
  })

  it('asks a module of a stream, linked or not, and leaves nothing on it', async () => {
    await expect(client.change({ op: 'ioctl', stream: 'w0', command: 'nobody.knows' })).rejects.toMatchObject(
      {
        code: 'ERR_IOCTL',
      },
    )
    expect(node.links.get('w0')!.stream.modules).toEqual([])
  })

  it.each([
    ['an unknown link', { op: 'push', stream: 'w9', module: 'counting' }, 404, 'ERR_NOT_FOUND'],
    ['an unknown module', { op: 'push', stream: 'w0', module: 'nothing' }, 404, 'ERR_NOT_FOUND'],
    ['an unknown instance', { op: 'remove', stream: 'w0', module: 'counting' }, 404, 'ERR_NOT_FOUND'],
    ['a driver', { op: 'remove', stream: 'w0', module: 'wire' }, 409, 'ERR_PLUMBING'],
    ['nothing to pop', { op: 'pop', stream: 'w0' }, 409, 'ERR_PLUMBING'],
    [
      'settings of a module without',
      { op: 'configure', stream: 'w0', module: 'wire', options: {} },
      501,
      'ERR_NOT_SUPPORTED',
    ],
    [
      'a module that throws when it opens',
      { op: 'push', stream: 'w0', module: 'fickle' },
      500,
      'ERR_MODULE_FAULT',
    ],
    ['an unknown operation', { op: 'bend', stream: 'w0' }, 400, 'ERR_BAD_ARGUMENT'],
    ['an unknown field', { op: 'pop', stream: 'w0', force: true }, 400, 'ERR_BAD_ARGUMENT'],
    ['a missing field', { op: 'push', stream: 'w0' }, 400, 'ERR_BAD_ARGUMENT'],
    ['a file that is not there', { op: 'load', file: '/nonexistent.mjs' }, 404, 'ERR_NOT_FOUND'],
  ])('refuses %s, and nothing has changed', async (_what, body, status, code) => {
    const answer = await raw('POST', '/plumbing', JSON.stringify(body))
    expect(answer.status).toBe(status)
    expect(JSON.parse(answer.text).error.code).toBe(code)
    expect(node.links.get('w0')!.stream.modules).toEqual([])
  })

  it('refuses what is no JSON, too long, nowhere, or by another method', async () => {
    expect(await raw('POST', '/plumbing', '{"op":')).toMatchObject({ status: 400 })
    expect(await raw('POST', '/plumbing', Buffer.alloc(1024 * 1024 + 1, 0x20))).toMatchObject({ status: 413 })
    expect(await raw('GET', '/stauts')).toMatchObject({ status: 404 })
    expect(JSON.parse((await raw('GET', '/stauts')).text).error.hint).toContain('/status')
    const wrong = await raw('GET', '/ping')
    expect(wrong).toMatchObject({ status: 405, headers: { allow: 'POST' } })
  })

  it('loads a module from a file, and anew after the file was edited', async () => {
    const file = join(directory, 'hop.mjs')
    const source = (value: number): string =>
      `const put = (q, mp) => q.next.put(q.next, mp); export const hop = { name: 'hop', hiwat: 1, lowat: 0, open: () => 0, close: () => {}, read: { put }, write: { put }, describe: () => ${value} }`
    for (const value of [1, 2]) {
      writeFileSync(file, source(value))
      // Two writes may fall into one tick of the file system's clock.
      if (value === 2) spawnSync('touch', ['-d', '2030-01-01', file])
      expect(await client.change({ op: 'load', file })).toEqual({ loaded: ['hop'] })
      const { stream } = await client.change({ op: 'push', stream: 'w0', module: 'hop' })
      expect(stream!.instances[1]).toMatchObject({ label: 'hop', settings: value })
      await client.change({ op: 'pop', stream: 'w0' })
    }
    writeFileSync(join(directory, 'none.mjs'), 'export const nothing = 1')
    await expect(client.change({ op: 'load', file: join(directory, 'none.mjs') })).rejects.toMatchObject({
      code: 'ERR_BAD_CONFIG',
    })
  })

  it('keeps events, and streams those to come', async () => {
    const before = await client.events()
    expect(before.map(({ name }) => name)).toContain('node.started')
    const stop = new AbortController()
    const following = client.followEvents(before.at(-1)!.number, stop.signal)
    const next = following.next()
    await client.change({ op: 'push', stream: 'w0', module: 'counting' })
    expect((await next).value).toMatchObject({ name: 'plumbing.changed', level: 'info' })
    stop.abort()
    await expect(following.next()).rejects.toThrow()
    await client.change({ op: 'pop', stream: 'w0' })
  })

  it('answers metrics in the text format of Prometheus', async () => {
    const text = await client.metrics()
    expect(text).toContain('# TYPE putnext_arena_blocks_in_use gauge\n')
    expect(text).toMatch(/^putnext_node_info\{node="n1",version="[^"]+"\} 1$/m)
    expect(text).toMatch(
      /^putnext_module_events_total\{stream="w0",module="wire",counter="messages-out"\} 0$/m,
    )
    expect((await raw('GET', '/metrics')).headers['content-type']).toContain('version=0.0.4')
  })

  it('impairs a link, otherwise, and mends it', async () => {
    const labels = (): string[] => node.links.get('w0')!.stream.modules
    await client.impair('w0', { loss: '1%' })
    expect(labels()).toEqual(['impair'])
    const { stream } = await client.impair('w0', { loss: '2%', delay: '5ms' })
    expect(JSON.stringify(stream.instances[1]!.settings)).toContain('5ms')
    await expect(client.impair('w0', { los: '1%' })).rejects.toMatchObject({ code: 'ERR_BAD_CONFIG' })
    expect(labels()).toEqual(['impair'])
    await client.impair('w0', null)
    expect(labels()).toEqual([])
  })

  it('asks for the end of the node when it is told to', async () => {
    expect(await client.shutdown()).toEqual({ ending: true })
    await until(() => asked > 0, 'the request is heard')
    expect(asked).toBe(1)
  })

  it('the socket is for its owner only, and is gone when the port is closed', async () => {
    expect(statSync(path).mode & 0o777).toBe(0o600)
    await port.close()
    expect(existsSync(path)).toBe(false)
    await expect(client.status()).rejects.toMatchObject({ code: 'ERR_NOT_FOUND' })
  })

  it('a living node keeps its socket; a dead one loses it to the next', async () => {
    await expect(ControlPort.open(node, { path })).rejects.toMatchObject({ code: 'ERR_ADDR_IN_USE' })
    const dead = join(directory, 'dead.sock')
    spawnSync(process.execPath, [
      '-e',
      `require('net').createServer().listen(${JSON.stringify(dead)}, () => process.kill(process.pid, 'SIGKILL'))`,
    ])
    expect(existsSync(dead)).toBe(true)
    const second = await ControlPort.open(node, { path: dead })
    expect(await new ControlClient(dead).status()).toMatchObject({ name: 'n1' })
    await second.close()
  })

  it('leaves a file that is no socket alone', async () => {
    const file = join(directory, 'precious')
    writeFileSync(file, 'data')
    await expect(ControlPort.open(node, { path: file })).rejects.toMatchObject({ code: 'ERR_ADDR_IN_USE' })
    expect(existsSync(file)).toBe(true)
  })

  it('a peer that speaks no HTTP is cut off, and the node goes on', async () => {
    const { connect } = await import('node:net')
    const socket = connect(path)
    socket.write('\x00\x01garbage\r\n\r\n')
    await new Promise(resolve => socket.on('close', resolve))
    expect(await client.status()).toMatchObject({ name: 'n1' })
  })
})

describe('an upgrade that nobody meant', () => {
  /** The answer to a request that no client library would send. */
  function upgrade(target: string): Promise<string> {
    return new Promise((resolve, reject) => {
      const socket = connect(path, () => {
        socket.write(`GET ${target} HTTP/1.1\r\nhost: n\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n`)
      })
      let text = ''
      socket.on('data', chunk => {
        text += chunk
      })
      socket.on('close', () => resolve(text))
      socket.on('error', reject)
    })
  }

  it('of a target that is no URL is refused, and the node lives on', async () => {
    expect(await upgrade('//')).toMatch(/^HTTP\/1\.1 400 .*ERR_BAD_ARGUMENT/s)
    expect(await upgrade('/nowhere')).toMatch(/^HTTP\/1\.1 404 /)
    expect((await raw('GET', '//')).status).toBe(400)
    expect((await raw('GET', '/status')).status).toBe(200)
  })

  it('a capture longer than a timer of Node can count is refused, not ended at once', async () => {
    const answer = await raw(
      'POST',
      '/capture/start',
      JSON.stringify({ seconds: 3_000_000, file: '/dev/null' }),
    )
    expect(answer.status).toBe(400)
    expect(answer.text).toContain('seconds')
  })

  it('a capture that cannot begin leaves no file open', async () => {
    const open = (): number => readdirSync('/proc/self/fd').filter(fd => linkOf(fd) === '/dev/zero').length
    const body = JSON.stringify({ file: '/dev/zero', filter: 'no such filter' })
    for (let i = 0; i < 5; i++) expect((await raw('POST', '/capture/start', body)).status).toBe(422)
    expect(open()).toBe(0)
  })
})

/** Where a descriptor leads; nothing for one that is closed again. */
function linkOf(fd: string): string {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`)
  } catch {
    return ''
  }
}
