import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import {
  mkdirSync,
  mkdtempSync,
  realpathSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { type IncomingHttpHeaders, request, type Server } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { until } from '../testing.ts'
import { createFileServer, type FileServerOptions, type RequestEntry } from './file-server.ts'

let outside: string
let root: string
let server: Server
let log: RequestEntry[]

const TEXT = 'The quick brown fox jumps over the lazy dog.\n'
const WHEN = new Date('2026-03-01T12:00:00.750Z')

beforeEach(async () => {
  outside = realpathSync(mkdtempSync(join(tmpdir(), 'putnext-files-')))
  root = join(outside, 'www')
  mkdirSync(join(root, 'sub'), { recursive: true })
  mkdirSync(join(root, 'site'))
  writeFileSync(join(outside, 'secret.txt'), 'secret')
  writeFileSync(join(root, 'fox.txt'), TEXT)
  utimesSync(join(root, 'fox.txt'), WHEN, WHEN)
  writeFileSync(join(root, '.hidden'), 'hidden')
  writeFileSync(join(root, 'empty.bin'), '')
  writeFileSync(join(root, 'sub', 'a b&<c>.html'), '<p>')
  writeFileSync(join(root, 'site', 'index.html'), '<h1>index</h1>')
  symlinkSync(join(outside, 'secret.txt'), join(root, 'out.txt'))
  symlinkSync('fox.txt', join(root, 'in.txt'))
  symlinkSync(outside, join(root, 'outdir'))
  log = []
  await start()
})

afterEach(async () => {
  await new Promise(resolve => server.close(resolve))
  rmSync(outside, { recursive: true })
})

async function start(options: Partial<FileServerOptions> = {}): Promise<void> {
  server = createFileServer({ directory: root, onRequest: entry => log.push(entry), ...options })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
}

async function restart(options: Partial<FileServerOptions>): Promise<void> {
  await new Promise(resolve => server.close(resolve))
  await start(options)
}

interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

function ask(path: string, headers: Record<string, string> = {}, method = 'GET'): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const { port } = server.address() as AddressInfo
    const asked = request({ host: '127.0.0.1', port, path, headers, method, agent: false }, answer => {
      let body = ''
      answer.setEncoding('utf8').on('data', chunk => {
        body += chunk
      })
      answer.on('end', () => resolve({ status: answer.statusCode!, headers: answer.headers, body }))
      answer.on('error', reject)
    })
    asked.on('error', reject)
    asked.end()
  })
}

describe('node/files: methods and names', () => {
  it('GET gives the bytes with type, length, validators', async () => {
    const { status, headers, body } = await ask('/fox.txt')
    expect(status).toBe(200)
    expect(body).toBe(TEXT)
    expect(headers).toMatchObject({
      'content-type': 'text/plain; charset=utf-8',
      'content-length': String(TEXT.length),
      'accept-ranges': 'bytes',
      'last-modified': 'Sun, 01 Mar 2026 12:00:00 GMT',
      'x-content-type-options': 'nosniff',
    })
    expect(headers.etag).toMatch(/^"[0-9a-f]+-[0-9a-f]+"$/)
  })

  it('RFC 9110 §9.3.2: HEAD has the header fields of GET and no content', async () => {
    const [get, head] = [await ask('/fox.txt'), await ask('/fox.txt', {}, 'HEAD')]
    expect(head.body).toBe('')
    for (const name of ['content-length', 'content-type', 'etag', 'last-modified'])
      expect(head.headers[name]).toBe(get.headers[name])
  })

  it('RFC 9110 §15.5.6: other methods are refused with those that are allowed', async () => {
    const { status, headers } = await ask('/fox.txt', {}, 'POST')
    expect([status, headers.allow]).toEqual([405, 'GET, HEAD, OPTIONS'])
    expect((await ask('/', {}, 'OPTIONS')).status).toBe(204)
  })

  it('an empty file is one', async () => {
    expect(await ask('/empty.bin')).toMatchObject({ status: 200, body: '' })
  })

  it('a directory without its slash leads to the one with it, on this host', async () => {
    const { status, headers } = await ask('/sub')
    expect([status, headers.location]).toEqual([301, '/sub/'])
    expect((await ask('//sub')).headers.location).toBe('/sub/')
    expect((await ask('/fox.txt/')).status).toBe(404)
  })

  it('a directory shows its index page, or what it has', async () => {
    expect((await ask('/site/')).body).toBe('<h1>index</h1>')
    const { headers, body } = await ask('/sub/')
    expect(headers['content-type']).toBe('text/html; charset=utf-8')
    expect(body).toContain('<a href="./a%20b%26%3Cc%3E.html">a b&amp;&lt;c&gt;.html</a>')
    const top = (await ask('/')).body
    expect(top).toContain('href="./in.txt"')
    expect(top).not.toMatch(/out\.txt|outdir|\.hidden/)
    expect((await ask('/sub/a%20b%26%3Cc%3E.html')).body).toBe('<p>')
  })

  it('--no-listing: only what is named is served', async () => {
    await restart({ listings: false })
    expect((await ask('/sub/')).status).toBe(403)
    expect((await ask('/site/')).status).toBe(200)
  })
})

