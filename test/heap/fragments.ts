// Datagrams cut into three fragments and put together again. Prints what that allocated, as JSON.

import { instant } from '../../src/base/time.ts'
import { fragment } from '../../src/inet/ip/fragment.ts'
import { Reassembly } from '../../src/inet/ip/reassembly.ts'
import { ipv4Packet, ipv6Packet, pattern } from '../../src/inet/testing/packets.ts'
import { freemsg } from '../../src/streams/mblk/alloc.ts'
import { Arena } from '../../src/streams/mblk/arena.ts'
import type { Mblk } from '../../src/streams/mblk/mblk.ts'
import { copymsg, messageFrom } from '../../src/streams/mblk/pullup.ts'
import { measureAllocation } from './allocation.ts'

const DATAGRAMS = 333_334
const SIZE = 3_000

const arena = new Arena({ sizeBytes: 8 * 1024 * 1024 })
const reassembly = new Reassembly({ onExpire: freemsg })
// They lie in the arena, since a copy into it from other memory makes a view when there is no shim.
const packets = [ipv4Packet(pattern(SIZE)), ipv6Packet(pattern(SIZE))].map(
  packet => messageFrom(arena, packet, 0, packet.length, 'edge')!,
)
let now = 0
let family: 4 | 6 = 4
let whole = 0

const emit = (mp: Mblk): void => {
  const datagram = reassembly.input(mp, family, instant(now))
  if (datagram === null) return
  whole++
  freemsg(datagram)
}

function loop(datagrams: number): void {
  whole = 0
  for (let i = 0; i < datagrams; i++) {
    now += 10
    family = (i & 1) === 0 ? 4 : 6
    const mp = copymsg(packets[i & 1]!)!
    fragment(mp, family, 1_500, i, emit)
  }
  if (whole !== datagrams) throw new Error(`only ${whole} of ${datagrams} were put together`)
}

const measured = await measureAllocation(DATAGRAMS, loop)
for (const packet of packets) freemsg(packet)
arena.assertWhole()
console.log(JSON.stringify(measured))
