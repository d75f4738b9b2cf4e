/** `putnext nc -u`: datagrams between stdin, stdout and a node's own stack. */
import { once } from 'node:events'
import type { Duplex } from 'node:stream'
import { FrameReader, frame } from '../node/datagram-frames.ts'
import type { CommandRun, Invocation } from './command.ts'
import { EXIT_DONE, UsageError } from './exit-codes.ts'
import { portOf } from './host-port.ts'
import { nodeClient } from './node-target.ts'

const SILENCE_MS = 1_000
/** What fits an IPv4 datagram. */
const DATAGRAM_BYTES_MAX = 65_507

export const ncUdp: CommandRun = async invocation => {
  const { args, out, signal } = invocation
  for (const option of ['keep', 'scan']) if (args.flag(option)) throw new UsageError(`--${option} is for TCP`)
  const { socket, port } = await nodeClient(invocation).datagrams(queryOf(invocation))
  out.detail(`port ${port}`)
  signal.addEventListener('abort', () => socket.destroy(), { once: true })
  const counts = { sent: 0, received: 0 }
  const silence = new Silence(args.number('wait') ?? SILENCE_MS, () => socket.destroy())
  socket.on('error', () => {})
  const received = receive(invocation, socket, counts, silence)
  // The end of stdin may never come; the end of the socket ends it all.
  void send(invocation, socket, counts).then(() => silence.begin(args.flag('listen')))
  await received
  silence.end()
  out.report({ port, ...counts })
  return EXIT_DONE
}

/** Ends the command some time after stdin ended and nothing came any more. */
class Silence {
  private timer: NodeJS.Timeout | null = null
  private readonly milliseconds: number
  private readonly onSilence: () => void

  constructor(milliseconds: number, onSilence: () => void) {
    this.milliseconds = milliseconds
    this.onSilence = onSilence
  }

  /** @param listening - a listener waits for ever */
  begin(listening: boolean): void {
    if (!listening) this.timer = setTimeout(this.onSilence, this.milliseconds)
  }

  broken(): void {
    this.timer?.refresh()
  }

  end(): void {
    if (this.timer !== null) clearTimeout(this.timer)
  }
}

function queryOf({ args }: Invocation): Record<string, string | number> {
  const words = args.list('WHERE')
  if (args.flag('listen')) {
    if (words.length !== 1) throw new UsageError('with -l there is only a PORT')
    return { port: portOf(words[0]), ...(args.flag('ipv6') ? { address: '::' } : {}) }
  }
  if (words.length !== 2) throw new UsageError('HOST PORT is missing, or there is too much')
  const own = args.number('port')
  return { to: words[0]!, toPort: portOf(words[1]), ...(own === undefined ? {} : { port: own }) }
}

interface Counts {
  sent: number
  received: number
}

async function send({ host, signal }: Invocation, socket: Duplex, counts: Counts): Promise<void> {
  for await (const chunk of host.stdin as AsyncIterable<Buffer>) {
    for (let at = 0; at < chunk.length; at += DATAGRAM_BYTES_MAX) {
      if (socket.destroyed || signal.aborted) return
      counts.sent++
      const data = chunk.subarray(at, at + DATAGRAM_BYTES_MAX)
      if (!socket.write(frame(data))) await once(socket, 'drain').catch(() => {})
    }
  }
}

async function receive({ out }: Invocation, socket: Duplex, counts: Counts, silence: Silence): Promise<void> {
  const reader = new FrameReader()
  try {
    for await (const chunk of socket as AsyncIterable<Buffer>) {
      for (const data of reader.take(chunk)) {
        counts.received++
        silence.broken()
        // With --json, stdout is for the document alone.
        if (!out.json) await out.bytes(data)
      }
    }
  } catch {
    // Ended by us: silence, or an interruption.
  }
}
