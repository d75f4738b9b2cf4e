/** What a test comes to: from both sides' results, as the last line and as iperf3's JSON document. */
import type { DatagramFigures } from './datagram-header.ts'
import type { EndLine, EndStream, IntervalLine, IntervalStream, LineStream, StartLine } from './lines.ts'
import type { SideResults, StreamResult } from './results.ts'

/** Puts both sides' results together. @param own - of the side that tells */
export function endLine(streams: readonly LineStream[], own: SideResults, remote: SideResults): EndLine {
  return {
    kind: 'end',
    streams: streams.map(({ number, sending }): EndStream => {
      const mine = resultOf(own, number)
      const theirs = resultOf(remote, number)
      const [sender, receiver] = sending ? [mine, theirs] : [theirs, mine]
      return {
        number,
        sending,
        sent: sender.bytes,
        sentSeconds: sender.seconds,
        received: receiver.bytes,
        receivedSeconds: receiver.seconds,
        retransmits: sender.retransmits < 0 ? null : sender.retransmits,
        datagrams: datagramsOf(sender, receiver),
      }
    }),
    cpu: { own: own.cpu, remote: remote.cpu },
    congestion: { own: own.congestion, remote: remote.congestion },
  }
}

/** @returns null for a stream without any */
function datagramsOf(sender: StreamResult, receiver: StreamResult): DatagramFigures | null {
  if (sender.packets === 0 && receiver.packets === 0) return null
  // What nobody after it arrived for is missing in the receiver's count.
  return { packets: sender.packets, lost: receiver.errors, outOfOrder: 0, jitterMs: receiver.jitter * 1_000 }
}

const NOTHING: StreamResult = {
  number: 0,
  bytes: 0,
  retransmits: -1,
  seconds: 0,
  jitter: 0,
  errors: 0,
  packets: 0,
}

function resultOf({ streams }: SideResults, number: number): StreamResult {
  return streams.find(stream => stream.number === number) ?? NOTHING
}

/** Figures of one direction of an interval, all streams together. */
export interface Sum {
  readonly bytes: number
  readonly bitsPerSecond: number
  readonly retransmits: number | null
}

/** @param sending - which direction */
export function intervalSum(line: IntervalLine, sending: boolean): Sum {
  const own = line.streams.filter(stream => stream.sending === sending)
  return sumOf(own.map(({ bytes, retransmits }) => ({ bytes, seconds: line.end - line.start, retransmits })))
}

export function endSum(
  line: EndLine,
  sending: boolean,
  side: 'sent' | 'received',
): Sum & { seconds: number } {
  const own = line.streams.filter(stream => stream.sending === sending)
  const seconds = Math.max(0, ...own.map(stream => stream[`${side}Seconds`]))
  const parts = own.map(stream => ({ bytes: stream[side], seconds, retransmits: stream.retransmits }))
  return { ...sumOf(parts), seconds }
}

function sumOf(parts: readonly { bytes: number; seconds: number; retransmits: number | null }[]): Sum {
  const bytes = parts.reduce((sum, part) => sum + part.bytes, 0)
  const known = parts.filter(({ retransmits }) => retransmits !== null)
  return {
    bytes,
    bitsPerSecond: rate(bytes, parts[0]?.seconds ?? 0),
    retransmits: known.length === 0 ? null : known.reduce((sum, part) => sum + part.retransmits!, 0),
  }
}

export function rate(bytes: number, seconds: number): number {
  return seconds <= 0 ? 0 : (bytes * 8) / seconds
}

/**
 * The document that `iperf3 --json` writes, as far as its keys mean something here.
 * @param version - of what tells it
 */
export function iperfDocument(
  version: string,
  start: StartLine | null,
  intervals: readonly IntervalLine[],
  end: EndLine | null,
): Record<string, unknown> {
  return {
    start: start === null ? {} : startDocument(version, start),
    intervals: intervals.map(intervalDocument),
    end: end === null ? {} : endDocument(end),
  }
}

function startDocument(version: string, { parameters, streams }: StartLine): Record<string, unknown> {
  const [first] = streams
  return {
    version: `putnext ${version}`,
    connected: streams.map(({ number, local, remote }) => ({
      socket: number,
      local_host: local.address,
      local_port: local.port,
      remote_host: remote.address,
      remote_port: remote.port,
    })),
    ...(first === undefined
      ? {}
      : { connecting_to: { host: first.remote.address, port: first.remote.port } }),
    test_start: {
      protocol: parameters.protocol.toUpperCase(),
      num_streams: parameters.parallel,
      blksize: parameters.blockBytes,
      omit: parameters.omitSeconds,
      duration: parameters.seconds,
      bytes: parameters.bytes,
      blocks: parameters.blocks,
      reverse: parameters.direction === 'reverse' ? 1 : 0,
      bidir: parameters.direction === 'both' ? 1 : 0,
      target_bitrate: parameters.bitsPerSecond,
    },
  }
}

