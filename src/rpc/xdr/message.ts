/** A whole message from a value and back, for who has nothing in front or behind. */
import type { BorrowedMblk, Mblk } from '../../streams/mblk/mblk.ts'
import type { XdrCodec } from './codec.ts'
import type { XdrDecoder } from './decoder.ts'
import type { XdrEncoder } from './encoder.ts'

/**
 * @param root - how the path of an error begins
 * @returns an owned message
 * @throws XdrError if the value is not of the type, or no block is left
 */
export function encodeMessage<T>(xdr: XdrEncoder, of: XdrCodec<T>, value: T, root = ''): Mblk {
  try {
    xdr.start(root)
    xdr.put(value, of)
    return xdr.finish()
  } catch (error) {
    // A codec or a getter of the program's may throw what it likes.
    xdr.abort()
    throw error
  }
}

/**
 * @param mp - borrowed
 * @throws XdrError if the message is not exactly one value of the type
 */
export function decodeMessage<T>(xdr: XdrDecoder, of: XdrCodec<T>, mp: BorrowedMblk, root = ''): T {
  try {
    xdr.start(mp, root)
    const value = of.decode(xdr)
    xdr.finish()
    return value
  } catch (error) {
    xdr.abort()
    throw error
  }
}
