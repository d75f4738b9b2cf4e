import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'

const root = fileURLToPath(new URL('../..', import.meta.url))

describe('docs/examples/programs', () => {
  it('two-nodes.mjs: a datagram socket talks to the echo service over a wire that loses packets', async () => {
    const { stdout } = await promisify(execFile)(process.execPath, ['docs/examples/programs/two-nodes.mjs'], {
      cwd: root,
      timeout: 20_000,
    })
    expect(stdout).toMatch(
      /^hello, stack \(from 10\.0\.0\.1:7, try \d+\)\nbytes copied inside the stack: 0\n$/,
    )
  })

  it('web.mjs: the server and the client of node:http, on two stacks and a wire that loses packets', async () => {
    const { stdout } = await promisify(execFile)(process.execPath, ['docs/examples/programs/web.mjs'], {
      cwd: root,
      timeout: 20_000,
    })
    expect(stdout).toBe('200: 2000000 bytes, the same\nsent again: yes\n')
  })

  it('echo-messages.mjs: an echo and its client copy nothing', async () => {
    const program = 'docs/examples/programs/echo-messages.mjs'
    const { stdout } = await promisify(execFile)(process.execPath, [program], { cwd: root, timeout: 20_000 })
    expect(stdout).toBe('1000000 bytes echoed, 0 copied\n')
  })

  it('libraries.mjs: undici, ws and node:http2 on one stack', async () => {
    const program = 'docs/examples/programs/libraries.mjs'
    const { stdout } = await promisify(execFile)(process.execPath, [program], { cwd: root, timeout: 20_000 })
    expect(stdout).toBe('undici: from node:http\nws: echo, echo\nhttp2: over one connection\n')
  })
})
