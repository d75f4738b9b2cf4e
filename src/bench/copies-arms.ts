/** The arms of `bench copies` as processes: what stands in which, and what it gives for a load. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Way } from './copies-client.ts'
import type { CopiesEndOptions, CopiesEndQuestion, EndPingpong, EndUsed } from './copies-end.ts'
import { readCalls } from './copies-meter.ts'
import type { CopiesArmId, CopiesCheck, CopiesFigure } from './copies-result.ts'
import { PEER_ADDRESS, type StackLink } from './copies-stack.ts'
import { type InProcessArm, STEPS } from './copies-steps.ts'
import { at, LINGER_US, type Place, runPeer } from './peers.ts'
import type { BenchSite } from './site.ts'
import { EndProcess, PeerProcess } from './tcp-ends.ts'
import { PORT_CHARGEN, PORT_DIGEST, PORT_DISCARD, PORT_ECHO } from './tcp-ports.ts'
import { FAR, makePair, NEAR, RIGHT_KERNEL, TUN, tuneKernel } from './tcp-site.ts'

/** How long something runs, of which the first part does not count. */
export interface LoadTime {
  readonly seconds: number
  readonly warmupSeconds: number
  readonly signal: AbortSignal | undefined
}

export type Figures = Readonly<Partial<Record<CopiesFigure, number>>>

export interface CopiesRunArm {
  readonly id: CopiesArmId
  /** The only size that it has; null for any. */
  readonly onlyBytes: number | null
  start(): Promise<void>
  /** Harmless if it was not started. */
  stop(): Promise<void>
  /** Null for an arm that nobody checks. @throws StackError if the digest does not come */
  check(): Promise<CopiesCheck | null>
  send(bytes: number, time: LoadTime, way?: Way): Promise<Figures>
  pingpong(time: LoadTime): Promise<Figures>
}

/** What the arms of one run share. */
export interface CopiesSite {
  /** Null without root: wires and the loopback then. */
  readonly site: BenchSite | null
  /** For sockets of ports. */
  readonly directory: string
  /** Where the services of an arm are on the loopback, by the port where they would be elsewhere. */
  readonly ports: Readonly<Partial<Record<CopiesArmId, Readonly<Record<string, number>>>>>
}

/** What processes may take beyond their time. */
const PATIENCE_MS = 15_000
const END_FILE = 'bench/copies-end.js'
const HOUR = '--seconds=3600'

type CopiesEnd = EndProcess<CopiesEndOptions, CopiesEndQuestion>

const end = (place: Place | null, options: CopiesEndOptions): CopiesEnd =>
  new EndProcess<CopiesEndOptions, CopiesEndQuestion>(place, options, END_FILE)

const window = ({ seconds, warmupSeconds }: LoadTime): { startAt: number; seconds: number } => ({
  startAt: Date.now() + warmupSeconds * 1_000,
  seconds,
})

const limitOf = ({ seconds, warmupSeconds }: LoadTime): number =>
  (seconds + warmupSeconds) * 1_000 + PATIENCE_MS

/**
 * Figures of a load from what each process of the arm used.
 * @param all - the program's first: its bytes count
 */
export function figuresOf(all: readonly EndUsed[]): Figures {
  const { bytes, seconds } = all[0]!
  // Windows of several processes differ by what their timers were late.
  const sum = (of: (used: EndUsed) => number): number =>
    all.reduce((total, used) => total + (of(used) / used.seconds) * seconds, 0)
  const copied = (place: string): number => sum(used => used.copied[place] ?? 0) / bytes
  const figures: Partial<Record<CopiesFigure, number>> = {
    gbitPerSecond: (bytes * 8e-9) / seconds,
    cpuNsPerByte: (sum(used => used.cpuUs) * 1e3) / bytes,
    userNsPerByte: (sum(used => used.userUs) * 1e3) / bytes,
    heapBytesPerGb: (sum(used => used.heapBytes) / bytes) * 1e9,
    gcPausesPerGb: (sum(used => used.pauses) / bytes) * 1e9,
    gcPauseMaxMs: Math.max(...all.map(used => used.pauseMaxMs)),
  }
  if (all.some(used => Object.keys(used.copied).length > 0)) {
    figures.copiedStack = copied('stack')
    figures.copiedEdge = copied('edge')
    figures.copiedKernel = copied('kernel')
    figures.copiedIpc = copied('ipc')
    figures.copiedIpcKernel = copied('ipc-kernel')
  }
  if (all.every(used => (used.calls ?? used.packets) !== null))
    figures.syscallsPerMb = (sum(used => used.calls ?? used.packets!) / bytes) * 1e6
  return figures
}

/** An arm whose program is ours: it answers questions. */
abstract class AskedArm implements CopiesRunArm {
  readonly onlyBytes = null
  abstract readonly id: CopiesArmId
  /** The program's process. */
  protected abstract readonly program: CopiesEnd
  /** Other processes of the arm, whose use counts as well. */
  protected readonly beside: readonly CopiesEnd[] = []
  private peers: PeerProcess[] = []

