// One stack and its loopback: 100,000 connections with their streams open and a program at each end, each with an exchange, then
// idle. Prints as JSON what an end of one weighs in all: stream, queues, endpoint, control block, tables.

import { getHeapStatistics, setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { Prng } from '../../src/base/prng.ts'
import { type Duration, ManualClock } from '../../src/base/time.ts'
import { InetStack } from '../../src/inet/stack.ts'
import { TcpConnection, TcpListener } from '../../src/socket/tcp-endpoint.ts'
import { freemsg } from '../../src/streams/mblk/alloc.ts'
import { Arena } from '../../src/streams/mblk/arena.ts'
import { Runtime } from '../../src/streams/runtime.ts'

const PAIRS = 50_000
const WARM_PAIRS = 2_000
const PORTS = 10
const BATCH = 100
const BYTE = new Uint8Array(1)

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

/** Bytes of live objects and of the arrays behind typed arrays. */
function weight(): number {
  collect()
  collect()
  const { used_heap_size, external_memory } = getHeapStatistics()
  return used_heap_size + external_memory
}

const clock = new ManualClock(1_000_000)
const arena = new Arena({ sizeBytes: 64 * 1024 * 1024 })
const runtime = new Runtime({ arena, clock, random: new Prng(1) })
const stack = new InetStack(runtime)
const connections: TcpConnection[] = []

function settle(): void {
  while (runtime.turn());
}

/** Lets time pass, stopping at every deadline on the way. */
function pass(ms: number): void {
  const end = clock.now() + 1_000 * ms
  for (let at = runtime.timers.pollAt(); at !== null && at <= end; at = runtime.timers.pollAt()) {
    clock.advance(Math.max(0, at - clock.now()) as Duration)
    settle()
  }
  clock.advance((end - clock.now()) as Duration)
  settle()
}

function drop(c: TcpConnection): void {
  for (let mp = c.getmsg(); mp !== null; mp = c.getmsg()) freemsg(mp)
}

const listeners = Array.from({ length: PORTS }, (_, i) => TcpListener.open(runtime, { port: 1_000 + i }))

function open(pairs: number): void {
  for (let i = 0; i < pairs; i++) {
    const client = TcpConnection.connect(runtime, { address: '127.0.0.1', port: 1_000 + (i % PORTS) })
    client.write(BYTE)
    connections.push(client)
    if (i % BATCH !== BATCH - 1) continue
    settle()
    for (const listener of listeners) {
      for (let c = listener.accept(); c !== null; c = listener.accept()) connections.push(c)
    }
    settle()
    for (const c of connections.slice(-2 * BATCH)) drop(c)
    pass(20)
  }
  pass(120_000)
}

open(WARM_PAIRS)
const before = weight()
open(PAIRS)
const bytesEach = (weight() - before) / (2 * PAIRS)
const { tcp } = stack.describe() as { tcp: { states: object } }
const blocksInUse = arena.classes.reduce((sum, { inUse }) => sum + inUse, 0)
process.stdout.write(JSON.stringify({ bytesEach, blocksInUse, states: tcp.states }))
