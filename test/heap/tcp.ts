// One connection between two cores, by turns: 64 bytes to an echo and back, and 64 KiB one way in super-segments. Prints what
// that allocated, as JSON, and on stderr how long it took.

import { fromV4Word } from '../../src/inet/address.ts'
import { listen } from '../../src/inet/tcp/listener.ts'
import { connect } from '../../src/inet/tcp/open.ts'
import { send } from '../../src/inet/tcp/send.ts'
import { allocb } from '../../src/streams/mblk/alloc.ts'
import { measureAllocation } from './allocation.ts'
import { arena, FAR, far, near, pass, settle } from './tcp-ends.ts'

const EXCHANGES = 500_000
const SMALL_BYTES = 64
const LARGE_BYTES = 65_536
/** One in so many exchanges is a large one. */
const LARGE_EVERY = 16

listen(far.tcp, { address: fromV4Word(FAR), port: 7 })
const tcb = connect(near.tcp, { remote: fromV4Word(FAR), remotePort: 7, user: { tcb: null } })
settle()

function put(size: number): void {
  const mp = allocb(arena, size, 128)!
  mp.wptr += size
  send(near.tcp, tcb, mp)
  settle()
}

function loop(exchanges: number): void {
  far.bytes = near.bytes = 0
  let expected = 0
  for (let i = 0; i < exchanges; i++) {
    const size = i % LARGE_EVERY === 0 ? LARGE_BYTES : SMALL_BYTES
    expected += size
    put(size)
    pass(20, 20)
  }
  // What Nagle and the delayed acknowledgments hold back.
  pass(500_000, 50_000)
  if (far.bytes !== expected || near.bytes !== expected)
    throw new Error(`${far.bytes} and ${near.bytes} of ${expected} bytes`)
}

const measured = await measureAllocation(EXCHANGES, loop)
console.log(JSON.stringify(measured))
