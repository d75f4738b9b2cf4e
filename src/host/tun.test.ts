import { constants } from 'node:os'
import { describe, expect, it } from 'vitest'
import { errnoName, hostError, orThrow } from './host-error.ts'
import type { Shim } from './shim.ts'
import { shim as loaded, missing, titled } from './testing/requirements.ts'
import {
  IFF_MULTI_QUEUE,
  IFF_NO_PI,
  IFF_TUN,
  IFF_VNET_HDR,
  OFFLOAD_CSUM,
  OFFLOAD_TSO4,
  OFFLOAD_TSO6,
  openTun,
  probeOffload,
} from './tun.ts'

type Calls = Parameters<typeof openTun>[0]

/** The host's side of a TUN without a host: everything works unless a test says otherwise. */
function fake(changes: Partial<Calls> = {}): Calls & { closed: number[] } {
  const closed: number[] = []
  return {
    closed,
    tunOpen: () => 7,
    tunName: () => 'tun0',
    tunOffload: () => 0,
    tunVnetHdrSize: () => 0,
    tunFeatures: () => 0,
    tunSndbuf: () => 0,
    tunPersist: () => 0,
    fdClose: fd => {
      closed.push(fd)
      return 0
    },
    ...changes,
  }
}

describe('host/tun', () => {
  it('asks for the largest set of offloads first and keeps what is taken', () => {
    const asked: number[] = []
    const takes = (accepted: number) =>
      probeOffload(
        {
          tunOffload: (_fd, bits) => {
            asked.push(bits)
            return (bits & ~accepted) === 0 ? 0 : -constants.errno.EINVAL
          },
        },
        7,
      )
    const tso = OFFLOAD_CSUM | OFFLOAD_TSO4 | OFFLOAD_TSO6
    expect(takes(tso)).toBe(tso)
    expect(asked).toEqual([0x67, 0x07])
    expect(takes(0x7f)).toBe(0x67)
    expect(takes(OFFLOAD_CSUM)).toBe(OFFLOAD_CSUM)
    expect(takes(0)).toBe(0)
  })

  it('does without the virtio header where the kernel has none, unless it was demanded', () => {
    const flags: number[] = []
    const old = fake({
      tunOpen: (_namespace, _name, wanted) => {
        flags.push(wanted)
        return (wanted & IFF_VNET_HDR) === 0 ? 7 : -constants.errno.EINVAL
      },
    })
    expect(openTun(old, { name: 't0' })).toEqual({ fd: 7, name: 'tun0', vnetHeaderBytes: 0, offloads: 0 })
    expect(flags).toEqual([IFF_TUN | IFF_NO_PI | IFF_VNET_HDR, IFF_TUN | IFF_NO_PI])
    expect(() => openTun(old, { name: 't0', vnetHeader: true })).toThrow('EINVAL')
  })

  it('no offload if none is wanted', () => {
    const calls = fake({ tunOffload: () => expect.unreachable() })
    expect(openTun(calls, { name: 't0', offload: false }).offloads).toBe(0)
    expect(openTun(calls, { name: 't0', vnetHeader: false }).vnetHeaderBytes).toBe(0)
  })

  it.each([
    ['ENOENT', 'ERR_NOT_FOUND', /device/],
    ['EACCES', 'ERR_ACCESS', /root/],
    ['EPERM', 'ERR_PERMISSION', /unshare -Urn/],
    ['EBUSY', 'ERR_BUSY', /name/],
    ['EINVAL', 'ERR_BAD_ARGUMENT', /multiQueue/],
    ['ENODEV', 'ERR_NOT_FOUND', /modprobe tun/],
  ] as const)('%s becomes %s with a hint', (name, code, hint) => {
    const calls = fake({ tunOpen: () => -constants.errno[name] })
    expect(() => openTun(calls, { name: 't0' })).toThrow(
      expect.objectContaining({
        code,
        hint: expect.stringMatching(hint),
        message: expect.stringContaining(name),
      }),
    )
  })

  it('closes the descriptor if what follows fails', () => {
    const calls = fake({ tunVnetHdrSize: () => -constants.errno.EINVAL })
    expect(() => openTun(calls, { name: 't0' })).toThrow('virtio header')
    expect(calls.closed).toEqual([7])
  })

  it('names every errno, known or not', () => {
    expect(errnoName(constants.errno.ENOBUFS)).toBe('ENOBUFS')
    expect(errnoName(4711)).toBe('errno 4711')
    expect(hostError('do it', 4711)).toMatchObject({ code: 'ERR_HOST', message: 'cannot do it: errno 4711' })
    expect(orThrow(3, 'count')).toBe(3)
  })
})

const reason = missing('shim', 'namespaces', 'tun')

describe.skipIf(reason !== '')(titled('host/tun on this kernel', reason), () => {
  const shim = loaded as Shim

  it('opens, says what it got, and a name in use is refused', () => {
    const name = `pnx${process.pid}`.slice(0, 15)
    const tun = openTun(shim, { name, exclusive: true })
    try {
      expect(tun.name).toBe(name)
      expect(tun.vnetHeaderBytes).toBe(10)
      expect(shim.tunFeatures(tun.fd) & IFF_VNET_HDR).toBe(IFF_VNET_HDR)
      expect(shim.tunSndbuf(tun.fd, 65_536)).toBe(0)
      expect(() => openTun(shim, { name })).toThrow(expect.objectContaining({ code: 'ERR_BUSY' }))
      expect(() => openTun(shim, { name, exclusive: true })).toThrow(
        expect.objectContaining({ code: 'ERR_BUSY' }),
      )
    } finally {
      shim.fdClose(tun.fd)
    }
  })

  it('opens several queues of one device', () => {
    const options = { name: `pnq${process.pid}`.slice(0, 15), multiQueue: true }
    const fds = [openTun(shim, options).fd, openTun(shim, options).fd]
    expect(shim.tunName(fds[1]!)).toBe(options.name)
    expect(fds.map(fd => shim.tunFeatures(fd) & IFF_MULTI_QUEUE)).toEqual([IFF_MULTI_QUEUE, IFF_MULTI_QUEUE])
    for (const fd of fds) shim.fdClose(fd)
  })

  it.each(['', 'a/b', 'a b', 'sixteen-bytes-it'])('refuses the name %j', name => {
    // An empty name is allowed by the kernel and gives tun%d; the call must then say which.
    if (name === '') {
      const tun = openTun(shim, { name })
      shim.fdClose(tun.fd)
      expect(tun.name).toMatch(/^tun\d+$/)
      return
    }
    expect(() => openTun(shim, { name })).toThrow(expect.objectContaining({ code: 'ERR_BAD_ARGUMENT' }))
  })

  it('a namespace that is not there is not found', () => {
    expect(() => openTun(shim, { name: 't0', namespace: '/run/netns/nope' })).toThrow(
      expect.objectContaining({ code: 'ERR_NOT_FOUND' }),
    )
    expect(shim.tunOpen('/proc/self/status', 't0', IFF_TUN)).toBe(-constants.errno.EINVAL)
    expect(shim.tunOpen('x'.repeat(5000), 't0', IFF_TUN)).toBe(-constants.errno.ENAMETOOLONG)
    expect(shim.tunOpen('/run/netns/a\0b', 't0', IFF_TUN)).toBe(-constants.errno.EINVAL)
    expect(shim.tunOffload(0, 1)).toBeLessThan(0)
  })
})
