/** XDR between values and the base64 of requests for calls. */

import { StackError } from '../base/errors.ts'
import { decodeMessage, encodeMessage, type XdrCodec, XdrDecoder, XdrEncoder } from '../rpc/xdr/index.ts'
import { esballoc, freemsg } from '../streams/mblk/alloc.ts'
import { Arena } from '../streams/mblk/arena.ts'
import { messageBytes } from '../streams/mblk/message.ts'
import { readMessage } from '../streams/mblk/pullup.ts'

const ARENA_BYTES = 4 * 1024 * 1024

/** @throws XdrError if the value is not of the type */
export function toBase64<T>(codec: XdrCodec<T>, value: T): string {
  const mp = encodeMessage(new XdrEncoder(new Arena({ sizeBytes: ARENA_BYTES })), codec, value, 'args')
  const size = messageBytes(mp)
  const bytes = Buffer.alloc(size)
  if (size > 0) readMessage(mp, 0, bytes, 0, size, 'edge')
  freemsg(mp)
  return bytes.toString('base64')
}

/** @throws XdrError if the bytes are not of the type */
export function fromBase64<T>(codec: XdrCodec<T>, text: string): T {
  const arena = new Arena({ sizeBytes: ARENA_BYTES })
  const mp = esballoc(arena, Buffer.from(text, 'base64'), () => {})
  if (mp === null) throw new StackError('ERR_NO_BUFFERS', 'no foreign block is left')
  try {
    return decodeMessage(new XdrDecoder(), codec, mp, 'result')
  } finally {
    freemsg(mp)
  }
}
