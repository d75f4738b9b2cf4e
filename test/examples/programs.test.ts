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
})
