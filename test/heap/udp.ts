// Datagrams of 64 bytes from one stack to another over a wire, and echoed, IPv4 and IPv6 by turns. Prints what that
// allocated, as JSON.

import { Prng } from '../../src/base/prng.ts'
import { ManualClock, microseconds } from '../../src/base/time.ts'
import { makeWire } from '../../src/driver/wire.ts'
import { parseAddress } from '../../src/inet/address.ts'
import { InetStack } from '../../src/inet/stack.ts'
import {
  allocUnitdata,
  FAMILY,
  REMOTE,
  REMOTE_PORT,
  turnRound,
  UNITDATA_REQ,
} from '../../src/inet/unitdata.ts'
import { allocb, freemsg } from '../../src/streams/mblk/alloc.ts'
import { Arena } from '../../src/streams/mblk/arena.ts'
import { messageBytes } from '../../src/streams/mblk/message.ts'
import type { DriverInfo } from '../../src/streams/module.ts'
import { Runtime } from '../../src/streams/runtime.ts'
import { Stream } from '../../src/streams/stream.ts'
import { measureAllocation } from './allocation.ts'

const DATAGRAMS = 1_000_000
const BATCH = 32
const PAYLOAD_BYTES = 64
const PORT = 7
const ADDRESSES = ['10.0.0.1', '10.0.0.2', 'fd00::1', 'fd00::2'] as const

const arena = new Arena({ sizeBytes: 8 * 1024 * 1024 })
const clock = new ManualClock()

/** A stack with one link and one endpoint. @param number - 1 or 2, the last part of its addresses */
function makeStack(link: DriverInfo, number: 1 | 2): { runtime: Runtime; endpoint: Stream } {
  const runtime = new Runtime({ arena, clock, random: new Prng(number) })
  const stack = new InetStack(runtime)
  const addresses = [`10.0.0.${number}/24`, `fd00::${number}/64`]
  stack.attachLink(Stream.open(runtime, link, { name: 'wire' }), { name: 'wire0', addresses })
  return { runtime, endpoint: Stream.open(runtime, 'udp', { options: { bind: { port: PORT } } }) }
}

const [a, b] = makeWire()
const near = makeStack(a as DriverInfo, 1)
const far = makeStack(b as DriverInfo, 2)
const remotes = [parseAddress(ADDRESSES[1])!.words, parseAddress(ADDRESSES[3])!.words]
let back = 0

function settle(): void {
  do {
    near.runtime.turn()
    far.runtime.turn()
  } while (!near.runtime.scheduler.idle || !far.runtime.scheduler.idle)
}

far.endpoint.onReadable = () => {
  for (let mp = far.endpoint.getmsg(); mp !== null; mp = far.endpoint.getmsg()) {
    turnRound(mp)
    far.endpoint.putmsg(mp)
  }
}
near.endpoint.onReadable = () => {
  for (let mp = near.endpoint.getmsg(); mp !== null; mp = near.endpoint.getmsg()) {
    if (messageBytes(mp.cont!) === PAYLOAD_BYTES) back++
    freemsg(mp)
  }
}

function send(i: number): void {
  const mp = allocUnitdata(arena, UNITDATA_REQ)!
  const at = mp.rptr >> 2
  const remote = remotes[i & 1]!
  arena.words[at + FAMILY] = (i & 1) === 0 ? 4 : 6
  for (let word = 0; word < 4; word++) arena.words[at + REMOTE + word] = remote[word]!
  arena.words[at + REMOTE_PORT] = PORT
  const data = allocb(arena, PAYLOAD_BYTES, 128)!
  data.wptr += PAYLOAD_BYTES
  mp.cont = data
  near.endpoint.putmsg(mp)
}

function loop(datagrams: number): void {
  back = 0
  for (let sent = 0; sent < datagrams; sent += BATCH) {
    clock.advance(microseconds(10))
    for (let i = 0; i < BATCH; i++) send(i)
    settle()
  }
  if (back < datagrams) throw new Error(`only ${back} of ${datagrams} came back`)
}

settle()
const measured = await measureAllocation(DATAGRAMS, loop)
console.log(JSON.stringify(measured))
