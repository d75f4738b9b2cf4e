import { assert } from '../../src/base/assert.ts'
import { Prng, type Random } from '../../src/base/prng.ts'
import { ManualClock, microseconds, seconds } from '../../src/base/time.ts'
import { InetStack } from '../../src/inet/stack.ts'
import { FLAGS, KIND, turnRound, UD_NOT_UNICAST, UNITDATA_IND } from '../../src/inet/unitdata.ts'
import { freemsg } from '../../src/streams/mblk/alloc.ts'
import { Arena } from '../../src/streams/mblk/arena.ts'
import type { Mblk } from '../../src/streams/mblk/mblk.ts'
import { M_PROTO } from '../../src/streams/mblk/types.ts'
import { Runtime, type StackEvent } from '../../src/streams/runtime.ts'
import { Stream } from '../../src/streams/stream.ts'
import { HostilePackets } from './generator.ts'
import { type HostileLink, makeHostileLink } from './link.ts'
import { CONNECTED_PORT, DISCARD_PORT, ECHO_PORT } from './templates.ts'

/** Between packets; a flood of a million a second. */
const STEP_US = 1
/** One packet in so many begins or ends a time in which the link takes nothing, programs read nothing, or blocks are short. */
const HARDSHIP_EVERY = 1_024
/** Blocks of each size that are left while they are short. */
const BLOCKS_LEFT = 3
/** Now and then time jumps, so that timers run out. */
const JUMP_EVERY = 65_536
const EVENTS_MAX = 100

export interface HostileNodeOptions {
  readonly seed: number
  readonly arenaBytes?: number
  readonly poison?: boolean
}

/** A whole node (link, IP, ICMP, UDP, programs) whose link an attacker holds. */
export class HostileNode {
  readonly arena: Arena
  readonly runtime: Runtime
  readonly link: HostileLink = makeHostileLink()
  readonly packets: HostilePackets
  readonly stack: InetStack
  /** Everything that was told as an error. */
  readonly errors: StackEvent[] = []
  injected = 0
  echoed = 0
  discarded = 0
  told = 0
  noBlocks = 0
  /** Programs do not read. */
  private deaf = false
  private readonly readers: (() => void)[] = []
  private readonly hoard: Mblk[] = []
  private readonly clock = new ManualClock()
  private readonly random: Random
  private readonly counterSets: Readonly<Record<string, Readonly<Record<string, number>>>>
  private readonly restingBlocks: number

  constructor(options: HostileNodeOptions) {
    this.arena = new Arena({
      sizeBytes: options.arenaBytes ?? 16 * 1024 * 1024,
      poison: options.poison ?? false,
    })
    // All pages of the slab are there from the start, so that what the process grows by is something else.
    this.arena.bytes.fill(0)
    this.random = new Prng(options.seed)
    this.packets = new HostilePackets(new Prng(options.seed ^ 0x5bd1e995))
    this.runtime = new Runtime({
      arena: this.arena,
      clock: this.clock,
      random: new Prng(options.seed + 1),
      onEvent: event => {
        if (event.level === 'error' && this.errors.length < EVENTS_MAX) this.errors.push(event)
      },
    })
    this.stack = new InetStack(this.runtime)
    const wire = Stream.open(this.runtime, this.link.driver, { name: 'hostile' })
    this.stack.attachLink(wire, { name: 'tun0', addresses: ['10.77.1.2/24', 'fd77:1::2/64'] })
    this.serve(ECHO_PORT, (stream, mp) => this.echo(stream, mp))
    this.serve(DISCARD_PORT, (_, mp) => {
      this.discarded++
      freemsg(mp)
    })
    this.serve(
      CONNECTED_PORT,
      (_, mp) => {
        this.told++
        freemsg(mp)
      },
      { address: '10.77.1.1', port: CONNECTED_PORT },
    )
    this.settle()
    this.counterSets = this.stack.counters()
    this.restingBlocks = this.arena.state().blocksInUse
  }

  /** Injects packets that the generator makes, and lets the node work. */
  flood(count: number): void {
    for (let i = 0; i < count; i++) {
      while (!this.link.inject(this.packets, this.random)) {
        // The device itself found no block: nothing came in, and the shortage is over.
        this.noBlocks++
        this.changeHardship(4)
        this.changeHardship(2)
        this.settle()
      }
      this.injected++
      this.pass()
      if (this.random.below(HARDSHIP_EVERY) === 0) this.changeHardship(this.random.below(6))
    }
    this.settle()
  }

  /** Injects one packet as it is. */
  injectBytes(bytes: Uint8Array): void {
    assert(this.link.injectBytes(bytes), 'no block left to inject a packet in')
    this.injected++
    this.pass()
    this.settle()
  }

