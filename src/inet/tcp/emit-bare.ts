/** Segments without a control block: answers to strays, and for half-open and TIME-WAIT records. */
import type { Segment } from './segment.ts'
import type { Tcp } from './tcp.ts'

/** The reset that answers a segment which belongs to no connection (RFC 9293 §3.10.7.1); none for a reset, and not more a second than the settings allow. */
export function emitReset(_tcp: Tcp, _seg: Segment): void {}

/**
 * A segment without payload back to where `seg` came from. @param window - as it goes into the field, scaled
 * @param timestamps - whether with the option, of `tsValue` and `tsEcho`
 */
export function emitBare(
  _tcp: Tcp,
  _seg: Segment,
  _seq: number,
  _ack: number,
  _control: number,
  _window: number,
  _timestamps: boolean,
  _tsValue: number,
  _tsEcho: number,
): void {}

/** SYN-ACK of a half-open record (`HO_*` of half-open.ts). */
export function emitSynAck(_tcp: Tcp, _index: number): void {}

/**
 * SYN-ACK without a record, answering `seg`: a SYN cookie.
 * @param window - unscaled, at most 65,535; @param mss - to announce, 0 for none; @param windowScale - ours, -1 for none
 */
export function emitSynAckTo(
  _tcp: Tcp,
  _seg: Segment,
  _iss: number,
  _window: number,
  _mss: number,
  _windowScale: number,
  _sackPermitted: boolean,
  _timestamps: boolean,
  _tsValue: number,
  _ecn: boolean,
): void {}
