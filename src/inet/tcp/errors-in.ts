/** ICMP errors (RFC 9293 §3.9.2.2, RFC 5927, RFC 5461). */
import type { Mblk } from '../../streams/mblk/mblk.ts'
import type { Tcp } from './tcp.ts'

/** @param mp - consumed: an ERROR_IND */
export function errorIn(_tcp: Tcp, _mp: Mblk): void {}
