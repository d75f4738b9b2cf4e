/**
 * Driver "duplex": a link over any Duplex of node:stream whose chunks are IP packets, one packet a chunk: the shape of
 * the package tuntap2's `Tun`, of a tunnel's end, of a test's pair. Each packet is copied once at the edge, each way,
 * because a program may keep a chunk for ever.
 */
import type { Duplex } from 'node:stream'
import { type Counters, makeCounters } from '../base/counters.ts'
import { StackError } from '../base/errors.ts'
import {
  type AnyDriver,
  canputnext,
  type DriverInfo,
  freemsg,
  getq,
  isHighPriority,
  type LinkInfo,
  M_DATA,
  type Mblk,
  makeError,
  makeHangup,
  messageBytes,
  messageFrom,
  putbq,
  putnext,
  putq,
  type Queue,
  qenable,
  readMessage,
} from '../streams/index.ts'
import { driverControl } from './driver-control.ts'

export interface DuplexOptions {
  /** Largest packet in bytes, 68 to 65,535; 1,500 by default. */
  readonly mtu?: number
  /** Whether each chunk begins with 4 bytes of flags and protocol (struct tun_pi without IFF_NO_PI); false by default. */
  readonly protocolHeader?: boolean
}

const MTU_MIN = 68
const MTU_MAX = 65_535
/** struct tun_pi of linux/if_tun.h: flags, then the EtherType. */
const PI_BYTES = 4
const ETHERTYPE = { 4: 0x0800, 6: 0x86dd } as const

const COUNTERS = [
  'rx-packets',
  'rx-bytes',
  'tx-packets',
  'tx-bytes',
  'rx-empty',
  'rx-too-long',
  'rx-not-ip',
  'rx-no-buffers',
  'rx-not-bytes',
  'tx-too-long',
] as const

/** State of an open duplex link. */
export interface DuplexLink {
  readonly duplex: Duplex
  readonly info: LinkInfo
  readonly headerBytes: number
  readonly counters: Counters<(typeof COUNTERS)[number]>
  /** The stream said that it has taken enough; `drain` ends that. */
  waiting: boolean
  /** Nothing more is taken from the duplex before the read queue has drained. */
  paused: boolean
  gone: boolean
  readonly detach: () => void
}

/**
 * Makes a driver over a duplex, which can be opened once and is destroyed when the stream is closed. The duplex's events
 * come from Node's loop, so the runtime's `wake` must lead to a turn.
 * @throws StackError `ERR_BAD_CONFIG` for an MTU out of range or a duplex of objects
 */
export function makeDuplexDriver(duplex: Duplex, options: DuplexOptions = {}): AnyDriver {
  const { mtu = 1_500, protocolHeader = false } = options
  if (!Number.isInteger(mtu) || mtu < MTU_MIN || mtu > MTU_MAX)
    throw new StackError('ERR_BAD_CONFIG', `duplex: mtu must be ${MTU_MIN} to ${MTU_MAX}, not ${mtu}`)
  let opened = false
  const driver: DriverInfo<DuplexLink> = {
    driver: true,
    name: 'duplex',
    hiwat: 256 * 1024,
    lowat: 64 * 1024,
    open: q => {
      if (opened || duplex.destroyed)
        throw new StackError('ERR_BUSY', 'this duplex was opened before: a driver is made for each')
      opened = true
      return attach(q, duplex, { mtu, capabilities: 0, up: true }, protocolHeader ? PI_BYTES : 0)
    },
    close: ({ state }) => {
      state.gone = true
      state.detach()
      // It may still fail while it is torn down, and nobody else listens.
      duplex.on('error', () => {})
      duplex.destroy()
    },
    read: { put: putnext, service: readService },
    write: { put: writePut, service: writeService },
    counters: ({ counters }) => counters,
    describe: ({ info, headerBytes, waiting, gone }) => ({
      ...info,
      up: !gone,
      protocolHeader: headerBytes > 0,
      waiting,
    }),
  }
  return driver
}

