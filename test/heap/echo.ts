// Datagrams up through UDP over a fake IP to the echo service and back down, IPv4 and IPv6 by turns; of each 32 one has a
// wrong checksum and one is for nobody. Prints what that allocated, as JSON, and on stderr how long it took.

import { fold } from '../../src/base/checksum.ts'
import { Prng } from '../../src/base/prng.ts'
import { ManualClock } from '../../src/base/time.ts'
import { parseAddress } from '../../src/inet/address.ts'
import { openFakeIp } from '../../src/inet/testing/fake-ip.ts'
import { udpDriver } from '../../src/inet/udp/module.ts'
import {
  allocUnitdata,
  FAMILY,
  KIND,
  LOCAL,
  REMOTE,
  UNITDATA_IND,
  UNITDATA_REQ,
} from '../../src/inet/unitdata.ts'
import { CHECKSUM, emitUdp, pseudoHeaderSum, UDP_HEADER_BYTES } from '../../src/inet/wire/udp.ts'
import { SmallServices } from '../../src/node/small-services.ts'
import { allocb, freemsg } from '../../src/streams/mblk/alloc.ts'
import { Arena } from '../../src/streams/mblk/arena.ts'
import { sumMessage } from '../../src/streams/mblk/sum.ts'
import { Runtime } from '../../src/streams/runtime.ts'
import { Stream } from '../../src/streams/stream.ts'
import { measureAllocation } from './allocation.ts'

const DATAGRAMS = 1_000_000
const BATCH = 32
const PAYLOAD_BYTES = 64
const PEERS = ['10.0.0.1', 'fd00::1'].map(text => parseAddress(text)!)
const OURS = ['10.0.0.2', 'fd00::2'].map(text => parseAddress(text)!)

const arena = new Arena({ sizeBytes: 8 * 1024 * 1024 })
const runtime = new Runtime({ arena, clock: new ManualClock(), random: new Prng(1) })
runtime.registry.register(udpDriver())
const control = Stream.open(runtime, 'udp')
const ip = openFakeIp(runtime)
control.link(ip.stream)
new SmallServices(runtime, { echo: 7, discard: null, chargen: null })

let back = 0
let refused = 0
ip.onMessage = mp => {
  if (arena.words[(mp.rptr >> 2) + KIND] === UNITDATA_REQ) back++
  else refused++
  freemsg(mp)
}

function receive(i: number): void {
  const mp = allocUnitdata(arena, UNITDATA_IND)!
  const { words } = arena
  const at = mp.rptr >> 2
  const [remote, local] = [PEERS[i & 1]!.words, OURS[i & 1]!.words]
  words[at + FAMILY] = PEERS[i & 1]!.family
  for (let word = 0; word < 4; word++) {
    words[at + REMOTE + word] = remote[word]!
    words[at + LOCAL + word] = local[word]!
  }
  const data = allocb(arena, UDP_HEADER_BYTES + PAYLOAD_BYTES, 128)!
  data.wptr += UDP_HEADER_BYTES + PAYLOAD_BYTES
  const size = data.wptr - data.rptr
  emitUdp(data.dblk.bytes, data.rptr, 5_000, i % BATCH === 5 ? 9_999 : 7, size, 0)
  const sum = ~fold(sumMessage(data, 0, size, pseudoHeaderSum(words, at, size))) & 0xffff
  const sent = i % BATCH === 9 ? sum ^ 1 : sum
  data.dblk.bytes[data.rptr + CHECKSUM] = sent >> 8
  data.dblk.bytes[data.rptr + CHECKSUM + 1] = sent & 0xff
  mp.cont = data
  ip.up(mp)
}

function loop(datagrams: number): void {
  const batches = Math.ceil(datagrams / BATCH)
  back = 0
  refused = 0
  for (let i = 0; i < batches; i++) {
    for (let j = 0; j < BATCH; j++) receive(j)
    while (runtime.turn());
  }
  if (back !== (BATCH - 2) * batches || refused !== batches)
    throw new Error(`${back} came back and ${refused} were refused, of ${BATCH * batches}`)
}

const measured = await measureAllocation(DATAGRAMS, loop)
const start = performance.now()
loop(DATAGRAMS)
console.error(
  `${Math.round(((performance.now() - start) * 1e6) / DATAGRAMS)} ns a datagram, making it included`,
)
console.log(JSON.stringify(measured))
