// Two cores joined by a wire in memory: 100,000 connections from one to the other, opened, each with an exchange, then idle.
// Prints as JSON what an end of one weighs, control block, table and wheel together, and what TIME-WAIT does.

import { getHeapStatistics, setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { fromV4Word } from '../../src/inet/address.ts'
import { shutdown } from '../../src/inet/tcp/close.ts'
import { listen } from '../../src/inet/tcp/listener.ts'
import { connect } from '../../src/inet/tcp/open.ts'
import { send } from '../../src/inet/tcp/send.ts'
import { ESTABLISHED } from '../../src/inet/tcp/states.ts'
import type { Tcb } from '../../src/inet/tcp/tcb.ts'
import { allocb } from '../../src/streams/mblk/alloc.ts'
import { arena, FAR, far, near, pass, settle } from './tcp-ends.ts'

const CONNECTIONS = 100_000
const WARM = 10_000
const BATCH = 500
const FIRST_PORT = 1_000
const PORTS = 10
const BYTES = 64

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

/** Bytes of live objects and of the arrays behind typed arrays. */
function weight(): number {
  collect()
  collect()
  const { used_heap_size, external_memory } = getHeapStatistics()
  return used_heap_size + external_memory
}

function exchange(tcb: Tcb): void {
  const mp = allocb(arena, BYTES, 128)!
  mp.wptr += BYTES
  send(near.tcp, tcb, mp)
}

for (let port = 0; port < PORTS; port++)
  listen(far.tcp, { address: fromV4Word(FAR), port: FIRST_PORT + port, backlog: 4_096 })
const user = { tcb: null }

/** Opens connections, 100,000 a second, has each send something and get it back, 10,000 a second, and lets them be. */
function openAndUse(count: number): void {
  const first = near.connections.length
  for (let i = 0; i < count; i++) {
    const remotePort = FIRST_PORT + (i % PORTS)
    near.connections.push(connect(near.tcp, { remote: fromV4Word(FAR), remotePort, user }))
    if (i % BATCH !== BATCH - 1) continue
    settle()
    pass(5_000, 5_000)
  }
  settle()
  for (let i = 0; i < count; i++) {
    exchange(near.connections[first + i]!)
    if (i % BATCH !== BATCH - 1) continue
    settle()
    pass(50_000, 50_000)
  }
  pass(20_000_000, 100_000)
}

// What a stack has once, pools and compiled code among it, is there when the first have come.
openAndUse(WARM)
const before = weight()
openAndUse(CONNECTIONS)
// The two lists of this program are not TCP's; an array has up to an eighth more places than elements.
const lists = (2 * 8 * CONNECTIONS * 9) / 8
const idle = (weight() - before - lists) / 2 / CONNECTIONS
const held = near.connections.concat(far.connections)
const established = held.filter(tcb => tcb.state === ESTABLISHED).length
const records = held.filter(tcb => tcb.flight !== null || tcb.intake !== null).length
const { blocksInUse } = arena.state()

const waiting = 20_000
for (let i = 0; i < waiting; i++) shutdown(near.tcp, near.connections[i]!)
settle()
for (const tcb of far.connections) if (tcb.state !== ESTABLISHED) shutdown(far.tcp, tcb)
settle()
console.log(
  JSON.stringify({
    idle,
    established,
    records,
    blocksInUse,
    memoryUsed: near.tcp.memoryUsed + far.tcp.memoryUsed,
    inWheel: near.tcp.wheel.size + far.tcp.wheel.size,
    timeWait: near.tcp.timeWait.size,
    bytesIn: near.tcp.counters['bytes-in'],
  }),
)
