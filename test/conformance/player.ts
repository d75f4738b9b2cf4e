/**
 * Plays the commands of a transcript through the script door, as a program outside would: JSON lines in, JSON lines out. What the
 * language adds to the door is readable segments, and flows, which remember addresses and initial sequence numbers.
 */
import { COMMANDS } from '../../src/sim/script/commands.ts'
import type { IcmpFields, PacketFields, TcpFields } from '../../src/sim/script/packet-fields.ts'
import { Session } from '../../src/sim/script/session.ts'
import { readCommand } from './command-text.ts'
import { type Flow, readSegment, showSegment } from './packet-text.ts'

interface Answer {
  readonly id?: number
  readonly at: number
  readonly ok: boolean
  readonly value?: unknown
  readonly errno?: string
  readonly error?: string
  readonly message?: string
  readonly [extra: string]: unknown
}

interface SentPacket {
  readonly at: number
  readonly hex: string
  readonly gsoSize?: number
  readonly fields: PacketFields
}

/** A line of output, with the time by which lines are put in order. */
interface Line {
  readonly at: number
  readonly text: string
}

const LOCAL = '192.0.2.1'
const REMOTE = '198.51.100.7'

/** Where clocks and numbers begin: a transcript must not depend on it. */
export interface Origin {
  /** Of the stack's clock, in microseconds. */
  readonly startUs: number
  /** Initial sequence number of the peer, where the transcript names none. */
  readonly peerIsn: number
}

export const ORIGIN: Origin = { startUs: 0, peerIsn: 0x1000_0000 }

export class Player {
  private readonly session: Session
  private readonly origin: Origin
  private readonly flows: Flow[]
  private flow: Flow
  private answers: Answer[] = []
  /** The names of commands whose answers are still to come. */
  private readonly waiting = new Map<number, string>()
  private nextId = 1
  private readonly sent: SentPacket[] = []

  constructor(origin: Origin = ORIGIN) {
    this.origin = origin
    this.flows = [makeFlow('main', origin)]
    this.flow = this.flows[0]!
    this.session = new Session(COMMANDS, line => this.answers.push(JSON.parse(line) as Answer))
    // Memory for one case, so that a thousand of them take no time to begin.
    const config = { cmd: 'config', startUs: origin.startUs, arenaBytes: 8 * 1024 * 1024 }
    this.session.line(JSON.stringify(config))
    this.answers = []
  }

  /** Our initial sequence number on the main flow, null if none was seen. */
  get ourIsn(): number | null {
    return this.flows.find(({ name }) => name === 'main')?.ourIsn ?? null
  }

  /** @returns the lines that a command brought about */
  run(text: string): string[] {
    const [word, ...rest] = text.split(/\s+/)
    if (word === 'flow') return this.changeFlow(rest)
    if (word === 'accepted') return this.accepted(rest)
    if (word === 'last') return this.last(Number(rest[0]), Number(rest[1]))
    const command = word === '<' ? this.incoming(text.slice(1).trim()) : readCommand(text)
    const { show, ...members } = command
    const id = this.nextId++
    this.waiting.set(id, text)
    this.session.line(JSON.stringify({ ...members, id }))
    const lines = this.collect(id, (show as readonly string[] | undefined) ?? null, isQuiet(word!))
    this.session.line(JSON.stringify({ cmd: 'expect', decode: true }))
    const packets = this.answers.splice(0).flatMap(answer => this.showPackets(answer))
    // An answer that had to wait stands among the packets by its time.
    return [...lines, ...packets].sort((a, b) => a.at - b.at).map(line => line.text)
  }

  /** @throws Error if something leaked, or broke inside */
  finish(): void {
    const leaked = this.session.end()
    if (leaked !== null) throw new Error(leaked)
  }

  // ---- answers

  private collect(own: number, show: readonly string[] | null, quiet: boolean): Line[] {
    return this.answers.splice(0).flatMap(answer => {
      if (answer['faults'] !== undefined) throw new Error(String(answer['faults']))
      const id = answer.id ?? 0
      const text = this.waiting.get(id) ?? ''
      this.waiting.delete(id)
      const result = showAnswer(answer, id === own ? show : null)
      if (id === own && quiet && answer.ok) return []
      // The own answer comes first, whatever it brought about in no time.
      if (id === own) return [{ at: -1, text: `= ${result}` }]
      return [{ at: answer.at, text: `${showTime(answer.at)} ${text} = ${result}` }]
    })
  }

