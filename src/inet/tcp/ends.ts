/**
 * What a program's side asks of the driver's end of its stream beside messages: of this stack's TCP (`connection.ts`,
 * `listening.ts`), or of a port to a stack in another process. What such a port cannot know at once it does not know yet: names, above all.
 */
import type { StackError } from '../../base/errors.ts'
import type { AnyQueue } from '../../streams/module.ts'
import type { SocketName } from '../udp/endpoint.ts'
import type { CloseReason } from './host.ts'
import type { TcpInfo } from './info.ts'
import type { ConnectionSettings } from './settings.ts'
import type { StateName } from './states.ts'

/** The state of a connection's driver end. */
export interface ConnectionEnd {
  readonly stateName: StateName
  readonly local: SocketName
  readonly remote: SocketName
  /** Why it is over; null while it lives. */
  readonly reason: CloseReason | null
  /** What that means for a program; null if it lives, or ended in order. */
  readonly error: StackError | null
  /** Bytes still to be read until the end of urgent data. */
  readonly urgentAhead: number
  readonly settings: ConnectionSettings
  /** Nothing goes up any more. */
  silent: boolean
  /** Changes settings. @throws StackError `ERR_BAD_ARGUMENT` */
  change(settings: Partial<ConnectionSettings>): void
  /** A snapshot; null once it is over, or where it would have to be asked for (`tcp.info`). */
  info(): TcpInfo | null
  /** Enables a queue again when there may be blocks of memory. */
  retryLater(q: AnyQueue): void
  /** Ends this side's data at once if nothing is in front of it. @returns false if an ORDREL_REQ has to go down behind the data */
  shutdownNow(): boolean
  /** Resets it. */
  abort(): void
}

/** The state of a listener's driver end. It is also what the open options of an accepted connection's stream name (`accept`). */
export interface ListeningEnd {
  readonly local: SocketName
  /** Whether it listens. If not yet, a CONN_CON comes up when it does, a DISCON_IND if it does not. */
  readonly isOpen: boolean
  /** Why it does not. */
  readonly error: StackError | null
  /** Whether a connection waits; if not, a CONN_IND comes up when one does. */
  readonly hasNext: boolean
  /** Tells of those that wait to a program that was not listening when it was told. */
  tellAgain(): void
}
