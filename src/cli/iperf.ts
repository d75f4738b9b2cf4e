/** `putnext iperf`: throughput of a node's own stack, against iperf3 or another node. */
import type { IperfOptions } from '../node/control-requests.ts'
import type { EndLine, IntervalLine, IperfLine, StartLine } from '../node/iperf/lines.ts'
import { iperfDocument } from '../node/iperf/report.ts'
import type { CommandRun, Invocation } from './command.ts'
import { EXIT_DONE, UsageError } from './exit-codes.ts'
import { addressOf } from './host-port.ts'
import { endText, intervalText, startText } from './iperf-text.ts'
import { nodeClient } from './node-target.ts'
import { packageVersion } from './program.ts'

const CLIENT_ONLY = [
  'time',
  'bytes',
  'blockcount',
  'parallel',
  'udp',
  'reverse',
  'bidir',
  'length',
  'bitrate',
  'omit',
] as const

export const iperf: CommandRun = async invocation => {
  const { args, out, host, signal } = invocation
  const name = args.string('client')
  if (args.flag('server') === (name !== undefined))
    throw new UsageError(
      'one of -s and -c HOST',
      'as server: putnext iperf NODE -s; as client: putnext iperf NODE -c HOST',
    )
  const options = name === undefined ? serverOptions(invocation) : await clientOptions(invocation, name)
  const raw = args.flag('iperf3-json')
  const test = new ShownTest(invocation, raw)
  try {
    for await (const line of nodeClient(invocation).iperf(options, signal)) test.take(line)
  } catch (error) {
    if (!signal.aborted) throw error
  }
  const documents = test.documents()
  const document = name === undefined ? documents : (documents[0] ?? {})
  if (raw) for (const one of documents) host.stdout.write(`${JSON.stringify(one, null, 2)}\n`)
  else if (name === undefined) out.report({ tests: documents })
  else out.report(document)
  return EXIT_DONE
}

function serverOptions({ args }: Invocation): IperfOptions {
  for (const option of CLIENT_ONLY)
    if (args.flag(option) || args.string(option) !== undefined)
      throw new UsageError(`--${option} is the client's to say`)
  return { role: 'server', ...common({ args }), once: args.flag('one-off') }
}

function common({ args }: Pick<Invocation, 'args'>): { port?: number; intervalSeconds?: number } {
  const port = args.number('port')
  const interval = args.number('interval')
  return {
    ...(port === undefined ? {} : { port }),
    ...(interval === undefined ? {} : { intervalSeconds: interval / 1_000 }),
  }
}

async function clientOptions({ args }: Invocation, name: string): Promise<IperfOptions> {
  if (args.flag('one-off')) throw new UsageError('-1 goes with -s')
  if (args.flag('reverse') && args.flag('bidir')) throw new UsageError('one of -R and --bidir')
  const ends = ['time', 'bytes', 'blockcount'].filter(
    option => args.string(option) !== undefined || args.number(option) !== undefined,
  )
  if (ends.length > 1) throw new UsageError(`one of ${ends.map(option => `--${option}`).join(' and ')}`)
  const bytes = args.string('bytes')
  const blocks = args.string('blockcount')
  const length = args.string('length')
  const bitrate = args.string('bitrate')
  const window = args.string('window')
  const seconds = args.number('time')
  const timeoutMs = args.number('connect-timeout')
  const parallel = args.number('parallel')
  const omit = args.number('omit')
  const maxSegment = args.number('set-mss')
  return {
    role: 'client',
    address: await addressOf(name),
    ...common({ args }),
    protocol: args.flag('udp') ? 'udp' : 'tcp',
    direction: args.flag('bidir') ? 'both' : args.flag('reverse') ? 'reverse' : 'forward',
    ...(seconds === undefined ? {} : { seconds: wholeSeconds('-t', seconds) }),
    ...(bytes === undefined ? {} : { bytes: amountOf('-n', bytes, 1_024) }),
    ...(blocks === undefined ? {} : { blocks: amountOf('-k', blocks, 1_024) }),
    ...(parallel === undefined ? {} : { parallel }),
    ...(omit === undefined ? {} : { omitSeconds: wholeSeconds('-O', omit) }),
    ...(length === undefined ? {} : { blockBytes: amountOf('-l', length, 1_024) }),
    ...(bitrate === undefined ? {} : { bitsPerSecond: bitrate === '0' ? 0 : amountOf('-b', bitrate, 1_000) }),
    ...(window === undefined ? {} : { windowBytes: amountOf('-w', window, 1_024) }),
    ...(maxSegment === undefined ? {} : { maxSegment }),
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
    noDelay: args.flag('no-delay'),
  }
}

function wholeSeconds(option: string, milliseconds: number): number {
  if (milliseconds % 1_000 === 0) return milliseconds / 1_000
  throw new UsageError(`${option}: iperf counts in whole seconds`)
}

const POWERS = ['', 'K', 'M', 'G', 'T']

/** `100M`, `64K`. @param unit - 1024 for bytes, 1000 for bits, as iperf3 has it. @throws UsageError */
export function amountOf(option: string, text: string, unit: 1_000 | 1_024): number {
  const match = /^([0-9]+(?:\.[0-9]+)?)([KMGT]?)$/i.exec(text)
  const power = POWERS.indexOf((match?.[2] ?? '').toUpperCase())
  const amount = match === null ? Number.NaN : Math.round(Number(match[1]) * unit ** power)
  if (amount >= 1 && Number.isSafeInteger(amount)) return amount
  throw new UsageError(`${option}: "${text}" is no amount`, 'write 100, 64K, 10M or 1G')
}

/** Shows a test as it goes, and keeps it for the documents. */
class ShownTest {
  private readonly invocation: Invocation
  private readonly silent: boolean
  private readonly done: Record<string, unknown>[] = []
  private start: StartLine | null = null
  private intervals: IntervalLine[] = []

  constructor(invocation: Invocation, silent: boolean) {
    this.invocation = invocation
    this.silent = silent
  }

  take(line: IperfLine): void {
    const { out } = this.invocation
    const say = (text: string): void => {
      if (!this.silent) out.line(text)
    }
    switch (line.kind) {
      case 'listening':
        return out.note(`listening on port ${line.port}; Ctrl-C ends it`)
      case 'accepted':
        return say(`Accepted connection from ${line.address}, port ${line.port}`)
      case 'start':
        this.start = line
        return say(startText(line))
      case 'interval':
        this.intervals.push(line)
        return say(intervalText(line))
      case 'end':
        say(endText(line))
        return this.finish(line)
      case 'failed':
        out.warn(line.reason)
        return this.finish(null)
    }
  }

  private finish(end: EndLine | null): void {
    if (this.start !== null) this.done.push(iperfDocument(packageVersion(), this.start, this.intervals, end))
    this.start = null
    this.intervals = []
  }

  /** One for each test; the last of them may have been interrupted. */
  documents(): Record<string, unknown>[] {
    this.finish(null)
    return this.done
  }
}