function attach(q: Queue<DuplexLink>, duplex: Duplex, info: LinkInfo, headerBytes: number): DuplexLink {
  // Flowing mode gives chunks as they were written; read() would join those that wait.
  const onData = (chunk: unknown): void => receive(q, link, chunk)
  const onDrain = (): void => {
    link.waiting = false
    qenable(q.other)
  }
  const onEnd = (): void => down(q, link, null)
  const onError = (error: Error): void => down(q, link, error)
  const detach = (): void => {
    duplex.off('data', onData).off('drain', onDrain)
    duplex.off('end', onEnd).off('close', onEnd).off('error', onError)
  }
  const link: DuplexLink = {
    duplex,
    info,
    headerBytes,
    counters: makeCounters(COUNTERS),
    waiting: false,
    paused: false,
    gone: false,
    detach,
  }
  duplex.on('drain', onDrain).on('end', onEnd).on('close', onEnd).on('error', onError)
  duplex.on('data', onData)
  return link
}

/** The duplex ended or failed: the stream hears of it from the run queue, once. */
function down(q: Queue<DuplexLink>, link: DuplexLink, error: Error | null): void {
  if (link.gone) return
  link.gone = true
  const { arena } = q.stream.runtime
  const mp =
    error === null ? makeHangup(arena) : makeError(arena, 'ERR_DEVICE_GONE', `duplex: ${error.message}`)
  if (mp !== null) putq(q, mp)
  qenable(q.other)
}

function readService(q: Queue<DuplexLink>): void {
  for (let mp = getq(q); mp !== null; mp = getq(q)) {
    if (!isHighPriority(mp) && !canputnext(q)) {
      putbq(q, mp)
      break
    }
    putnext(q, mp)
  }
  const link = q.state
  if (!link.paused || q.zero.count > q.zero.lowat) return
  link.paused = false
  link.duplex.resume()
}

/** Called by Node's loop: a packet waits on the read queue for the run queue; when that is full, the duplex waits. */
function receive(q: Queue<DuplexLink>, link: DuplexLink, chunk: unknown): void {
  const { counters, headerBytes, info } = link
  if (!(chunk instanceof Uint8Array)) {
    counters['rx-not-bytes']++
    return
  }
  const size = chunk.length - headerBytes
  const version = size > 0 ? chunk[headerBytes]! >> 4 : 0
  if (size <= 0) counters['rx-empty']++
  else if (size > info.mtu) counters['rx-too-long']++
  else if (version !== 4 && version !== 6) counters['rx-not-ip']++
  else {
    const mp = messageFrom(q.stream.runtime.arena, chunk, headerBytes, chunk.length, 'edge')
    if (mp === null) {
      counters['rx-no-buffers']++
      return
    }
    counters['rx-packets']++
    counters['rx-bytes'] += size
    putq(q, mp)
    if (!q.zero.full) return
    link.paused = true
    link.duplex.pause()
  }
}

function writePut(q: Queue<DuplexLink>, mp: Mblk): void {
  const link = q.state
  if (mp.type !== M_DATA) return driverControl(q, mp, { ...link.info, up: !link.gone })
  if (q.first !== null || link.waiting) return putq(q, mp)
  transmit(link, mp)
}

function writeService(q: Queue<DuplexLink>): void {
  const link = q.state
  while (!link.waiting || link.gone) {
    const mp = getq(q)
    if (mp === null) return
    transmit(link, mp)
  }
}

/** @param mp - consumed */
function transmit(link: DuplexLink, mp: Mblk): void {
  const { counters, headerBytes, info, duplex } = link
  const size = messageBytes(mp)
  if (link.gone || size === 0) return freemsg(mp)
  if (size > info.mtu) {
    counters['tx-too-long']++
    return freemsg(mp)
  }
  const chunk = new Uint8Array(headerBytes + size)
  readMessage(mp, 0, chunk, headerBytes, size, 'edge')
  freemsg(mp)
  if (headerBytes > 0) {
    const type = ETHERTYPE[chunk[headerBytes]! >> 4 === 6 ? 6 : 4]
    chunk[2] = type >>> 8
    chunk[3] = type & 0xff
  }
  counters['tx-packets']++
  counters['tx-bytes'] += size
  link.waiting = !duplex.write(chunk)
}
