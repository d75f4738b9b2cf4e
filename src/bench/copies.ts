/**
 * `putnext bench copies`: what copies, layers, processes and offload cost, as arms of one experiment (`copies-steps.ts`). With root over TUN
 * devices with the kernel as the other end; without, between two stacks of one process.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { StackError } from '../base/errors.ts'
import { tryShim } from '../host/shim.ts'
import {
  type CopiesRunArm,
  type CopiesSite,
  type Figures,
  KernelSocketsArm,
  type LoadTime,
  NodeNetArm,
  PortArm,
  RawTunArm,
  StackArm,
} from './copies-arms.ts'
import { METHOD } from './copies-method.ts'
import { type ArmMeasured, copiesResult, type EdgeMeasured } from './copies-report.ts'
import type { CopiesArmId, CopiesCheck, CopiesResult, MissingArm } from './copies-result.ts'
import { ARM_TEXTS, IN_PROCESS } from './copies-steps.ts'
import { describeMachine } from './machine.ts'
import { type ModulesReport, run as runModules } from './modules.ts'
import { buildPeers } from './peers.ts'
import { describePlacement } from './placement.ts'
import { type OnProgress, Progress } from './progress.ts'
import { BenchSite, requirePrivileges } from './site.ts'
import { rotated } from './statistics.ts'
import { PORT_DISCARD, PORT_ECHO } from './tcp-ports.ts'

export interface CopiesBenchOptions {
  /** 5 by default; fewer decide nothing. */
  readonly rounds?: number
  /** Ends within 90 seconds: fewer sizes, shorter loads, processes that live on from round to round. */
  readonly quick?: boolean
  /** Two stacks in one process, although there are root and devices. */
  readonly inproc?: boolean
  /** Arms to measure; all by default. */
  readonly only?: readonly CopiesArmId[]
  /** Overrides of the times, for tests. */
  readonly plan?: Partial<CopiesPlan>
  readonly signal?: AbortSignal
  readonly onProgress?: OnProgress
}

/** Sizes, and seconds of everything: how long a run takes is known before it begins. */
export interface CopiesPlan {
  readonly sizes: readonly number[]
  readonly edgeSizes: readonly number[]
  /** Of a load with messages of {@link MESSAGE_BYTES}, of any other load, of round trips, of each point of `bench modules`. */
  readonly mainSeconds: number
  readonly seconds: number
  readonly turnSeconds: number
  readonly moduleSeconds: number
  readonly heapMessages: number
  /** In front of each load; and once, when a process has begun. */
  readonly warmupSeconds: number
  readonly firstWarmupSeconds: number
  /** Whether processes live on from round to round. */
  readonly keep: boolean
  /** After so long, on a machine that is slow or busy, only what arms are compared by is measured. */
  readonly extrasUntilSeconds: number
}

/** Of the messages by which arms are compared. */
export const MESSAGE_BYTES = 64 * 1024
const ROUNDS = 5
const LATE =
  'this machine is slow or busy: to end in time, round trips and other sizes were left out of the last rounds'

const FULL: CopiesPlan = {
  sizes: [64, 256, 1_024, 4_096, 16_384, MESSAGE_BYTES, 262_144, 1_048_576],
  edgeSizes: [64, 256, 1_024, 2_048, 4_096, 8_192, 16_384, MESSAGE_BYTES, 262_144, 1_048_576],
  mainSeconds: 1,
  seconds: 0.5,
  turnSeconds: 0.5,
  moduleSeconds: 0.2,
  heapMessages: 1_000_000,
  warmupSeconds: 0.12,
  firstWarmupSeconds: 0.8,
  keep: false,
  extrasUntilSeconds: 780,
}

const QUICK: CopiesPlan = {
  sizes: [64, 4_096, MESSAGE_BYTES],
  edgeSizes: [64, 512, 2_048, 8_192, MESSAGE_BYTES],
  mainSeconds: 0.2,
  seconds: 0.1,
  turnSeconds: 0.1,
  moduleSeconds: 0.015,
  heapMessages: 100_000,
  warmupSeconds: 0.05,
  firstWarmupSeconds: 0.4,
  keep: true,
  extrasUntilSeconds: 60,
}

