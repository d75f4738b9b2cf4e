/**
 * Labs of an ordinary user, in a user namespace. The device may be opened by root only on many machines: in a mount namespace
 * of the test's own, a copy that everybody may open is bound over it; the machine's own is not touched.
 */
import { chmodSync, chownSync, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { findProgram } from '../../src/host/privilege.ts'
import { missing, shim, titled } from '../../src/host/testing/requirements.ts'
import { type HostState, hostState, NO_STATE, run, temporaryState } from './host-state.ts'

const CLI = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url))
/** Nobody's: not in any file of users. */
const USER = 41_234
const TUN = { major: '10', minor: '200' }

function toolsMissing(): string {
  const absent = ['unshare', 'nsenter', 'setpriv', 'mknod', 'mount'].filter(
    name => findProgram([name]) === null,
  )
  if (absent.length > 0) return `no ${absent.join(', ')}`
  if (!existsSync(CLI)) return 'dist/ is not compiled'
  const tried = run('setpriv', [...asUser(), 'unshare', '-Urnm', 'true'])
  return tried.code === 0 ? '' : 'ordinary users may have no user namespace here'
}

function asUser(): string[] {
  return ['--reuid', String(USER), '--regid', String(USER), '--clear-groups', '--']
}

const reason = missing('shim', 'namespaces', 'tun') || toolsMissing()

const TEXT = `version: 1
name: pnuser
nodes:
  n1: {services: [echo]}
  host: {kind: linux}
links: [n1 -- host]
`

describe.skipIf(reason !== '')(titled('lab without root', reason), () => {
  let folder = NO_STATE
  let state = ''
  let before: HostState
  const file = (): string => join(folder.path, 'lab.yaml')

  beforeEach(() => {
    folder = temporaryState()
    chmodSync(folder.path, 0o755)
    state = join(folder.path, 'state')
    mkdirSync(state)
    chownSync(state, USER, USER)
    writeFileSync(file(), TEXT)
    before = hostState(shim!, 'pnuser', state)
  })
  afterEach(() => {
    putnext('lab', 'prune', '--all')
    expect(hostState(shim!, 'pnuser', join(state, 'putnext'))).toMatchObject({ ...before, files: [] })
    folder.remove()
  })

  const environment = (): string[] => [
    'env',
    '-i',
    `PATH=${process.env['PATH']}`,
    'HOME=/nonexistent',
    `XDG_RUNTIME_DIR=${state}`,
    process.execPath,
    CLI,
  ]
  /** As the user, on the machine as it is. */
  function putnext(...args: string[]): { code: number; text: string } {
    return run('setpriv', [...asUser(), ...environment(), ...args])
  }
  /** As the user, where the device may be opened. */
  function putnextWithDevice(...args: string[]): { code: number; text: string } {
    const device = join(folder.path, 'tun')
    if (!existsSync(device)) run('mknod', ['-m', '666', device, 'c', TUN.major, TUN.minor])
    const script = `mount --bind ${device} /dev/net/tun && exec "$@"`
    return run('unshare', ['-m', 'sh', '-c', script, 'sh', 'setpriv', ...asUser(), ...environment(), ...args])
  }

  it('comes up in a user namespace, is found by later commands, and leaves nothing', {
    timeout: 60_000,
  }, () => {
    expect(putnextWithDevice('lab', 'up', file())).toMatchObject({ code: 0 })
    expect(hostState(shim!, 'pnuser', state).namespaces).toEqual([])
    const status = JSON.parse(putnext('lab', 'status', '--json').text)
    expect(status.result.labs[0].nodes.map((node: { healthy: boolean }) => node.healthy)).toEqual([
      true,
      true,
    ])
    const forwarding = ['lab', 'exec', 'host', '--', 'cat', '/proc/sys/net/ipv4/ip_forward']
    expect(putnext(...forwarding)).toEqual({ code: 0, text: '1\n' })
    expect(putnext('lab', 'exec', 'host', '--', 'pwd')).toEqual({ code: 0, text: `${process.cwd()}\n` })
    expect(putnext('ping', 'pnuser/n1', '10.77.2.2', '-c', '1')).toMatchObject({ code: 0 })
    expect(putnext('lab', 'fault', 'down', 'n1--host')).toMatchObject({ code: 0 })
    expect(putnext('ping', 'pnuser/n1', '10.77.2.2', '-c', '1', '-W', '200ms')).toMatchObject({ code: 1 })
    expect(putnext('lab', 'down', 'pnuser')).toMatchObject({ code: 0 })
    expect(readdirSync(join(state, 'putnext'))).toEqual([])
  })

  it('that fails takes all back, inside the user namespace too', { timeout: 60_000 }, () => {
    writeFileSync(file(), TEXT.replace('{kind: linux}', '{kind: linux, exec: ["exit 3"]}'))
    const failed = putnextWithDevice('lab', 'up', file())
    expect(failed.code).toBe(1)
    expect(failed.text).toContain('exit code 3')
    expect(readdirSync(join(state, 'putnext'))).toEqual([])
  })

  it('where the device is closed to users: exit code 77, what is missing, what helps', () => {
    const { code, text } = putnext('lab', 'up', file())
    if (code === 0) return
    expect(code).toBe(77)
    expect(text).toContain('/dev/net/tun is denied')
    expect(text).toContain('--mode inproc')
  })
})
