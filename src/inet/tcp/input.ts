/** Segments on their way in (RFC 9293 §3.10.7): checked, read, and brought to whom they are for. */
import type { Mblk } from '../../streams/mblk/mblk.ts'
import type { Tcp } from './tcp.ts'

/** @param mp - consumed: an UNITDATA_IND from IP, header and data behind it */
export function segmentIn(_tcp: Tcp, _mp: Mblk): void {}
