/**
 * Control messages: M_IOCTL down, M_IOCACK or M_IOCNAK back. The first block holds {@link IOC_HEADER_BYTES} of header
 * and the command's name; the argument, or the answer, is JSON text in the blocks behind it. @see iocblk(9S)
 */
import { StackError } from '../base/errors.ts'
import { allocb, freemsg } from './mblk/alloc.ts'
import type { Arena } from './mblk/arena.ts'
import type { BorrowedMblk, Mblk } from './mblk/mblk.ts'
import { messageBytes } from './mblk/message.ts'
import { messageFrom, readMessage } from './mblk/pullup.ts'
import { M_DATA, M_IOCACK, M_IOCNAK, M_IOCTL } from './mblk/types.ts'
import type { AnyQueue } from './module.ts'
import { qreply } from './putnext.ts'

/** Request number (4 bytes), length of the command (1 byte). */
const IOC_HEADER_BYTES = 5
const COMMAND_BYTES_MAX = 64
/** JSON text of an argument or an answer, in bytes. */
export const IOC_ARGUMENT_BYTES_MAX = 1024 * 1024

const encoder = new TextEncoder()
const decoder = new TextDecoder()

export interface Ioctl {
  readonly id: number
  readonly command: string
  readonly argument: unknown
}

/** A request message. @throws StackError if the argument is too large or the arena is full */
export function makeIoctl(arena: Arena, id: number, command: string, argument: unknown): Mblk {
  const name = encoder.encode(command)
  if (name.length > COMMAND_BYTES_MAX)
    throw new StackError('ERR_BAD_ARGUMENT', `ioctl: the command is longer than ${COMMAND_BYTES_MAX} bytes`)
  const mp = allocb(arena, IOC_HEADER_BYTES + COMMAND_BYTES_MAX)
  if (mp === null) throw new StackError('ERR_NO_BUFFERS', 'ioctl: no block left')
  mp.type = M_IOCTL
  const to = mp.dblk.bytes
  for (let i = 0; i < 4; i++) to[mp.wptr++] = id >>> (24 - 8 * i)
  to[mp.wptr++] = name.length
  for (const byte of name) to[mp.wptr++] = byte
  try {
    setArgument(arena, mp, argument)
  } catch (error) {
    freemsg(mp)
    throw error
  }
  return mp
}

/** Reads an M_IOCTL, M_IOCACK or M_IOCNAK; an argument that is no JSON is `undefined`. */
export function readIoctl(mp: BorrowedMblk): Ioctl {
  const { bytes, rptr } = mp
  const id =
    ((bytes[rptr]! << 24) | (bytes[rptr + 1]! << 16) | (bytes[rptr + 2]! << 8) | bytes[rptr + 3]!) >>> 0
  const name = new Uint8Array(bytes[rptr + 4]!)
  readMessage(mp, IOC_HEADER_BYTES, name, 0, name.length, 'edge')
  return { id, command: decoder.decode(name), argument: mp.cont === null ? undefined : readJson(mp.cont) }
}

function readJson(mp: BorrowedMblk): unknown {
  const text = new Uint8Array(messageBytes(mp))
  readMessage(mp, 0, text, 0, text.length, 'edge')
  try {
    return JSON.parse(decoder.decode(text))
  } catch {
    return undefined
  }
}

function setArgument(arena: Arena, mp: Mblk, argument: unknown): void {
  if (mp.cont !== null) freemsg(mp.cont)
  mp.cont = null
  if (argument === undefined) return
  const text = encoder.encode(JSON.stringify(argument))
  if (text.length > IOC_ARGUMENT_BYTES_MAX)
    throw new StackError('ERR_MSG_TOO_LONG', 'ioctl: the argument is too long')
  const data = messageFrom(arena, text, 0, text.length, 'edge')
  if (data === null) throw new StackError('ERR_NO_BUFFERS', 'ioctl: no block left')
  data.type = M_DATA
  mp.cont = data
}

/** Answers a request with success. @param mp - consumed: the M_IOCTL */
export function ackIoctl(q: AnyQueue, mp: Mblk, answer?: unknown): void {
  try {
    setArgument(mp.dblk.arena, mp, answer)
  } catch (error) {
    if (!(error instanceof StackError)) throw error
    return nakIoctl(q, mp, error)
  }
  mp.type = M_IOCACK
  qreply(q, mp)
}

/** Refuses a request, in silence when there is no block to say why: an answer has to come. @param mp - consumed: the M_IOCTL */
export function nakIoctl(q: AnyQueue, mp: Mblk, error: StackError): void {
  try {
    setArgument(mp.dblk.arena, mp, { code: error.code, message: error.message, hint: error.hint })
  } catch (failure) {
    if (!(failure instanceof StackError)) throw failure
  }
  mp.type = M_IOCNAK
  qreply(q, mp)
}

/** Runs `action` for a request and answers with what it returns, or refuses with what it throws. */
export function answerIoctl(q: AnyQueue, mp: Mblk, action: () => unknown): void {
  let answer: unknown
  try {
    answer = action()
  } catch (error) {
    if (!(error instanceof StackError)) throw error
    nakIoctl(q, mp, error)
    return
  }
  ackIoctl(q, mp, answer)
}
