/**
 * The stream head: the queue pair at the top, where a program reads and writes. Its procedures and its state are
 * here; {@link Stream} offers the calls.
 */
import { StackError } from '../base/errors.ts'
import { readError } from './condition.ts'
import { headFlush } from './flush.ts'
import { readIoctl } from './ioctl.ts'
import { freemsg } from './mblk/alloc.ts'
import type { Mblk } from './mblk/mblk.ts'
import {
  isHighPriority,
  M_CTL,
  M_ERROR,
  M_FLUSH,
  M_HANGUP,
  M_IOCACK,
  M_IOCNAK,
  M_IOCTL,
  M_SETOPTS,
} from './mblk/types.ts'
import type { ModuleInfo } from './module.ts'
import { FLUSHALL, flushq, putq, type Queue } from './queue.ts'

/** Requests that may wait for an answer on one stream. */
export const IOCTLS_MAX = 64

interface PendingIoctl {
  readonly command: string
  readonly resolve: (answer: unknown) => void
  readonly reject: (error: StackError) => void
}

/** The program above a stream head. The run queue calls it; what it throws is no fault of the stream's. */
export interface Program {
  /** Messages wait, and none did when it was last called. Take all of them. */
  readable(): void
  /** A write that was refused may be tried again. */
  writable(): void
  /** Called once for an error or a hangup. */
  down(): void
  /** @param mp - consumed: an M_CTL that reached the head */
  control(mp: Mblk): void
  /** One of the others threw. */
  uncaught(error: unknown): void
}

/** A program that gives a callback for what it wants to hear. */
export class Callbacks implements Program {
  onReadable: (() => void) | null = null
  onWritable: (() => void) | null = null
  onDown: (() => void) | null = null
  onControl: ((mp: Mblk) => void) | null = null
  onUncaught: ((error: unknown) => void) | null = null

  readable(): void {
    this.onReadable?.()
  }

  writable(): void {
    this.onWritable?.()
  }

  down(): void {
    this.onDown?.()
  }

  control(mp: Mblk): void {
    if (this.onControl === null) freemsg(mp)
    else this.onControl(mp)
  }

  uncaught(error: unknown): void {
    this.onUncaught?.(error)
  }
}

/** Of streams that nobody reads or writes: those that are linked below a multiplexor, for instance. */
export const NOBODY: Program = new Callbacks()

/** State of a stream head. */
export class Head {
  /** Set by an M_ERROR: reads and writes fail with it from then on. */
  error: StackError | null = null
  /** Set by an M_HANGUP: writes fail; reads go on until the queue is empty. */
  hangup = false
  program: Program = NOBODY
  /** Requests that wait for their answers, by number; null until there is one. */
  pending: Map<number, PendingIoctl> | null = null
  nextIoctl = 1
}

/** Water marks of a stream head's read queue, in bytes; changed with `Stream.setReadLimits`. */
export const HEAD_HIWAT = 256 * 1024
export const HEAD_LOWAT = 64 * 1024

export const headInfo: ModuleInfo<Head> = {
  name: 'head',
  hiwat: HEAD_HIWAT,
  lowat: HEAD_LOWAT,
  open: () => new Head(),
  close: () => {},
  read: { put: readPut, service: readService },
  write: { put: (_q, mp) => freemsg(mp), service: writeService },
}

function readPut(q: Queue<Head>, mp: Mblk): void {
  const head = q.state
  switch (mp.type) {
    case M_ERROR:
      return takeDown(q, readError(mp), mp)
    case M_HANGUP:
      return takeDown(q, null, mp)
    case M_FLUSH:
      return headFlush(q, mp)
    case M_IOCACK:
    case M_IOCNAK:
      return settleIoctl(head, mp)
    case M_IOCTL:
    case M_SETOPTS:
      return freemsg(mp)
    case M_CTL:
      return tellControl(head.program, mp)
    default:
      // A head in error takes no more data; the high-priority queue is bounded like the rest.
      if (head.error !== null || q.removed || (isHighPriority(mp) && q.zero.full)) return freemsg(mp)
      putq(q, mp)
  }
}

function takeDown(q: Queue<Head>, error: StackError | null, mp: Mblk): void {
  const head = q.state
  const first = head.error === null && !head.hangup
  freemsg(mp)
  if (error === null) head.hangup = true
  else {
    head.error ??= error
    flushq(q, FLUSHALL)
  }
  if (head.pending !== null) failIoctls(head, error ?? new StackError('ERR_HANGUP', 'the stream hung up'))
  if (first) tell(head.program, DOWN)
}

export function failIoctls(head: Head, error: StackError): void {
  const { pending } = head
  head.pending = null
  if (pending !== null) for (const { reject } of pending.values()) reject(error)
}

function settleIoctl(head: Head, mp: Mblk): void {
  const { id, argument } = readIoctl(mp)
  const nak = mp.type === M_IOCNAK
  freemsg(mp)
  const pending = head.pending?.get(id)
  if (pending === undefined) return
  head.pending!.delete(id)
  if (!nak) {
    pending.resolve(argument)
    return
  }
  const refused = argument as { code?: StackError['code']; message?: string; hint?: string } | undefined
  const options = refused?.hint === undefined ? {} : { hint: refused.hint }
  pending.reject(
    new StackError(
      refused?.code ?? 'ERR_IOCTL',
      refused?.message ?? `nobody on the stream knows "${pending.command}"`,
      options,
    ),
  )
}

function readService(q: Queue<Head>): void {
  if (q.first !== null) tell(q.state.program, READABLE)
}

function writeService(q: Queue<Head>): void {
  tell(q.state.program, WRITABLE)
}

const READABLE = 0
const WRITABLE = 1
const DOWN = 2

function tell(program: Program, what: number): void {
  try {
    if (what === READABLE) program.readable()
    else if (what === WRITABLE) program.writable()
    else program.down()
  } catch (error) {
    program.uncaught(error)
  }
}

function tellControl(program: Program, mp: Mblk): void {
  try {
    program.control(mp)
  } catch (error) {
    program.uncaught(error)
  }
}
