/** `putnext sim run`: simulations by their seeds. */
import { setImmediate } from 'node:timers/promises'
import { decodePacket } from '../sim/script/packet-decode.ts'
import type { TcpFields } from '../sim/script/packet-fields.ts'
import { soak } from '../sim/soak/run.ts'
import { drawScenario } from '../sim/soak/scenario.ts'
import type { PacketListener } from '../sim/soak/trace.ts'
import type { CommandRun, Invocation } from './command.ts'
import { EXIT_CHECK_FAILED, EXIT_DONE, UsageError } from './exit-codes.ts'

const SCENARIOS = ['tcp']

export const simRun: CommandRun = async invocation => {
  const { args, out, signal } = invocation
  const scenario = args.required('SCENARIO')
  if (!SCENARIOS.includes(scenario))
    throw new UsageError(`there is no scenario "${scenario}"`, `known: ${SCENARIOS.join(', ')}`)
  const [from, to] = seedsOf(args.string('seeds') ?? '1-20')
  let failed = 0
  let runs = 0
  for (let seed = from; seed <= to && !signal.aborted; seed++) {
    const result = soak(seed, drawScenario(seed), args.flag('packets') ? packetPrinter(invocation) : null)
    runs++
    if (result.problems.length > 0) failed++
    const verdict = result.problems.length === 0 ? out.style('green', 'ok') : out.style('red', 'FAILED')
    const { trace, packets, bytes, seconds } = result
    out.record(
      result,
      `seed ${seed}: ${verdict}, ${bytes} bytes in ${packets} packets and ${seconds.toFixed(1)} s, trace ${trace}`,
    )
    for (const problem of result.problems) out.line(`  ${problem}`)
    // Lets a signal through.
    await setImmediate()
  }
  if (failed > 0) out.failed({ code: 'ERR_CHECK_FAILED', message: `${failed} of ${runs} runs failed` })
  out.report({ runs, failed })
  return failed === 0 ? EXIT_DONE : EXIT_CHECK_FAILED
}

function seedsOf(text: string): readonly [number, number] {
  const found = /^(\d{1,10})(?:-(\d{1,10}))?$/.exec(text)
  if (found === null)
    throw new UsageError(`"${text}" is no seed and no range of seeds`, 'write: --seeds 1-1000')
  const from = Number(found[1])
  const to = Number(found[2] ?? from)
  if (to < from) throw new UsageError(`${text} has no seed in it`, `write: --seeds ${to}-${from}`)
  return [from, to]
}

/** A line for each packet, with sequence numbers counted from each side's first. */
function packetPrinter({ out }: Invocation): PacketListener {
  const firsts = new Map<string, number>()
  return (us, isRead, bytes) => {
    const time = `${(us / 1e6).toFixed(6)} ${isRead ? '<' : '>'}`
    const text = describe(bytes, firsts)
    out.record({ us, in: isRead, hex: Buffer.from(bytes).toString('hex') }, `${time} ${text}`)
  }
}

function describe(bytes: Uint8Array, firsts: Map<string, number>): string {
  try {
    const fields = decodePacket(bytes)
    return fields.protocol === 'tcp' ? describeSegment(fields, firsts) : `protocol ${fields.protocol}`
  } catch (error) {
    return `${bytes.length} bytes: ${(error as Error).message}`
  }
}

function describeSegment(fields: TcpFields, firsts: Map<string, number>): string {
  const { sourcePort, destinationPort, flags, payloadBytes, window } = fields
  const [own, other] = [`${sourcePort}:${destinationPort}`, `${destinationPort}:${sourcePort}`]
  if (flags.includes('S')) firsts.set(own, fields.seq)
  const since = (number: number, of: string): number => (number - (firsts.get(of) ?? 0)) >>> 0
  const seq = since(fields.seq, own)
  const blocks = fields.options.flatMap(option =>
    option.kind === 'sack' ? option.blocks.map(([l, r]) => `${since(l, other)}:${since(r, other)}`) : [],
  )
  return [
    `${own} ${flags} ${seq}:${seq + payloadBytes}(${payloadBytes})`,
    ...(flags.includes('A') ? [`ack ${since(fields.ack, other)}`] : []),
    `win ${window}`,
    ...(blocks.length === 0 ? [] : [`sack ${blocks.join(' ')}`]),
    ...(fields.tos === 0 ? [] : [`tos ${fields.tos}`]),
  ].join(' ')
}
