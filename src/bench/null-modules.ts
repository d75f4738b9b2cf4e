/**
 * Sixteen modules that do nothing, each with code of its own: were they one, V8 would inline it where streams of real
 * modules have a call through a table.
 */
import type { Mblk } from '../streams/mblk/mblk.ts'
import type { AnyModule, PutProcedure } from '../streams/module.ts'
import { putnext } from '../streams/putnext.ts'
import type { Queue } from '../streams/queue.ts'

type Q = Queue<null>

// Written out on purpose: each arrow is one function to the compiler, where a factory would make one for all.
const PUTS: readonly PutProcedure<null>[] = [
  (q: Q, mp: Mblk) => putnext(q, mp),
  (q: Q, mp: Mblk) => putnext(q, mp),
  (q: Q, mp: Mblk) => putnext(q, mp),
  (q: Q, mp: Mblk) => putnext(q, mp),
  (q: Q, mp: Mblk) => putnext(q, mp),
  (q: Q, mp: Mblk) => putnext(q, mp),
  (q: Q, mp: Mblk) => putnext(q, mp),
  (q: Q, mp: Mblk) => putnext(q, mp),
  (q: Q, mp: Mblk) => putnext(q, mp),
  (q: Q, mp: Mblk) => putnext(q, mp),
  (q: Q, mp: Mblk) => putnext(q, mp),
  (q: Q, mp: Mblk) => putnext(q, mp),
  (q: Q, mp: Mblk) => putnext(q, mp),
  (q: Q, mp: Mblk) => putnext(q, mp),
  (q: Q, mp: Mblk) => putnext(q, mp),
  (q: Q, mp: Mblk) => putnext(q, mp),
]

/** `null-1` to `null-16`. */
export const NULL_MODULES: readonly AnyModule[] = PUTS.map((put, i) => ({
  name: `null-${i + 1}`,
  hiwat: 65_536,
  lowat: 16_384,
  open: () => null,
  close: () => {},
  read: { put },
  write: { put },
}))
