/** docs/examples/rpc as a user's project: generated, compiled against the package, run on the kernel's sockets. */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { titled } from '../../src/host/testing/requirements.ts'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const MAIN = join(ROOT, 'dist/cli/main.js')
const EXAMPLES = join(ROOT, 'docs/examples/rpc')
/** Inside the clone, where `putnext/rpc` leads to dist/. */
const BUILT = join(ROOT, 'build/tests/examples-rpc')
const reason = existsSync(join(ROOT, 'dist/rpc/server.js')) ? '' : 'dist is not built'

const run = async (...args: string[]): Promise<string> => {
  const { stdout, stderr } = await promisify(execFile)(process.execPath, args, { cwd: ROOT, timeout: 60_000 })
  return stdout + stderr
}

/** A server on a port of its own. */
async function serve(path: string, port: string): Promise<ChildProcess> {
  const child = spawn(process.execPath, [join(BUILT, path), '--kernel', '--port', port], { cwd: ROOT })
  await once(child.stdout, 'data')
  return child
}

/** @returns what it said at its end */
async function end(child: ChildProcess): Promise<string> {
  let said = ''
  child.stdout!.on('data', text => {
    said += text
  })
  child.kill('SIGTERM')
  const [code] = await once(child, 'close')
  expect(code).toBe(0)
  return said
}

describe.skipIf(reason !== '')(titled('docs/examples/rpc', reason), () => {
  let folder: string

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'putnext-example-'))
  })
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  it.each(['calculator', 'files'])('%s/generated is what rpcgen makes of the interface file', async name => {
    const fresh = join(folder, name)
    await run(MAIN, 'rpcgen', join(EXAMPLES, name, `${name}.x`), '-o', fresh)
    const kept = join(EXAMPLES, name, 'generated')
    expect(readdirSync(fresh)).toEqual(readdirSync(kept))
    for (const file of readdirSync(fresh))
      expect(readFileSync(join(fresh, file), 'utf8'), file).toBe(readFileSync(join(kept, file), 'utf8'))
  })

  it('compiles against the package', async () => {
    await run(join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', EXAMPLES, '--outDir', BUILT)
    expect(existsSync(join(BUILT, 'calculator/server.js'))).toBe(true)
  })

  it('the calculator calculates, and counts', async () => {
    const server = await serve('calculator/server.js', '17100')
    const ask = (...args: string[]) =>
      run(join(BUILT, 'calculator/client.js'), '--kernel', '--port', '17100', '127.0.0.1', ...args)
    expect(await ask('multiply', '6', '7')).toBe('42\n')
    expect(await ask('divide', '1', '0', '--udp')).toBe('1 divided by nothing\n')
    expect(await ask('accumulate', '40', '--at-most-once')).toBe('40\n')
    expect(await ask('accumulate', '2', '--udp', '--at-most-once')).toBe('42\n')
    const said = await end(server)
    expect(said).toMatch(/^CALC_COMPUTE: 2 calls, 2 answered, median \d+ us$/m)
    expect(said).toMatch(/^CALC_ACCUMULATE: 2 calls, 2 answered, /m)
  })

  it('the file store takes and gives a file without copying it', async () => {
    const bytes = Uint8Array.from({ length: 1_000_003 }, (_, at) => (at * 7) & 255)
    const [path, back] = [join(folder, 'blob'), join(folder, 'back')]
    writeFileSync(path, bytes)
    const server = await serve('files/server.js', '17200')
    const ask = (...args: string[]) =>
      run(join(BUILT, 'files/client.js'), '--kernel', '--port', '17200', '127.0.0.1', ...args)
    const none = "copied in user space: 0 bytes in the stack, 0 at the program's edge, 0 at the port\n"
    expect(await ask('put', path)).toBe(`FILE_OK\n${none}`)
    expect(await ask('ls')).toBe(`1000003 blob\n${none}`)
    expect(await ask('get', 'blob', back)).toBe(`FILE_OK, 1000003 bytes\n${none}`)
    expect(readFileSync(back).equals(bytes)).toBe(true)
    expect(await ask('rm', 'blob')).toBe(`FILE_OK\n${none}`)
    expect(await ask('rm', 'blob')).toBe(`FILE_NOT_FOUND\n${none}`)
    expect(await end(server)).toBe(none)
  })

  it('shows how it is used when it is not told what to do', async () => {
    const failure = await run(join(BUILT, 'files/client.js'), '127.0.0.1', 'ls').catch(error => error)
    expect(failure).toMatchObject({ code: 2, stderr: expect.stringContaining('usage: client.js') })
    expect(await run(join(BUILT, 'calculator/server.js'), '--help')).toContain('--attach LAB/NODE')
  })
})
