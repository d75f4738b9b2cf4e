import { describe, expect, it } from 'vitest'
import type { Privileges } from '../host/privilege.ts'
import { judgeAccess } from './privileges.ts'

const USER: Privileges = {
  uid: 1_000,
  capabilities: [],
  inUserNamespace: false,
  userNamespacesBarredBy: '',
  tun: { state: 'ok', mode: '0666' },
  compiler: null,
  kernelRelease: '6.1',
}
const ROOT: Privileges = { ...USER, uid: 0, capabilities: ['CAP_NET_ADMIN', 'CAP_SYS_ADMIN'] }
const TOOLS = { unshare: true, nsenter: true }
const CLOSED = { state: 'denied', mode: '0600' } as const

describe('lab/privileges: what a lab in namespaces needs', () => {
  it('capabilities decide, not the user id', () => {
    expect(judgeAccess(ROOT, TOOLS, true)).toEqual({ way: 'direct' })
    expect(judgeAccess({ ...ROOT, uid: 1_000 }, TOOLS, true)).toEqual({ way: 'direct' })
    expect(judgeAccess({ ...USER, uid: 0 }, TOOLS, true)).toEqual({ way: 'user-namespace' })
  })

  it('an ordinary user gets a user namespace, where the device may be opened or is not needed', () => {
    expect(judgeAccess(USER, TOOLS, true)).toEqual({ way: 'user-namespace' })
    expect(judgeAccess({ ...USER, tun: CLOSED }, TOOLS, false)).toEqual({ way: 'user-namespace' })
  })

  it.each([
    ['the device is closed to users', { ...USER, tun: CLOSED }, TOOLS, /tun is denied/, /chmod 666/],
    [
      'the device is not there',
      { ...ROOT, tun: { state: 'missing', mode: '' } as const },
      TOOLS,
      /missing/,
      /modprobe/,
    ],
    [
      'user namespaces are barred',
      { ...USER, userNamespacesBarredBy: 'kernel.x = 0' },
      TOOLS,
      /kernel\.x = 0/,
      /sudo/,
    ],
    ['util-linux is not there', USER, { unshare: false, nsenter: true }, /unshare/, /util-linux/],
  ])('else it says what is missing and what helps: %s', (_, privileges, programs, missing, remedy) => {
    const access = judgeAccess(privileges, programs, true)
    expect(access.way).toBe('none')
    if (access.way !== 'none') return
    expect(access.missing).toMatch(missing)
    expect(access.remedy).toMatch(remedy)
  })
})
