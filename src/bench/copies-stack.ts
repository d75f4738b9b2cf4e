/** The stack of an arm: on a TUN device, or joined by a wire to another one in the same process that has the services. */

import type { Tun } from '../driver/tun.ts'
import { makeWire } from '../driver/wire.ts'
import { LinkControl } from '../host/links.ts'
import { loadShim } from '../host/shim.ts'
import { InetStack } from '../inet/stack.ts'
import type { TcpControl } from '../inet/tcp/module.ts'
import { NodeLoop } from '../node/loop.ts'
import { Arena } from '../streams/mblk/arena.ts'
import type { AnyDriver } from '../streams/module.ts'
import type { Runtime } from '../streams/runtime.ts'
import { Stream } from '../streams/stream.ts'
import { serveFar } from './copies-far.ts'
import { hiddenCapabilities, type Steps } from './copies-steps.ts'
import { type CopyOptions, copyModule } from './copy-module.ts'

/** Both ends of a link, in either mode. */
export const OWN_ADDRESS = '10.77.1.2'
export const PEER_ADDRESS = '10.77.1.1'
const DEVICE = 'tun0'
const LINK = 'link0'

export type StackLink =
  | {
      readonly kind: 'tun'
      /** Path of the namespace of the device. */
      readonly namespace: string
    }
  | { readonly kind: 'wire' }

/** The stack of one arm. */
export interface CopiesStack {
  readonly loop: NodeLoop
  readonly runtime: Runtime
  /** The device, which counts packets; null on a wire. */
  readonly tun: Tun | null
  close(): void
}

/**
 * @param arena - for a stack whose memory others map
 * @returns once the links have told that they are up
 */
export async function openStack(link: StackLink, steps: Steps, arena = new Arena()): Promise<CopiesStack> {
  const stack = link.kind === 'tun' ? openOnTun(link.namespace, steps, arena) : openOnWire(steps, arena)
  for (let turns = 0; turns < 3; turns++) await new Promise(resolve => setImmediate(resolve))
  return stack
}

/** Pushes the modules of the boundaries around `stream`, and makes a stack on it. */
function buildStack(runtime: Runtime, link: Stream, steps: Steps): InetStack {
  const below: CopyOptions = { how: steps.link, hide: hiddenCapabilities(steps.offload) }
  link.push(copyModule, below)
  const stack = new InetStack(runtime)
  const named = (name: string): Stream => [...runtime.streams].find(stream => stream.name === name)!
  named('ip-tcp').push(copyModule, { how: steps.transport } satisfies CopyOptions)
  const { transport } = named('tcp').bottom.state as TcpControl
  transport.tcp.offload = steps.offload === 'segmentation'
  stack.attachLink(link, { name: LINK, addresses: [`${OWN_ADDRESS}/24`] })
  return stack
}

function openOnTun(namespace: string, steps: Steps, arena: Arena): CopiesStack {
  const loop = new NodeLoop({ arena })
  const { runtime } = loop
  const { mtu } = steps
  const options = { name: DEVICE, namespace, mtu, offload: steps.offload !== 'none' }
  const link = Stream.open(runtime, 'tun', { name: LINK, options })
  const stack = buildStack(runtime, link, steps)
  const control = new LinkControl(loadShim(), namespace)
  try {
    control.addAddress(DEVICE, `${PEER_ADDRESS}/24`)
    control.setMtu(DEVICE, mtu)
    control.setUp(DEVICE)
  } finally {
    control.close()
  }
  loop.hold()
  const close = (): void => {
    stack.close()
    link.close()
    loop.close()
  }
  return { loop, runtime, tun: link.bottom.state as Tun, close }
}

function openOnWire(steps: Steps, arena: Arena): CopiesStack {
  const [nearEnd, farEnd] = makeWire({ mtu: steps.mtu })
  const near = new NodeLoop({ arena })
  const far = new NodeLoop({ arena })
  const nearLink = Stream.open(near.runtime, nearEnd, { name: LINK })
  const stack = buildStack(near.runtime, nearLink, steps)
  const farStack = openFar(far.runtime, farEnd, steps)
  near.hold()
  const close = (): void => {
    stack.close()
    farStack.stack.close()
    nearLink.close()
    farStack.link.close()
    near.close()
    far.close()
  }
  return { loop: near, runtime: near.runtime, tun: null, close }
}

/** The other end: sees of the link what the arm sees, and has the services. */
function openFar(runtime: Runtime, driver: AnyDriver, steps: Steps): { stack: InetStack; link: Stream } {
  const link = Stream.open(runtime, driver, { name: LINK })
  link.push(copyModule, { hide: hiddenCapabilities(steps.offload) } satisfies CopyOptions)
  const stack = new InetStack(runtime)
  stack.attachLink(link, { name: LINK, addresses: [`${PEER_ADDRESS}/24`] })
  serveFar(runtime)
  return { stack, link }
}
