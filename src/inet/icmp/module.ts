/**
 * The multiplexor "icmp": echo endpoints above, one stream of IP below that has protocols 1 and 58. The first stream opened
 * is for control (`{ control: true }`): IP is linked below it. Every other one is an endpoint with an identifier of its own.
 *
 * What an endpoint sends: an UNITDATA_REQ with FAMILY, REMOTE and, in REMOTE_PORT, the sequence number, in front of the payload;
 * the module makes the echo request. What it receives: an UNITDATA_IND with the same fields in front of the reply's payload, or
 * an ERROR_IND that names the sequence number in REMOTE_PORT. LOCAL_PORT is always the identifier.
 * Echo requests to this stack never come here: IP answers them.
 */
import { type Counters, makeCounters } from '../../base/counters.ts'
import { StackError } from '../../base/errors.ts'
import { driverFlush, headFlush } from '../../streams/flush.ts'
import { answerIoctl, readIoctl } from '../../streams/ioctl.ts'
import { freemsg } from '../../streams/mblk/alloc.ts'
import { type Mblk, OFFLOAD_CSUM_NEEDED } from '../../streams/mblk/mblk.ts'
import { prepend } from '../../streams/mblk/message.ts'
import { M_DATA, M_FLUSH, M_IOCTL, M_PROTO } from '../../streams/mblk/types.ts'
import type { AnyQueue, DriverInfo, LowerInfo } from '../../streams/module.ts'
import { putnext } from '../../streams/putnext.ts'
import { canputnext, getq, putbq, putq, type Queue, qenable } from '../../streams/queue.ts'
import type { Runtime } from '../../streams/runtime.ts'
import {
  ERROR_IND,
  FAMILY,
  isUnitdata,
  KIND,
  LOCAL_PORT,
  PROTOCOL,
  REMOTE_PORT,
  UNITDATA_IND,
  UNITDATA_REQ,
} from '../unitdata.ts'
import {
  emitIcmp,
  ICMP_HEADER_SIZE,
  ICMP4_ECHO_REQUEST,
  ICMP6_ECHO_REQUEST,
  icmpIdentifier,
  icmpSequence,
  PROTOCOL_ICMP,
  PROTOCOL_ICMPV6,
} from '../wire/icmp.ts'

/** Where the checksum lies in an ICMP message. */
const CHECKSUM_OFFSET = 2
const IDENTIFIERS = 65_536
/** Echo endpoints of one stack. */
export const ECHO_ENDPOINTS_MAX = 4_096

const ICMP_COUNTERS = [
  'requests-out',
  'replies-in',
  'errors-in',
  'reply-unclaimed',
  'error-unclaimed',
  'endpoint-full',
  'request-malformed',
  'indication-malformed',
  'no-buffers',
  'not-linked',
] as const

/** What all echo endpoints of one stack share. */
class IcmpState {
  readonly runtime: Runtime
  readonly counters: Counters<(typeof ICMP_COUNTERS)[number]> = makeCounters(ICMP_COUNTERS)
  /** Read queues of the endpoints, by identifier. */
  readonly endpoints = new Map<number, AnyQueue>()
  /** Write queue of the lower side; null while IP is not linked. */
  lower: AnyQueue | null = null

  constructor(runtime: Runtime) {
    this.runtime = runtime
  }
}

/** State of one stream above: its identifier, or -1 on the control stream. */
interface Endpoint {
  readonly identifier: number
}

/** The driver of one stack's echo endpoints. Register it with the stack's runtime. */
export function makeIcmpDriver(runtime: Runtime): DriverInfo<Endpoint> {
  const icmp = new IcmpState(runtime)
  return {
    name: 'icmp',
    driver: true,
    hiwat: 64 * 1024,
    lowat: 16 * 1024,
    open: (q, options) => open(icmp, q, options),
    close: q => {
      if (q.state.identifier >= 0) icmp.endpoints.delete(q.state.identifier)
    },
    read: { put: putnext },
    write: { put: (q, mp) => writePut(icmp, q, mp), service: q => writeService(icmp, q) },
    lower: makeLower(icmp),
    counters: () => icmp.counters,
    describe: state => ({ identifier: state.identifier, identifiers: [...icmp.endpoints.keys()] }),
  }
}

function open(icmp: IcmpState, q: Queue<Endpoint>, options: unknown): Endpoint {
  const { control = false, identifier } = (options ?? {}) as { control?: unknown; identifier?: unknown }
  if (typeof control !== 'boolean')
    throw new StackError('ERR_BAD_CONFIG', 'icmp: control has to be true or false')
  if (control) return { identifier: -1 }
  if (identifier !== undefined && !(Number.isInteger(identifier) && Number(identifier) >>> 16 === 0))
    throw new StackError('ERR_BAD_CONFIG', 'icmp: identifier has to be 0 to 65,535')
  if (icmp.endpoints.size >= ECHO_ENDPOINTS_MAX)
    throw new StackError('ERR_NO_BUFFERS', 'icmp: too many endpoints')
  const chosen = identifier === undefined ? freeIdentifier(icmp) : (identifier as number)
  if (icmp.endpoints.has(chosen))
    throw new StackError('ERR_ADDR_IN_USE', `icmp: another endpoint has the identifier ${chosen}`)
  icmp.endpoints.set(chosen, q)
  return { identifier: chosen }
}

/** A random one: whoever cannot see our packets cannot forge replies. */
function freeIdentifier(icmp: IcmpState): number {
  for (;;) {
    const identifier = icmp.runtime.random.below(IDENTIFIERS)
    if (!icmp.endpoints.has(identifier)) return identifier
  }
}

