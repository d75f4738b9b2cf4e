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

/** State of a stream head. */
export class Head {
  /** Set by an M_ERROR: reads and writes fail with it from then on. */
  error: StackError | null = null
  /** Set by an M_HANGUP: writes fail; reads go on until the queue is empty. */
  hangup = false
  /** Called by the run queue when messages wait and none did when it was last called. Take all of them. */
  onReadable: (() => void) | null = null
  /** Called when a write that was refused may be tried again. */
  onWritable: (() => void) | null = null
  /** Called once for an error or a hangup. */
  onDown: (() => void) | null = null
  /** Told of every M_CTL that reaches the head; consumes it. */
  onControl: ((mp: Mblk) => void) | null = null
  readonly pending = new Map<number, PendingIoctl>()
  nextIoctl = 1
  /** What a callback of the program threw goes here: it is no fault of the stream. */
  onUncaught: (error: unknown) => void = () => {}
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
      if (head.onControl === null) freemsg(mp)
      else callProgram(head, () => head.onControl!(mp))
      return
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
  failIoctls(head, error ?? new StackError('ERR_HANGUP', 'the stream hung up'))
  if (first && head.onDown !== null) callProgram(head, head.onDown)
}

export function failIoctls(head: Head, error: StackError): void {
  for (const pending of head.pending.values()) pending.reject(error)
  head.pending.clear()
}

function settleIoctl(head: Head, mp: Mblk): void {
  const { id, argument } = readIoctl(mp)
  const nak = mp.type === M_IOCNAK
  freemsg(mp)
  const pending = head.pending.get(id)
  if (pending === undefined) return
  head.pending.delete(id)
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
  const head = q.state
  if (head.onReadable !== null && q.first !== null) callProgram(head, head.onReadable)
}

function writeService(q: Queue<Head>): void {
  const head = q.state
  if (head.onWritable !== null) callProgram(head, head.onWritable)
}

function callProgram(head: Head, callback: () => void): void {
  try {
    callback()
  } catch (error) {
    head.onUncaught(error)
  }
}