describe('node/files: nothing outside the directory', () => {
  it.each([
    ['/../secret.txt', 400],
    ['/sub/../../secret.txt', 400],
    ['/%2e%2e/secret.txt', 400],
    ['/sub/%2e%2e%2f%2e%2e%2fsecret.txt', 400],
    ['/..%5csecret.txt', 404],
    ['/fox.txt%00.html', 400],
    ['/%ff%fe', 400],
    ['/%zz', 400],
    ['http://elsewhere/../secret.txt', 400],
    ['/out.txt', 404],
    ['/outdir/secret.txt', 404],
    ['/outdir/', 404],
    ['/.hidden', 404],
    ['/nothing', 404],
    [`/${'a'.repeat(300)}`, 404],
    [`/${'a/'.repeat(4_200)}`, 400],
  ])('%s: %i', async (path, status) => {
    expect((await ask(path)).status).toBe(status)
  })

  it('a link that stays inside is followed; none of them with "none", all with "all"', async () => {
    expect((await ask('/in.txt')).body).toBe(TEXT)
    await restart({ symlinks: 'none' })
    expect((await ask('/in.txt')).status).toBe(404)
    expect((await ask('/fox.txt')).status).toBe(200)
    expect((await ask('/sub/')).status).toBe(200)
    await restart({ symlinks: 'all', hidden: true })
    expect((await ask('/out.txt')).body).toBe('secret')
    expect((await ask('/outdir/secret.txt')).body).toBe('secret')
    expect((await ask('/.hidden')).body).toBe('hidden')
  })

  it('a link to what is hidden leads nowhere, unless hidden names are served', async () => {
    symlinkSync('.hidden', join(root, 'seen.txt'))
    expect((await ask('/seen.txt')).status).toBe(404)
    expect((await ask('/')).body).not.toContain('seen.txt')
    await restart({ hidden: true })
    expect((await ask('/seen.txt')).body).toBe('hidden')
  })

  it('what is neither file nor directory is not opened: a FIFO does not make it wait', async () => {
    execFileSync('mkfifo', [join(root, 'pipe')])
    expect((await ask('/pipe')).status).toBe(403)
  })

  it('a directory that is not there is told at once', () => {
    expect(() => createFileServer({ directory: join(root, 'none') })).toThrow('there is no directory')
    expect(() => createFileServer({ directory: join(root, 'fox.txt') })).toThrow('is no directory')
  })
})

describe('node/files: ranges, RFC 9110 §14', () => {
  const size = TEXT.length
  it.each([
    ['bytes=0-3', 'The ', `bytes 0-3/${size}`],
    ['bytes=4-', TEXT.slice(4), `bytes 4-${size - 1}/${size}`],
    ['bytes=-5', 'dog.\n', `bytes ${size - 5}-${size - 1}/${size}`],
    ['bytes=40-1000', 'dog.\n', `bytes 40-${size - 1}/${size}`],
    ['bytes=-1000', TEXT, `bytes 0-${size - 1}/${size}`],
  ])('%s', async (range, body, contentRange) => {
    const answer = await ask('/fox.txt', { range })
    expect(answer).toMatchObject({ status: 206, body })
    expect(answer.headers).toMatchObject({
      'content-range': contentRange,
      'content-length': String(body.length),
    })
  })

  it.each([
    'bytes=5-3',
    'bytes=x-',
    'bytes',
    'lines=0-1',
    'bytes=',
    'bytes=-',
    'bytes=0-10,5-20',
    `bytes=${'0-0,'.repeat(20)}`,
  ])('%s is ignored: all of it comes', async range => {
    expect(await ask('/fox.txt', { range })).toMatchObject({ status: 200, body: TEXT })
  })

  it.each(['bytes=45-', 'bytes=1000-2000', 'bytes=-0'])('%s: 416 with the size', async range => {
    const { status, headers } = await ask('/fox.txt', { range })
    expect([status, headers['content-range']]).toEqual([416, `bytes */${size}`])
  })

  it('§14.6: several ranges come as parts of one body, of the length that was told', async () => {
    const { status, headers, body } = await ask('/fox.txt', { range: 'bytes=0-2, -5' })
    expect(status).toBe(206)
    const boundary = /^multipart\/byteranges; boundary=(.+)$/.exec(headers['content-type']!)![1]!
    const parts = body.split(`\r\n--${boundary}`)
    expect(parts).toHaveLength(4)
    expect(parts[1]).toContain(`content-range: bytes 0-2/${size}\r\n\r\nThe`)
    expect(parts[2]!.endsWith('\r\n\r\ndog.\n')).toBe(true)
    expect(headers['content-length']).toBe(String(body.length))
  })

  it('§13.1.5: If-Range lets the range hold only for the same file', async () => {
    const { headers } = await ask('/fox.txt')
    const range = 'bytes=0-2'
    expect((await ask('/fox.txt', { range, 'if-range': headers.etag! })).status).toBe(206)
    expect((await ask('/fox.txt', { range, 'if-range': headers['last-modified']! })).status).toBe(206)
    expect((await ask('/fox.txt', { range, 'if-range': '"other"' })).status).toBe(200)
    expect((await ask('/fox.txt', { range, 'if-range': `W/${headers.etag}` })).status).toBe(200)
  })

  it('§14.2: HEAD has no ranges', async () => {
    expect((await ask('/fox.txt', { range: 'bytes=0-2' }, 'HEAD')).status).toBe(200)
  })
})