  /** The counters that are not zero, by module. */
  counters(): Record<string, Record<string, number>> {
    const shown: Record<string, Record<string, number>> = {}
    for (const [name, set] of Object.entries(this.counterSets))
      shown[name] = Object.fromEntries(Object.entries(set).filter(([, value]) => value > 0))
    return shown
  }

  /**
   * A number that is larger after every packet: the sum of all counters, save the one that every packet raises, and of what
   * the programs got. Fragments that wait are counted; that each ends somewhere, the fuzz target of reassembly checks.
   */
  outcomes(): number {
    let sum = this.echoed + this.discarded + this.told
    for (const set of Object.values(this.counterSets))
      for (const name in set) if (name !== 'packets-in') sum += set[name]!
    return sum
  }

  /** Lets all timers run out. @throws AssertionError if a block stayed anywhere */
  rest(): void {
    for (const end of [0, 2, 4]) this.changeHardship(end)
    for (let i = 0; i < 4; i++) {
      this.clock.advance(seconds(60))
      this.settle()
    }
    this.link.release()
    const { blocksInUse, viewsInUse } = this.arena.state()
    const { bytes, datagrams } = this.stack.describe()['reassembly'] as { bytes: number; datagrams: number }
    assert(bytes === 0 && datagrams === 0, 'fragments wait for ever')
    assert(
      blocksInUse === this.restingBlocks && viewsInUse === 0,
      `${blocksInUse} blocks and ${viewsInUse} views stayed`,
    )
    assert(this.errors.length === 0, `a module failed: ${this.errors[0]?.text}`)
    const came = this.counterSets['ip']!['packets-in']!
    assert(came >= this.injected, `${this.injected} packets were injected, ${came} came in`)
  }

  /** Closes everything. @throws AssertionError if the arena is not whole */
  close(): void {
    this.stack.close()
    for (const stream of [...this.runtime.streams]) stream.close()
    this.runtime.turn()
    this.arena.assertWhole()
  }

  /** Ends (even numbers) or begins (odd) one kind of hardship. */
  private changeHardship(which: number): void {
    if (which < 2) this.link.setBlocked(which === 1)
    else if (which < 4) this.deaf = which === 3
    else {
      for (const mp of this.hoard.splice(0)) freemsg(mp)
      if (which === 5) this.hoardBlocks()
    }
    if (which === 2) for (const read of this.readers) read()
  }

  /** Takes nearly all blocks out of circulation; a larger size does not help out either. */
  private hoardBlocks(): void {
    for (const { blockBytes } of this.arena.classes)
      for (let mp = this.arena.take(blockBytes); mp !== null; mp = this.arena.take(blockBytes))
        this.hoard.push(mp)
    for (const { blockBytes } of this.arena.classes) {
      for (let left = BLOCKS_LEFT; left > 0; left--) {
        const at = this.hoard.findIndex(mp => mp.dblk.sizeClass!.blockBytes === blockBytes)
        if (at >= 0) freemsg(this.hoard.splice(at, 1)[0]!)
      }
    }
  }

  private pass(): void {
    this.clock.advance(microseconds(STEP_US))
    if (this.random.below(JUMP_EVERY) === 0) this.clock.advance(seconds(this.random.below(40)))
  }

  private settle(): void {
    for (let i = 0; i < 10_000; i++) if (!this.runtime.turn()) return
    throw new Error('the run queue does not become empty')
  }

  private serve(
    port: number,
    handle: (stream: Stream, mp: Mblk) => void,
    peer?: { address: string; port: number },
  ): void {
    const options = { bind: { port }, ...(peer === undefined ? {} : { connect: peer }) }
    const stream = Stream.open(this.runtime, 'udp', { name: `udp-${port}`, options })
    const read = (): void => {
      if (this.deaf) return
      for (let mp = stream.getmsg(); mp !== null; mp = stream.getmsg()) handle(stream, mp)
    }
    stream.onReadable = read
    this.readers.push(read)
    // What a program throws is no fault of the stream's, but a fault of ours.
    stream.onUncaught = error => {
      throw error
    }
  }

  private echo(stream: Stream, mp: Mblk): void {
    const words = this.arena.words
    const at = mp.rptr >> 2
    const answer = mp.type === M_PROTO && words[at + KIND] === UNITDATA_IND
    this.echoed++
    if (!answer || (words[at + FLAGS]! & UD_NOT_UNICAST) !== 0) {
      freemsg(mp)
      return
    }
    turnRound(mp)
    if (!stream.putmsg(mp)) freemsg(mp)
  }
}