  private showPackets(answer: Answer): Line[] {
    const packets = (answer['packets'] ?? []) as readonly SentPacket[]
    this.sent.push(...packets)
    return packets.map(packet => ({
      at: packet.at,
      text: `${showTime(packet.at)} > ${this.showPacket(packet)}`,
    }))
  }

  private showPacket({ fields, gsoSize }: SentPacket): string {
    const suffix = gsoSize === undefined ? '' : ` gso ${gsoSize}`
    if (fields.protocol === 'icmp') return showIcmp(fields)
    if (fields.protocol !== 'tcp') return `protocol ${fields.protocol}`
    const flow = this.flows.find(one => belongs(fields, one))
    if (flow === undefined)
      return `${fields.destination}:${fields.destinationPort} ${showSegment(fields, makeFlow('', this.origin))}`
    // The first SYN of a socket that chose its port is the flow's from then on.
    flow.localPort = fields.sourcePort
    const name = flow === this.flow ? '' : `[${flow.name}] `
    return name + showSegment(fields, flow) + suffix
  }

  // ---- what the peer sends

  private incoming(text: string): Record<string, unknown> {
    if (text.startsWith('icmp ')) return { cmd: 'inject', packet: this.icmp(text.slice(5)) }
    // `gso 1460`: the segment is a super-segment of such parts.
    const gso = / gso (\d+)/.exec(text)
    const packet = readSegment(gso === null ? text : text.replace(gso[0], ''), this.flow)
    return { cmd: 'inject', packet, ...(gso === null ? {} : { gsoSize: Number(gso[1]) }) }
  }

  /** `3/4 mtu 1400`, `3/1 seq 1 from 192.0.2.9`: an error that quotes the last segment sent, or the last one with that number. */
  private icmp(text: string): Record<string, unknown> {
    const [kind, ...words] = text.split(/\s+/)
    const [type, code] = kind!.split('/').map(Number)
    const option = (name: string): string | undefined => {
      const at = words.indexOf(name)
      return at < 0 ? undefined : words[at + 1]
    }
    const seq = option('seq')
    const quoted = this.sent.findLast(({ fields }) => fields.protocol === 'tcp' && this.hasSeq(fields, seq))
    if (quoted === undefined) throw new Error('there is no segment to quote')
    const shift = Number(option('shift') ?? 0)
    return {
      protocol: 'icmp',
      source: option('from') ?? this.flow.remote,
      destination: this.flow.local,
      type,
      code,
      word: Number(option('mtu') ?? 0),
      // A router quotes the IP header and at least 8 bytes; an IPv6 one as much as fits.
      payload: shiftSeq(quoted.hex, quoted.fields.family === 4 ? 28 : 60, shift),
    }
  }

  private hasSeq(fields: PacketFields, seq: string | undefined): boolean {
    if (fields.protocol !== 'tcp' || !belongs(fields, this.flow)) return false
    return seq === undefined || ((fields.seq - (this.flow.ourIsn ?? 0)) | 0) === Number(seq)
  }

  // ---- shortcuts

  /**
   * `accepted [sack] [ts] [wscale=N] [mss=N] [win=N] [rtt=TIME] [ecn]`: a socket 3 that listens at port 80, and a connection 4 that it
   * accepted, its round trip 100 ms unless told otherwise.
   */
  private accepted(words: readonly string[]): string[] {
    const value = (name: string): string | null =>
      words.find(word => word.startsWith(`${name}=`))?.slice(name.length + 1) ?? null
    const has = (name: string): boolean => words.includes(name)
    const wscale = value('wscale')
    const options = [
      `mss ${value('mss') ?? 1_460}`,
      ...(has('sack') ? ['sackOK'] : []),
      ...(has('ts') ? ['TS 1000 ecr 0'] : []),
      ...(wscale === null ? [] : [`nop,wscale ${wscale}`]),
    ]
    const syn = has('ecn') ? 'SEW' : 'S'
    const stamp = has('ts') ? ' <nop,nop,TS 1100 ecr 0>' : ''
    const steps = [
      ...(has('listening') ? [] : ['socket', 'bind 3 80', 'listen 3']),
      `< ${syn} 0:0(0) win ${value('win') ?? 65_535} <${options.join(',')}>`,
      `advance ${value('rtt') ?? '100ms'}`,
      `< A 1:1(0) ack 1 win ${value('win') ?? 65_535}${stamp}`,
    ]
    for (const step of steps) this.run(step)
    const [answer] = this.run('accept 3 nonblock')
    if (answer?.startsWith('= 4 ') !== true) throw new Error(`no connection was accepted: ${answer}`)
    return []
  }

