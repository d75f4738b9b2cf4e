/** Passive opening (RFC 9293 §3.10.1): where programs listen, and the queue of what they have not accepted yet. */
import { assert } from '../../base/assert.ts'
import { StackError } from '../../base/errors.ts'
import { formatAddress, type IpAddress, isMulticast, isUnspecified, LIMITED_BROADCAST } from '../address.ts'
import { abort, release } from './close.ts'
import { forgetHalfOpen } from './handshake.ts'
import type { CloseReason, ConnectionUser } from './host.ts'
import type { ConnectionSettings } from './settings.ts'
import { CLOSED } from './states.ts'
import { F_UNACCEPTED, type Tcb } from './tcb.ts'
import type { Tcp } from './tcp.ts'

/** How a listener takes connections of one family: not at all, to any address, to its own address only. */
export const ACCEPT_NONE = 0
export const ACCEPT_ANY = 1
export const ACCEPT_EXACT = 2

/** What `backlog` may be at most (Linux's `somaxconn`), and what it is when the program names none (Node's). */
export const BACKLOG_MAX = 4_096
export const BACKLOG_DEFAULT = 511
const RING_MIN = 16

export interface ListenRequest {
  /** Null for any. */
  readonly address?: IpAddress | null
  /** 6 takes IPv4 too, unless `ipv6Only`. Without it: the address's, or 6. */
  readonly family?: 4 | 6
  /** 0 for one that is free. */
  readonly port: number
  /** Connections that may wait to be accepted, 1 to {@link BACKLOG_MAX}. */
  readonly backlog?: number
  readonly ipv6Only?: boolean
  /** Two listeners may have the same address and port if both say so; the later one gets the connections. */
  readonly reuseAddress?: boolean
  /** Of the connections that come from it. */
  readonly settings?: ConnectionSettings
  /** The module's own; only its identity matters. */
  readonly user?: object | null
}

/** Stands as {@link Tcb.user} of the connections that wait in its queue, so that their end is heard here. */
export class Listener implements ConnectionUser {
  readonly tcb = null
  /** Half-open connections name their listener by this number. */
  readonly id: number
  readonly family: 4 | 6
  readonly ipv6Only: boolean
  readonly reuseAddress: boolean
  readonly backlog: number
  readonly settings: ConnectionSettings
  readonly user: object | null
  accept4 = ACCEPT_NONE
  accept6 = ACCEPT_NONE
  port = 0
  /** Four int32 words; v4-mapped for IPv4. */
  local0 = 0
  local1 = 0
  local2 = 0
  local3 = 0
  /** The next listener on the same port, in the demultiplexer's list. */
  nextOnPort: Listener | null = null
  closed = false
  /** Connections in line, those that ended there included: Linux's `accept` gives them too, and the next call tells the error. */
  waiting = 0
  accepted = 0
  /** What came and found the queue full. */
  overflowed = 0
  /** `waiting` connections from `first`, in a power of two of places. */
  private ring: (Tcb | null)[] = []
  private first = 0
  /** Why those that ended in line did. */
  private readonly ends = new WeakMap<Tcb, CloseReason>()

  constructor(id: number, family: 4 | 6, request: ListenRequest, settings: ConnectionSettings) {
    this.id = id
    this.family = family
    this.ipv6Only = request.ipv6Only ?? false
    this.reuseAddress = request.reuseAddress ?? false
    this.backlog = Math.min(BACKLOG_MAX, Math.max(1, request.backlog ?? BACKLOG_DEFAULT))
    this.settings = settings
    this.user = request.user ?? null
  }

  get hasRoom(): boolean {
    return this.waiting < this.backlog
  }

  /** Puts an established connection in line. @param tcb - its `user` becomes this listener until it is accepted */
  push(tcb: Tcb): void {
    assert(this.hasRoom && !this.closed, 'a connection for a full or closed listener')
    if (this.waiting === this.ring.length) this.makeRoom()
    this.ring[(this.first + this.waiting) & (this.ring.length - 1)] = tcb
    this.waiting++
    tcb.user = this
  }

  /** The next in line. */
  shift(): Tcb | null {
    if (this.waiting === 0) return null
    const tcb = this.ring[this.first]!
    this.ring[this.first] = null
    this.first = (this.first + 1) & (this.ring.length - 1)
    this.waiting--
    return tcb
  }

  /** A connection in line came to its end. It keeps its place, and the data that came before. */
  died(tcb: Tcb, reason: CloseReason): void {
    assert(tcb.user === this, 'a connection of another listener')
    this.ends.set(tcb, reason)
  }

  /** Why a connection that {@link acceptNext} gave was over already; null if it lives, or was not. */
  endOf(tcb: Tcb): CloseReason | null {
    return this.ends.get(tcb) ?? null
  }

