/** Connection states (RFC 9293 §3.3.2). LISTEN, passive SYN-RECEIVED and TIME-WAIT are records of their own, not a {@link Tcb}. */
export const CLOSED = 0
export const SYN_SENT = 1
/** Of a simultaneous open only; a listener's half-open connections are in `half-open.ts`. */
export const SYN_RECEIVED = 2
export const ESTABLISHED = 3
export const FIN_WAIT_1 = 4
export const FIN_WAIT_2 = 5
export const CLOSE_WAIT = 6
export const CLOSING = 7
export const LAST_ACK = 8

const NAMES = [
  'CLOSED',
  'SYN-SENT',
  'SYN-RECEIVED',
  'ESTABLISHED',
  'FIN-WAIT-1',
  'FIN-WAIT-2',
  'CLOSE-WAIT',
  'CLOSING',
  'LAST-ACK',
] as const

export type StateName = (typeof NAMES)[number] | 'LISTEN' | 'TIME-WAIT'

export const stateName = (state: number): StateName => NAMES[state]!

/** The user may still send: RFC 9293 §3.10.2. */
export const maySend = (state: number): boolean => state === ESTABLISHED || state === CLOSE_WAIT
/** The peer may still send: RFC 9293 §3.10.3. */
export const mayReceive = (state: number): boolean =>
  state === ESTABLISHED || state === FIN_WAIT_1 || state === FIN_WAIT_2
export const isSynchronized = (state: number): boolean => state >= ESTABLISHED
