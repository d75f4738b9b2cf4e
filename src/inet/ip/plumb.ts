/** IP as a stack begins it: the drivers known to the runtime, a control stream open, the loopback link below. */
import type { Runtime } from '../../streams/runtime.ts'
import { Stream } from '../../streams/stream.ts'
import { createIp } from './control.ts'
import type { Ip, IpOptions } from './ip.ts'
import { loopbackDriver } from './loopback.ts'
import { makeIpDriver } from './module.ts'

export const LOOPBACK_ADDRESSES = ['127.0.0.1/8', '::1/128'] as const

export interface PlumbedIp {
  readonly ip: Ip
  /** The stream to link links below, and to close last. */
  readonly control: Stream
  /** The link `lo`, already linked. */
  readonly loopback: Stream
}

/**
 * Registers "ip" and "loop", opens the control stream, links the loopback.
 * @throws StackError `ERR_ADDR_IN_USE` if the runtime has an IP already
 */
export function plumbIp(runtime: Runtime, options: IpOptions = {}): PlumbedIp {
  const ip = createIp(runtime, options)
  runtime.registry.register(makeIpDriver(ip))
  runtime.registry.register(loopbackDriver)
  const control = Stream.open(runtime, 'ip', { name: 'ip-control' })
  const loopback = Stream.open(runtime, 'loop', { name: 'lo' })
  control.link(loopback, { name: 'lo', addresses: [...LOOPBACK_ADDRESSES], loopback: true })
  return { ip, control, loopback }
}
