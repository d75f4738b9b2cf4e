/** A stack of ours on a new TUN device, for an end of a measurement in a process of its own. */
import { LinkControl } from '../host/links.ts'
import { loadShim } from '../host/shim.ts'
import { InetStack } from '../inet/stack.ts'
import { NodeLoop } from '../node/loop.ts'
import type { Runtime } from '../streams/runtime.ts'
import { Stream } from '../streams/stream.ts'

export interface EndStackOptions {
  /** Path of the namespace of the device. */
  readonly namespace: string
  readonly device: string
  /** Of the stack, with their prefix lengths. */
  readonly addresses: readonly string[]
  /** Of the kernel on the device. */
  readonly kernelAddresses: readonly string[]
  /** The default route's next hop. */
  readonly gateway?: string
  readonly offload: boolean
  readonly mtu: number
}

/** It lives as long as the process. */
export function openEndStack(options: EndStackOptions): Runtime {
  const loop = new NodeLoop()
  const { runtime } = loop
  const stack = new InetStack(runtime)
  const { device, namespace, offload, mtu, addresses, kernelAddresses, gateway } = options
  const link = Stream.open(runtime, 'tun', { options: { name: device, namespace, offload, mtu } })
  stack.attachLink(link, { name: device, addresses })
  if (gateway !== undefined) stack.addRoute({ prefix: '0.0.0.0/0', gateway })
  const control = new LinkControl(loadShim(), namespace)
  try {
    for (const prefix of kernelAddresses) control.addAddress(device, prefix)
    control.setMtu(device, mtu)
    control.setUp(device)
  } finally {
    control.close()
  }
  loop.hold()
  return runtime
}
