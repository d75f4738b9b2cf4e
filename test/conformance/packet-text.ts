/**
 * Segments as one line of text, with sequence numbers counted from each side's initial one:
 * `SA 0:0(0) ack 1 win 65535 <mss 1460,sackOK,TS 5 ecr 7,wscale 8>`. What is left out is the usual: TTL 64, type of service 0,
 * don't-fragment set, checksums right, test data in its place, padding of options.
 */

import { patternBytes } from '../../src/sim/script/packet-encode.ts'
import { type OptionFields, type TcpFields, toHex } from '../../src/sim/script/packet-fields.ts'

/** One connection as the script sees it. */
export interface Flow {
  readonly name: string
  local: string
  remote: string
  localPort: number
  remotePort: number
  /** Initial sequence numbers; ours is unknown until the first SYN left. */
  peerIsn: number
  ourIsn: number | null
  /** Our first timestamp, from which ours are counted. */
  ourTs: number | null
}

const USUAL_TTL = 64

const less = (a: number, b: number): number => (a - b) >>> 0
/** A distance that may be a little behind: -1 is one before the initial number. */
const signed = (distance: number): number => (distance > 0xffff_0000 ? distance - 2 ** 32 : distance)

// ---- what the stack sent

/** @param fields - of a segment of ours */
export function showSegment(fields: TcpFields, flow: Flow): string {
  if (fields.flags.includes('S')) {
    // Every new attempt to open counts from its own SYN.
    flow.ourIsn = fields.seq
  }
  noteTimestamp(fields, flow)
  // A segment of nobody's connection: its numbers are what they are.
  const seq = flow.ourIsn === null ? fields.seq : signed(less(fields.seq, flow.ourIsn))
  const ack = signed(less(fields.ack, flow.peerIsn))
  const parts = [
    fields.flags === '' ? 'none' : fields.flags,
    `${seq}:${seq + fields.payloadBytes}(${fields.payloadBytes})`,
    ...(fields.flags.includes('A') ? [`ack ${ack}`] : []),
    `win ${fields.window}`,
    ...(fields.flags.includes('U') || fields.urgent !== 0 ? [`urg ${fields.urgent}`] : []),
    ...showOptions(fields.options, flow),
    ...(fields.tos === 0 ? [] : [`tos 0x${fields.tos.toString(16)}`]),
    ...(fields.ttl === USUAL_TTL ? [] : [`ttl ${fields.ttl}`]),
    ...(fields.dontFragment === false ? ['may-fragment'] : []),
    ...(fields.checksumOk ? [] : ['CHECKSUM WRONG']),
    ...(isTestData(fields.payload, seq - 1) ? [] : [`data ${shorten(fields.payload)}`]),
  ]
  return parts.join(' ')
}

const shorten = (hex: string): string => (hex.length > 40 ? `${hex.slice(0, 40)}…` : hex)

function isTestData(hex: string, place: number): boolean {
  return hex === toHex(patternBytes(hex.length / 2, place))
}

function noteTimestamp({ options }: TcpFields, flow: Flow): void {
  if (flow.ourTs !== null) return
  for (const option of options) if (option.kind === 'timestamps') flow.ourTs = option.value
}

function showOptions(options: readonly OptionFields[], flow: Flow): string[] {
  const shown = options.flatMap(option => showOption(option, flow))
  return shown.length === 0 ? [] : [`<${shown.join(',')}>`]
}

function showOption(option: OptionFields, flow: Flow): string[] {
  switch (option.kind) {
    case 'nop':
    case 'eol':
      return []
    case 'mss':
      return [`mss ${option.value}`]
    case 'windowScale':
      return [`wscale ${option.value}`]
    case 'sackPermitted':
      return ['sackOK']
    case 'timestamps':
      return [`TS ${signed(less(option.value, flow.ourTs ?? 0))} ecr ${option.echo}`]
    case 'sack': {
      const blocks = option.blocks.map(
        ([left, right]) => `${signed(less(left, flow.peerIsn))}:${signed(less(right, flow.peerIsn))}`,
      )
      return [`sack ${blocks.join(' ')}`]
    }
    default:
      return [`${option.kind} ${option.hex}`]
  }
}

// ---- what the peer sends

/** Fields of a packet for the door's `inject`, from text such as `PA 1:101(100) ack 1 win 100 <nop,nop,TS 5 ecr 0>`. */
export function readSegment(text: string, flow: Flow): Record<string, unknown> {
  const options: OptionFields[] = []
  const bare = text.replace(/<([^>]*)>/, (_, list: string) => {
    options.push(...list.split(',').map(one => readOption(one.trim(), text, flow)))
    return ''
  })
  const [flags, range, ...words] = bare.trim().split(/\s+/)
  const place = /^(-?\d+):(-?\d+)\((\d+)\)$/.exec(range ?? '')
  if (flags === undefined || place === null) throw new Error(`no segment: ${text}`)
  const [seq, end, length] = place.slice(1).map(Number) as [number, number, number]
  if (end - seq !== length) throw new Error(`${range}: the length does not fit`)
  return {
    source: flow.remote,
    destination: flow.local,
    sourcePort: flow.remotePort,
    destinationPort: flow.localPort,
    flags: flags === 'none' ? '' : flags,
    seq: (flow.peerIsn + seq) >>> 0,
    payload: toHex(patternBytes(length, seq - 1)),
    options,
    ...readWords(words, flow),
  }
}

function readWords(words: readonly string[], flow: Flow): Record<string, unknown> {
  const fields: Record<string, unknown> = {}
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!
    const number = (): number => Number(words[++i])
    if (word === 'ack') fields['ack'] = ((flow.ourIsn ?? 0) + number()) >>> 0
    else if (word === 'win') fields['window'] = number()
    else if (word === 'urg') fields['urgent'] = number()
    else if (word === 'tos') fields['tos'] = number()
    else if (word === 'ttl') fields['ttl'] = number()
    else if (word === 'from') fields['source'] = words[++i]
    else if (word === 'to') fields['destination'] = words[++i]
    else if (word === 'ip-options') fields['ipOptions'] = words[++i]
    else if (word === 'data') fields['payload'] = words[++i]
    else if (word === 'bad-checksum') fields['checksumOk'] = false
    else throw new Error(`a segment has no "${word}"`)
  }
  return fields
}

function readOption(text: string, segment: string, flow: Flow): OptionFields {
  const [kind, ...words] = text.split(/\s+/)
  const numbers = words.map(Number)
  switch (kind) {
    case 'nop':
    case 'eol':
      return { kind }
    case 'sackOK':
      return { kind: 'sackPermitted' }
    case 'mss':
      return { kind: 'mss', value: numbers[0]! }
    case 'wscale':
      return { kind: 'windowScale', value: numbers[0]! }
    case 'TS': {
      // The first segment of all echoes nothing.
      const echo = /^\S*A/.test(segment.trim()) ? ((flow.ourTs ?? 0) + numbers[2]!) >>> 0 : numbers[2]!
      return { kind: 'timestamps', value: numbers[0]!, echo }
    }
    case 'sack': {
      const edge = (relative: string): number => ((flow.ourIsn ?? 0) + Number(relative)) >>> 0
      const blocks = words.map(block => block.split(':').map(edge) as unknown as [number, number])
      return { kind: 'sack', blocks }
    }
    case 'raw':
      return { kind: 'raw', hex: words[0]! }
    default:
      return { kind: Number(kind), hex: words[0] ?? '' }
  }
}
