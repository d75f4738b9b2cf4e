// Two cores joined by a wire in memory: what the programs here measure.

import { Prng } from '../../src/base/prng.ts'
import { fromV4Word, type IpAddress } from '../../src/inet/address.ts'
import type { TcpHost } from '../../src/inet/tcp/host.ts'
import { segmentIn } from '../../src/inet/tcp/input.ts'
import { acceptNext, type Listener } from '../../src/inet/tcp/listener.ts'
import { flush } from '../../src/inet/tcp/output.ts'
import { takeData, windowOpened } from '../../src/inet/tcp/receive.ts'
import { send } from '../../src/inet/tcp/send.ts'
import type { Tcb } from '../../src/inet/tcp/tcb.ts'
import { Tcp } from '../../src/inet/tcp/tcp.ts'
import { expire } from '../../src/inet/tcp/timers.ts'
import { FLAGS, HEADER_BYTES, KIND, LOCAL, REMOTE, UNITDATA_IND } from '../../src/inet/unitdata.ts'
import { freemsg } from '../../src/streams/mblk/alloc.ts'
import { Arena } from '../../src/streams/mblk/arena.ts'
import { type Mblk, OFFLOAD_CSUM_VALID } from '../../src/streams/mblk/mblk.ts'
import { messageBytes } from '../../src/streams/mblk/message.ts'

export const NEAR = 0x0a000001
export const FAR = 0x0a000002
/** Messages on the wire; a power of two. */
const WIRE = 65_536

export const arena = new Arena({ sizeBytes: 64 * 1024 * 1024, poison: false })
let nowUs = 1_000_000

/** One end, its programs with it: whoever gets data takes it; the far end sends it back. */
export class End implements TcpHost {
  readonly tcp: Tcp
  readonly connections: Tcb[] = []
  /** What this end has received since the last time somebody looked. */
  bytes = 0
  private readonly wire: (Mblk | null)[] = new Array<Mblk | null>(WIRE).fill(null)
  private taken = 0
  private given = 0
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
    this.peer!.arrive(mp)
  }

  /** @param mp - consumed */
  private arrive(mp: Mblk): void {
    if (this.given - this.taken === WIRE) throw new Error('the wire is full')
    this.wire[this.given++ & (WIRE - 1)] = mp
  }

  get quiet(): boolean {
    return this.given === this.taken
  }

  /** Takes what lies on the wire now, and answers. */
  turn(): void {
    for (const until = this.given; this.taken < until; ) {
      const at = this.taken++ & (WIRE - 1)
      const mp = this.wire[at]!
      this.wire[at] = null
      segmentIn(this.tcp, mp)
    }
    flush(this.tcp)
  }

  readable(tcb: Tcb): void {
    for (let mp = takeData(this.tcp, tcb); mp !== null; mp = takeData(this.tcp, tcb)) {
      this.bytes += messageBytes(mp)
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
  unreadHeld = (): number => 0
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
  trouble = (): void => {}
  doubtPath = (): void => {}
  event = (): void => {}
}

export const near = new End(NEAR, false)
export const far = new End(FAR, true)
near.peer = far
far.peer = near

/** Until nothing is on the wire. */
export function settle(): void {
  do {
    near.turn()
    far.turn()
  } while (!near.quiet || !far.quiet)
}

/** Lets time pass, in steps. */
export function pass(us: number, stepUs: number): void {
  for (let passed = 0; passed < us; passed += stepUs) {
    nowUs += stepUs
    near.tcp.setNow(nowUs)
    far.tcp.setNow(nowUs)
    expire(near.tcp)
    expire(far.tcp)
    settle()
  }
}
