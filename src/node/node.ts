/**
 * A node: its links, its network, its services, made from a configuration as a whole or not at all. A program may have
 * several; `putnext node run` is one with a control port around it.
 */
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { StackError } from '../base/errors.ts'
import { Prng } from '../base/prng.ts'
import { makeSharedMemory, type SharedMemory } from '../host/shared-memory.ts'
import { loadShim, type Shim } from '../host/shim.ts'
import { Arena, type ArenaState } from '../streams/mblk/arena.ts'
import type { Runtime } from '../streams/runtime.ts'
import { registerBuiltinModules } from './builtin-modules.ts'
import type { LinkConfig, NodeConfig, RouteConfig } from './config.ts'
import { EventLog } from './event-log.ts'
import { inetNetwork } from './inet-network.ts'
import { IpcPort } from './ipc-port.ts'
import { type NodeLink, openLink, withContext } from './links.ts'
import { NodeLoop, type NodeLoopOptions } from './loop.ts'
import { loadModuleFile } from './module-loader.ts'
import type { Network, NetworkFactory } from './network.ts'
import { nodeMetrics, type PartCounters } from './node-metrics.ts'
import { describePlumbing, pushableModules, type StreamView } from './plumbing.ts'
import { Wires } from './wires.ts'

export interface NodeOptions {
  /** Shared by nodes of this process that are joined by wires; an own one, of the configured size, by default. */
  readonly arena?: Arena
  /** Shared by the nodes that are joined. */
  readonly wires?: Wires
  /** Null to do without devices; loaded by default. */
  readonly shim?: Shim | null
  /** What module paths of the configuration are relative to; the working directory by default. */
  readonly directory?: string
  /** Where events go, from the first on. */
  readonly events?: EventLog
  readonly network?: NetworkFactory
}

export interface LinkStatus {
  readonly name: string
  readonly driver: string
  readonly addresses: readonly string[]
  readonly modules: readonly string[]
  /** `up`, or what ended it. */
  readonly state: string
}

export interface NodeStatus {
  readonly name: string
  readonly version: string
  readonly pid: number
  readonly uptimeSeconds: number
  readonly links: readonly LinkStatus[]
  readonly services: NodeConfig['services']
  readonly arena: { readonly bytes: number; readonly blocksInUse: number }
  readonly network: unknown
}

/** What {@link Node.close} found: whether every block of memory came home. */
export interface CloseReport {
  readonly arenaWhole: boolean
  readonly arena: ArenaState
}

/** The version of this package. */
export const VERSION = (
  JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string }
).version

export class Node {
  readonly config: NodeConfig
  readonly loop: NodeLoop
  readonly events: EventLog
  readonly network: Network
  private readonly ownArena: boolean
  private readonly wires: Wires
  private readonly open = new Map<string, NodeLink>()
  /** Names of modules that came from files. */
  private readonly loaded = new Set<string>()
  private readonly startedAt = performance.now()
  /** What the arena is made of, if clients may map it. */
  private readonly memory: SharedMemory | null
  private port: IpcPort | null = null
  private started = false
  private closing: Promise<CloseReport> | null = null

  private constructor(config: NodeConfig, options: NodeOptions) {
    this.config = config
    this.ownArena = options.arena === undefined
    this.memory = config.ipc?.mapped === true && this.ownArena ? shareableMemory(config, options) : null
    this.wires = options.wires ?? new Wires()
    this.events = options.events ?? new EventLog()
    this.loop = new NodeLoop(loopOptions(config, options, this.events, this.memory))
    registerBuiltinModules(this.loop.runtime.registry)
    this.network = (options.network ?? inetNetwork)(this.loop.runtime, config)
  }

  /**
   * Starts a node.
   * @param config - checked, as from `readNodeConfig` or `checkNodeConfig`
   * @throws StackError that says which part could not be had; nothing stays open then
   */
  static async start(config: NodeConfig, options: NodeOptions = {}): Promise<Node> {
    const node = new Node(config, options)
    try {
      await node.setUp(options.directory)
    } catch (error) {
      await node.close()
      throw error
    }
    return node
  }

  private async setUp(directory: string | undefined): Promise<void> {
    const { config, runtime } = this
    for (const file of config.modules) await this.loadModules(file, directory)
    for (const [driver, specs] of Object.entries(config.autopush)) {
      for (const { module } of specs) runtime.registry.find(module)
      runtime.registry.setAutopush(driver, specs)
    }
    for (const link of config.links) this.addLink(link)
    for (const route of config.routes) this.addRoute(route)
    this.loop.hold()
    await this.network.startServices(config.services, resolve(directory ?? '.'))
    // The far end of a wire hears in the next turn of its loop that this one is there: then the way to it is up.
    await new Promise<void>(resolve => setImmediate(resolve))
    if (config.ipc !== undefined) this.port = await this.openPort(config.ipc)
    this.started = true
    this.events.add('info', 'node.started', `${config.name}: ${this.open.size} links`)
  }

  /**
   * Loads protocol modules from a file, so that they can be pushed. A name that an earlier load brought is replaced:
   * instances that are pushed already stay what they are.
   * @returns the names of the modules
   * @throws StackError `ERR_NOT_FOUND`, `ERR_BAD_CONFIG`, `ERR_ADDR_IN_USE` if a module of the stack's own has that name
   */
  async loadModules(file: string, directory?: string): Promise<string[]> {
    const { registry } = this.runtime
    const { modules } = await loadModuleFile(file, directory)
    for (const info of modules) {
      if (this.loaded.has(info.name)) registry.unregister(info.name)
      registry.register(info)
      this.loaded.add(info.name)
    }
    return modules.map(({ name }) => name)
  }

