/** What the calls without copies are given: a wrong argument is told at the call, whatever the state of the connection. */
import { types } from 'node:util'
import { Mblk } from '../streams/mblk/mblk.ts'
import { argumentTypeError } from './errors.ts'

/** @throws TypeError `ERR_INVALID_ARG_TYPE` */
export function checkMessage(mp: unknown): void {
  if (!(mp instanceof Mblk)) throw argumentTypeError('mp', 'a message (Mblk) of putnext/streams', mp)
}

/** @throws TypeError `ERR_INVALID_ARG_TYPE` */
export function checkOwned(bytes: unknown, onReleased: unknown): void {
  if (!types.isUint8Array(bytes))
    throw argumentTypeError('bytes', 'an instance of Buffer or Uint8Array', bytes)
  if (typeof onReleased !== 'function') throw argumentTypeError('onReleased', 'of type function', onReleased)
}
