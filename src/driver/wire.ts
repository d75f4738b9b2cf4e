/**
 * Driver "wire": a link whose two ends are streams of one process, of one runtime or of two. What is written at one
 * end waits on the read queue of the other until that end's run queue serves it: no call goes from stack to stack.
 * Flow control reaches across: a far end that is full stops the near writer, and enables it again when it drains.
 */
import { type Counters, makeCounters } from '../base/counters.ts'
import { StackError } from '../base/errors.ts'
import {
  type AnyDriver,
  bandOf,
  bcanput,
  bcanputnext,
  type DriverInfo,
  freemsg,
  getq,
  isHighPriority,
  LINK_CSUM,
  LINK_TRUSTED,
  LINK_TSO4,
  LINK_TSO6,
  LINK_USO,
  type LinkInfo,
  M_DATA,
  M_FLUSH,
  M_PCPROTO,
  M_PROTO,
  type Mblk,
  makeHangup,
  makeLinkInfo,
  messageBytes,
  putbq,
  putnext,
  putq,
  QUEUE_MESSAGES_MAX,
  type Queue,
  qenable,
} from '../streams/index.ts'
import { driverControl } from './driver-control.ts'

export const WIRE_MTU_DEFAULT = 1_500
/** Everything: nothing is sent over a medium, so nothing has to be cut or summed. */
export const WIRE_CAPABILITIES = LINK_CSUM | LINK_TSO4 | LINK_TSO6 | LINK_USO | LINK_TRUSTED

const MTU_MIN = 68
const MTU_MAX = 65_535
const HIWAT = 1024 * 1024
const LOWAT = 256 * 1024

export interface WireOptions {
  /** Largest packet in bytes that is no super-packet, 68 (RFC 791) to 65,535; 1,500 by default. Longer ones are dropped. */
  readonly mtu?: number
  /** `LINK_*` bits told to both ends; {@link WIRE_CAPABILITIES} by default. */
  readonly capabilities?: number
}

const COUNTERS = ['messages-out', 'dropped-no-peer', 'dropped-too-long', 'dropped-overrun'] as const

/** One end; lives as long as the wire, whether open or not. */
export interface WireEnd {
  /** The read queue while this end is open. */
  q: Queue<WireEnd> | null
  peer: WireEnd | null
  /** The other end was closed: this one is of no more use until it is closed too. */
  hungUp: boolean
  readonly mtu: number
  readonly capabilities: number
  readonly counters: Counters<(typeof COUNTERS)[number]>
}

/**
 * Makes a wire. Each of the two drivers opens one end, once at a time; the runtimes of both must share one arena.
 * @throws StackError `ERR_BAD_CONFIG` for an MTU out of range
 */
export function makeWire(options: WireOptions = {}): readonly [AnyDriver, AnyDriver] {
  const mtu = options.mtu ?? WIRE_MTU_DEFAULT
  if (!Number.isInteger(mtu) || mtu < MTU_MIN || mtu > MTU_MAX)
    throw new StackError('ERR_BAD_CONFIG', `wire: mtu must be ${MTU_MIN} to ${MTU_MAX}, not ${mtu}`)
  const make = (): WireEnd => ({
    q: null,
    peer: null,
    hungUp: false,
    mtu,
    capabilities: options.capabilities ?? WIRE_CAPABILITIES,
    counters: makeCounters(COUNTERS),
  })
  const [a, b] = [make(), make()]
  a.peer = b
  b.peer = a
  return [endDriver(a), endDriver(b)]
}

function endDriver(end: WireEnd): DriverInfo<WireEnd> {
  return {
    driver: true,
    name: 'wire',
    hiwat: HIWAT,
    lowat: LOWAT,
    open: q => openEnd(end, q),
    close: () => closeEnd(end),
    read: { put: putnext, service: readService },
    write: { put: writePut, service: writeService },
    counters: ({ counters }) => counters,
    describe: state => linkInfo(state),
  }
}

const linkInfo = (end: WireEnd): LinkInfo => ({
  mtu: end.mtu,
  capabilities: end.capabilities,
  up: end.peer!.q !== null && !end.hungUp,
})

function openEnd(end: WireEnd, q: Queue<WireEnd>): WireEnd {
  const far = end.peer!.q
  if (end.q !== null)
    throw new StackError('ERR_BUSY', 'this end of the wire is open already: a wire has two ends')
  if (end.peer!.hungUp)
    throw new StackError('ERR_BUSY', 'the other end of the wire has hung up: close it, then open both')
  if (far !== null && far.stream.runtime.arena !== q.stream.runtime.arena) {
    throw new StackError('ERR_PLUMBING', 'the two ends of a wire must share one arena', {
      hint: 'make both with the same Arena (of a node: Node.start(config, { wires, arena })): messages go from one to the other without a copy',
    })
  }
  end.q = q
  end.hungUp = false
  if (far !== null) tell(far, makeLinkInfo(far.stream.runtime.arena, linkInfo(end.peer!)))
  return end
}

function closeEnd(end: WireEnd): void {
  const far = end.peer!.q
  end.q = null
  end.hungUp = false
  if (far === null) return
  end.peer!.hungUp = true
  tell(far, makeHangup(far.stream.runtime.arena))
  enableWriter(end.peer!)
}

/** Queues what an end has to hear; its own run queue hands it up. */
function tell(far: Queue<WireEnd>, mp: Mblk | null): void {
  if (mp !== null) putq(far, mp)
}

function writePut(q: Queue<WireEnd>, mp: Mblk): void {
  const end = q.state
  switch (mp.type) {
    case M_DATA:
      if (mp.gsoSize === 0 && messageBytes(mp) > end.mtu) return drop(end, mp, 'dropped-too-long')
      break
    case M_PROTO:
    case M_PCPROTO:
      break
    case M_FLUSH:
      driverControl(q, mp, linkInfo(end))
      return enableWriter(end.peer!)
    default:
      return driverControl(q, mp, linkInfo(end))
  }
  const far = end.peer!.q
  if (far === null) return drop(end, mp, 'dropped-no-peer')
  if (isHighPriority(mp)) {
    if (far.zero.messages >= QUEUE_MESSAGES_MAX) return drop(end, mp, 'dropped-overrun')
  } else if (q.first !== null || !bcanput(far, mp.band)) return putq(q, mp)
  send(end, far, mp)
}

function writeService(q: Queue<WireEnd>): void {
  const end = q.state
  for (let mp = getq(q); mp !== null; mp = getq(q)) {
    const far = end.peer!.q
    if (far === null) drop(end, mp, 'dropped-no-peer')
    else if (bcanput(far, mp.band)) send(end, far, mp)
    else return putbq(q, mp)
  }
}

function send(end: WireEnd, far: Queue<WireEnd>, mp: Mblk): void {
  end.counters['messages-out']++
  putq(far, mp)
}

function drop(end: WireEnd, mp: Mblk, reason: (typeof COUNTERS)[number]): void {
  end.counters[reason]++
  freemsg(mp)
}

function readService(q: Queue<WireEnd>): void {
  for (let mp = getq(q); mp !== null; mp = getq(q)) {
    if (!isHighPriority(mp) && !bcanputnext(q, mp.band)) {
      putbq(q, mp)
      break
    }
    putnext(q, mp)
  }
  enableWriter(q.state.peer!)
}

/** Back-enabling over the wire: the writer waits for a band of the other end's queue that has drained since. */
function enableWriter(end: WireEnd): void {
  const far = end.peer!.q
  const waiting = end.q?.other.first ?? null
  if (waiting === null) return
  if (far === null || !bandOf(far, waiting.band).wantsWriter) qenable(end.q!.other)
}