  /** Twice the places: at most twice the backlog are ever needed. */
  private makeRoom(): void {
    const old = this.ring
    this.ring = new Array<Tcb | null>(Math.max(RING_MIN, 2 * old.length)).fill(null)
    for (let i = 0; i < this.waiting; i++) this.ring[i] = old[(this.first + i) & (old.length - 1)]!
    this.first = 0
  }
}

/**
 * Listens (RFC 9293 §3.10.1, passive OPEN). Every other connection, established or not, stays as it is (MUST-41).
 * @throws StackError `ERR_BAD_ADDRESS`, `ERR_BAD_ARGUMENT`, `ERR_ADDR_NOT_AVAILABLE`, `ERR_ADDR_IN_USE`
 */
export function listen(tcp: Tcp, request: ListenRequest): Listener {
  const address = request.address ?? null
  const family = request.family ?? address?.family ?? 6
  checkRequest(tcp, request, family)
  const listener = new Listener(
    tcp.nextListenerId++,
    family,
    request,
    request.settings ?? tcp.connectionDefaults,
  )
  setLocal(listener, address)
  listener.port = request.port
  if (request.port === 0) {
    listener.port = chooseListenPort(tcp, listener)
    if (listener.port === 0) throw new StackError('ERR_ADDR_IN_USE', 'listen: every port is in use')
  } else if (tcp.listeners.conflicts(listener)) {
    const where = address === null ? 'any address' : formatAddress(address)
    throw new StackError('ERR_ADDR_IN_USE', `listen: another listener has ${where} port ${request.port}`, {
      hint: 'choose another port, or close that listener first',
    })
  }
  tcp.listeners.add(listener)
  return listener
}

function checkRequest(tcp: Tcp, request: ListenRequest, family: 4 | 6): void {
  const { port } = request
  const address = request.address ?? null
  if (!Number.isInteger(port) || port < 0 || port > 0xffff)
    throw new StackError('ERR_BAD_ARGUMENT', `listen: ${port} is no port`)
  if (address === null || isUnspecified(address)) return
  const text = formatAddress(address)
  if (address.family === 6 && family === 4)
    throw new StackError('ERR_BAD_ADDRESS', `listen: ${text} is no IPv4 address`)
  if (address.family === 4 && family === 6 && request.ipv6Only === true)
    throw new StackError('ERR_BAD_ADDRESS', `listen: ${text} at a listener of IPv6 alone`)
  if (isMulticast(address) || (address.family === 4 && address.words[3] === LIMITED_BROADCAST))
    throw new StackError('ERR_BAD_ADDRESS', `listen: ${text} is no address of one host`)
  if (!tcp.host.isLocal(address))
    throw new StackError('ERR_ADDR_NOT_AVAILABLE', `listen: ${text} is no address of this stack`)
}

function setLocal(listener: Listener, address: IpAddress | null): void {
  if (address === null || isUnspecified(address)) {
    // RFC 3493 §3.7: "any" of IPv6 is any of IPv4 as well; "any" of IPv4 is its own only.
    const only4 = listener.family === 4 || address?.family === 4
    listener.accept4 = listener.ipv6Only ? ACCEPT_NONE : ACCEPT_ANY
    listener.accept6 = only4 ? ACCEPT_NONE : ACCEPT_ANY
    return
  }
  if (address.family === 4) listener.accept4 = ACCEPT_EXACT
  else listener.accept6 = ACCEPT_EXACT
  const [w0, w1, w2, w3] = address.words
  listener.local0 = w0
  listener.local1 = w1
  listener.local2 = w2
  listener.local3 = w3
}

/** A free one, from a random place on; 0 if there is none. */
function chooseListenPort(tcp: Tcp, listener: Listener): number {
  const { portFirst, portLast } = tcp.settings
  const count = portLast - portFirst + 1
  const from = tcp.random.below(count)
  for (let i = 0; i < count; i++) {
    listener.port = portFirst + ((from + i) % count)
    if (!tcp.listeners.conflicts(listener)) return listener.port
  }
  return 0
}

/**
 * Takes the next connection in line; it is the caller's from now on: set its `user`, then look for data (`takeData`), which
 * may have come before. It may be CLOSED by now, reset by its peer: {@link Listener.endOf} says why.
 */
export function acceptNext(tcp: Tcp, listener: Listener): Tcb | null {
  const tcb = listener.shift()
  if (tcb === null) return null
  tcb.flags &= ~F_UNACCEPTED
  tcb.user = null
  listener.accepted++
  tcp.counters.accepted++
  return tcb
}

/** Listens no more. What nobody accepted is reset, half-open connections are forgotten; accepted ones stay. */
export function closeListener(tcp: Tcp, listener: Listener): void {
  if (listener.closed) return
  listener.closed = true
  tcp.listeners.remove(listener)
  forgetHalfOpen(tcp, listener)
  for (let tcb = listener.shift(); tcb !== null; tcb = listener.shift()) {
    tcb.user = null
    if (tcb.state === CLOSED) release(tcp, tcb)
    else abort(tcp, tcb)
  }
}
