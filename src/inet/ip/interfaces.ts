/** One link below IP, as IP sees it. */
import { StackError } from '../../base/errors.ts'
import { LINK_CSUM, LINK_TRUSTED, LINK_TSO4, LINK_TSO6, LINK_USO } from '../../streams/link-info.ts'
import type { AnyQueue } from '../../streams/module.ts'
import { type Prefix, parsePrefix } from '../address.ts'

/** Links below one IP. */
export const INTERFACES_MAX = 256
/** Assumed until the link tells. */
export const MTU_DEFAULT = 1_500
/** RFC 791: every module must be able to forward 68 bytes. */
export const MTU_MIN = 68
/** What an IP packet can be at most. */
export const MTU_MAX = 65_535

export interface InterfaceOptions {
  /** 1 to 15 characters, as the kernel's: letters, digits, `_ . -`. */
  readonly name: string
  /** Addresses with their prefix lengths: `10.77.1.2/24`. */
  readonly addresses?: readonly string[]
  /** Never send packets larger than this, whatever the link takes. */
  readonly mtu?: number
  /** Packets from this link come from this stack: addresses of our own are no martians. */
  readonly loopback?: boolean
}

export class Interface {
  /** Its number in control blocks, from 1 on. */
  readonly index: number
  readonly name: string
  readonly loopback: boolean
  /** Write queue of the multiplexor's lower side: `putnext(out, mp)` sends. */
  readonly out: AnyQueue
  /** Largest packet to send: the link's or the configured MTU, whichever is less. */
  mtu: number
  /** `LINK_*` bits. */
  capabilities = 0
  up = true
  packetsIn = 0
  packetsOut = 0
  private linkMtu = MTU_MAX
  private readonly mtuLimit: number

  constructor(index: number, options: InterfaceOptions, out: AnyQueue) {
    this.index = index
    this.name = options.name
    this.loopback = options.loopback ?? false
    this.out = out
    this.mtuLimit = options.mtu ?? MTU_MAX
    this.mtu = Math.min(this.mtuLimit, MTU_DEFAULT)
  }

  /** Takes what the link tells of itself. @returns whether routing has to look again */
  learn(mtu: number, capabilities: number, up: boolean): boolean {
    this.linkMtu = Math.min(Math.max(mtu, MTU_MIN), MTU_MAX)
    const before = this.mtu
    const wasUp = this.up
    this.mtu = Math.min(this.linkMtu, this.mtuLimit)
    this.capabilities = capabilities
    this.up = up
    return this.mtu !== before || this.up !== wasUp
  }
}

const NAME = /^[A-Za-z0-9_.-]{1,15}$/
const CAPABILITY_NAMES: readonly (readonly [number, string])[] = [
  [LINK_CSUM, 'csum'],
  [LINK_TSO4, 'tso4'],
  [LINK_TSO6, 'tso6'],
  [LINK_USO, 'uso'],
  [LINK_TRUSTED, 'trusted'],
]

export function capabilityNames(capabilities: number): string[] {
  return CAPABILITY_NAMES.filter(([bit]) => (capabilities & bit) !== 0).map(([, name]) => name)
}

export interface CheckedOptions extends InterfaceOptions {
  readonly prefixes: readonly Prefix[]
}

/** @throws StackError `ERR_BAD_CONFIG` */
export function checkInterfaceOptions(options: unknown): CheckedOptions {
  const bad = (text: string): never => {
    throw new StackError('ERR_BAD_CONFIG', `link below ip: ${text}`)
  }
  if (typeof options !== 'object' || options === null) return bad('options with a name are needed')
  const { name, addresses = [], mtu, loopback } = options as InterfaceOptions
  if (typeof name !== 'string' || !NAME.test(name)) bad(`bad interface name ${JSON.stringify(name)}`)
  if (mtu !== undefined && !(Number.isInteger(mtu) && mtu >= MTU_MIN && mtu <= MTU_MAX))
    bad(`mtu has to be ${MTU_MIN} to ${MTU_MAX}`)
  if (loopback !== undefined && typeof loopback !== 'boolean') bad('loopback has to be true or false')
  if (!Array.isArray(addresses)) bad('addresses has to be a list')
  const prefixes = addresses.map(text => {
    const prefix = typeof text === 'string' ? parsePrefix(text) : null
    return prefix ?? bad(`bad address ${JSON.stringify(text)}`)
  })
  return { ...(options as InterfaceOptions), prefixes }
}