  private openPort(options: NonNullable<NodeConfig['ipc']>): Promise<IpcPort> {
    const { name, runtime } = this
    const { shim, arenaId } = this.loop
    const node = {
      name,
      version: VERSION,
      runtime,
      shim,
      arenaId,
      run: () => this.loop.run(),
      pollers: this.loop.pollers,
    }
    if (options.mapped && this.memory === null)
      throw new StackError(
        'ERR_NOT_SUPPORTED',
        'a node whose memory is given to it cannot share it with other processes',
      )
    return IpcPort.open(node, { ...options, ...(this.memory === null ? {} : { memory: this.memory.fd }) })
  }

  /** The port for programs of other processes; null if the configuration names none. */
  get ipc(): IpcPort | null {
    return this.port
  }

  get name(): string {
    return this.config.name
  }

  get runtime(): Runtime {
    return this.loop.runtime
  }

  get links(): ReadonlyMap<string, NodeLink> {
    return this.open
  }

  /** Opens one more link. @throws StackError; nothing stays open then */
  addLink(config: LinkConfig): void {
    if (this.open.has(config.name))
      throw new StackError('ERR_ALREADY', `there is a link named ${config.name}`)
    const { runtime, wires } = this
    const link = openLink(config, { runtime, wires, shim: this.loop.shim })
    try {
      this.network.attach(link.stream, { name: config.name, addresses: config.addresses })
    } catch (error) {
      link.close()
      throw withContext(`link ${config.name}`, error)
    }
    this.open.set(config.name, link)
  }

  /** Closes a link; its addresses and routes go with it. @throws StackError `ERR_NOT_FOUND` */
  removeLink(name: string): void {
    const link = this.open.get(name)
    if (link === undefined) throw new StackError('ERR_NOT_FOUND', `there is no link named ${name}`)
    this.open.delete(name)
    this.network.detach(name)
    link.close()
  }

  addRoute(route: RouteConfig): void {
    try {
      this.network.addRoute(route)
    } catch (error) {
      throw withContext(`route to ${route.to}`, error)
    }
  }

  status(): NodeStatus {
    const { runtime } = this
    return {
      name: this.name,
      version: VERSION,
      pid: process.pid,
      uptimeSeconds: this.uptimeSeconds,
      links: [...this.open.values()].map(linkStatus),
      services: this.config.services,
      arena: { bytes: runtime.arena.bytes.length, blocksInUse: runtime.arena.state().blocksInUse },
      network: this.network.describe(),
    }
  }

  get uptimeSeconds(): number {
    return Math.round(performance.now() - this.startedAt) / 1_000
  }

  /** Every stream with its modules, counters and settings. */
  plumbing(): StreamView[] {
    return describePlumbing(this.runtime)
  }

  /** What can be pushed. */
  modules(): string[] {
    return pushableModules(this.runtime)
  }

  /** Counters of IP, ICMP and UDP by part; those of modules are in the plumbing. */
  counters(): PartCounters {
    return this.network.counters()
  }

  /** The text of `GET /metrics`. */
  metrics(): string {
    const { name, runtime, uptimeSeconds } = this
    return nodeMetrics({ name, version: VERSION, uptimeSeconds, runtime, network: this.counters() })
  }

  /** Ends everything in order. Calling it twice gives the same report. */
  close(): Promise<CloseReport> {
    this.closing ??= this.end()
    return this.closing
  }

  private async end(): Promise<CloseReport> {
    const { runtime } = this
    this.port?.close()
    this.network.close()
    for (const link of this.open.values()) link.close()
    this.open.clear()
    for (const stream of [...runtime.streams]) stream.close()
    // Programs that wait for a callback from the stack get it before the loop ends.
    await new Promise<void>(resolve => setImmediate(resolve))
    while (runtime.turn());
    const arena = runtime.arena.state()
    const arenaWhole = arena.blocksInUse + arena.viewsInUse + arena.foreignInUse === 0
    this.loop.close()
    if (this.memory !== null) this.loop.shim!.fdClose(this.memory.fd)
    if (this.ownArena && !arenaWhole)
      this.events.add('error', 'node.leak', `blocks that did not come home: ${JSON.stringify(arena)}`)
    if (this.started) this.events.add('info', 'node.closed', this.name)
    return { arenaWhole, arena }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}

/** @throws StackError `ERR_SHIM_MISSING` */
function shareableMemory(config: NodeConfig, options: NodeOptions): SharedMemory {
  return makeSharedMemory(options.shim ?? loadShim(), config.arena.size & ~63)
}

function loopOptions(
  config: NodeConfig,
  options: NodeOptions,
  events: EventLog,
  memory: SharedMemory | null,
): NodeLoopOptions {
  const { size: sizeBytes } = config.arena
  return {
    arena: options.arena ?? new Arena(memory === null ? { sizeBytes } : { memory: memory.bytes }),
    onEvent: ({ level, name, text }) => events.add(level, name, text),
    ...(options.shim === undefined ? {} : { shim: options.shim }),
    ...(config.seed === undefined ? {} : { random: new Prng(config.seed) }),
  }
}

function linkStatus({ config, stream }: NodeLink): LinkStatus {
  const { error, hangup } = stream.poll()
  const described = stream.bottom.info.describe?.(stream.bottom.state) as { gone?: unknown } | undefined
  const gone = described?.gone === true
  return {
    name: config.name,
    driver: config.driver,
    addresses: config.addresses,
    modules: stream.modules,
    state: gone ? 'device gone' : error !== null ? error.message : hangup ? 'hung up' : 'up',
  }
}