  /** `last FROM TO`: bytes of the last packet sent, as hex. */
  private last(from: number, to: number): string[] {
    return [`= ${this.sent.at(-1)?.hex.slice(2 * from, 2 * to) ?? 'nothing'}`]
  }

  // ---- flows

  /** `flow NAME [local=ADDRESS] [lport=N] [remote=ADDRESS] [rport=N] [isn=N]`: segments to and from are this one's from now on. */
  private changeFlow([name, ...settings]: readonly string[]): string[] {
    const found = this.flows.find(one => one.name === name)
    const flow = found ?? { ...makeFlow(name ?? '', this.origin), remotePort: 40_000 + this.flows.length }
    if (found === undefined) this.flows.unshift(flow)
    this.flow = flow
    for (const setting of settings) {
      const [key, value] = setting.split('=') as [string, string]
      if (key === 'local') flow.local = value
      else if (key === 'remote') flow.remote = value
      else if (key === 'lport') flow.localPort = Number(value)
      else if (key === 'rport') flow.remotePort = Number(value)
      else if (key === 'isn') flow.peerIsn = Number(value) >>> 0
      else throw new Error(`a flow has no "${key}"`)
    }
    return []
  }
}

/** Commands whose success is no news. */
const isQuiet = (word: string): boolean => ['<', 'advance', 'config', 'reset'].includes(word)

function makeFlow(name: string, { peerIsn }: Origin): Flow {
  return {
    name,
    local: LOCAL,
    remote: REMOTE,
    localPort: 80,
    remotePort: 40_000,
    peerIsn,
    ourIsn: null,
    ourTs: null,
  }
}

/** A flow with local port 0 takes the port of the first SYN that fits. */
function belongs(fields: TcpFields, flow: Flow): boolean {
  return (
    fields.source === flow.local &&
    fields.destination === flow.remote &&
    fields.destinationPort === flow.remotePort &&
    (fields.sourcePort === flow.localPort || flow.localPort === 0)
  )
}

function shiftSeq(hex: string, bytes: number, shift: number): string {
  const header = hex.slice(0, 2 * bytes)
  if (shift === 0) return header
  const at = 2 * (bytes - 4)
  const seq = (Number.parseInt(header.slice(at), 16) + shift) >>> 0
  return header.slice(0, at) + seq.toString(16).padStart(8, '0')
}

/** Seconds since the script began; microseconds are shown where there are any. */
function showTime(us: number): string {
  return us % 1_000 === 0 ? (us / 1e6).toFixed(3) : (us / 1e6).toFixed(6)
}

function showIcmp({ type, code, word }: IcmpFields): string {
  return `icmp ${type}/${code}${word === 0 ? '' : ` word ${word}`}`
}

/** What a call came to, in a few words. @param show - members of an object to be shown */
function showAnswer(answer: Answer, show: readonly string[] | null): string {
  if (!answer.ok) return answer.errno ?? `${answer.error}: ${answer.message}`
  const { value, result } = answer
  const shown = result === undefined ? value : result
  if (typeof shown === 'object' && shown !== null) return showMembers(shown as Record<string, unknown>, show)
  const address =
    answer['address'] === undefined ? '' : ` ${String(answer['address'])}:${String(answer['port'])}`
  const data = answer['pattern'] === false ? ` WRONG at ${String(answer['wrongAt'])}` : ''
  const events = ((answer['events'] ?? []) as readonly string[]).map(event => ` ${event}`).join('')
  const text = answer['text'] === undefined ? '' : ` ${JSON.stringify(answer['text'])}`
  return `${String(shown)}${address}${data}${events}${text}`
}

/** `name value` for each of `show`, which may name members of members: `tcp.timed-out`. */
function showMembers(members: Readonly<Record<string, unknown>>, show: readonly string[] | null): string {
  if (show === null || show.length === 0) return JSON.stringify(members)
  return show
    .map(path => {
      const value = path
        .split('.')
        .reduce<unknown>((at, name) => (at as Record<string, unknown>)?.[name], members)
      // Counters of zero are not told; anything else that is not there is a misspelt name.
      if (value === undefined && !path.includes('.')) throw new Error(`the answer has no member "${path}"`)
      const text = typeof value === 'object' ? JSON.stringify(value) : String(value ?? 0)
      return `${path.split('.').at(-1)} ${text}`
    })
    .join(', ')
}
