/**
 * A whole lab in one process: no privilege, no device, any system. Kernel hosts are replaced by stacks at the same
 * addresses, and their commands are not run; there are no namespaces to run programs in.
 */
import { StackError } from '../base/errors.ts'
import { checkNodeConfig } from '../node/config.ts'
import { ControlPort } from '../node/control.ts'
import { Node } from '../node/node.ts'
import { Wires } from '../node/wires.ts'
import { Arena } from '../streams/mblk/arena.ts'
import { startingWaves } from './dependencies.ts'
import { inprocConfigOf, type PlannedWire, SELF_LINK, wireLinkName, wiresOf } from './inproc-wiring.ts'
import type { ImpairInput } from './schema.ts'
import type { LabNode, Topology } from './topology.ts'

export interface InprocOptions {
  /** Told what is going on, a line each. */
  readonly say?: (text: string) => void
  /** Where the sockets of a node are to be; none by default. */
  readonly sockets?: (node: string) => { readonly control: string; readonly ipc: string }
}

const IMPAIR = 'impair'
const JOIN_TIMEOUT_MS = 2_000

/** All interfaces are up but the one of which nobody has the other end. */
function isJoined(node: Node): boolean {
  const { interfaces } = node.network.describe() as { interfaces: readonly { name: string; up: boolean }[] }
  return interfaces.every(one => one.up || one.name === SELF_LINK)
}

export class InprocLab {
  readonly topology: Topology
  private readonly wires: readonly PlannedWire[]
  private readonly plugs = new Wires()
  private readonly arena = new Arena()
  private readonly running = new Map<string, { readonly node: Node; readonly port: ControlPort | null }>()
  private readonly options: InprocOptions
  /** What each link does to packets now, by its name; absent is nothing. */
  private readonly impaired = new Map<string, ImpairInput>()

  private constructor(topology: Topology, options: InprocOptions) {
    this.topology = topology
    this.options = options
    this.wires = wiresOf(topology)
    for (const link of topology.links) if (link.impair !== null) this.impaired.set(link.name, link.impair)
  }

  /**
   * Starts all nodes.
   * @throws StackError of the node that could not be started; nothing stays then
   */
  static async start(topology: Topology, options: InprocOptions = {}): Promise<InprocLab> {
    const lab = new InprocLab(topology, options)
    const say = options.say ?? (() => {})
    try {
      for (const node of startingWaves(topology.nodes).flat()) {
        if (node.kind === 'linux')
          say(`${node.name} is a kernel host: in one process a stack at its addresses stands for it`)
        if (node.exec.length > 0)
          say(`${node.name}: its commands are not run, there is no namespace for them`)
        await lab.startNode(node)
      }
      await lab.untilJoined()
      say(`${topology.nodes.length} nodes and ${lab.wires.length} wires in one process`)
      return lab
    } catch (error) {
      await lab.close()
      throw error
    }
  }

  private async startNode(node: LabNode): Promise<void> {
    const sockets = this.options.sockets?.(node.name) ?? null
    const config = checkNodeConfig(inprocConfigOf(this.topology, node, this.wires, sockets))
    // A port to other processes is all that a node of this process needs the shim for.
    const shim = config.ipc === undefined ? { shim: null } : {}
    const started = await Node.start(config, { arena: this.arena, wires: this.plugs, ...shim })
    this.running.set(node.name, { node: started, port: null })
    if (sockets === null) return
    const port = await ControlPort.open(started, { path: sockets.control })
    this.running.set(node.name, { node: started, port })
  }

  /** A stack hears in a turn of its own that the other end of a wire is there. */
  private async untilJoined(): Promise<void> {
    const deadline = performance.now() + JOIN_TIMEOUT_MS
    while (!this.names.every(name => isJoined(this.node(name)))) {
      if (performance.now() > deadline) throw new StackError('ERR_TIMED_OUT', 'the wires do not come up')
      await new Promise(resolve => setImmediate(resolve))
    }
  }

  /** @throws StackError `ERR_NOT_FOUND` */
  node(name: string): Node {
    const found = this.running.get(name)
    if (found === undefined)
      throw new StackError('ERR_NOT_FOUND', `no node ${name} runs in ${this.topology.name}`)
    return found.node
  }

  get names(): readonly string[] {
    return [...this.running.keys()]
  }

  /**
   * Changes what a link does to packets.
   * @param impair - null mends it
   * @throws StackError `ERR_NOT_FOUND`, `ERR_BAD_CONFIG`
   */
  impair(link: string, impair: ImpairInput | null): void {
    const wires = this.wires.filter(wire => wire.link.name === link)
    if (wires.length === 0)
      throw new StackError('ERR_NOT_FOUND', `the lab ${this.topology.name} has no link ${link}`)
    for (const wire of wires) for (const node of wire.nodes) this.impairEnd(wire, node, impair)
    if (impair === null) this.impaired.delete(link)
    else this.impaired.set(link, impair)
  }

  private impairEnd(wire: PlannedWire, name: string, impair: ImpairInput | null): void {
    const running = this.running.get(name)
    const end = running?.node.links.get(wireLinkName(this.wires, wire, name))
    if (end === undefined) return
    const there = end.stream.instances().find(one => one.label === IMPAIR)
    if (impair === null) {
      if (there !== undefined) end.stream.remove(there.queue)
      return
    }
    const options = { ...impair, direction: 'out' }
    if (there === undefined) end.stream.push(IMPAIR, options)
    else there.queue.info.configure?.(there.queue, { ...options, reset: true })
  }

  /** Cuts a link, or joins it with what it did before. @throws StackError `ERR_NOT_FOUND` */
  setLink(link: string, state: 'up' | 'down'): void {
    const before = this.impaired.get(link) ?? null
    if (state === 'down') this.impair(link, { ...before, partition: true })
    else if (before !== null) {
      const { partition: _, ...rest } = before
      this.impair(link, Object.keys(rest).length === 0 ? null : rest)
    }
  }

  /** Ends one node; its wires' other ends stay. */
  async stopNode(name: string): Promise<void> {
    const { node, port } = this.running.get(name) ?? { node: this.node(name), port: null }
    this.running.delete(name)
    await port?.close()
    await node.close()
  }

  /** @returns whether all memory came home */
  async close(): Promise<boolean> {
    for (const name of this.names) await this.stopNode(name)
    const { blocksInUse, viewsInUse, foreignInUse } = this.arena.state()
    return blocksInUse + viewsInUse + foreignInUse === 0
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}
