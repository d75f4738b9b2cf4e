/** What a TUN stream is opened with, checked; and what its device can do, in the words of links. */
import { StackError } from '../base/errors.ts'
import {
  OFFLOAD_CSUM,
  OFFLOAD_TSO4,
  OFFLOAD_TSO6,
  OFFLOAD_USO4,
  OFFLOAD_USO6,
  type TunDevice,
} from '../host/tun.ts'
import { LINK_CSUM, LINK_TSO4, LINK_TSO6, LINK_USO } from '../streams/link-info.ts'

/** Options of `open` for the driver "tun". */
export interface TunOpenOptions {
  /** Interface name, 1 to 15 bytes. */
  readonly name: string
  /** Path of the network namespace; the current one by default. */
  readonly namespace?: string
  /** Use checksum and segmentation offload where the kernel has them; default true. */
  readonly offload?: boolean
  /** Largest packet in bytes, 1500 by default; from 68 (RFC 791) to 65535. */
  mtu: number
}

const KEYS = ['name', 'namespace', 'offload', 'mtu']

/** @throws StackError `ERR_BAD_CONFIG` naming the key */
export function parseTunOptions(options: unknown): TunOpenOptions {
  if (typeof options !== 'object' || options === null)
    throw bad('needs options: { name, namespace?, offload?, mtu? }')
  const given = options as Record<string, unknown>
  const unknown = Object.keys(given).find(key => !KEYS.includes(key))
  if (unknown !== undefined) throw bad(`knows no option "${unknown}" (${KEYS.join(', ')})`)
  const { name, namespace, offload = true, mtu = 1_500 } = given
  if (typeof name !== 'string' || !/^[^/\s]{1,15}$/.test(name))
    throw bad('"name" must be 1 to 15 bytes without / or space')
  if (namespace !== undefined && typeof namespace !== 'string') throw bad('"namespace" must be a path')
  if (typeof offload !== 'boolean') throw bad('"offload" must be true or false')
  if (!Number.isInteger(mtu) || (mtu as number) < 68 || (mtu as number) > 65_535)
    throw bad('"mtu" must be 68 to 65535')
  return { name, offload, mtu: mtu as number, ...(namespace === undefined ? {} : { namespace }) }
}

const bad = (text: string): StackError => new StackError('ERR_BAD_CONFIG', `tun ${text}`)

/** The `LINK_*` bits for the offloads that are on. */
export function linkCapabilities(device: TunDevice): number {
  const { offloads } = device
  const uso = OFFLOAD_USO4 | OFFLOAD_USO6
  return (
    ((offloads & OFFLOAD_CSUM) !== 0 ? LINK_CSUM : 0) |
    ((offloads & OFFLOAD_TSO4) !== 0 ? LINK_TSO4 : 0) |
    ((offloads & OFFLOAD_TSO6) !== 0 ? LINK_TSO6 : 0) |
    ((offloads & uso) === uso ? LINK_USO : 0)
  )
}