  /** Services of the kernel at the other end, if the kernel is there. */
  protected abstract makePeers(): PeerProcess[]

  async start(): Promise<void> {
    for (const process of [...this.beside, this.program]) await process.start()
    this.peers = this.makePeers()
    for (const peer of this.peers) await peer.start()
  }

  async stop(): Promise<void> {
    for (const process of [this.program, ...this.beside]) await process.stop()
    await Promise.all(this.peers.map(peer => peer.stop()))
    this.peers = []
  }

  check(): Promise<CopiesCheck | null> {
    return this.program.ask<CopiesCheck>({ ask: 'check' }, PATIENCE_MS * 2)
  }

  async send(bytes: number, time: LoadTime, way: Way = 'messages'): Promise<Figures> {
    const during = window(time)
    const others = this.beside.map(each => each.ask<EndUsed>({ ask: 'watch', ...during }, limitOf(time)))
    const own = this.program.ask<EndUsed>({ ask: 'send', bytes, way, ...during }, limitOf(time))
    return figuresOf(await Promise.all([own, ...others]))
  }

  async pingpong(time: LoadTime): Promise<Figures> {
    const { p50Us, p99Us, p999Us } = await this.program.ask<EndPingpong>(
      { ask: 'pingpong', ...window(time) },
      limitOf(time),
    )
    return { p50Us, p99Us, p999Us }
  }
}

const service = (place: Place | null, mode: string, address: string, port: number): PeerProcess =>
  new PeerProcess(place, 'tcp-load', [mode, address, String(port), HOUR])

/** Services of the kernel at its end of a device. */
const deviceServices = (place: Place): PeerProcess[] => [
  service(at(place, 'near'), 'sink', PEER_ADDRESS, PORT_DISCARD),
  service(at(place, 'near'), 'echo', PEER_ADDRESS, PORT_ECHO),
  service(at(place, 'near'), 'digest', PEER_ADDRESS, PORT_DIGEST),
]

/** A namespace with a device in it, or a wire. */
class LinkPlace {
  readonly place: Place | null
  readonly link: StackLink

  constructor({ site }: CopiesSite, label: string) {
    this.place = site === null ? null : site.namespace(label)
    if (this.place !== null) tuneKernel(this.place)
    this.link = this.place === null ? { kind: 'wire' } : { kind: 'tun', namespace: this.place.namespace }
  }

  side(which: 'near' | 'far'): Place | null {
    return this.place === null ? null : at(this.place, which)
  }

  peers(): PeerProcess[] {
    return this.place === null ? [] : deviceServices(this.place)
  }
}

/** `c` to `h`: program and stack in one process. */
export class StackArm extends AskedArm {
  readonly id: InProcessArm
  protected readonly program: CopiesEnd
  private readonly where: LinkPlace

  constructor(shared: CopiesSite, id: InProcessArm) {
    super()
    this.id = id
    this.where = new LinkPlace(shared, `copies${id}`)
    const { link } = this.where
    this.program = end(this.where.side('far'), { kind: 'stack', link, steps: STEPS[id] })
  }

  protected makePeers(): PeerProcess[] {
    return this.where.peers()
  }
}

/** `a` and `b`: the stack of `g` in a process of its own, the program in another, on the processor of the other end. */
export class PortArm extends AskedArm {
  readonly id: 'a' | 'b'
  protected readonly program: CopiesEnd
  protected override readonly beside: readonly CopiesEnd[]
  private readonly where: LinkPlace

  constructor(shared: CopiesSite, id: 'a' | 'b') {
    super()
    this.id = id
    this.where = new LinkPlace(shared, `copies${id}`)
    const { link } = this.where
    const port = { path: join(shared.directory, `${id}.sock`), mapped: id === 'b' }
    this.beside = [end(this.where.side('far'), { kind: 'daemon', link, steps: STEPS.g, ...port })]
    this.program = end(this.where.side('near'), { kind: 'client', head: STEPS.g.head, ...port })
  }

  protected makePeers(): PeerProcess[] {
    return this.where.peers()
  }
}

/** Where the kernel's own sockets meet: two namespaces, or the loopback. */
class KernelPlace {
  readonly left: Place | null
  readonly right: Place | null
  readonly address: string
  private readonly ports: Readonly<Record<string, number>>

  constructor({ site, ports }: CopiesSite, id: CopiesArmId) {
    const pair = site === null ? null : makePair(site, `copies${id}`)
    this.left = pair === null ? null : at(pair.left, 'far')
    this.right = pair === null ? null : at(pair.right, 'near')
    this.address = pair === null ? '127.0.0.1' : RIGHT_KERNEL
    this.ports = ports[id] ?? {}
  }

  port(port: number): number {
    return this.ports[port] ?? port
  }

  services(): PeerProcess[] {
    const one = (mode: string, port: number): PeerProcess =>
      service(this.right, mode, this.address, this.port(port))
    return [one('sink', PORT_DISCARD), one('echo', PORT_ECHO)]
  }
}