/**
 * @throws StackError `ERR_HOST` if an arm fails, `ERR_PROTOCOL` if other bytes arrive than were sent, `ERR_BAD_ARGUMENT`; the abort's
 * reason. Nothing stays behind then.
 */
export async function run(options: CopiesBenchOptions = {}): Promise<CopiesResult> {
  const { rounds = ROUNDS, quick = false, inproc = false, signal, onProgress } = options
  if (!Number.isInteger(rounds) || rounds < 1)
    throw new StackError('ERR_BAD_ARGUMENT', 'a measurement needs at least one round')
  const plan = { ...(quick ? QUICK : FULL), ...options.plan }
  const begun = performance.now()
  const machine = describeMachine()
  const warnings: string[] = []
  const site = inproc ? null : openSite(warnings)
  const peers = await peersOrWhyNot()
  const directory = mkdtempSync(join(tmpdir(), 'putnext-copies-'))
  const bench = new CopiesBench(plan, rounds, signal, onProgress)
  const end = (): void => void bench.stop()
  signal?.addEventListener('abort', end, { once: true })
  try {
    const shared = {
      site,
      directory,
      ports: site === null ? { kernel: await freePorts(), nodenet: await freePorts() } : {},
    }
    bench.addArms(shared, peers, options.only)
    await bench.measure()
    const modules = await bench.modules()
    if (bench.late) warnings.push(LATE)
    return copiesResult({
      machine,
      commit: commitOfThis(),
      commands: commandsOf(options),
      mode: site === null ? 'wire' : 'tun',
      quick,
      method: [...METHOD, site === null ? 'the scheduler placed all processes' : describePlacement()],
      rounds,
      seconds: plan.mainSeconds,
      elapsedSeconds: (performance.now() - begun) / 1_000,
      messageBytes: MESSAGE_BYTES,
      arms: bench.arms,
      missing: bench.missing,
      edge: bench.edge,
      modules,
      warnings,
    })
  } catch (error) {
    // Ctrl-C reaches the arms as well: that they ended is no error of theirs then.
    signal?.throwIfAborted()
    throw error
  } finally {
    signal?.removeEventListener('abort', end)
    await bench.stop()
    site?.close()
    rmSync(directory, { recursive: true, force: true })
  }
}

function openSite(warnings: string[]): BenchSite | null {
  try {
    return new BenchSite(requirePrivileges())
  } catch (error) {
    if (!(error instanceof StackError)) throw error
    warnings.push(`without devices: ${error.message}`)
    return null
  }
}

/** @returns why there are no peers, null if there are */
async function peersOrWhyNot(): Promise<string | null> {
  try {
    await buildPeers()
    return null
  } catch (error) {
    if (!(error instanceof StackError)) throw error
    return error.message
  }
}

/** Ports of the loopback that nobody has. */
async function freePorts(): Promise<Record<string, number>> {
  const ports: Record<string, number> = {}
  for (const port of [PORT_DISCARD, PORT_ECHO]) {
    const server = createServer()
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    ports[port] = (server.address() as { port: number }).port
    await new Promise(resolve => server.close(resolve))
  }
  return ports
}

