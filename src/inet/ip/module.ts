/**
 * The multiplexor "ip": links below, transports above. A stream opened with protocol numbers takes and sends what
 * belongs to them, both families; one without is for control, and links are linked below it.
 */
import { StackError } from '../../base/errors.ts'
import { readError } from '../../streams/condition.ts'
import { driverFlush, headFlush } from '../../streams/flush.ts'
import { answerIoctl, readIoctl } from '../../streams/ioctl.ts'
import { CTL_LINK_INFO, controlCode, makeLinkQuery, readLinkInfo } from '../../streams/link-info.ts'
import { freemsg } from '../../streams/mblk/alloc.ts'
import type { Mblk } from '../../streams/mblk/mblk.ts'
import { dropEmptyHead } from '../../streams/mblk/message.ts'
import { M_CTL, M_DATA, M_ERROR, M_FLUSH, M_HANGUP, M_IOCTL, M_PROTO } from '../../streams/mblk/types.ts'
import type { AnyQueue, DriverInfo, LowerInfo } from '../../streams/module.ts'
import { putnext } from '../../streams/putnext.ts'
import { getq, putbq, putq, type Queue, qenable } from '../../streams/queue.ts'
import { KIND, REJECT_REQ, UNITDATA_REQ } from '../unitdata.ts'
import { attachInterface, describeIp, detachInterface, linkChanged } from './control.ts'
import { drop } from './deliver.ts'
import { input4 } from './input4.ts'
import { input6 } from './input6.ts'
import type { Interface } from './interfaces.ts'
import type { Ip } from './ip.ts'
import { output } from './output.ts'
import { reject } from './reject.ts'

/** One stream above IP. */
interface Upper {
  readonly protocols: readonly number[]
}

/** The driver of one stack's IP. Register it with the stack's runtime. */
export function makeIpDriver(ip: Ip): DriverInfo<Upper> {
  return {
    name: 'ip',
    driver: true,
    hiwat: 1024 * 1024,
    lowat: 256 * 1024,
    open: (q, options) => open(ip, q, options),
    close: q => close(ip, q),
    read: { put: putnext },
    write: { put: (q, mp) => writePut(ip, q, mp), service: q => writeService(ip, q) },
    lower: makeLower(ip),
    counters: () => ip.counters,
    describe: () => describeIp(ip),
  }
}

function open(ip: Ip, q: Queue<Upper>, options: unknown): Upper {
  const protocols = checkProtocols(options)
  for (const protocol of protocols) {
    if (ip.bound[protocol] !== null)
      throw new StackError('ERR_ADDR_IN_USE', `ip: another stream has protocol ${protocol}`)
  }
  for (const protocol of protocols) ip.bound[protocol] = q
  ip.uppers.add(q)
  if (ip.reassemblyTimer === null) {
    ip.reassemblyTimer = ip.runtime.timer(q, now => {
      ip.reassembly.expire(now)
      ip.armReassembly()
    })
  }
  return { protocols }
}

function checkProtocols(options: unknown): readonly number[] {
  if (options === undefined) return []
  const protocols = (options as { protocols?: unknown } | null)?.protocols ?? []
  const isProtocol = (value: unknown): boolean =>
    Number.isInteger(value) && (value as number) >= 0 && (value as number) <= 255
  if (!Array.isArray(protocols) || !protocols.every(isProtocol))
    throw new StackError('ERR_BAD_CONFIG', 'ip: protocols has to be a list of numbers from 0 to 255')
  return protocols as number[]
}

function close(ip: Ip, q: Queue<Upper>): void {
  for (const protocol of q.state.protocols) ip.bound[protocol] = null
  ip.uppers.delete(q)
  if (ip.uppers.size > 0) return
  // The last one closes the door: nobody is left to take what waits for its fragments.
  ip.reassembly.clear()
  if (ip.reassemblyTimer !== null) ip.runtime.timers.cancel(ip.reassemblyTimer)
  ip.reassemblyTimer = null
}

function writePut(ip: Ip, q: Queue<Upper>, mp: Mblk): void {
  switch (mp.type) {
    case M_PROTO:
      if (q.first !== null || !request(ip, q, mp)) putq(q, mp)
      return
    case M_FLUSH:
      return driverFlush(q, mp)
    case M_IOCTL:
      return answerControl(ip, q, mp)
    default:
      return drop(ip, mp, 'request-malformed')
  }
}

