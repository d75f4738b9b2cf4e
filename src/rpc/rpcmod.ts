/**
 * `rpcmod`: record marking (RFC 5531 §11) as a module on a stream of bytes. Above it each M_DATA message is one record; below it is
 * what TCP carries. Records that are ready together travel together: of many, small ones are copied into one block, since a block of
 * its own costs more than copying it (at the place `stack`); others are marked where they lie.
 */
import { type Counters, makeCounters } from '../base/counters.ts'
import { StackError } from '../base/errors.ts'
import { makeError } from '../streams/condition.ts'
import { flushAsAsked } from '../streams/flush.ts'
import { allocb, freemsg } from '../streams/mblk/alloc.ts'
import type { Arena } from '../streams/mblk/arena.ts'
import type { Mblk, UniqueMblk } from '../streams/mblk/mblk.ts'
import { messageBytes } from '../streams/mblk/message.ts'
import { readMessage } from '../streams/mblk/pullup.ts'
import { FLUSHR, FLUSHW, isHighPriority, M_DATA, M_FLUSH } from '../streams/mblk/types.ts'
import type { ModuleInfo } from '../streams/module.ts'
import { putnext } from '../streams/putnext.ts'
import { canputnext, getq, putbq, putq, type Queue } from '../streams/queue.ts'
import {
  LOOSE_BYTES,
  LOOSE_BYTES_AMPLE,
  MARK_BYTES,
  markFragments,
  markRecord,
  putRecordMark,
  RECORD_FAULTS,
  type RecordFault,
  type RecordLimits,
  RecordSplitter,
} from './record-mark.ts'

/** Records up to this size are gathered. */
const GATHER_BYTES = 512
/** So many are worth their copy: TCP sends fewer together as well, each in the blocks it has. */
const GATHER_RECORDS = 8
/** Of a block that records are gathered in: an Ethernet frame's worth, so that what goes out is not held up by what is still to come. */
const BATCH_BYTES = 1_920
/** Of the arena, what unfinished records of all connections may hold: the rest is for those that are complete, and for everybody else. */
const UNFINISHED_SHARE = 1 / 4
/** A connection that holds no more than this is not the one that goes, as long as there is memory. */
const UNFINISHED_FREE = 64 * 1024
const HIWAT = 256 * 1024
const LOWAT = 64 * 1024

/** What a stream ends with whose bytes are no records; its counters say which fault it was. */
export const RECORD_FAULT_CODE = 'ERR_PROTOCOL'

export interface RpcmodOptions extends RecordLimits {
  /** Records above this are sent in fragments of it; 2^31-1 by default, which is one. */
  readonly fragmentBytes?: number
}

export type RpcmodCounters = Counters<
  | RecordFault
  | 'in-records'
  | 'in-fragments'
  | 'out-records'
  | 'out-gathered'
  | 'out-empty'
  | 'out-no-buffers'
  | 'record-cut-off'
>

/** What the instances of one stack share. */
interface Unfinished {
  readonly arena: Arena
  bytes: number
  readonly limit: number
}

const unfinished = new WeakMap<Arena, Unfinished>()

/** State of one instance. */
interface Rpcmod {
  readonly splitter: RecordSplitter
  readonly fragmentBytes: number
  readonly counters: RpcmodCounters
  readonly shared: Unfinished
  /** What of {@link shared} is this one's. */
  held: number
  /** The stream cannot be read on: what comes is freed. */
  broken: boolean
}

export const rpcmod: ModuleInfo<Rpcmod> = {
  name: 'rpcmod',
  hiwat: HIWAT,
  lowat: LOWAT,
  open(q, options) {
    const { fragmentBytes = 0x7fff_ffff, ...limits } = checkOptions(options)
    const counters: RpcmodCounters = makeCounters([
      'in-records',
      'in-fragments',
      'out-records',
      'out-gathered',
      'out-empty',
      'out-no-buffers',
      'record-cut-off',
      ...RECORD_FAULTS,
    ])
    const shared = sharedBy(q.stream.runtime.arena)
    return { splitter: new RecordSplitter(limits), fragmentBytes, counters, shared, held: 0, broken: false }
  },
  close(q) {
    q.state.splitter.close()
    account(q.state)
  },
  read: { put: readPut, service: readService },
  write: { put: writePut, service: writeService },
  counters: state => state.counters,
  describe: ({ splitter, fragmentBytes }) => ({ ...splitter.limits, fragmentBytes }),
}

function sharedBy(arena: Arena): Unfinished {
  let shared = unfinished.get(arena)
  if (shared === undefined) {
    shared = { arena, bytes: 0, limit: Math.floor(arena.bytes.length * UNFINISHED_SHARE) }
    unfinished.set(arena, shared)
  }
  return shared
}

/** @throws StackError `ERR_BAD_CONFIG` */
function checkOptions(options: unknown): RpcmodOptions {
  const given = options ?? {}
  const bad = (text: string) => new StackError('ERR_BAD_CONFIG', `rpcmod: ${text}`)
  if (typeof given !== 'object') throw bad('options are an object')
  for (const [name, value] of Object.entries(given)) {
    const least = LEAST[name as keyof RpcmodOptions]
    if (least === undefined) throw bad(`unknown option "${name}"; known: ${Object.keys(LEAST).join(', ')}`)
    const fits = Number.isInteger(value) && value >= least && value <= 0x7fff_ffff
    if (!fits) throw bad(`${name}: ${JSON.stringify(value)} is not a whole number from ${least} to 2^31-1`)
  }
  return given
}