function commitOfThis(): string | null {
  const root = fileURLToPath(new URL('../../', import.meta.url))
  // Installed in somebody's project, git would tell of that.
  if (!existsSync(join(root, '.git'))) return null
  try {
    const text = execFileSync('git', ['rev-parse', 'HEAD'], {
      cwd: root,
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    return String(text).trim()
  } catch {
    return null
  }
}

function commandsOf({ rounds, quick, inproc, only }: CopiesBenchOptions): string[] {
  const command = [
    'putnext bench copies',
    ...(quick === true ? ['--quick'] : []),
    ...(rounds === undefined ? [] : [`--rounds ${rounds}`]),
    ...(inproc === true ? ['--inproc'] : []),
    ...(only ?? []),
  ].join(' ')
  return [`${command} --json > copies.json`, `${command} -o copies.html`]
}

type ByRound = Map<number, Figures[]>

/** Arms, and what they gave so far. */
class CopiesBench {
  readonly arms: (ArmMeasured & { check: CopiesCheck | null; bySize: ByRound; turns: Figures[] })[] = []
  readonly missing: MissingArm[] = []
  readonly edge: (EdgeMeasured & { bySize: ByRound })[] = []
  private readonly plan: CopiesPlan
  private readonly rounds: number
  private readonly signal: AbortSignal | undefined
  private readonly onProgress: OnProgress | undefined
  /** Time ran out: some sizes have fewer rounds than others. */
  late = false
  private readonly begunAt = performance.now()
  private readonly running: CopiesRunArm[] = []
  private readonly started = new Set<CopiesRunArm>()
  private readonly failed = new Set<CopiesRunArm>()

  constructor(
    plan: CopiesPlan,
    rounds: number,
    signal: AbortSignal | undefined,
    onProgress: OnProgress | undefined,
  ) {
    this.plan = plan
    this.rounds = rounds
    this.signal = signal
    this.onProgress = onProgress
  }

  /** @param noPeers - why there are no programs in C, null if there are */
  addArms(shared: CopiesSite, noPeers: string | null, only: readonly CopiesArmId[] | undefined): void {
    const { site } = shared
    const add = (id: CopiesArmId, make: (() => CopiesRunArm) | string): void => {
      if (only !== undefined && !only.includes(id)) return
      if (typeof make === 'string') {
        this.missing.push({ id, title: ARM_TEXTS[id].title, reason: make })
        return
      }
      this.running.push(make())
      this.arms.push({ id, check: null, bySize: new Map(), turns: [] })
    }
    const withPeers = (make: () => CopiesRunArm): (() => CopiesRunArm) | string => noPeers ?? make
    const withShim = (make: () => CopiesRunArm): (() => CopiesRunArm) | string =>
      tryShim() === null ? 'the port needs the native shim' : site === null ? make : withPeers(make)
    for (const id of ['a', 'b'] as const)
      add(
        id,
        withShim(() => new PortArm(shared, id)),
      )
    for (const id of IN_PROCESS)
      add(id, site === null ? () => new StackArm(shared, id) : withPeers(() => new StackArm(shared, id)))
    add(
      'kernel',
      withPeers(() => new KernelSocketsArm(shared)),
    )
    add(
      'nodenet',
      withPeers(() => new NodeNetArm(shared)),
    )
    add('rawtun', site === null ? 'there is no device' : withPeers(() => new RawTunArm(site)))
    if (only === undefined || only.includes('g'))
      for (const id of ['write', 'sendOwned'] as const) this.edge.push({ id, bySize: new Map() })
  }

  async measure(): Promise<void> {
    const { rounds, running } = this
    const steps = rounds * running.length
    const progress = new Progress(steps, steps * this.slotSeconds() * 1_000, this.onProgress)
    for (let round = 0; round < rounds; round++) {
      for (const arm of rotated(running, round)) {
        this.signal?.throwIfAborted()
        progress.say(`round ${round + 1} of ${rounds}: ${ARM_TEXTS[arm.id].title}`)
        if (this.failed.has(arm)) continue
        try {
          await this.slot(arm, round)
        } catch (error) {
          if (!(arm instanceof PortArm) || !(error instanceof StackError)) throw error
          await this.leaveOut(arm, error)
        }
        progress.step()
      }
    }
  }

  /** A port that breaks off takes nothing away from what the others show. */
  private async leaveOut(arm: CopiesRunArm, { message }: StackError): Promise<void> {
    this.signal?.throwIfAborted()
    this.failed.add(arm)
    await this.end(arm)
    const [first = ''] = message.split('\n')
    this.missing.push({ id: arm.id, title: ARM_TEXTS[arm.id].title, reason: `it failed: ${first}` })
    this.arms.splice(
      this.arms.findIndex(({ id }) => id === arm.id),
      1,
    )
  }

  /** A guess: of an arm in a round. */
  private slotSeconds(): number {
    const { sizes, mainSeconds, seconds, turnSeconds, warmupSeconds, firstWarmupSeconds, keep } = this.plan
    const loads =
      mainSeconds + seconds * (sizes.length - 1) + turnSeconds + warmupSeconds * (sizes.length + 1)
    return loads + (keep ? 0.2 : 1 + firstWarmupSeconds)
  }

  private time(seconds: number, warmupSeconds = this.plan.warmupSeconds): LoadTime {
    return { seconds, warmupSeconds, signal: this.signal }
  }

  /** One arm in one round. */
  private async slot(arm: CopiesRunArm, round: number): Promise<void> {
    const { plan } = this
    const told = this.arms.find(({ id }) => id === arm.id)!
    try {
      if (!this.started.has(arm)) await this.begin(arm, told)
      put(told.bySize, MESSAGE_BYTES, await arm.send(MESSAGE_BYTES, this.time(plan.mainSeconds)))
      if (performance.now() - this.begunAt > plan.extrasUntilSeconds * 1_000) {
        this.late = true
        return
      }
      const others = arm.onlyBytes === null ? plan.sizes.filter(bytes => bytes !== MESSAGE_BYTES) : []
      for (const bytes of rotated(others, round))
        put(told.bySize, bytes, await arm.send(bytes, this.time(plan.seconds)))
      told.turns.push(await arm.pingpong(this.time(plan.turnSeconds)))
      if (arm.id === 'g') await this.slotOfEdge(arm, round)
    } finally {
      if (!plan.keep) await this.end(arm)
    }
  }

  /** Starts an arm, has it move known bytes, and lets its code be compiled. */
  private async begin(arm: CopiesRunArm, told: { check: CopiesCheck | null }): Promise<void> {
    this.started.add(arm)
    await arm.start()
    const check = await arm.check()
    if (check !== null && check.sent !== check.arrived) {
      const { title } = ARM_TEXTS[arm.id]
      throw new StackError(
        'ERR_PROTOCOL',
        `${title}: other bytes arrived (${check.arrived}) than were sent (${check.sent})`,
      )
    }
    told.check = check
    await arm.send(MESSAGE_BYTES, this.time(0.1, this.plan.firstWarmupSeconds))
  }

  private async slotOfEdge(arm: CopiesRunArm, round: number): Promise<void> {
    const ways = [
      { way: 'write', bySize: this.edge[0]!.bySize },
      { way: 'owned', bySize: this.edge[1]!.bySize },
    ] as const
    for (const bytes of this.plan.edgeSizes)
      for (const { way, bySize } of rotated(ways, round))
        put(bySize, bytes, await arm.send(bytes, this.time(this.plan.seconds), way))
  }

  private async end(arm: CopiesRunArm): Promise<void> {
    this.started.delete(arm)
    await arm.stop()
  }

  async modules(): Promise<ModulesReport> {
    const { signal, onProgress } = this
    return runModules({
      rounds: this.rounds,
      seconds: this.plan.moduleSeconds,
      heapMessages: this.plan.heapMessages,
      onProgress: text => onProgress?.(`modules, and calls on messages: ${text}`),
      ...(signal === undefined ? {} : { signal }),
    })
  }

  /** Harmless if nothing runs. */
  async stop(): Promise<void> {
    await Promise.all([...this.started].map(arm => this.end(arm)))
  }
}

function put(bySize: ByRound, bytes: number, figures: Figures): void {
  const rounds = bySize.get(bytes)
  if (rounds === undefined) bySize.set(bytes, [figures])
  else rounds.push(figures)
}