function intervalDocument(line: IntervalLine): Record<string, unknown> {
  const time = { start: line.start, end: line.end, seconds: line.end - line.start }
  const sumFor = (sending: boolean): Record<string, unknown> => {
    const { bytes, bitsPerSecond, retransmits } = intervalSum(line, sending)
    const sent = retransmits === null ? {} : { retransmits }
    const datagrams = datagramSum(line.streams, sending)
    const fared = datagrams === null ? {} : datagramDocument(datagrams)
    return {
      ...time,
      bytes,
      bits_per_second: bitsPerSecond,
      ...sent,
      ...fared,
      omitted: line.omitted,
      sender: sending,
    }
  }
  const first = line.streams[0]?.sending ?? true
  const both = line.streams.some(({ sending }) => sending !== first)
  return {
    streams: line.streams.map((stream: IntervalStream) => ({
      socket: stream.number,
      ...time,
      bytes: stream.bytes,
      bits_per_second: rate(stream.bytes, time.seconds),
      ...(stream.retransmits === null ? {} : { retransmits: stream.retransmits }),
      ...(stream.datagrams === null ? {} : datagramDocument(stream.datagrams)),
      ...(stream.figures === null ? {} : { snd_cwnd: stream.figures.cwndBytes, rtt: stream.figures.rttUs }),
      omitted: line.omitted,
      sender: stream.sending,
    })),
    sum: sumFor(first),
    ...(both ? { sum_bidir_reverse: sumFor(!first) } : {}),
  }
}

function datagramDocument({ packets, lost, outOfOrder, jitterMs }: DatagramFigures): Record<string, number> {
  const lost_percent = packets === 0 ? 0 : (lost / packets) * 100
  return { packets, lost_packets: lost, lost_percent, out_of_order: outOfOrder, jitter_ms: jitterMs }
}

/** Of all streams of one direction; jitter is their mean. @returns null without datagrams */
export function datagramSum(
  streams: readonly (LineStream & { readonly datagrams: DatagramFigures | null })[],
  sending: boolean,
): DatagramFigures | null {
  const all = streams.flatMap(stream =>
    stream.sending === sending && stream.datagrams !== null ? [stream.datagrams] : [],
  )
  if (all.length === 0) return null
  const add = (key: keyof DatagramFigures): number => all.reduce((sum, one) => sum + one[key], 0)
  return {
    packets: add('packets'),
    lost: add('lost'),
    outOfOrder: add('outOfOrder'),
    jitterMs: add('jitterMs') / all.length,
  }
}

function endDocument(line: EndLine): Record<string, unknown> {
  const part = (bytes: number, seconds: number, sender: boolean): Record<string, unknown> => ({
    start: 0,
    end: seconds,
    seconds,
    bytes,
    bits_per_second: rate(bytes, seconds),
    sender,
  })
  const sumFor = (sending: boolean, side: 'sent' | 'received'): Record<string, unknown> => {
    const { bytes, seconds, retransmits } = endSum(line, sending, side)
    const again = side === 'sent' && retransmits !== null ? { retransmits } : {}
    const datagrams = datagramSum(line.streams, sending)
    return {
      ...part(bytes, seconds, sending),
      ...again,
      ...(datagrams === null ? {} : datagramDocument(datagrams)),
    }
  }
  const first = line.streams[0]?.sending ?? true
  const both = line.streams.some(({ sending }) => sending !== first)
  const { own, remote } = line.cpu
  const sending = line.streams.some(stream => stream.sending)
  const { congestion } = line
  const [sender, receiver] = sending
    ? [congestion.own, congestion.remote]
    : [congestion.remote, congestion.own]
  return {
    streams: line.streams.map(stream => ({
      ...(stream.datagrams === null
        ? {}
        : {
            udp: {
              socket: stream.number,
              ...part(stream.received, stream.receivedSeconds, stream.sending),
              ...datagramDocument(stream.datagrams),
            },
          }),
      sender: {
        socket: stream.number,
        ...part(stream.sent, stream.sentSeconds, stream.sending),
        ...(stream.retransmits === null ? {} : { retransmits: stream.retransmits }),
      },
      receiver: { socket: stream.number, ...part(stream.received, stream.receivedSeconds, stream.sending) },
    })),
    sum_sent: sumFor(first, 'sent'),
    sum_received: sumFor(first, 'received'),
    ...(both
      ? {
          sum_sent_bidir_reverse: sumFor(!first, 'sent'),
          sum_received_bidir_reverse: sumFor(!first, 'received'),
        }
      : {}),
    cpu_utilization_percent: {
      host_total: own.total,
      host_user: own.user,
      host_system: own.system,
      remote_total: remote.total,
      remote_user: remote.user,
      remote_system: remote.system,
    },
    sender_tcp_congestion: sender,
    receiver_tcp_congestion: receiver,
  }
}
