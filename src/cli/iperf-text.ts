/** A throughput test as iperf3 shows it. */
import type { DatagramFigures } from '../node/iperf/datagram-header.ts'
import type { EndLine, IntervalLine, StartLine } from '../node/iperf/lines.ts'
import { datagramSum, endSum, intervalSum, rate } from '../node/iperf/report.ts'

const RULE = '- - - - - - - - - - - - - - - - - - - - - - - - -'

/** Three digits that count, as iperf3 rounds: `9.33`, `67.1`, `480`. */
function digits(value: number): string {
  return value < 9.995 ? value.toFixed(2) : value < 99.95 ? value.toFixed(1) : value.toFixed(0)
}

function scaled(value: number, unit: number, names: readonly string[]): string {
  let size = value
  let power = 0
  for (; size >= unit && power < names.length - 1; power++) size /= unit
  return `${digits(size).padStart(4)} ${names[power]}`
}

/** `1.00 MBytes`. */
export const bytesText = (bytes: number): string =>
  scaled(bytes, 1_024, ['Bytes', 'KBytes', 'MBytes', 'GBytes', 'TBytes'])

/** `67.1 Gbits/sec`. */
export const rateText = (bitsPerSecond: number): string =>
  scaled(bitsPerSecond, 1_000, ['bits/sec', 'Kbits/sec', 'Mbits/sec', 'Gbits/sec', 'Tbits/sec'])

function row(
  id: string,
  start: number,
  end: number,
  bytes: number,
  bitsPerSecond: number,
  rest: string,
): string {
  const time = `${start.toFixed(2)}-${end.toFixed(2)}`.padStart(11).padEnd(14)
  return `[${id}] ${time} sec  ${bytesText(bytes).padEnd(11)}  ${rateText(bitsPerSecond).padEnd(14)}  ${rest}`.trimEnd()
}

const idOf = (number: number): string => String(number).padStart(3)

export function startText({ parameters, streams }: StartLine): string {
  const lines = streams.map(
    ({ number, local, remote }) =>
      `[${idOf(number)}] local ${local.address} port ${local.port} connected to ${remote.address} port ${remote.port}`,
  )
  const what = { forward: 'the client sends', reverse: 'the server sends', both: 'both send' }[
    parameters.direction
  ]
  const more = parameters.protocol === 'udp' ? 'Jitter    Lost/Total Datagrams' : 'Retr  Cwnd    '
  lines.push(`[ ID] Interval            Transfer     Bitrate         ${more}  (${what})`)
  return lines.join('\n')
}

/** Whether streams of both directions are there: then each line says which it is. */
const isBoth = (streams: readonly { readonly sending: boolean }[]): boolean =>
  new Set(streams.map(({ sending }) => sending)).size > 1

const ofDatagrams = (streams: readonly { readonly datagrams: DatagramFigures | null }[]): boolean =>
  streams.some(({ datagrams }) => datagrams !== null)

const role = (both: boolean, sending: boolean): string => (!both ? '' : sending ? 'TX  ' : 'RX  ')

/** `0.012 ms  0/861 (0%)`. */
function datagramText({ jitterMs, lost, packets }: DatagramFigures): string {
  const percent = packets === 0 ? 0 : (lost / packets) * 100
  return `${jitterMs.toFixed(3)} ms  ${lost}/${packets} (${percent < 0.01 ? '0' : percent.toPrecision(2)}%)`
}

export function intervalText(line: IntervalLine): string {
  const { start, end, streams, omitted } = line
  const isUdp = ofDatagrams(streams)
  const both = isBoth(streams)
  const note = omitted ? '  (omitted)' : ''
  const lines = streams.map(({ number, sending, bytes, retransmits, figures, datagrams }) => {
    const again = retransmits === null || isUdp ? '' : String(retransmits).padStart(4)
    const fared = datagrams === null ? '' : datagramText(datagrams)
    const cwnd = figures === null ? '' : bytesText(figures.cwndBytes).padStart(12)
    const rest = `${role(both, sending)}${again}${cwnd}${fared}${note}`
    return row(idOf(number), start, end, bytes, rate(bytes, end - start), rest)
  })
  for (const sending of [true, false]) {
    if (streams.filter(stream => stream.sending === sending).length < 2) continue
    const { bytes, bitsPerSecond, retransmits } = intervalSum(line, sending)
    const again = retransmits === null || isUdp ? '' : String(retransmits).padStart(4)
    const sum = datagramSum(streams, sending)
    const fared = sum === null ? '' : datagramText(sum)
    lines.push(row('SUM', start, end, bytes, bitsPerSecond, `${role(both, sending)}${again}${fared}${note}`))
  }
  return lines.join('\n')
}

/** One line at the end: how the retransmissions or the datagrams came out, in words. */
interface EndFigures {
  readonly bytes: number
  readonly seconds: number
  readonly fared: string
}

export function endText(line: EndLine): string {
  const { streams } = line
  // They have no retransmissions: the column is the jitter's.
  const isUdp = ofDatagrams(streams)
  const both = isBoth(streams)
  const more = isUdp ? 'Jitter    Lost/Total Datagrams' : 'Retr'
  const lines = [RULE, `[ ID] Interval            Transfer     Bitrate         ${more}`]
  const add = (
    id: string,
    sending: boolean,
    side: 'sent' | 'received',
    { bytes, seconds, fared }: EndFigures,
  ): void => {
    const who = side === 'sent' ? 'sender' : 'receiver'
    const rest = `${role(both, sending)}${fared.padEnd(4)}  ${who}`
    lines.push(row(id, 0, seconds, bytes, rate(bytes, seconds), rest))
  }
  for (const stream of streams) {
    const { number, sending, sent, sentSeconds, received, receivedSeconds, retransmits, datagrams } = stream
    const told = datagrams === null ? '' : datagramText(datagrams)
    const again = retransmits === null || isUdp ? '' : String(retransmits).padStart(4)
    add(idOf(number), sending, 'sent', { bytes: sent, seconds: sentSeconds, fared: again })
    add(idOf(number), sending, 'received', { bytes: received, seconds: receivedSeconds, fared: told })
  }
  for (const sending of [true, false]) {
    if (streams.filter(stream => stream.sending === sending).length < 2) continue
    for (const side of ['sent', 'received'] as const) {
      const { bytes, seconds, retransmits } = endSum(line, sending, side)
      const sum = side === 'received' ? datagramSum(streams, sending) : null
      const again = side === 'sent' && retransmits !== null && !isUdp ? String(retransmits).padStart(4) : ''
      add('SUM', sending, side, { bytes, seconds, fared: sum === null ? again : datagramText(sum) })
    }
  }
  return lines.join('\n')
}
