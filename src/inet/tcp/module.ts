/**
 * TCP as a multiplexor (driver "tcp"; RFC 9293). The first stream that is opened is its control stream: the stream of IP
 * that is bound to protocol 6 is linked below it. Every other is a connection or a listener, as its options say
 * ({@link TcpOpenOptions}). On a connection's stream data is M_DATA both ways, and the rest is in `primitives.ts`.
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
import { getq, putq, type Queue, WR } from '../../streams/queue.ts'
import type { Runtime } from '../../streams/runtime.ts'
import { ERROR_IND, isUnitdata, KIND, UNITDATA_IND } from '../unitdata.ts'
import { abort } from './close.ts'
import { Connection } from './connection.ts'
import { connectionRequest, connectRequest, listenRequest, setTcp, type TcpOpenOptions } from './control.ts'
import type { TcpCounters } from './counters.ts'
import { describeConnection, describeListening, describeTcp, streamName } from './describe.ts'
import { errorIn } from './errors-in.ts'
import { Listening } from './listening.ts'
import { connect } from './open.ts'
import type { TcpSettings } from './settings.ts'
import { type Paths, Transport } from './transport.ts'

/** Data that the core has no room for waits on the write queue, which is full from its first byte on: the core's buffer is the bound. */
const WRITE_HIWAT = 1
/** Bytes of segments on their way to IP. */
const LOWER_HIWAT = 256 * 1024
const LOWER_LOWAT = 64 * 1024

/** State of the control stream. */
export class TcpControl {
  readonly transport: Transport

  constructor(transport: Transport) {
    this.transport = transport
  }
}

type TcpStream = Connection | Listening | TcpControl

/** Options of the link below the control stream. */
export interface TcpLinkOptions {
  readonly paths?: Paths
}

/** The driver "tcp" of one stack. */
export function tcpDriver(settings: Partial<TcpSettings> = {}): DriverInfo<TcpStream> {
  let transport: Transport | null = null
  let control: TcpControl | null = null
  const transportFor = (runtime: Runtime): Transport => {
    transport ??= new Transport(runtime, settings)
    if (transport.runtime !== runtime)
      throw new StackError('ERR_PLUMBING', 'this tcp belongs to another stack')
    return transport
  }
  return {
    name: 'tcp',
    driver: true,
    hiwat: WRITE_HIWAT,
    lowat: WRITE_HIWAT,
    open(q, options) {
      const shared = transportFor(q.stream.runtime)
      if (control !== null) return openStream(shared, q, options as TcpOpenOptions | undefined)
      if (options !== undefined)
        throw new StackError('ERR_PLUMBING', 'tcp has no control stream: link IP below tcp first')
      shared.start(q)
      control = new TcpControl(shared)
      return control
    },
    close(q) {
      if (!(q.state instanceof TcpControl)) return q.state.close()
      control = null
      endAll(transport!)
      transport!.stop()
    },
    read: {
      put: putnext,
      service: q => {
        if (!(q.state instanceof TcpControl)) q.state.serveRead()
      },
    },
    write: {
      put: writePut,
      service: q => {
        if (q.state instanceof Connection) q.state.serveWrite()
        else if (q.state instanceof TcpControl) transport!.serveFlush()
      },
    },
    lower: {
      hiwat: LOWER_HIWAT,
      lowat: LOWER_LOWAT,
      read: {
        put: (q, mp) => lowerPut(transport!, q, mp),
        service: q => lowerService(transport!, q),
      },
      write: { put: putnext, service: () => transport!.serveLower() },
      link(upper, q, options) {
        linkIp(transport!, upper, q, options as TcpLinkOptions | undefined)
        return transport!
      },
      unlink: () => unlinkIp(transport!),
    },
    counters: (state): TcpCounters | Record<string, never> =>
      state instanceof TcpControl ? transport!.tcp.counters : {},
    describe: state => {
      if (state instanceof Connection) return describeConnection(state)
      return state instanceof Listening ? describeListening(state) : describeTcp(transport!)
    },
    configure(q, options) {
      if (q.state instanceof TcpControl) setTcp(transport!, options)
      else if (q.state instanceof Connection) connectionRequest(q.state, 'tcp.set', options)
      else throw new StackError('ERR_NOT_SUPPORTED', 'a listener has no settings that can be changed')
    },
    streamName: state => (state instanceof TcpControl ? 'tcp' : streamName(state)),
  }
}

