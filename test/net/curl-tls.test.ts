/** `putnext curl` against a TLS server on a node's stack: what is said of certificates that do not fit. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { TLSSocket } from 'node:tls'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { COMMANDS, GROUPS } from '../../src/cli/commands.ts'
import { runLine, type Said } from '../../src/cli/testing.ts'
import { ControlClient } from '../../src/node/control-client.ts'
import { resolveNode } from '../../src/node/state-dir.ts'
import { CERTIFICATE, KEY } from './certificate.ts'

const PORT = 8443
const ANSWER = 'HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello'
const RESOLVE = ['stack.test', 'other.test'].map(name => `--resolve ${name}:${PORT}:10.0.0.1`).join(' ')

const directory = mkdtempSync(join(tmpdir(), 'putnext-curl-tls-'))
const env = { PUTNEXT_STATE_DIR: directory }
const stop = new AbortController()
let ended: Promise<unknown>

const run = (line: string, signal?: AbortSignal): Promise<Said> =>
  runLine({ commands: COMMANDS, groups: GROUPS }, line, { env, ...(signal === undefined ? {} : { signal }) })

/** Serves one answer to every connection; ends with the signal. */
async function serve(client: ControlClient, listening: () => void): Promise<void> {
  for await (const line of client.listenStreams({ port: PORT }, stop.signal)) {
    if (line.kind === 'listening') {
      listening()
      continue
    }
    const { socket } = await client.openStream({ accept: line.id }, stop.signal)
    socket.on('error', () => {})
    const secured = new TLSSocket(socket, { isServer: true, key: KEY, cert: CERTIFICATE })
    secured.on('error', () => socket.destroy())
    secured.once('data', () => secured.end(ANSWER))
  }
}

beforeAll(async () => {
  writeFileSync(join(directory, 'ca.crt'), CERTIFICATE)
  const file = join(directory, 'n1.yaml')
  const links = 'links: [{name: w0, driver: wire, wire: lan, addresses: [10.0.0.1/24]}]'
  writeFileSync(file, `version: 1\nname: n1\narena: {size: 16MiB}\n${links}\n`)
  const node = run(`node run ${file}`, stop.signal)
  while ((await run('node status n1')).code !== 0) await new Promise(resolve => setTimeout(resolve, 20))
  await new Promise<void>(resolve => {
    const served = serve(new ControlClient(resolveNode('n1', env)), resolve).catch(() => {})
    ended = Promise.all([node, served])
  })
})

afterAll(async () => {
  stop.abort()
  await ended
  rmSync(directory, { recursive: true })
})

it('a certificate that is trusted: the page', async () => {
  const said = await run(
    `curl n1 https://stack.test:${PORT}/ --cacert ${join(directory, 'ca.crt')} ${RESOLVE}`,
  )
  expect(said).toMatchObject({ code: 0, stdout: 'hello' })
})

it('one that nobody trusts: exit code 60, which is no missing privilege, and the way out', async () => {
  const said = await run(`curl n1 https://stack.test:${PORT}/ ${RESOLVE}`)
  expect(said.code).toBe(60)
  expect(said.stderr).toContain('--cacert FILE')
  expect((await run(`curl n1 -k https://stack.test:${PORT}/ ${RESOLVE}`)).stdout).toBe('hello')
})

it('one for another name: exit code 60, and more trust is not offered', async () => {
  const said = await run(
    `curl n1 https://other.test:${PORT}/ --cacert ${join(directory, 'ca.crt')} ${RESOLVE}`,
  )
  expect(said.code).toBe(60)
  expect(said.stderr).toContain('use a name that the certificate has')
  expect(said.stderr).not.toContain('--cacert')
})

it('plain HTTP to it: is it https://?', async () => {
  const said = await run(`curl n1 http://stack.test:${PORT}/ ${RESOLVE}`)
  expect(said.code).toBe(1)
  expect(said.stderr).toContain('hint: is it https://?')
})
