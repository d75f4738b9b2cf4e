/** Opening the links of a node: the device, the kernel's side of it, the modules on it. */
import { StackError } from '../base/errors.ts'
import { LinkControl } from '../host/links.ts'
import { netnsPath } from '../host/namespace.ts'
import type { Shim } from '../host/shim.ts'
import { type DriverInfo, Stream } from '../streams/index.ts'
import type { Runtime } from '../streams/runtime.ts'
import type { LinkConfig, TunLinkConfig, WireLinkConfig } from './config.ts'
import type { Wires } from './wires.ts'

/** An open link. */
export interface NodeLink {
  readonly config: LinkConfig
  readonly stream: Stream
  /** Closes the stream; the device goes with it. */
  readonly close: () => void
}

/** What links are opened with. */
export interface LinkSurroundings {
  readonly runtime: Runtime
  /** Null where no device can be opened. */
  readonly shim: Shim | null
  readonly wires: Wires
}

/**
 * Opens a link and pushes its modules.
 * @throws StackError of the device, the kernel or a module, with the link's name; nothing stays open then
 */
export function openLink(config: LinkConfig, surroundings: LinkSurroundings): NodeLink {
  try {
    const link =
      config.driver === 'tun' ? openTunLink(config, surroundings) : openWireLink(config, surroundings)
    try {
      // Each goes to the top, so the one next to the driver comes first.
      for (const { module, options } of [...config.modules].reverse()) link.stream.push(module, options)
    } catch (error) {
      link.close()
      throw error
    }
    return link
  } catch (error) {
    throw withContext(`link ${config.name}`, error)
  }
}

/** The same error, saying where: bad options of the configuration's are bad configuration. */
export function withContext(where: string, error: unknown): StackError {
  if (!(error instanceof StackError)) {
    const text = error instanceof Error ? error.message : String(error)
    return new StackError('ERR_MODULE_FAULT', `${where}: ${text}`, { cause: error })
  }
  const ours = error.code === 'ERR_BAD_ARGUMENT' || error.code === 'ERR_BAD_ADDRESS'
  const hint = error.hint === undefined ? {} : { hint: error.hint }
  return new StackError(ours ? 'ERR_BAD_CONFIG' : error.code, `${where}: ${error.message}`, {
    cause: error,
    ...hint,
  })
}

/** The path of a namespace that a configuration names; '' is the one we are in. */
export function namespacePath(netns: string | undefined): string {
  if (netns === undefined) return ''
  return netns.includes('/') ? netns : netnsPath(netns)
}

function openTunLink(config: TunLinkConfig, { runtime, shim }: LinkSurroundings): NodeLink {
  if (shim === null)
    throw new StackError('ERR_SHIM_MISSING', 'a TUN device needs the native shim, which is not there', {
      hint: 'build it with scripts/build-shim; "putnext doctor" tells what is missing',
    })
  const namespace = namespacePath(config.netns)
  const device = config.device ?? config.name
  const options = {
    name: device,
    offload: config.offload === 'auto',
    mtu: config.mtu,
    ...(namespace === '' ? {} : { namespace }),
  }
  const stream = Stream.open(runtime, 'tun', { name: config.name, options })
  try {
    setUpKernelSide(shim, namespace, device, config)
  } catch (error) {
    stream.close()
    throw error
  }
  return { config, stream, close: () => stream.close() }
}

function setUpKernelSide(shim: Shim, namespace: string, device: string, config: TunLinkConfig): void {
  using control = new LinkControl(shim, namespace)
  const { txqueuelen } = config
  control.set(device, {
    mtu: config.mtu,
    up: true,
    ...(txqueuelen === undefined ? {} : { transmitQueueLength: txqueuelen }),
  })
  for (const address of config.kernel.addresses) control.addAddress(device, address)
  for (const { to, via } of config.kernel.routes)
    control.addRoute(
      via === undefined ? { to: prefixOf(to, via), device } : { to: prefixOf(to, via), via, device },
    )
}

/** `default` is the whole of the next hop's family. */
export function prefixOf(to: string, via: string | undefined): string {
  if (to !== 'default') return to
  return via?.includes(':') === true ? '::/0' : '0.0.0.0/0'
}

function openWireLink(config: WireLinkConfig, { runtime, wires }: LinkSurroundings): NodeLink {
  const end: DriverInfo = wires.take(config.wire, { mtu: config.mtu })
  try {
    const stream = Stream.open(runtime, end, { name: config.name })
    const close = (): void => {
      stream.close()
      wires.giveBack(config.wire, end)
    }
    return { config, stream, close }
  } catch (error) {
    wires.giveBack(config.wire, end)
    throw error
  }
}
