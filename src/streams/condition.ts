/** M_ERROR and M_HANGUP: what goes up a stream when something below is broken or gone. */
import { ERROR_CODES, type ErrorCode, StackError } from '../base/errors.ts'
import { allocb } from './mblk/alloc.ts'
import type { Arena } from './mblk/arena.ts'
import type { BorrowedMblk, Mblk } from './mblk/mblk.ts'
import { M_ERROR, M_HANGUP } from './mblk/types.ts'

const TEXT_BYTES_MAX = 200

/**
 * An M_ERROR that carries a code and a text. The manual's one errno byte says less than a program wants to know.
 * @returns null when no block is left
 */
export function makeError(arena: Arena, code: ErrorCode, text: string): Mblk | null {
  const line = `${code} ${text}`.replace(/[^\x20-\x7e]/g, '?').slice(0, TEXT_BYTES_MAX)
  const mp = allocb(arena, line.length)
  if (mp === null) return null
  mp.type = M_ERROR
  for (let i = 0; i < line.length; i++) mp.dblk.bytes[mp.wptr++] = line.charCodeAt(i)
  return mp
}

/** The error that an M_ERROR stands for. @param mp - borrowed */
export function readError(mp: BorrowedMblk): StackError {
  let line = ''
  for (let i = mp.rptr; i < mp.wptr; i++) line += String.fromCharCode(mp.bytes[i]!)
  const space = line.indexOf(' ')
  const code = line.slice(0, space)
  if (!(code in ERROR_CODES)) return new StackError('ERR_PROTOCOL', line || 'the stream reported an error')
  return new StackError(code as ErrorCode, line.slice(space + 1))
}

/** @returns null when no block is left */
export function makeHangup(arena: Arena): Mblk | null {
  const mp = allocb(arena, 0)
  if (mp !== null) mp.type = M_HANGUP
  return mp
}
