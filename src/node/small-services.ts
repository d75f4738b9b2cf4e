/**
 * The standard small services on UDP: echo (RFC 862), discard (RFC 863), character generator (RFC 864). They stand on the
 * endpoint without copies: the message that came is the message that answers.
 *
 * An answer may go to somebody who never asked, since a source address is easily forged. So nothing that came for many is answered,
 * nothing that came from a port where such a service answers in turn (two of them would talk for ever), and the character
 * generator sends no more than it was sent unless it is told to.
 */
import { type Counters, makeCounters } from '../base/counters.ts'
import { FLAGS, REMOTE_PORT, SEGMENT_BYTES, UD_NOT_UNICAST } from '../inet/unitdata.ts'
import { UdpEndpoint } from '../socket/endpoint.ts'
import { allocb, freemsg } from '../streams/mblk/alloc.ts'
import { HEADROOM_BYTES } from '../streams/mblk/arena.ts'
import type { Mblk } from '../streams/mblk/mblk.ts'
import { messageBytes } from '../streams/mblk/message.ts'
import type { Runtime } from '../streams/runtime.ts'
import { writePattern } from './chargen-pattern.ts'

/** Where services listen that answer whatever comes: echo, discard, daytime, qotd, chargen, time. And 0 is nobody's. */
const ANSWERING_PORTS = [0, 7, 9, 13, 17, 19, 37]
/** RFC 864: an answer of the character generator has 0 to 512 characters. */
export const CHARGEN_BYTES_MAX = 512

/** The port of each service, null for none. */
export interface SmallServicePorts {
  readonly echo: number | null
  readonly discard: number | null
  readonly chargen: number | null
}

export interface SmallServiceOptions {
  /** Answers of the character generator up to RFC 864's 512 bytes, however small the question: an amplifier. Off by default. */
  readonly chargenAmplifies?: boolean
}

const COUNTERS = [
  'echo-answered',
  'discarded',
  'chargen-answered',
  'refused-not-unicast',
  'refused-port',
  'refused-full',
  'no-buffers',
] as const

export type SmallServiceCounters = Counters<(typeof COUNTERS)[number]>

export class SmallServices {
  readonly counters: SmallServiceCounters = makeCounters(COUNTERS)
  private readonly runtime: Runtime
  private readonly endpoints: UdpEndpoint[] = []
  private echoEndpoint: UdpEndpoint | null = null
  private chargenEndpoint: UdpEndpoint | null = null
  /** One bit for each port that is never answered. */
  private readonly refused = new Uint8Array(65_536)
  private readonly chargenBytes: number
  /** Where the next line of the character generator begins. */
  private firstLine = 0

  /**
   * Starts the services that have a port, on all addresses of both families.
   * @throws StackError `ERR_ADDR_IN_USE`; none is started then
   */
  constructor(runtime: Runtime, ports: SmallServicePorts, options: SmallServiceOptions = {}) {
    this.runtime = runtime
    this.chargenBytes = options.chargenAmplifies === true ? CHARGEN_BYTES_MAX : 0
    for (const port of [...ANSWERING_PORTS, ports.echo, ports.discard, ports.chargen])
      if (port !== null) this.refused[port] = 1
    try {
      this.echoEndpoint = this.start('echo', ports.echo, mp => this.echo(mp))
      this.start('discard', ports.discard, mp => this.discard(mp))
      this.chargenEndpoint = this.start('chargen', ports.chargen, mp => this.chargen(mp))
    } catch (error) {
      this.close()
      throw error
    }
  }

  private start(name: string, port: number | null, onMessage: (mp: Mblk) => void): UdpEndpoint | null {
    if (port === null) return null
    const endpoint = UdpEndpoint.open(this.runtime, { bind: { port }, superDatagrams: true }, name)
    endpoint.onMessage = onMessage
    this.endpoints.push(endpoint)
    return endpoint
  }

  /** RFC 862: what came goes back. */
  private echo(mp: Mblk): void {
    if (!this.mayAnswer(mp)) return
    if (this.echoEndpoint!.reply(mp)) this.counters['echo-answered']++
    else this.refuse(mp, 'refused-full')
  }

  /** RFC 863. */
  private discard(mp: Mblk): void {
    this.counters['discarded']++
    freemsg(mp)
  }

  /** RFC 864: a random number of characters, whatever came. */
  private chargen(mp: Mblk): void {
    if (!this.mayAnswer(mp)) return
    const asked = mp.cont === null ? 0 : messageBytes(mp.cont)
    const limit = Math.min(CHARGEN_BYTES_MAX, Math.max(asked, this.chargenBytes))
    const size = this.runtime.random.below(limit + 1)
    const block = allocb(this.runtime.arena, size, HEADROOM_BYTES)
    if (block === null) return this.refuse(mp, 'no-buffers')
    this.firstLine = writePattern(block.dblk.bytes, block.wptr, size, this.firstLine)
    block.wptr += size
    if (mp.cont !== null) freemsg(mp.cont)
    mp.cont = block
    // A super-datagram is one question.
    mp.dblk.arena.words[(mp.rptr >> 2) + SEGMENT_BYTES] = 0
    if (this.chargenEndpoint!.reply(mp)) this.counters['chargen-answered']++
    else this.refuse(mp, 'refused-full')
  }

  private mayAnswer(mp: Mblk): boolean {
    const { words } = mp.dblk.arena
    const at = mp.rptr >> 2
    if ((words[at + FLAGS]! & UD_NOT_UNICAST) !== 0) {
      this.refuse(mp, 'refused-not-unicast')
      return false
    }
    if (this.refused[words[at + REMOTE_PORT]!] === 1) {
      this.refuse(mp, 'refused-port')
      return false
    }
    return true
  }

  private refuse(
    mp: Mblk,
    reason: 'refused-not-unicast' | 'refused-port' | 'refused-full' | 'no-buffers',
  ): void {
    this.counters[reason]++
    freemsg(mp)
  }

  close(): void {
    for (const endpoint of this.endpoints) endpoint.close()
  }
}