function drop(icmp: IcmpState, mp: Mblk, reason: (typeof ICMP_COUNTERS)[number]): void {
  icmp.counters[reason]++
  freemsg(mp)
}

// ---- from programs to IP

function writePut(icmp: IcmpState, q: Queue<Endpoint>, mp: Mblk): void {
  if (mp.type === M_FLUSH) return driverFlush(q, mp)
  if (mp.type === M_IOCTL) return answerRequest(q, mp)
  if (mp.type !== M_PROTO) return drop(icmp, mp, 'request-malformed')
  const { lower } = icmp
  if (q.first !== null || (lower !== null && !canputnext(lower))) return putq(q, mp)
  request(icmp, q.state.identifier, mp)
}

/** Apart, since a closure makes the function that it stands in allocate a context at every call. */
function answerRequest(q: Queue<Endpoint>, mp: Mblk): void {
  const { command } = readIoctl(mp)
  answerIoctl(q, mp, () => {
    if (command === 'icmp.name') return { identifier: q.state.identifier }
    throw new StackError('ERR_IOCTL', `icmp knows no request "${command}"`, { hint: 'try icmp.name' })
  })
}

function writeService(icmp: IcmpState, q: Queue<Endpoint>): void {
  for (let mp = getq(q); mp !== null; mp = getq(q)) {
    if (icmp.lower !== null && !canputnext(icmp.lower)) return putbq(q, mp)
    request(icmp, q.state.identifier, mp)
  }
}

/** Makes the echo request and sends it. @param mp - consumed */
function request(icmp: IcmpState, identifier: number, mp: Mblk): void {
  const payload = mp.cont
  const { words } = icmp.runtime.arena
  const at = mp.rptr >> 2
  if (!isUnitdata(mp) || payload === null || identifier < 0 || words[at + KIND] !== UNITDATA_REQ)
    return drop(icmp, mp, 'request-malformed')
  if (icmp.lower === null) return drop(icmp, mp, 'not-linked')
  mp.cont = null
  payload.type = M_DATA
  payload.offload = 0
  const message = prepend(payload, ICMP_HEADER_SIZE)
  if (message === null) return drop(icmp, mp, 'no-buffers')
  const isV4 = words[at + FAMILY] === 4
  const sequence = words[at + REMOTE_PORT]! & 0xffff
  const type = isV4 ? ICMP4_ECHO_REQUEST : ICMP6_ECHO_REQUEST
  emitIcmp(message.dblk.bytes, message.rptr, type, 0, (identifier << 16) | sequence)
  message.offload = OFFLOAD_CSUM_NEEDED
  message.csumStart = 0
  message.csumOffset = CHECKSUM_OFFSET
  words[at + PROTOCOL] = isV4 ? PROTOCOL_ICMP : PROTOCOL_ICMPV6
  words[at + LOCAL_PORT] = identifier
  words[at + REMOTE_PORT] = sequence
  mp.cont = message
  icmp.counters['requests-out']++
  putnext(icmp.lower, mp)
}

// ---- from IP to programs

function makeLower(icmp: IcmpState): LowerInfo<null> {
  return {
    hiwat: 64 * 1024,
    lowat: 16 * 1024,
    read: { put: (q, mp) => lowerReadPut(icmp, q, mp) },
    write: { put: putnext, service: () => enableEndpoints(icmp) },
    link: (_upper: AnyQueue, q: Queue<null>) => {
      if (icmp.lower !== null) throw new StackError('ERR_ALREADY', 'icmp: IP is linked below already')
      icmp.lower = q.other
      return null
    },
    unlink: () => {
      icmp.lower = null
      enableEndpoints(icmp)
    },
  }
}

function enableEndpoints(icmp: IcmpState): void {
  for (const q of icmp.endpoints.values()) if (q.other.first !== null) qenable(q.other)
}

function lowerReadPut(icmp: IcmpState, q: AnyQueue, mp: Mblk): void {
  if (mp.type === M_FLUSH) return headFlush(q, mp)
  if (!isUnitdata(mp)) return drop(icmp, mp, 'indication-malformed')
  const kind = icmp.runtime.arena.words[(mp.rptr >> 2) + KIND]
  if (kind === UNITDATA_IND) return reply(icmp, mp)
  if (kind === ERROR_IND) return error(icmp, mp)
  return drop(icmp, mp, 'indication-malformed')
}

/** An echo reply, its checksum verified by IP. */
function reply(icmp: IcmpState, mp: Mblk): void {
  const data = mp.cont
  if (data === null || data.wptr - data.rptr < ICMP_HEADER_SIZE) return drop(icmp, mp, 'indication-malformed')
  const identifier = icmpIdentifier(data.bytes, data.rptr)
  const to = icmp.endpoints.get(identifier)
  if (to === undefined) return drop(icmp, mp, 'reply-unclaimed')
  if (!canputnext(to)) return drop(icmp, mp, 'endpoint-full')
  const { words } = icmp.runtime.arena
  const at = mp.rptr >> 2
  words[at + LOCAL_PORT] = identifier
  words[at + REMOTE_PORT] = icmpSequence(data.bytes, data.rptr)
  data.rptr += ICMP_HEADER_SIZE
  icmp.counters['replies-in']++
  putnext(to, mp)
}

function error(icmp: IcmpState, mp: Mblk): void {
  const to = icmp.endpoints.get(icmp.runtime.arena.words[(mp.rptr >> 2) + LOCAL_PORT]!)
  if (to === undefined) return drop(icmp, mp, 'error-unclaimed')
  if (!canputnext(to)) return drop(icmp, mp, 'endpoint-full')
  icmp.counters['errors-in']++
  putnext(to, mp)
}
