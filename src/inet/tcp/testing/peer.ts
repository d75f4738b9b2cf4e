/** The other end of a connection, as a test plays it: keeps the numbers, so that a test says only what is special. */
import type { IpAddress } from '../../address.ts'
import { shutdown } from '../close.ts'
import { acceptNext, type Listener } from '../listener.ts'
import { connect } from '../open.ts'
import type { ConnectionSettings } from '../settings.ts'
import type { StateName } from '../states.ts'
import { stateName } from '../states.ts'
import type { Tcb } from '../tcb.ts'
import type { Delivery, SegmentFields, SentSegment } from './segments.ts'
import { HERE, HERE6, PEER, PEER_PORT, PEER6, PORT, type TcpTest } from './tcp-test.ts'

export interface PeerOptions {
  readonly family?: 4 | 6
  readonly port?: number
  readonly ourPort?: number
  readonly address?: IpAddress
  readonly iss?: number
  readonly window?: number
  readonly mss?: number
  /** -1: none offered. */
  readonly windowScale?: number
  readonly sack?: boolean
  readonly timestamps?: boolean
}

export type OpenState = Exclude<StateName, 'CLOSED' | 'LISTEN' | 'SYN-SENT' | 'SYN-RECEIVED' | 'TIME-WAIT'>

export class Peer {
  readonly test: TcpTest
  readonly address: IpAddress
  readonly here: IpAddress
  readonly port: number
  ourPort: number
  /** Our (the peer's) first number, and the next that it sends. */
  readonly iss: number
  next: number
  /** The core's first number, and the next that the peer expects of it. */
  irs = 0
  ack = 0
  window: number
  readonly mss: number
  readonly windowScale: number
  readonly sack: boolean
  readonly timestamps: boolean
  /** Its timestamp clock is the test's, plus this. */
  tsOffset = 7_000
  tsRecent = 0
  private tcbOrNull: Tcb | null = null

  constructor(test: TcpTest, options: PeerOptions = {}) {
    this.test = test
    const family = options.family ?? options.address?.family ?? 4
    this.address = options.address ?? (family === 4 ? PEER : PEER6)
    this.here = family === 4 ? HERE : HERE6
    this.port = options.port ?? PEER_PORT
    this.ourPort = options.ourPort ?? PORT
    this.iss = (options.iss ?? 1_000) | 0
    this.next = this.iss
    this.window = options.window ?? 65_535
    this.mss = options.mss ?? 1_460
    this.windowScale = options.windowScale ?? -1
    this.sack = options.sack ?? false
    this.timestamps = options.timestamps ?? false
  }

  get tcb(): Tcb {
    if (this.tcbOrNull === null) throw new Error('the peer has no connection')
    return this.tcbOrNull
  }

  set tcb(tcb: Tcb) {
    this.tcbOrNull = tcb
  }

  get tsNow(): number {
    return (this.test.nowMs + this.tsOffset) | 0
  }

  /** Options of its SYN. */
  private synOptions(): Partial<SegmentFields> {
    return {
      mss: this.mss,
      ...(this.windowScale < 0 ? {} : { windowScale: this.windowScale }),
      ...(this.sack ? { sackPermitted: true } : {}),
    }
  }

  /**
   * Sends a segment with the numbers that are due, or those given; its data and FIN count.
   * @param given - `seq` and `ack` absolute; what is given does not move {@link next}
   */
  send(
    flags: string,
    given: Partial<SegmentFields> = {},
    delivery: Partial<Delivery> = {},
    flushed = true,
  ): void {
    const data = typeof given.data === 'string' ? new TextEncoder().encode(given.data) : given.data
    const { timestamps, ...rest } = given
    const stamped = timestamps ?? (this.timestamps ? ([this.tsNow, this.tsRecent] as const) : undefined)
    const fields: SegmentFields = {
      flags,
      seq: this.next,
      ack: flags.includes('A') ? this.ack : 0,
      window: this.window,
      ...(stamped === undefined ? {} : { timestamps: stamped }),
      ...rest,
      ...(data === undefined ? {} : { data }),
    }
    if (given.seq === undefined) {
      const length = (data?.length ?? 0) + (flags.includes('F') ? 1 : 0) + (flags.includes('S') ? 1 : 0)
      this.next = (this.next + length) | 0
    }
    this.test.inject(
      fields,
      [this.port, this.ourPort],
      { from: this.address, to: this.here, ...delivery },
      flushed,
    )
  }

