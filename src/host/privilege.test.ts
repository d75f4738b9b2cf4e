import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import {
  findProgram,
  inspectTunNode,
  isOwnUserNamespace,
  parseCapabilities,
  readPrivileges,
  userNamespaceBar,
} from './privilege.ts'

describe('host/privilege', () => {
  it('capabilities(7): reads the effective set, not the others', () => {
    const status = 'CapPrm:\t000001ffffffffff\nCapEff:\t0000000000003000\nCapBnd:\t000001ffffffffff\n'
    expect(parseCapabilities(status)).toEqual(['CAP_NET_ADMIN', 'CAP_NET_RAW'])
    expect(parseCapabilities('CapEff:\t000001ffffffffff\n')).toContain('CAP_SYS_ADMIN')
    expect(parseCapabilities('')).toEqual([])
  })

  it('user_namespaces(7): only the first one maps all ids to themselves', () => {
    expect(isOwnUserNamespace('         0          0 4294967295\n')).toBe(false)
    expect(isOwnUserNamespace('         0       1000          1\n')).toBe(true)
  })

  it('names the setting that bars user namespaces', () => {
    const files = (changes: Record<string, string>) => (path: string) =>
      ({ '/proc/self/uid_map': '0 0 4294967295', ...changes })[path] ?? ''
    expect(userNamespaceBar(files({}))).toBe('')
    expect(userNamespaceBar(files({ '/proc/sys/user/max_user_namespaces': '0' }))).toContain(
      'max_user_namespaces',
    )
    expect(userNamespaceBar(files({ '/proc/sys/kernel/unprivileged_userns_clone': '0' }))).toContain('clone')
    expect(
      userNamespaceBar(files({ '/proc/sys/kernel/apparmor_restrict_unprivileged_userns': '1' })),
    ).toContain('apparmor')
    expect(userNamespaceBar(() => '')).toContain('kernel')
  })

  it('looks at the device node without making a device', () => {
    expect(inspectTunNode('/dev/net/nope')).toEqual({ state: 'missing', mode: '' })
    expect(inspectTunNode('/dev/null').state).toBe('ok')
    expect(inspectTunNode('/proc').state).toBe('dead')
  })

  it('finds programs in PATH order, executable files only', () => {
    const directory = mkdtempSync(join(tmpdir(), 'putnext-path-'))
    try {
      writeFileSync(join(directory, 'pnx-cc'), '')
      expect(findProgram(['pnx-cc', 'sh'], `${directory}:/bin`)).toBe('/bin/sh')
      chmodSync(join(directory, 'pnx-cc'), 0o755)
      expect(findProgram(['pnx-cc', 'sh'], `${directory}:/bin`)).toBe(join(directory, 'pnx-cc'))
      expect(findProgram(['nope'], directory)).toBeNull()
    } finally {
      rmSync(directory, { recursive: true })
    }
  })

  it.runIf(process.platform === 'linux')('reads this machine', () => {
    const facts = readPrivileges()
    expect(facts.uid).toBe(process.geteuid?.())
    expect(facts.kernelRelease).toMatch(/^\d+\.\d+/)
  })
})
