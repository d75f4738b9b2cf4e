/** What a client is told when it is made, and what it takes where it is told nothing. */
import { StackError } from '../base/errors.ts'
import { AUTH_NONE, AUTH_SYS, NO_AUTH, type OpaqueAuth } from './auth.ts'
import type { RpcTrace } from './trace.ts'
import type { XdrDecoderOptions } from './xdr/index.ts'

/** What a client may be told; each has a default. */
export interface RpcClientOptions {
  /** Of the program that is called: needed for {@link atMostOnce}, and to find the port. */
  readonly program?: number
  readonly version?: number
  /** Sent with each call; none by default. */
  readonly credentials?: OpaqueAuth
  /** Milliseconds until a call, or the making of a connection, is given up; 10,000 by default, Infinity for never. */
  readonly timeoutMs?: number
  /**
   * Asks the server for a session, under which each call runs once at the most however often it is sent. With a server that has no sessions it is
   * without effect: see `isAtMostOnce`. With `'required'` no call goes without one: it is refused where a server gives none, or no more than it has.
   */
  readonly atMostOnce?: boolean | 'required'
  /** Whether calls wait, until their deadline, for a server that cannot be reached: true by default. Otherwise they fail when it refuses. */
  readonly persistent?: boolean
  /** UDP: milliseconds until a call is sent again, 500 by default, and the most that this grows to, 8,000. A quarter more or less each time. */
  readonly retransmitMs?: number
  readonly retransmitMaxMs?: number
  /** Milliseconds until a connection that could not be made is tried again, 100 by default, and the most that this grows to, 5,000. */
  readonly reconnectMs?: number
  readonly reconnectMaxMs?: number
  /** The longest call that is sent, and the longest record that is taken: 4 MiB by default. Over UDP no more than a datagram has. */
  readonly maxMessageBytes?: number
  /** Calls that are sent and not answered, 1,024 by default. */
  readonly maxInFlight?: number
  /** Calls that wait beyond those, 4,096 by default; one more fails with `ERR_BUSY`. */
  readonly maxWaiting?: number
  /** Limits of decoding results. */
  readonly decoder?: XdrDecoderOptions
  /** Told of each call that ends. */
  readonly trace?: RpcTrace
}

/** Finds the port of a program: `rpcbind`'s, or a table of the caller's. Asked again when the server cannot be reached. */
export type RpcLookup = (program: number, version: number, transport: 'tcp' | 'udp') => Promise<number>

/** Where the server is, beside what any client may be told. */
export interface RpcConnectOptions extends RpcClientOptions {
  /** An IP address; names are not looked up. */
  readonly address: string
  /** Without it {@link lookup} is asked. */
  readonly port?: number
  /** `udp`: calls and answers of a datagram each, and sent again while no answer comes. */
  readonly transport: 'tcp' | 'udp'
  /** Asked for the port, and again when the server is not there any more. */
  readonly lookup?: RpcLookup
  /** Whether nothing is done before the first call. */
  readonly lazy?: boolean
}

/** The options, complete; times in microseconds. */
export interface ClientSettings {
  readonly program: number
  readonly version: number
  readonly credentials: OpaqueAuth
  readonly timeoutUs: number
  readonly atMostOnce: boolean | 'required'
  readonly persistent: boolean
  readonly retransmitUs: number
  readonly retransmitMaxUs: number
  readonly reconnectUs: number
  readonly reconnectMaxUs: number
  readonly maxMessageBytes: number
  readonly maxInFlight: number
  readonly maxWaiting: number
}

/** @throws StackError `ERR_BAD_ARGUMENT` */
export function clientSettings(options: RpcClientOptions): ClientSettings {
  const { program = -1, version = -1, credentials = NO_AUTH, atMostOnce = false } = options
  const retransmitUs = microseconds('retransmitMs', options.retransmitMs, 500)
  const reconnectUs = microseconds('reconnectMs', options.reconnectMs, 100)
  if (atMostOnce !== false) checkSession(options, credentials)
  return {
    program,
    version,
    credentials,
    atMostOnce,
    persistent: options.persistent ?? true,
    timeoutUs: microseconds('timeoutMs', options.timeoutMs, 10_000),
    retransmitUs,
    retransmitMaxUs: Math.max(retransmitUs, microseconds('retransmitMaxMs', options.retransmitMaxMs, 8_000)),
    reconnectUs,
    reconnectMaxUs: Math.max(reconnectUs, microseconds('reconnectMaxMs', options.reconnectMaxMs, 5_000)),
    maxMessageBytes: whole('maxMessageBytes', options.maxMessageBytes ?? 4 * 1024 * 1024, 1_024, 0x7fff_ffff),
    maxInFlight: whole('maxInFlight', options.maxInFlight ?? 1_024, 1, 2 ** 20),
    maxWaiting: whole('maxWaiting', options.maxWaiting ?? 4_096, 0, 2 ** 20),
  }
}

function checkSession(options: RpcClientOptions, credentials: OpaqueAuth): void {
  if (options.program === undefined || options.version === undefined)
    throw bad('atMostOnce', 'needs program and version')
  if (credentials.flavor !== AUTH_NONE && credentials.flavor !== AUTH_SYS)
    throw bad('atMostOnce', 'goes with AUTH_NONE and AUTH_SYS')
}

/** @returns microseconds @throws StackError `ERR_BAD_ARGUMENT` */
export function microseconds(name: string, given: number | undefined, otherwise: number): number {
  const ms = given ?? otherwise
  if (typeof ms !== 'number' || !(ms > 0)) throw bad(name, `is a number of milliseconds above 0, not ${ms}`)
  return ms * 1_000
}

function whole(name: string, value: number, least: number, most: number): number {
  if (Number.isInteger(value) && value >= least && value <= most) return value
  throw bad(name, `is a whole number from ${least} to ${most}, not ${value}`)
}

function bad(name: string, text: string): StackError {
  return new StackError('ERR_BAD_ARGUMENT', `${name} ${text}`)
}