  /** In-order data with an ACK. */
  data(data: Uint8Array | string, delivery: Partial<Delivery> = {}, flushed = true): void {
    this.send('PA', { data }, delivery, flushed)
  }

  /** Takes note of what was sent to it, as an ordinary receiver; returns it. */
  hear(): SentSegment[] {
    const all = this.test.take()
    for (const s of all) {
      if (s.toPort !== this.port) continue
      if (s.timestamps !== null) this.tsRecent = s.timestamps[0]
      const length = s.data.length + (s.flags.includes('F') ? 1 : 0) + (s.flags.includes('S') ? 1 : 0)
      const end = (s.seq + length) | 0
      if (((end - this.ack) | 0) > 0 && !s.flags.includes('R')) this.ack = end
    }
    return all
  }

  /** Hears the core's SYN or SYN-ACK. */
  private hearSyn(flags: string): SentSegment {
    const syn = this.test.takeOne()
    if (!syn.flags.startsWith(flags)) throw new Error(`${flags} was expected, not ${syn.flags}`)
    this.irs = syn.seq
    this.ack = (syn.seq + 1) | 0
    if (syn.timestamps !== null) this.tsRecent = syn.timestamps[0]
    return syn
  }

  /** Sends a SYN. */
  syn(given: Partial<SegmentFields> = {}): void {
    this.send('S', { ...this.synOptions(), ...given })
  }

  /** Sends a SYN and hears the SYN-ACK, which it returns: the core's half is half open. */
  halfOpen(given: Partial<SegmentFields> = {}): SentSegment {
    this.syn(given)
    return this.hearSyn('SA')
  }

  /** The whole handshake with a listener, and accepted. */
  open(listener: Listener): Tcb {
    this.halfOpen()
    this.send('A')
    const tcb = acceptNext(this.test.tcp, listener)
    if (tcb === null) throw new Error('nothing to accept')
    tcb.user = { tcb }
    this.tcb = this.test.hold(tcb)
    this.test.take()
    return tcb
  }

  /** The core connects to this peer; its SYN is returned. */
  connectFrom(settings?: ConnectionSettings): SentSegment {
    const user: { tcb: Tcb | null } = { tcb: null }
    this.tcb = this.test.hold(
      connect(this.test.tcp, { remote: this.address, remotePort: this.port, settings, user }),
    )
    user.tcb = this.tcb
    this.ourPort = this.tcb.localPort
    return this.hearSyn('S')
  }

  /** The core connects, and the peer takes it. */
  accept(settings?: ConnectionSettings): Tcb {
    this.connectFrom(settings)
    this.send('SA', this.synOptions())
    this.test.take()
    return this.tcb
  }

  /** Brings an established connection further, by the shortest way. */
  to(state: OpenState): Tcb {
    const { tcb, test } = this
    if (state === 'CLOSE-WAIT' || state === 'LAST-ACK') this.send('FA')
    if (state !== 'ESTABLISHED' && state !== 'CLOSE-WAIT') {
      shutdown(test.tcp, tcb)
      test.flush()
    }
    if (state === 'CLOSING') this.send('FA')
    const heard = this.hear()
    if (state === 'FIN-WAIT-2') this.send('A')
    test.take()
    if (stateName(tcb.state) !== state)
      throw new Error(`${stateName(tcb.state)}, not ${state}; sent ${heard.map(s => s.flags).join(' ')}`)
    return tcb
  }
}

/** An accepted connection in ESTABLISHED, its listener open. */
export function established(test: TcpTest, options: PeerOptions = {}): Peer {
  const peer = new Peer(test, options)
  peer.open(test.listen({ port: peer.ourPort }))
  test.events.length = 0
  return peer
}