/** Apart, since a closure makes the function that it stands in allocate its context at every call. */
function answerControl(ip: Ip, q: Queue<Upper>, mp: Mblk): void {
  const { command } = readIoctl(mp)
  answerIoctl(q, mp, () => {
    if (command === 'describe') return describeIp(ip)
    throw new StackError('ERR_IOCTL', `ip knows no request "${command}"`, { hint: 'try describe' })
  })
}

/** @returns false if the link that it is for is full */
function request(ip: Ip, q: Queue<Upper>, mp: Mblk): boolean {
  const kind = mp.wptr - mp.rptr >= 4 ? ip.words[(mp.rptr >> 2) + KIND] : 0
  if (kind === UNITDATA_REQ) return output(ip, q, mp)
  if (kind === REJECT_REQ) reject(ip, mp)
  else drop(ip, mp, 'request-malformed')
  return true
}

function writeService(ip: Ip, q: Queue<Upper>): void {
  for (let mp = getq(q); mp !== null; mp = getq(q)) {
    if (!request(ip, q, mp)) return putbq(q, mp)
  }
}

// ---- links below

function makeLower(ip: Ip): LowerInfo<Interface> {
  return {
    hiwat: 64 * 1024,
    lowat: 16 * 1024,
    read: { put: (q, mp) => lowerReadPut(ip, q, mp) },
    write: { put: putnext, service: () => enableUppers(ip) },
    link: (_upper: AnyQueue, q: Queue<Interface>, options?: unknown) => attachInterface(ip, q.other, options),
    unlink: q => detachInterface(ip, q.state),
    changed: q => askLink(ip, q),
  }
}

/** The driver's answer, if the link still has one, says whether it is up. */
function askLink(ip: Ip, q: AnyQueue): void {
  const query = makeLinkQuery(ip.arena)
  if (query !== null) putnext(q.other, query)
}

/** A link has room again: whoever waits above may go on. */
function enableUppers(ip: Ip): void {
  for (const upper of ip.uppers) if (upper.other.first !== null) qenable(upper.other)
}

function lowerReadPut(ip: Ip, q: Queue<Interface>, mp: Mblk): void {
  switch (mp.type) {
    case M_DATA:
      return packetInput(ip, q.state, mp)
    case M_CTL:
      learnLink(ip, q.state, mp)
      return freemsg(mp)
    case M_ERROR:
      linkFailed(ip, q, readError(mp))
      return freemsg(mp)
    case M_HANGUP:
      linkChanged(ip, q.state, 'is gone')
      enableUppers(ip)
      return freemsg(mp)
    case M_FLUSH:
      return headFlush(q, mp)
    default:
      return freemsg(mp)
  }
}

function linkFailed(ip: Ip, q: Queue<Interface>, error: StackError): void {
  linkChanged(ip, q.state, `failed: ${error.message}`)
  enableUppers(ip)
  // A module that failed was taken off; the link below it may be as good as before.
  if (error.code === 'ERR_MODULE_FAULT') askLink(ip, q)
}

function learnLink(ip: Ip, from: Interface, mp: Mblk): void {
  const info = controlCode(mp) === CTL_LINK_INFO ? readLinkInfo(mp) : null
  if (info === null) return
  const wasUp = from.up
  if (from.learn(info.mtu, info.capabilities, info.up)) ip.destinations.invalidate()
  if (from.up !== wasUp)
    ip.runtime.event('info', 'ip.link', `${from.name} is ${from.up ? 'up' : 'down'}, mtu ${from.mtu}`)
}

/** @param mp - consumed: one packet, perhaps a super-packet, as a chain of any shape */
export function packetInput(ip: Ip, from: Interface, mp: Mblk): void {
  ip.counters['packets-in']++
  from.packetsIn++
  const first = mp.rptr < mp.wptr ? mp : dropEmptyHead(mp)
  if (first.rptr === first.wptr) return drop(ip, first, 'empty')
  const version = first.bytes[first.rptr]! >> 4
  if (version === 4) input4(ip, from, first)
  else if (version === 6) input6(ip, from, first)
  else drop(ip, first, 'ip-version')
}