/** Node's own sockets. */
export class NodeNetArm extends AskedArm {
  readonly id = 'nodenet'
  protected readonly program: CopiesEnd
  private readonly where: KernelPlace

  constructor(shared: CopiesSite) {
    super()
    this.where = new KernelPlace(shared, 'nodenet')
    const ports = Object.fromEntries([PORT_DISCARD, PORT_ECHO].map(port => [port, this.where.port(port)]))
    this.program = end(this.where.left, { kind: 'net', host: this.where.address, ports })
  }

  protected makePeers(): PeerProcess[] {
    return this.where.services()
  }

  override async check(): Promise<null> {
    return null
  }
}

/** C at both ends. */
export class KernelSocketsArm implements CopiesRunArm {
  readonly id = 'kernel'
  readonly onlyBytes = null
  private readonly where: KernelPlace
  private peers: PeerProcess[] = []

  constructor(shared: CopiesSite) {
    this.where = new KernelPlace(shared, 'kernel')
  }

  async start(): Promise<void> {
    this.peers = this.where.services()
    for (const peer of this.peers) await peer.start()
  }

  async stop(): Promise<void> {
    await Promise.all(this.peers.map(peer => peer.stop()))
    this.peers = []
  }

  async check(): Promise<null> {
    return null
  }

  async send(bytes: number, time: LoadTime): Promise<Figures> {
    const { left, address } = this.where
    const args = ['send', address, String(this.where.port(PORT_DISCARD)), `--bytes=${bytes}`]
    const told = await runPeer(left, 'tcp-load', args, time)
    return {
      gbitPerSecond: told['gbitPerSecond'] as number,
      cpuNsPerByte: nanosecondsPerByte(told['cpu'] as number, told['gbitPerSecond'] as number),
      syscallsPerMb: ((told['calls'] as number) / (told['bytes'] as number)) * 1e6,
    }
  }

  async pingpong(time: LoadTime): Promise<Figures> {
    const { left, address } = this.where
    const args = ['pingpong', address, String(this.where.port(PORT_ECHO))]
    return roundTrips(await runPeer(left, 'tcp-load', args, time))
  }
}

/** `tun-tcp` sends to the kernel: the least that the device asks for. */
export class RawTunArm implements CopiesRunArm {
  readonly id = 'rawtun'
  /** It fills super-segments from one buffer: there is no size of a message. */
  readonly onlyBytes = 64 * 1024
  private readonly site: BenchSite
  private readonly place: Place
  private readonly peer: PeerProcess

  constructor(site: BenchSite) {
    this.site = site
    this.place = site.namespace('copiesraw')
    tuneKernel(this.place)
    this.peer = new PeerProcess(at(this.place, 'far'), 'tun-tcp', [TUN, FAR, `--linger=${LINGER_US}`, HOUR])
  }

  async start(): Promise<void> {
    await this.peer.start()
    this.site.control(this.place.namespace, control => {
      control.addAddress(TUN, `${NEAR}/24`)
      control.setUp(TUN)
    })
  }

  async stop(): Promise<void> {
    await this.peer.stop()
  }

  async check(): Promise<null> {
    return null
  }

  async send(_bytes: number, time: LoadTime): Promise<Figures> {
    const { pid } = this.peer
    const before = useOf(pid)
    const told = await runPeer(
      at(this.place, 'near'),
      'tcp-load',
      ['receive', FAR, String(PORT_CHARGEN)],
      time,
    )
    const after = useOf(pid)
    // It cannot be asked at the moments of the window: what it used all the while, at the rate of the window.
    const elapsed = after.at - before.at
    const gbitPerSecond = told['gbitPerSecond'] as number
    const figures: Partial<Record<CopiesFigure, number>> = {
      gbitPerSecond,
      cpuNsPerByte: nanosecondsPerByte((after.cpu - before.cpu) / elapsed, gbitPerSecond),
    }
    if (before.calls !== null && after.calls !== null)
      figures.syscallsPerMb = (after.calls - before.calls) / elapsed / (gbitPerSecond * 125)
    return figures
  }

  async pingpong(time: LoadTime): Promise<Figures> {
    const args = ['pingpong', FAR, String(PORT_ECHO)]
    return roundTrips(await runPeer(at(this.place, 'near'), 'tcp-load', args, time))
  }
}

const roundTrips = (told: Record<string, unknown>): Figures => ({
  p50Us: told['p50Us'] as number,
  p99Us: told['p99Us'] as number,
  p999Us: told['p999Us'] as number,
})

/** @param load - processor seconds by second */
const nanosecondsPerByte = (load: number, gbitPerSecond: number): number => (load * 8) / gbitPerSecond

/** Seconds, from outside: of the clock, and of the processor (proc_pid_schedstat). */
function useOf(pid: number): { at: number; cpu: number; calls: number | null } {
  const [nanoseconds] = readFileSync(`/proc/${pid}/schedstat`, 'utf8').split(' ')
  return { at: performance.now() / 1_000, cpu: Number(nanoseconds) * 1e-9, calls: readCalls(pid) }
}
