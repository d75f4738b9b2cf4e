/**
 * One end of an arm of `bench copies` in a process of its own: the program, and where the arm has it there, its stack.
 * Started by `tcp-ends.ts` with its description as the only argument.
 */
import { StackError } from '../base/errors.ts'
import type { Tun } from '../driver/tun.ts'
import { makeSharedMemory } from '../host/shared-memory.ts'
import { loadShim } from '../host/shim.ts'
import { IpcPort } from '../node/ipc-port.ts'
import { VERSION } from '../node/node.ts'
import { TcpConnection } from '../socket/tcp-endpoint.ts'
import { Arena } from '../streams/mblk/arena.ts'
import type { Runtime } from '../streams/runtime.ts'
import { MessageProgram, type Program, type Way } from './copies-client.ts'
import { Meter, type Used, type Window } from './copies-meter.ts'
import { NetProgram } from './copies-net-program.ts'
import { FRAME_PART_BYTES } from './copies-pattern.ts'
import type { CopiesCheck } from './copies-result.ts'
import { type CopiesStack, openStack, PEER_ADDRESS, type StackLink } from './copies-stack.ts'
import type { Steps } from './copies-steps.ts'
import { type CopyHow, copyModule } from './copy-module.ts'
import { quantile } from './statistics.ts'

export type CopiesEndOptions =
  | { readonly kind: 'stack'; readonly link: StackLink; readonly steps: Steps }
  /** A stack with a port for other processes, and no program. @param path - of the port */
  | {
      readonly kind: 'daemon'
      readonly link: StackLink
      readonly steps: Steps
      readonly path: string
      readonly mapped: boolean
    }
  /** A program that attaches to a daemon. */
  | {
      readonly kind: 'client'
      readonly path: string
      readonly mapped: boolean
      readonly head: CopyHow
    }
  /** @param ports - where the services are, by the port where they would be */
  | { readonly kind: 'net'; readonly host: string; readonly ports: Readonly<Record<string, number>> }

export type CopiesEndQuestion =
  | ({ readonly ask: 'send'; readonly bytes: number; readonly way: Way } & Window)
  | ({ readonly ask: 'pingpong' } & Window)
  | { readonly ask: 'check' }
  /** What the process uses in the window, whatever it does. */
  | ({ readonly ask: 'watch' } & Window)

/** Of a `send` and of a `watch`. */
export interface EndUsed extends Used {
  /** Packets that the device read and wrote; null without one. */
  readonly packets: number | null
}

const ARENA_BYTES = 64 * 1024 * 1024

export interface EndPingpong {
  readonly count: number
  readonly p50Us: number
  readonly p99Us: number
  readonly p999Us: number
}

export type EndAnswer = EndUsed | EndPingpong | CopiesCheck

interface End {
  /** Null in a daemon. */
  readonly program: Program | null
  readonly meter: Meter
  readonly packets: () => number | null
}

async function openEnd(options: CopiesEndOptions): Promise<End> {
  switch (options.kind) {
    case 'net': {
      const { host, ports } = options
      const program = new NetProgram(host, port => ports[port] ?? port)
      return { program, meter: new Meter(null), packets: () => null }
    }
    case 'stack': {
      const { runtime, tun } = await openStack(options.link, options.steps)
      const program = programOn(runtime, options.steps.head, options.link.kind === 'wire')
      return { program, meter: new Meter(runtime.arena.copies), packets: () => packetsOf(tun) }
    }
    case 'daemon': {
      const { runtime, tun } = await openDaemon(options)
      return { program: null, meter: new Meter(runtime.arena.copies), packets: () => packetsOf(tun) }
    }
    case 'client': {
      const { attach } = await import('../ipc/client.ts')
      const { runtime } = await attach(options.path, { mapped: options.mapped })
      const program = programOn(runtime, options.head, false)
      return { program, meter: new Meter(runtime.arena.copies), packets: () => null }
    }
  }
}

/** @param wire - hands the blocks themselves over: in large ones, each segment that waits would hold all of one */
function programOn(runtime: Runtime, head: CopyHow, wire: boolean): MessageProgram {
  const connect = (port: number): TcpConnection => {
    const to = { address: PEER_ADDRESS, port, settings: { noDelay: true } }
    const connection = TcpConnection.connect(runtime, to)
    connection.stream.push(copyModule, { how: head })
    return connection
  }
  return new MessageProgram(runtime.arena, connect, wire ? FRAME_PART_BYTES : undefined)
}

const packetsOf = (tun: Tun | null): number | null =>
  tun === null ? null : tun.counters['tx-packets'] + tun.counters['rx-packets']

/** As `putnext node run --ipc` does it. */
async function openDaemon(options: CopiesEndOptions & { kind: 'daemon' }): Promise<CopiesStack> {
  const { link, steps, path, mapped } = options
  const memory = mapped ? makeSharedMemory(loadShim(), ARENA_BYTES) : null
  const stack = await openStack(
    link,
    steps,
    memory === null ? undefined : new Arena({ memory: memory.bytes }),
  )
  const { loop, runtime } = stack
  const { shim, arenaId, pollers } = loop
  const node = { name: 'bench', version: VERSION, runtime, shim, arenaId, pollers, run: () => loop.run() }
  await IpcPort.open(node, { path, ...(memory === null ? {} : { memory: memory.fd }) })
  return stack
}

async function answer(end: End, question: CopiesEndQuestion): Promise<EndAnswer> {
  const { program, meter } = end
  if (question.ask === 'watch') return { ...(await meter.window(question, () => 0)), packets: null }
  if (program === null)
    throw new StackError('ERR_NOT_SUPPORTED', `a daemon has no program to ${question.ask}`)
  switch (question.ask) {
    case 'check':
      return program.check()
    case 'pingpong': {
      const samples = await program.pingpong(question.startAt, question.seconds)
      const of = (part: number): number => (samples.length === 0 ? Number.NaN : quantile(samples, part))
      return { count: samples.length, p50Us: of(0.5), p99Us: of(0.99), p999Us: of(0.999) }
    }
    case 'send': {
      const sending = await program.send(question.bytes, question.way)
      const looks: (number | null)[] = []
      const used = await meter.window(question, () => {
        looks.push(end.packets())
        return sending.bytes()
      })
      sending.stop()
      const [from, to] = looks
      return { ...used, packets: from === null || to === null ? null : to! - from! }
    }
  }
}

const end = await openEnd(JSON.parse(process.argv[2]!) as CopiesEndOptions)
process.on('message', (question: CopiesEndQuestion) => {
  answer(end, question).then(
    value => process.send!({ value }),
    (error: unknown) => process.send!({ error: String(error) }),
  )
})
process.on('disconnect', () => process.exit(0))
process.send!({ value: 'ready' })
