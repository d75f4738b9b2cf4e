// Two cores joined by a wire in memory: 100,000 connections from one to the other, opened, each with an exchange, then idle.
// Prints as JSON what an end of one weighs, control block, table and wheel together, and what TIME-WAIT does.

import { getHeapStatistics, setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { Prng } from '../../src/base/prng.ts'
import { fromV4Word, type IpAddress } from '../../src/inet/address.ts'
import { shutdown } from '../../src/inet/tcp/close.ts'
import type { TcpHost } from '../../src/inet/tcp/host.ts'
import { segmentIn } from '../../src/inet/tcp/input.ts'
import { acceptNext, type Listener, listen } from '../../src/inet/tcp/listener.ts'
import { connect } from '../../src/inet/tcp/open.ts'
import { flush } from '../../src/inet/tcp/output.ts'
import { takeData, windowOpened } from '../../src/inet/tcp/receive.ts'
import { send } from '../../src/inet/tcp/send.ts'
import { ESTABLISHED } from '../../src/inet/tcp/states.ts'
import type { Tcb } from '../../src/inet/tcp/tcb.ts'
import { Tcp } from '../../src/inet/tcp/tcp.ts'
import { expire } from '../../src/inet/tcp/timers.ts'
import { FLAGS, HEADER_BYTES, KIND, LOCAL, REMOTE, UNITDATA_IND } from '../../src/inet/unitdata.ts'
import { allocb, freemsg } from '../../src/streams/mblk/alloc.ts'
import { Arena } from '../../src/streams/mblk/arena.ts'
import { type Mblk, OFFLOAD_CSUM_VALID } from '../../src/streams/mblk/mblk.ts'

const CONNECTIONS = 100_000
const WARM = 10_000
const BATCH = 500
const FIRST_PORT = 1_000
const PORTS = 10
const BYTES = 64
const NEAR = 0x0a000001
const FAR = 0x0a000002

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void
const arena = new Arena({ sizeBytes: 64 * 1024 * 1024, poison: false })
let nowUs = 1_000_000

/** One end, its programs with it: whoever gets data takes it; the far end sends it back. */
class End implements TcpHost {
  readonly tcp: Tcp
  readonly connections: Tcb[] = []
  readonly inbox: Mblk[] = []
  peer: End | null = null
  private readonly address: IpAddress
  private readonly echo: boolean

  constructor(word: number, echo: boolean) {
    const random = new Prng(word)
    this.address = fromV4Word(word)
    this.echo = echo
    this.tcp = new Tcp(
      arena,
      random,
      this,
      Int32Array.from({ length: 8 }, () => random.int32()),
    )
    this.tcp.setNow(nowUs)
  }

  transmit(mp: Mblk): void {
    const { words } = arena
    const at = mp.rptr >> 2
    words[at + KIND] = UNITDATA_IND
    for (let i = 0; i < 4; i++) {
      const remote = words[at + REMOTE + i]!
      words[at + REMOTE + i] = words[at + LOCAL + i]!
      words[at + LOCAL + i] = remote
    }
    words[at + FLAGS] = 0
    words[at + HEADER_BYTES] = 0
    mp.cont!.offload = OFFLOAD_CSUM_VALID
    this.peer!.inbox.push(mp)
  }

  readable(tcb: Tcb): void {
    for (let mp = takeData(this.tcp, tcb); mp !== null; mp = takeData(this.tcp, tcb)) {
      windowOpened(this.tcp, tcb)
      if (this.echo) send(this.tcp, tcb, mp)
      else freemsg(mp)
    }
  }

  acceptable(listener: Listener): void {
    for (let tcb = acceptNext(this.tcp, listener); tcb !== null; tcb = acceptNext(this.tcp, listener)) {
      this.connections.push(tcb)
      this.readable(tcb)
    }
  }

  hasRoom = (): boolean => true
  unread = (): number => 0
  isLocal = (): boolean => true
  sourceFor = (): IpAddress => this.address
  pathMtu = (): number => 1_500
  wantsFlush = (): void => {}
  timerMoved = (): void => {}
  writable = (): void => {}
  connected = (): void => {}
  closed = (): void => {}
  urgent = (): void => {}
  lowerPathMtu = (): void => {}
  event = (): void => {}
}

const near = new End(NEAR, false)
const far = new End(FAR, true)
near.peer = far
far.peer = near

function settle(): void {
  do {
    for (const end of [near, far]) {
      for (const mp of end.inbox.splice(0)) segmentIn(end.tcp, mp)
      flush(end.tcp)
    }
  } while (near.inbox.length + far.inbox.length > 0)
}

function pass(ms: number, stepMs: number): void {
  for (let passed = 0; passed < ms; passed += stepMs) {
    nowUs += 1_000 * stepMs
    for (const end of [near, far]) {
      end.tcp.setNow(nowUs)
      expire(end.tcp)
    }
    settle()
  }
}

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
    pass(5, 5)
  }
  settle()
  for (let i = 0; i < count; i++) {
    exchange(near.connections[first + i]!)
    if (i % BATCH !== BATCH - 1) continue
    settle()
    pass(50, 50)
  }
  pass(20_000, 100)
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