const LEAST: Readonly<Record<keyof RpcmodOptions, number>> = {
  maxRecordBytes: 4,
  maxFragments: 1,
  fragmentBytes: 4,
}

// ---- up: bytes into records

function readPut(q: Queue<Rpcmod>, mp: Mblk): void {
  if (mp.type === M_FLUSH) return flush(q, mp, FLUSHR)
  if (isHighPriority(mp)) return putnext(q, mp)
  if (q.first !== null || !canputnext(q)) putq(q, mp)
  else take(q, mp)
}

function readService(q: Queue<Rpcmod>): void {
  for (let mp = getq(q); mp !== null; mp = getq(q)) {
    if (!canputnext(q)) return putbq(q, mp)
    take(q, mp)
  }
}

/** @param mp - consumed; in order */
function take(q: Queue<Rpcmod>, mp: Mblk): void {
  const { splitter, counters, broken } = q.state
  if (mp.type !== M_DATA) {
    // What ends the data ends an unfinished record.
    if (!splitter.isBetween) counters['record-cut-off']++
    return putnext(q, mp)
  }
  if (broken) return freemsg(mp)
  const before = splitter.fragments
  const { bytes, limit } = q.state.shared
  splitter.looseMax = bytes < limit / 2 ? LOOSE_BYTES_AMPLE : LOOSE_BYTES
  splitter.push(mp)
  for (let record = splitter.next(); record !== null; record = splitter.next()) {
    counters['in-records']++
    putnext(q, record)
  }
  counters['in-fragments'] += splitter.fragments - before
  if (splitter.held !== q.state.held && !account(q.state)) splitter.stop('record-memory')
  if (splitter.fault !== null) fail(q, splitter.fault)
}

/** Keeps the sum of what unfinished records hold. @returns false if this one's is too much */
function account(state: Rpcmod): boolean {
  const { shared, splitter } = state
  const grown = splitter.held - state.held
  shared.bytes += grown
  state.held += grown
  if (grown <= 0 || shared.bytes <= shared.limit) return true
  return state.held <= UNFINISHED_FREE && !shared.arena.isLow
}

function fail(q: Queue<Rpcmod>, fault: RecordFault): void {
  const { state, stream } = q
  state.broken = true
  account(state)
  state.counters[fault]++
  const error = makeError(stream.runtime.arena, RECORD_FAULT_CODE, `rpcmod: ${fault}`)
  if (error !== null) putnext(q, error)
}

// ---- down: records into bytes

function writePut(q: Queue<Rpcmod>, mp: Mblk): void {
  if (mp.type === M_FLUSH) flush(q, mp, FLUSHW)
  else if (isHighPriority(mp)) putnext(q, mp)
  else putq(q, mp)
}

function writeService(q: Queue<Rpcmod>): void {
  let batch: UniqueMblk | null = null
  for (let mp = getq(q); mp !== null; mp = getq(q)) {
    if (!canputnext(q)) {
      putbq(q, mp)
      break
    }
    const size = messageBytes(mp)
    const isFew = batch === null && q.messages + 1 < GATHER_RECORDS
    if (mp.type !== M_DATA || size === 0 || size > GATHER_BYTES || isFew) {
      if (batch !== null) putnext(q, batch)
      batch = null
      passDown(q, mp, size)
      continue
    }
    if (batch !== null && batch.dblk.lim - batch.wptr < MARK_BYTES + size) {
      putnext(q, batch)
      batch = null
    }
    batch ??= allocb(mp.dblk.arena, BATCH_BYTES)
    if (batch === null) passDown(q, mp, size)
    else gather(q, batch, mp, size)
  }
  if (batch !== null) putnext(q, batch)
}

/** @param mp - consumed */
function gather(q: Queue<Rpcmod>, batch: UniqueMblk, mp: Mblk, size: number): void {
  const { wptr } = batch
  putRecordMark(batch, wptr, size)
  readMessage(mp, 0, batch.dblk.bytes, wptr + MARK_BYTES, size, 'stack')
  batch.wptr = wptr + MARK_BYTES + size
  freemsg(mp)
  q.state.counters['out-records']++
  q.state.counters['out-gathered']++
}

/** @param mp - consumed */
function passDown(q: Queue<Rpcmod>, mp: Mblk, size: number): void {
  const { counters, fragmentBytes } = q.state
  if (mp.type !== M_DATA) return putnext(q, mp)
  if (size === 0) {
    // A record without bytes is what no peer takes.
    counters['out-empty']++
    return freemsg(mp)
  }
  const marked = size > fragmentBytes ? markFragments(mp, fragmentBytes) : markRecord(mp)
  if (marked === null) return breakOff(q)
  counters['out-records']++
  putnext(q, marked)
}

/** A record that does not go out leaves a gap that nobody would notice: the stream ends instead. */
function breakOff(q: Queue<Rpcmod>): void {
  q.state.counters['out-no-buffers']++
  q.state.broken = true
  const error = makeError(q.stream.runtime.arena, 'ERR_NO_BUFFERS', 'rpcmod: no block left for a record mark')
  if (error !== null) putnext(q.other, error)
}

/** @param mp - consumed */
function flush(q: Queue<Rpcmod>, mp: Mblk, side: number): void {
  flushAsAsked(q, mp)
  // A record of which a part was thrown away cannot be found the end of.
  if (side === FLUSHR && !q.state.splitter.isBetween) q.state.broken = true
  putnext(q, mp)
}
