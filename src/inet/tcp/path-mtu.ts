/** The size of packets on the path: what ICMP says, and what the path shows (RFC 1191, 8201, 4821, 8899). */
import type { Tcb } from './tcb.ts'
import type { Tcp } from './tcp.ts'

/**
 * An ICMP error, already matched to the flight (RFC 5927), or IP itself says what the path takes: segments that are too long go
 * out again in pieces, without a congestion response (RFC 1191 §6.5).
 * @param mtu - bytes of an IP packet
 */
export function pathMtuChanged(_tcp: Tcp, _tcb: Tcb, _mtu: number): void {}
