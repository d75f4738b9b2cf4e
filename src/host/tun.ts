/**
 * TUN devices: open one in a network namespace, find out which offloads the kernel gives, say clearly why it
 * refused. Nothing here decides by a kernel version: flags and offloads are tried, and the smaller set is kept.
 * @see Documentation/networking/tuntap.rst, netdevice(7)
 */

import { constants } from 'node:os'
import { type Advice, hostError, orThrow } from './host-error.ts'
import type { ShimPorts, ShimTun } from './shim.ts'

export const IFF_TUN = 0x0001
export const IFF_TAP = 0x0002
export const IFF_MULTI_QUEUE = 0x0100
export const IFF_NO_PI = 0x1000
export const IFF_VNET_HDR = 0x4000
/** Only make a new device, never join one that exists. */
export const IFF_TUN_EXCL = 0x8000

export const OFFLOAD_CSUM = 0x01
export const OFFLOAD_TSO4 = 0x02
export const OFFLOAD_TSO6 = 0x04
export const OFFLOAD_TSO_ECN = 0x08
export const OFFLOAD_USO4 = 0x20
export const OFFLOAD_USO6 = 0x40

/** Bytes of `struct virtio_net_hdr` before each packet. */
export const VNET_HEADER_SIZE = 10

const TSO = OFFLOAD_CSUM | OFFLOAD_TSO4 | OFFLOAD_TSO6
/** Best first. Both USO bits go together, and nothing goes without CSUM: the kernel refuses it otherwise. */
const OFFLOAD_LADDER: readonly number[] = [TSO | OFFLOAD_USO4 | OFFLOAD_USO6, TSO, OFFLOAD_CSUM, 0]

export interface TunOptions {
  /** Interface name, 1 to 15 bytes; a `%d` in it is replaced by the first free number. */
  readonly name: string
  /** Path of the network namespace, as `/run/netns/NAME`; the current one by default. */
  readonly namespace?: string
  /** Ask for a virtio header before each packet; by default it is asked for and done without if refused. */
  readonly vnetHeader?: boolean
  /** Use the offloads that the device has; default true. Needs the virtio header. */
  readonly offload?: boolean
  /** One more queue of a device that may have several. */
  readonly multiQueue?: boolean
  /** Refuse a device that exists already, as a persistent one; default false. */
  readonly exclusive?: boolean
}

export interface TunDevice {
  /** Owned by the caller until a port is attached to it. */
  readonly fd: number
  readonly name: string
  /** 0, or {@link VNET_HEADER_SIZE}. */
  readonly vnetHeaderBytes: number
  /** `OFFLOAD_` bits that are on. */
  readonly offloads: number
}

const OPEN_ADVICE: Advice = {
  ENOENT: {
    meaning: '/dev/net/tun or the network namespace is not there',
    hint: 'load the module (modprobe tun); in a container pass the device (--device /dev/net/tun)',
  },
  ENODEV: {
    meaning: 'the kernel has no TUN driver behind /dev/net/tun',
    hint: 'load the module (modprobe tun)',
  },
  ENXIO: {
    meaning: 'the kernel has no TUN driver behind /dev/net/tun',
    hint: 'load the module (modprobe tun)',
  },
  EACCES: {
    meaning: 'the mode of /dev/net/tun forbids it',
    hint: 'run as root, or let the device be opened (chmod 666 /dev/net/tun: the kernel still asks for CAP_NET_ADMIN)',
  },
  EPERM: {
    meaning: 'it needs CAP_NET_ADMIN in the user namespace that owns the network namespace',
    hint: 'run as root, in a user namespace (unshare -Urn), or on a device made for you (ip tuntap add mode tun user $USER)',
  },
  EBUSY: {
    meaning: 'the name is in use',
    hint: 'choose another name, or end the process that holds the device',
  },
  EINVAL: {
    meaning: 'the kernel refuses the name or a flag, or a device of another kind has that name',
    hint: 'a name has 1 to 15 bytes without / or space; a second queue needs multiQueue on the first as well',
  },
  ENAMETOOLONG: { meaning: 'an interface name has at most 15 bytes' },
}

/**
 * Turns on the largest set of offloads that the device takes.
 * @returns `OFFLOAD_` bits, 0 if it takes none
 */
export function probeOffload(shim: Pick<ShimTun, 'tunOffload'>, fd: number): number {
  return OFFLOAD_LADDER.find(bits => shim.tunOffload(fd, bits) === 0) ?? 0
}

function flagsOf(options: TunOptions, vnetHeader: boolean): number {
  return (
    IFF_TUN |
    IFF_NO_PI |
    (vnetHeader ? IFF_VNET_HDR : 0) |
    (options.multiQueue === true ? IFF_MULTI_QUEUE : 0) |
    (options.exclusive === true ? IFF_TUN_EXCL : 0)
  )
}

function openFd(shim: ShimTun, options: TunOptions): { fd: number; vnetHeader: boolean } {
  const namespace = options.namespace ?? ''
  const vnetHeader = options.vnetHeader ?? true
  let fd = shim.tunOpen(namespace, options.name, flagsOf(options, vnetHeader))
  if (fd === -constants.errno.EINVAL && options.vnetHeader === undefined) {
    fd = shim.tunOpen(namespace, options.name, flagsOf(options, false))
    if (fd >= 0) return { fd, vnetHeader: false }
  }
  if (fd < 0) throw hostError(`open the TUN device ${options.name}`, -fd, OPEN_ADVICE)
  return { fd, vnetHeader }
}

/**
 * Opens a TUN device. The interface is down and without address: see `links.ts`.
 * @throws {@link StackError} `ERR_NOT_FOUND` no device node, `ERR_ACCESS` its mode, `ERR_PERMISSION` CAP_NET_ADMIN,
 * `ERR_BUSY` name in use, `ERR_BAD_ARGUMENT` name or flag; each with a hint
 */
export function openTun(shim: ShimTun & Pick<ShimPorts, 'fdClose'>, options: TunOptions): TunDevice {
  const { fd, vnetHeader } = openFd(shim, options)
  try {
    const name = shim.tunName(fd)
    if (typeof name === 'number') throw hostError('read the name of the TUN device', -name)
    if (vnetHeader) orThrow(shim.tunVnetHdrSize(fd, VNET_HEADER_SIZE), `set the virtio header of ${name}`)
    const offloads = vnetHeader && options.offload !== false ? probeOffload(shim, fd) : 0
    return { fd, name, vnetHeaderBytes: vnetHeader ? VNET_HEADER_SIZE : 0, offloads }
  } catch (error) {
    shim.fdClose(fd)
    throw error
  }
}
