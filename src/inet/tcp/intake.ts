/** What was received and waits: in order for the program, out of order for a gap to close. */
import type { Mblk } from '../../streams/mblk/mblk.ts'
import type { Tcb } from './tcb.ts'
import type { Tcp } from './tcp.ts'

export class Intake {
  /** Messages in order, by `next`. */
  first: Mblk | null = null
  last: Mblk | null = null
  /** Payload bytes of these. */
  bytes = 0
}

/**
 * The blocks to put on the next acknowledgment (RFC 2018 §4, RFC 2883): a duplicate to report first, then the newest.
 * @param out - left and right edges in turn, at least 8
 * @returns blocks, 0 to 4; they stay reported until `ackSent`
 */
export function sackBlocks(_tcp: Tcp, _tcb: Tcb, _out: Int32Array): number {
  return 0
}
