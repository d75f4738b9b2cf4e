// Packets there and back over a wire, through eight modules that do nothing. Prints what that allocated, as JSON.

import { makeWire } from '../../src/driver/wire.ts'
import { allocb, freemsg } from '../../src/streams/mblk/alloc.ts'
import type { ModuleInfo } from '../../src/streams/module.ts'
import { putnext } from '../../src/streams/putnext.ts'
import { Stream } from '../../src/streams/stream.ts'
import { makeTestRuntime } from '../../src/streams/testing/index.ts'
import { measureAllocation } from './allocation.ts'

const PACKETS = 1_000_000
const BATCH = 32

const nullModule: ModuleInfo<null> = {
  name: 'null',
  hiwat: 65_536,
  lowat: 16_384,
  open: () => null,
  close: () => {},
  read: { put: putnext },
  write: { put: putnext },
}

const { runtime, arena, settle, finish } = makeTestRuntime({ arenaOptions: { poison: false } })
const [a, b] = makeWire()
const near = Stream.open(runtime, a, { name: 'near' })
const far = Stream.open(runtime, b, { name: 'far' })
for (const stream of [near, far]) for (let i = 0; i < 4; i++) stream.push(nullModule)
let back = 0

far.onReadable = () => {
  for (let mp = far.getmsg(); mp !== null; mp = far.getmsg()) far.putmsg(mp)
}
near.onReadable = () => {
  for (let mp = near.getmsg(); mp !== null; mp = near.getmsg()) {
    back++
    freemsg(mp)
  }
}

function loop(packets: number): void {
  back = 0
  for (let sent = 0; sent < packets; sent += BATCH) {
    for (let i = 0; i < BATCH; i++) {
      const mp = allocb(arena, 64, 128)!
      mp.wptr += 64
      near.putmsg(mp)
    }
    settle()
  }
  if (back < packets) throw new Error(`only ${back} of ${packets} came back`)
}

const measured = await measureAllocation(PACKETS, loop)
finish()
console.log(JSON.stringify(measured))