function openStream(
  transport: Transport,
  q: Queue<TcpStream>,
  options: TcpOpenOptions | undefined,
): Connection | Listening {
  if (options !== undefined && 'listen' in options)
    return new Listening(q, transport, listenRequest(transport, options.listen))
  const c = new Connection(q, transport)
  if (options !== undefined && 'accept' in options) {
    const tcb = options.accept.accept()
    if (tcb === null) throw new StackError('ERR_WOULD_BLOCK', 'no connection waits to be accepted')
    tcb.user = c
    c.begin(tcb, options.accept.listener.endOf(tcb))
  } else {
    transport.touch()
    c.begin(connect(transport.tcp, connectRequest(transport, options?.connect, c)))
  }
  return c
}

function writePut(q: Queue<TcpStream>, mp: Mblk): void {
  switch (mp.type) {
    case M_DATA:
    case M_PROTO:
      if (q.state instanceof Connection) return q.state.write(mp)
      return freemsg(mp)
    case M_FLUSH:
      return driverFlush(q, mp)
    case M_IOCTL:
      return answerRequest(q, mp)
    default:
      freemsg(mp)
  }
}

/** Apart, since a closure makes the function that it stands in allocate a context at every call. */
function answerRequest(q: Queue<TcpStream>, mp: Mblk): void {
  const { state } = q
  const { command, argument } = readIoctl(mp)
  answerIoctl(q, mp, () => {
    if (state instanceof Connection) return connectionRequest(state, command, argument)
    if (state instanceof TcpControl && command === 'tcp.set') return setTcp(state.transport, argument)
    if (state instanceof TcpControl && command === 'tcp.settings') return state.transport.tcp.settings
    throw new StackError('ERR_IOCTL', `this stream of tcp does not know "${command}"`, {
      hint: state instanceof TcpControl ? 'try tcp.settings or tcp.set' : 'a listener knows no request',
    })
  })
}

// ---- the stream of IP below

function linkIp(
  transport: Transport,
  upper: AnyQueue,
  q: AnyQueue,
  options: TcpLinkOptions | undefined,
): void {
  if (!(upper.state instanceof TcpControl))
    throw new StackError('ERR_PLUMBING', 'tcp: link the stream of ip below the control stream')
  if (transport.lower !== null) throw new StackError('ERR_BUSY', 'tcp: a stream of ip is linked already')
  transport.lower = WR(q)
  transport.paths = options?.paths ?? null
}

/** Peers hear it while there is a way to tell them. */
function unlinkIp(transport: Transport): void {
  transport.touch()
  const all: Parameters<typeof abort>[1][] = []
  transport.tcp.connections.each(tcb => void all.push(tcb))
  for (const tcb of all) abort(transport.tcp, tcb)
  transport.lower = null
  transport.paths = null
}

function lowerPut(transport: Transport, q: AnyQueue, mp: Mblk): void {
  if (isUnitdata(mp)) {
    const kind = mp.dblk.arena.words[(mp.rptr >> 2) + KIND]
    if (kind === UNITDATA_IND) {
      // A link that answers at once, what was just sent in answer to a segment: that one is still in hand.
      if (transport.receiving || q.first !== null) return putq(q, mp)
      return transport.receive(mp)
    }
    if (kind === ERROR_IND) {
      transport.touch()
      return errorIn(transport.tcp, mp)
    }
  }
  if (mp.type === M_FLUSH) return headFlush(q, mp)
  if (mp.type === M_PROTO) transport.tcp.counters['indication-malformed']++
  freemsg(mp)
}

/** What came in while another segment was in hand. */
function lowerService(transport: Transport, q: AnyQueue): void {
  for (let mp = getq(q); mp !== null; mp = getq(q)) transport.receive(mp)
}

/** The control stream went: nothing leads down any more. */
function endAll(transport: Transport): void {
  for (const listening of transport.listening) {
    const mp = makeHangup(transport.runtime.arena)
    if (mp !== null) putnext(listening.q, mp)
  }
}
