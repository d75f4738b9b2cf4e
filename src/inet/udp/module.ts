/**
 * UDP as a multiplexor (driver "udp"; RFC 768). The first stream that is opened is its control stream: the stream of IP
 * that is bound to protocol 17 is linked below it. Every other is an endpoint: requests and data go down, indications
 * and errors come up, all with the control block of `inet/unitdata.ts`.
 */
import { StackError } from '../../base/errors.ts'
import { makeHangup } from '../../streams/condition.ts'
import { driverFlush, headFlush } from '../../streams/flush.ts'
import { answerIoctl, readIoctl } from '../../streams/ioctl.ts'
import { freemsg } from '../../streams/mblk/alloc.ts'
import type { Mblk } from '../../streams/mblk/mblk.ts'
import { M_DATA, M_FLUSH, M_IOCTL, M_PROTO } from '../../streams/mblk/types.ts'
import type { AnyQueue, DriverInfo } from '../../streams/module.ts'
import { putnext } from '../../streams/putnext.ts'
import { canputnext, FLUSHALL, flushq, getq, putq, type Queue, WR } from '../../streams/queue.ts'
import type { Runtime } from '../../streams/runtime.ts'
import { ERROR_IND, isUnitdata, KIND, UNITDATA_IND } from '../unitdata.ts'
import { applyOptions, type EndpointOptions, fields, flag, integer, request, SETTINGS } from './control.ts'
import type { UdpCounters } from './counters.ts'
import { Endpoint, type EndpointCounters } from './endpoint.ts'
import { datagramIn, errorIn } from './input.ts'
import { datagramOut } from './output.ts'
import { type SourceChoice, Udp } from './state.ts'

/** Bytes of requests that may wait on one endpoint for room below. */
const SEND_HIWAT = 256 * 1024
const SEND_LOWAT = 64 * 1024
/** Requests that one endpoint sends before the next in line has its turn. */
const TURN_MESSAGES = 16

const OPEN_OPTIONS = ['family', 'reuseAddress', 'ipv6Only', 'bind', 'connect', ...SETTINGS]

/** State of the control stream. */
class Control {
  readonly q: AnyQueue

  constructor(q: AnyQueue) {
    this.q = q
  }
}

type UdpStream = Endpoint | Control

/** Options of the link below the control stream. */
export interface UdpLinkOptions {
  readonly sources?: SourceChoice
}

/** The driver "udp" of one stack. */
export function udpDriver(): DriverInfo<UdpStream> {
  let udp: Udp | null = null
  let control: Control | null = null
  const stateFor = (runtime: Runtime): Udp => {
    udp ??= new Udp(runtime)
    if (udp.runtime !== runtime) throw new StackError('ERR_PLUMBING', 'this udp belongs to another stack')
    return udp
  }
  return {
    name: 'udp',
    driver: true,
    hiwat: SEND_HIWAT,
    lowat: SEND_LOWAT,
    open(q, options) {
      const state = stateFor(q.stream.runtime)
      if (control !== null) return openEndpoint(state, q, options)
      control = new Control(q)
      return control
    },
    close(q) {
      const stream = q.state
      if (stream instanceof Endpoint) closeEndpoint(udp!, stream)
      else {
        control = null
        hangUpEndpoints(udp!)
      }
    },
    read: { put: putnext },
    write: {
      put: (q, mp) => {
        if (q.state instanceof Endpoint) endpointPut(udp!, q, q.state, mp)
        else controlPut(udp!, q, mp)
      },
      service: q => {
        if (q.state instanceof Endpoint && !q.state.waiting) drain(udp!, q.state)
      },
    },
    lower: {
      hiwat: SEND_HIWAT,
      lowat: SEND_LOWAT,
      read: { put: (q, mp) => lowerPut(udp!, q, mp) },
      write: { put: putnext, service: () => serveLine(udp!) },
      link(upper, q, options) {
        linkIp(udp!, upper, q, options as UdpLinkOptions | undefined)
        return udp!
      },
      unlink: () => unlinkIp(udp!),
    },
    counters: (state): UdpCounters | EndpointCounters =>
      state instanceof Endpoint ? state.counters : udp!.counters,
    describe: state =>
      state instanceof Endpoint
        ? state.describe()
        : { linked: udp!.lower !== null, ports: udp!.ports, endpoints: describeAll(udp!) },
  }
}

function describeAll(udp: Udp): object[] {
  return [...udp.endpoints].map(e => e.describe())
}

// ---- endpoints

