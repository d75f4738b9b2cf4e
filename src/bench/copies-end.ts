/**
 * One end of an arm of `bench copies` in a process of its own: the program, and where the arm has it there, its stack.
 * Started by `tcp-ends.ts` with its description as the only argument.
 */
import { TcpConnection } from '../socket/tcp-endpoint.ts'
import { MessageProgram, type Program, type Way } from './copies-client.ts'
import { Meter, type Used, type Window } from './copies-meter.ts'
import { NetProgram } from './copies-net-program.ts'
import { FRAME_PART_BYTES } from './copies-pattern.ts'
import type { CopiesCheck } from './copies-result.ts'
import { openStack, PEER_ADDRESS, type StackLink } from './copies-stack.ts'
import type { Steps } from './copies-steps.ts'
import { copyModule } from './copy-module.ts'
import { quantile } from './statistics.ts'

export type CopiesEndOptions =
  | { readonly kind: 'stack'; readonly link: StackLink; readonly steps: Steps }
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

export interface EndPingpong {
  readonly count: number
  readonly p50Us: number
  readonly p99Us: number
  readonly p999Us: number
}

export type EndAnswer = EndUsed | EndPingpong | CopiesCheck

interface End {
  readonly program: Program
  readonly meter: Meter
  readonly packets: () => number | null
}

async function openEnd(options: CopiesEndOptions): Promise<End> {
  if (options.kind === 'net') {
    const { host, ports } = options
    const program = new NetProgram(host, port => ports[port] ?? port)
    return { program, meter: new Meter(null), packets: () => null }
  }
  const { runtime, tun } = await openStack(options.link, options.steps)
  const connect = (port: number): TcpConnection => {
    const connection = TcpConnection.connect(runtime, {
      address: PEER_ADDRESS,
      port,
      settings: { noDelay: true },
    })
    connection.stream.push(copyModule, { how: options.steps.head })
    return connection
  }
  const packets = (): number | null =>
    tun === null ? null : tun.counters['tx-packets'] + tun.counters['rx-packets']
  // A wire hands the blocks themselves over: in large ones, each segment that waits would hold all of one.
  const partBytes = options.link.kind === 'wire' ? FRAME_PART_BYTES : undefined
  return {
    program: new MessageProgram(runtime.arena, connect, partBytes),
    meter: new Meter(runtime.arena.copies),
    packets,
  }
}

async function answer(end: End, question: CopiesEndQuestion): Promise<EndAnswer> {
  const { program, meter } = end
  switch (question.ask) {
    case 'check':
      return program.check()
    case 'watch':
      return { ...(await meter.window(question, () => 0)), packets: null }
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
