/** What all endpoints of one stack share. */
import type { AnyQueue } from '../../streams/module.ts'
import type { Runtime } from '../../streams/runtime.ts'
import type { IpAddress } from '../address.ts'
import { makeUdpCounters, type UdpCounters } from './counters.ts'
import { Demux } from './demux.ts'
import type { Endpoint } from './endpoint.ts'
import { EPHEMERAL_FIRST, EPHEMERAL_LAST, type PortRange } from './ports.ts'

/** What UDP asks of IP that is no message. */
export interface SourceChoice {
  /** Whether a program may bind to the address. */
  isLocal(address: IpAddress): boolean
  /** The source address of packets to `remote`, or null if no route leads there. */
  sourceFor(remote: IpAddress): IpAddress | null
}

export class Udp {
  readonly runtime: Runtime
  readonly demux: Demux
  readonly counters: UdpCounters = makeUdpCounters()
  /** Read queues of all endpoint streams, bound or not. */
  readonly endpoints = new Set<Endpoint>()
  ports: PortRange = { first: EPHEMERAL_FIRST, last: EPHEMERAL_LAST }
  /** Write queue of the lower side, `putnext(lower, mp)` goes to IP; null while nothing is linked. */
  lower: AnyQueue | null = null
  sources: SourceChoice | null = null
  /** The endpoint whose request IP has in hand. */
  sending: Endpoint | null = null
  /** Endpoints whose queued requests wait for room below, in order. */
  private firstWaiting: Endpoint | null = null
  private lastWaiting: Endpoint | null = null

  constructor(runtime: Runtime) {
    this.runtime = runtime
    this.demux = new Demux(runtime.random.int32())
  }

  /** Puts an endpoint at the end of the line for room below. */
  joinLine(e: Endpoint): void {
    if (e.waiting) return
    e.waiting = true
    e.nextWaiting = null
    if (this.lastWaiting === null) this.firstWaiting = e
    else this.lastWaiting.nextWaiting = e
    this.lastWaiting = e
  }

  /** Takes the first endpoint out of the line. */
  nextInLine(): Endpoint | null {
    const e = this.firstWaiting
    if (e === null) return null
    this.firstWaiting = e.nextWaiting
    if (this.firstWaiting === null) this.lastWaiting = null
    e.nextWaiting = null
    e.waiting = false
    return e
  }

  /** Takes an endpoint out wherever it stands. */
  leaveLine(e: Endpoint): void {
    if (!e.waiting) return
    let before: Endpoint | null = null
    for (let each = this.firstWaiting; each !== e; each = each!.nextWaiting) before = each
    if (before === null) this.firstWaiting = e.nextWaiting
    else before.nextWaiting = e.nextWaiting
    if (this.lastWaiting === e) this.lastWaiting = before
    e.nextWaiting = null
    e.waiting = false
  }
}
