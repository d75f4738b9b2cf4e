/** What the core asks of whoever drives it: the module of a stack, the script door, a test. None of it may call back into the core, save where said. */
import type { Mblk } from '../../streams/mblk/mblk.ts'
import type { IpAddress } from '../address.ts'
import type { Listener } from './listener.ts'
import type { Tcb } from './tcb.ts'

/** The other side of a connection or listener; only its identity and these events matter to the core. */
export interface ConnectionUser {
  readonly tcb: Tcb | null
}

/** Why a connection ended, told once by {@link TcpHost.closed}. */
export type CloseReason =
  /** Both directions ended in order. */
  | 'done'
  /** Nobody listens there, or the peer reset the opening. */
  | 'refused'
  /** The peer reset it. */
  | 'reset'
  /** Retransmissions, keep-alive or the user timeout gave up (ICMP's last word is `Tcb.softError`). */
  | 'timed-out'
  /** An ICMP hard error while opening; `Tcb.softError` says which. */
  | 'unreachable'
  /** This side aborted. */
  | 'aborted'
  /** No memory within the budget. */
  | 'no-memory'

export interface TcpHost {
  /**
   * Sends a segment: an UNITDATA_REQ of `inet/unitdata.ts` (addresses, traffic class) with TCP header and payload
   * behind it, checksum left to IP, a super-segment marked with `OFFLOAD_GSO_TCP4/6` and `gsoSize`.
   * @param mp - consumed
   */
  transmit(mp: Mblk): void
  /** Whether the way down has room. If not, {@link Tcp.resume} is to be called when it has. */
  hasRoom(): boolean
  /** The core has work for {@link Tcp.flush}: call it once, after the programs had their turn. */
  wantsFlush(): void
  /** The earliest deadline may have moved forward: see {@link Tcp.pollAt}. */
  timerMoved(): void

  /** In-order data, or the end of it, waits: take it with `takeData`. May call `takeData`. */
  readable(tcb: Tcb): void
  /** After `F_WANTS_ROOM`: there is room to send more. */
  writable(tcb: Tcb): void
  /** An active opening succeeded. */
  connected(tcb: Tcb): void
  /** It is over: no event follows, and the core forgets it. Not called for orphans and for what nobody accepted. */
  closed(tcb: Tcb, reason: CloseReason): void
  /**
   * Something goes wrong that does not end it (RFC 9293 §3.9.1.8), told once until the peer acknowledges something.
   * @param code - of an ICMP error (`icmp/errors.ts`); 0: data is sent again and again (R1)
   */
  trouble(tcb: Tcb, code: number): void
  /** The peer announced urgent data (RFC 6093); for programs that ask. */
  urgent(tcb: Tcb): void
  /** A connection waits in `listener`'s accept queue. */
  acceptable(listener: Listener): void
  /** Bytes that were taken with `takeData` and that the program has not had yet: they still count against the window. */
  unread(tcb: Tcb): number
  /** Memory that these bytes hold, of what was taken with `takeUp`: it counts against the budget. */
  unreadHeld(tcb: Tcb): number

  /** Whether the address is this stack's own, so that a program may bind to it. */
  isLocal(address: IpAddress): boolean
  /** Source for packets to `remote`, null if no route leads there. */
  sourceFor(remote: IpAddress): IpAddress | null
  /** Bytes of the largest IP packet on the path to an address, as IP knows it now. */
  pathMtu(family: number, w0: number, w1: number, w2: number, w3: number): number
  /** A router's error about a segment that is in flight says that the path takes less: IP is to know (RFC 1191, RFC 8201). */
  lowerPathMtu(family: number, w0: number, w1: number, w2: number, w3: number, mtu: number): void
  /** Segments to an address are lost again and again: IP is to find the way anew (RFC 1122 §3.3.1.4, RFC 9293 §3.8.3 (b)). */
  doubtPath(w0: number, w1: number, w2: number, w3: number): void
  /** Something worth telling a person, once. Not for the data path. */
  event(level: 'info' | 'warn', name: string, text: string): void
}