describe('node/files: conditions, RFC 9110 §13', () => {
  it.each([
    [{ 'if-none-match': 'ETAG' }, 304],
    [{ 'if-none-match': 'W/ETAG' }, 304],
    [{ 'if-none-match': '"a", ETAG' }, 304],
    [{ 'if-none-match': '*' }, 304],
    [{ 'if-none-match': '"a"' }, 200],
    [{ 'if-none-match': '"a"', 'if-modified-since': 'Fri, 01 Jan 2027 00:00:00 GMT' }, 200],
    [{ 'if-modified-since': 'Sun, 01 Mar 2026 12:00:00 GMT' }, 304],
    [{ 'if-modified-since': 'Sun, 01 Mar 2026 11:59:59 GMT' }, 200],
    [{ 'if-modified-since': 'yesterday' }, 200],
    [{ 'if-match': 'ETAG' }, 200],
    [{ 'if-match': 'W/ETAG' }, 412],
    [{ 'if-match': '"a"' }, 412],
    [{ 'if-match': '*' }, 200],
    [{ 'if-unmodified-since': 'Sun, 01 Mar 2026 11:59:59 GMT' }, 412],
    [{ 'if-unmodified-since': 'Sun, 01 Mar 2026 12:00:00 GMT' }, 200],
  ])('%j: %i', async (headers, status) => {
    const etag = (await ask('/fox.txt')).headers.etag!
    const own = Object.fromEntries(
      Object.entries(headers).map(([k, text]) => [k, text.replace('ETAG', etag)]),
    )
    expect((await ask('/fox.txt', own)).status).toBe(status)
  })
})

describe('node/files: connections', () => {
  it('tells each request when it is over', async () => {
    await ask('/fox.txt')
    await ask('/none', {}, 'HEAD')
    expect(log).toMatchObject([
      { method: 'GET', target: '/fox.txt', status: 200, bytes: TEXT.length, complete: true },
      { method: 'HEAD', target: '/none', status: 404, bytes: 0, complete: true },
    ])
    expect(log[0]!.remote).toMatch(/^127\.0\.0\.1#\d+$/)
  })

  it('a big file comes whole', async () => {
    const bytes = Buffer.alloc(3_000_001, 'abcdefg')
    writeFileSync(join(root, 'big.txt'), bytes)
    expect((await ask('/big.txt')).body === bytes.toString()).toBe(true)
  })

  it('a file that becomes shorter breaks the connection off, instead of promising what is not there', async () => {
    const path = join(root, 'big.bin')
    writeFileSync(path, '')
    truncateSync(path, 200_000_000)
    const { port } = server.address() as AddressInfo
    const socket = connect(port, '127.0.0.1')
    socket.write('GET /big.bin HTTP/1.1\r\nhost: a\r\n\r\n')
    await until(() => socket.bytesRead > 0)
    socket.pause()
    truncateSync(path, 1_000)
    socket.resume()
    await new Promise(resolve => socket.on('close', resolve))
    expect(socket.bytesRead).toBeLessThan(200_000_000)
    expect(log).toMatchObject([{ status: 200, complete: false }])
  })

  it('RFC 6585 §5: header fields without end get 431', async () => {
    const { port } = server.address() as AddressInfo
    const socket = connect(port, '127.0.0.1')
    socket.write(`GET / HTTP/1.1\r\nx: ${'y'.repeat(100_000)}`)
    const [first] = (await once(socket, 'data')) as [Buffer]
    expect(first.toString()).toContain('431')
    socket.destroy()
  })

  it('what is no HTTP gets 400', async () => {
    const { port } = server.address() as AddressInfo
    const socket = connect(port, '127.0.0.1')
    socket.write('\0\0\0\r\n\r\n')
    const chunks: Buffer[] = []
    for await (const chunk of socket) chunks.push(chunk as Buffer)
    expect(Buffer.concat(chunks).toString()).toContain('400 Bad Request')
  })
})