function openEndpoint(udp: Udp, q: Queue<UdpStream>, options: unknown): Endpoint {
  const given = fields('udp', options, OPEN_OPTIONS) as EndpointOptions
  const family = given.family === undefined ? 6 : integer('udp', 'family', given.family, 4, 6)
  if (family === 5) throw new StackError('ERR_BAD_ARGUMENT', 'udp: family is 4 or 6')
  const reuse = flag(given as never, 'reuseAddress', false)
  const e = new Endpoint(q, family as 4 | 6, reuse, flag(given as never, 'ipv6Only', false))
  try {
    applyOptions(udp, e, given as never)
  } catch (error) {
    udp.demux.remove(e)
    throw error
  }
  udp.endpoints.add(e)
  return e
}

function closeEndpoint(udp: Udp, e: Endpoint): void {
  udp.demux.remove(e)
  udp.leaveLine(e)
  udp.endpoints.delete(e)
}

function endpointPut(udp: Udp, q: Queue<UdpStream>, e: Endpoint, mp: Mblk): void {
  switch (mp.type) {
    case M_PROTO:
    case M_DATA:
      // What waits goes first; with nothing below there is nothing to wait for.
      if (q.first === null && (udp.lower === null || canputnext(udp.lower))) return datagramOut(udp, e, mp)
      udp.counters['send-waited']++
      putq(q, mp)
      return udp.joinLine(e)
    case M_FLUSH:
      return driverFlush(q, mp)
    case M_IOCTL:
      return answerRequest(udp, q, e, mp)
    default:
      freemsg(mp)
  }
}

/** Apart, since a closure makes the function that it stands in allocate a context at every call. */
function answerRequest(udp: Udp, q: Queue<UdpStream>, e: Endpoint, mp: Mblk): void {
  const { command, argument } = readIoctl(mp)
  answerIoctl(q, mp, () => request(udp, e, command, argument))
}

/** Sends what waits on an endpoint, up to its turn's share. @returns false if something is left */
function drain(udp: Udp, e: Endpoint): boolean {
  const q = WR(e.q)
  for (let i = 0; i < TURN_MESSAGES; i++) {
    if (udp.lower !== null && !canputnext(udp.lower)) break
    const mp = getq(q)
    if (mp === null) return true
    datagramOut(udp, e, mp)
  }
  if (q.first !== null) udp.joinLine(e)
  return q.first === null
}

/** There is room below: the endpoints that wait take turns. */
function serveLine(udp: Udp): void {
  while (udp.lower !== null && canputnext(udp.lower)) {
    const e = udp.nextInLine()
    if (e === null) return
    drain(udp, e)
  }
}

// ---- the control stream

function controlPut(udp: Udp, q: Queue<UdpStream>, mp: Mblk): void {
  if (mp.type === M_FLUSH) return driverFlush(q, mp)
  if (mp.type !== M_IOCTL) return freemsg(mp)
  const { command, argument } = readIoctl(mp)
  answerIoctl(q, mp, () => {
    if (command !== 'udp.ports')
      throw new StackError('ERR_IOCTL', `the control stream of udp does not know "${command}"`)
    const given = fields(command, argument, ['first', 'last'])
    const first = integer(command, 'first', given['first'], 1, 65_535)
    const last = integer(command, 'last', given['last'], first, 65_535)
    udp.ports = { first, last }
    return udp.ports
  })
}

// ---- the stream of IP below

function linkIp(udp: Udp, upper: AnyQueue, q: AnyQueue, options: UdpLinkOptions | undefined): void {
  if (!(upper.state instanceof Control))
    throw new StackError('ERR_PLUMBING', 'udp: link the stream of ip below the control stream')
  if (udp.lower !== null) throw new StackError('ERR_BUSY', 'udp: a stream of ip is linked already')
  udp.lower = WR(q)
  udp.sources = options?.sources ?? null
}

/** Endpoints hear that nothing is below any more: what they send from now on is refused. */
function unlinkIp(udp: Udp): void {
  udp.lower = null
  udp.sources = null
  for (let e = udp.nextInLine(); e !== null; e = udp.nextInLine()) flushq(WR(e.q), FLUSHALL)
}

function lowerPut(udp: Udp, q: AnyQueue, mp: Mblk): void {
  if (isUnitdata(mp)) {
    const kind = mp.dblk.arena.words[(mp.rptr >> 2) + KIND]
    if (kind === UNITDATA_IND) return datagramIn(udp, mp)
    if (kind === ERROR_IND) return errorIn(udp, mp)
  }
  if (mp.type === M_FLUSH) return headFlush(q, mp)
  if (mp.type === M_PROTO) udp.counters['indication-malformed']++
  freemsg(mp)
}

/** The control stream went, and with it the way down. */
function hangUpEndpoints(udp: Udp): void {
  for (const e of udp.endpoints) {
    const mp = makeHangup(udp.runtime.arena)
    if (mp !== null) putnext(e.q, mp)
  }
}
