import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readlinkSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import {
  createNamespace,
  deleteNamespace,
  insideNamespace,
  listNamespaces,
  namespaceExists,
  namespacePids,
  netnsPath,
} from './namespace.ts'
import type { Shim } from './shim.ts'
import { getSysctl, setSysctl, sysctlPath } from './sysctl.ts'
import { shim as loaded, missing, titled } from './testing/requirements.ts'

describe('host/namespace names', () => {
  it.each(['', '.', '..', 'a/b', 'a\0b', 'x'.repeat(256)])('refuses %j', name => {
    expect(() => netnsPath(name)).toThrow(expect.objectContaining({ code: 'ERR_BAD_ARGUMENT' }))
  })

  it('are files where ip(8) has them', () => {
    expect(netnsPath('pair-n1')).toBe('/run/netns/pair-n1')
    expect(listNamespaces('/nowhere')).toEqual([])
  })
})

describe('host/sysctl names', () => {
  it('have dots, or slashes where a part has a dot', () => {
    expect(sysctlPath('net.ipv4.ip_forward')).toBe('/proc/sys/net/ipv4/ip_forward')
    expect(sysctlPath('net/ipv4/conf/eth0.1/forwarding')).toBe('/proc/sys/net/ipv4/conf/eth0.1/forwarding')
  })

  it.each(['kernel.panic', 'net', 'net/../kernel/panic', 'net..ipv4', ''])('%j is refused', name => {
    expect(() => sysctlPath(name)).toThrow(expect.objectContaining({ code: 'ERR_BAD_ARGUMENT' }))
  })
})

const reason = missing('shim', 'namespaces', 'ip')

describe.skipIf(reason !== '')(titled('host/namespace on this kernel', reason), () => {
  const shim = loaded as Shim
  const name = `pnx-ns-${process.pid}`
  const own = () => readlinkSync('/proc/thread-self/ns/net')
  let path = ''
  beforeEach(() => {
    path = createNamespace(shim, name)
  })
  afterEach(() => {
    if (namespaceExists(name)) deleteNamespace(shim, name)
  })

  it('is listed and entered by ip(8), and ours stays where it was', () => {
    const before = own()
    expect(listNamespaces()).toContain(name)
    expect(execFileSync('ip', ['netns', 'list'], { encoding: 'utf8' })).toContain(name)
    const inside = execFileSync('ip', ['netns', 'exec', name, 'readlink', '/proc/self/ns/net'], {
      encoding: 'utf8',
    })
    expect(inside.trim()).not.toBe(before)
    expect(insideNamespace(shim, path, own)).toBe(inside.trim())
    expect(own()).toBe(before)
  })

  it('one that ip(8) made is deleted by us', () => {
    deleteNamespace(shim, name)
    execFileSync('ip', ['netns', 'add', name])
    deleteNamespace(shim, name)
    expect(namespaceExists(name)).toBe(false)
    expect(execFileSync('ip', ['netns', 'list'], { encoding: 'utf8' })).not.toContain(name)
  })

  it('comes back from inside also when the act throws', () => {
    const before = own()
    expect(() =>
      insideNamespace(shim, path, () => {
        throw new Error('act')
      }),
    ).toThrow('act')
    expect(own()).toBe(before)
  })

  it('a name in use, and one that is not there', () => {
    expect(() => createNamespace(shim, name)).toThrow(expect.objectContaining({ code: 'ERR_ALREADY' }))
    deleteNamespace(shim, name)
    expect(() => deleteNamespace(shim, name)).toThrow(expect.objectContaining({ code: 'ERR_NOT_FOUND' }))
    expect(() => insideNamespace(shim, path, own)).toThrow(expect.objectContaining({ code: 'ERR_NOT_FOUND' }))
  })

  it('the plain file that a crash left is deleted too', () => {
    const directory = mkdtempSync(join(tmpdir(), 'putnext-netns-'))
    try {
      writeFileSync(join(directory, 'stale'), '')
      deleteNamespace(shim, 'stale', directory)
      expect(listNamespaces(directory)).toEqual([])
    } finally {
      rmSync(directory, { recursive: true })
    }
  })

  it('knows the processes in it', async () => {
    const child = spawn('ip', ['netns', 'exec', name, 'sleep', '30'])
    try {
      const deadline = Date.now() + 5_000
      while (namespacePids(name).length === 0 && Date.now() < deadline)
        await new Promise(r => setTimeout(r, 5))
      expect(namespacePids(name)).toEqual([child.pid])
    } finally {
      child.kill()
      await once(child, 'exit')
    }
    expect(namespacePids(name)).toEqual([])
  })

  it('has settings of its own', () => {
    const here = getSysctl(shim, '', 'net.ipv4.ip_forward')
    const other = here === '1' ? '0' : '1'
    setSysctl(shim, path, 'net.ipv4.ip_forward', other)
    expect(getSysctl(shim, path, 'net.ipv4.ip_forward')).toBe(other)
    expect(getSysctl(shim, '', 'net.ipv4.ip_forward')).toBe(here)
    expect(() => getSysctl(shim, path, 'net.ipv4.nope')).toThrow(
      expect.objectContaining({ code: 'ERR_NOT_FOUND' }),
    )
    expect(() => setSysctl(shim, path, 'net.ipv4.ip_forward', 'x')).toThrow(
      expect.objectContaining({ code: 'ERR_BAD_ARGUMENT' }),
    )
  })
})
