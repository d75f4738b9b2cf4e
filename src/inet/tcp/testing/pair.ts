/**
 * Two cores joined by a link in virtual time that loses, repeats, reorders, delays and marks: a run is a function of its
 * seed. Programs on both ends are callbacks of the test.
 */
import { Prng } from '../../../base/prng.ts'
import { freemsg } from '../../../streams/mblk/alloc.ts'
import type { Mblk } from '../../../streams/mblk/mblk.ts'
import { flat } from '../../../streams/testing/messages.ts'
import { makeTestRuntime } from '../../../streams/testing/runtime.ts'
import { fromWords, type IpAddress } from '../../address.ts'
import { FAMILY, LOCAL, REMOTE, TRAFFIC_CLASS } from '../../unitdata.ts'
import type { ConnectionUser } from '../host.ts'
import { acceptNext } from '../listener.ts'
import { connect } from '../open.ts'
import { flush } from '../output.ts'
import { sendRoom } from '../send.ts'
import type { ConnectionSettings, TcpSettings } from '../settings.ts'
import type { Tcb } from '../tcb.ts'
import { expire, pollAt } from '../timers.ts'
import { HERE, PEER, PORT, TcpTest } from './tcp-test.ts'

/** Of one direction. All chances 0 to 1. */
export interface LinkOptions {
  readonly delayMs?: number
  /** Added to the delay, uniformly. Packets overtake each other by it. */
  readonly jitterMs?: number
  readonly loss?: number
  readonly duplicate?: number
  /** A packet that waits `reorderMs` longer than others. */
  readonly reorder?: number
  readonly reorderMs?: number
  readonly bitsPerSecond?: number
  /** Bytes that wait for their turn; more are lost. */
  readonly queueBytes?: number
  /** Bytes in the queue from which packets of ECN transports are marked. */
  readonly markBytes?: number
  /** Super-segments are cut as a device cuts them; else they go whole. */
  readonly cut?: boolean
  /** Decides by itself: true drops the packet. */
  readonly drop?: (packet: Packet) => boolean
}

export interface PairOptions {
  readonly seed?: number
  readonly link?: LinkOptions
  /** From b to a, if it is another. */
  readonly back?: LinkOptions
  readonly settings?: Partial<TcpSettings>
  readonly connection?: Partial<ConnectionSettings>
  readonly mtu?: number
  readonly startUs?: number
  readonly arenaBytes?: number
}

export interface Packet {
  readonly from: IpAddress
  readonly to: IpAddress
  readonly bytes: Uint8Array
  ecn: number
  readonly gsoSize: number
}

interface InFlight {
  readonly atUs: number
  readonly order: number
  readonly target: TcpTest
  readonly packet: Packet
}

const STEPS_MAX = 20_000_000
const IP_BYTES = 20
const FIN_PSH = 0x09
const CWR = 0x80

class Direction {
  readonly target: TcpTest
  readonly options: LinkOptions
  /** When what was sent so far has left the queue. */
  freeUs = 0
  packets = 0
  lost = 0

  constructor(target: TcpTest, options: LinkOptions) {
    this.target = target
    this.options = options
  }
}

export class Pair {
  readonly a: TcpTest
  readonly b: TcpTest
  readonly aToB: Direction
  readonly bToA: Direction
  readonly random: Prng
  nowUs: number
  /** Called after everything that happened at a moment; what it does is flushed at once. */
  onStep: (() => void) | null = null
  private readonly heap: InFlight[] = []
  private order = 0
  private readonly finishArena: () => void

  constructor(options: PairOptions = {}) {
    const runtime = makeTestRuntime({
      arenaOptions: { sizeBytes: options.arenaBytes ?? 64 * 1024 * 1024, poison: false },
    })
    this.finishArena = runtime.finish
    const seed = options.seed ?? 1
    this.random = new Prng(seed)
    const common = {
      arena: runtime.arena,
      startUs: options.startUs ?? 1_000_000,
      ...(options.settings === undefined ? {} : { settings: options.settings }),
      ...(options.connection === undefined ? {} : { connection: options.connection }),
      ...(options.mtu === undefined ? {} : { mtu: options.mtu }),
    }
    this.nowUs = common.startUs
    this.a = new TcpTest({ ...common, seed: seed * 2 + 1, local: [PEER] })
    this.b = new TcpTest({ ...common, seed: seed * 2 + 2, local: [HERE] })
    this.aToB = new Direction(this.b, options.link ?? {})
    this.bToA = new Direction(this.a, options.back ?? options.link ?? {})
    this.a.onTransmit = mp => this.transmit(this.aToB, mp)
    this.b.onTransmit = mp => this.transmit(this.bToA, mp)
  }

  /** `a` connects to `b`, which accepts. */
  connect(settings?: ConnectionSettings): { readonly client: Tcb; readonly server: Tcb } {
    const listener = this.b.listen()
    const user: { tcb: Tcb | null } = { tcb: null }
    const client = this.a.hold(connect(this.a.tcp, { remote: HERE, remotePort: PORT, settings, user }))
    user.tcb = client
    for (let i = 0; i < 1_000 && listener.waiting === 0; i++) this.run(10)
    const server = acceptNext(this.b.tcp, listener)
    if (server === null) throw new Error('the pair did not connect')
    server.user = { tcb: server } satisfies ConnectionUser
    this.b.hold(server)
    return { client, server }
  }

  /** Lets virtual time pass. @param until - stops when it says so */
  run(ms: number, until: () => boolean = () => false): void {
    const endUs = this.nowUs + ms * 1_000
    for (let step = 0; step < STEPS_MAX; step++) {
      this.settle()
      if (until()) return
      const next = this.nextUs()
      if (next === null || next > endUs) {
        this.setNow(endUs)
        return
      }
      this.setNow(Math.max(next, this.nowUs))
      this.deliver()
      for (const end of [this.a, this.b]) expire(end.tcp)
    }
    throw new Error('the pair never comes to rest')
  }

  /** Flushes and asks the programs until neither has anything more to do. */
  private settle(): void {
    flush(this.a.tcp)
    flush(this.b.tcp)
    this.onStep?.()
    flush(this.a.tcp)
    flush(this.b.tcp)
  }

  private setNow(us: number): void {
    this.nowUs = us
    this.a.setNow(us)
    this.b.setNow(us)
  }

  private nextUs(): number | null {
    let next: number | null = this.heap[0]?.atUs ?? null
    for (const end of [this.a, this.b]) {
      const at = pollAt(end.tcp)
      if (at === null) continue
      const wait = (at - end.tcp.nowMs) | 0
      const us = wait <= 0 ? this.nowUs : (Math.floor(this.nowUs / 1_000) + wait) * 1_000
      if (next === null || us < next) next = us
    }
    return next
  }

  private deliver(): void {
    for (let top = this.heap[0]; top !== undefined && top.atUs <= this.nowUs; top = this.heap[0]) {
      this.pop()
      const { packet, target } = top
      const gso = packet.gsoSize > 0 ? { gsoSize: packet.gsoSize } : {}
      target.injectBytes(packet.bytes, { from: packet.from, to: packet.to, ecn: packet.ecn, ...gso }, false)
    }
  }

  private transmit(direction: Direction, mp: Mblk): void {
    const { words } = mp.dblk.arena
    const at = mp.rptr >> 2
    const address = (i: number): IpAddress =>
      fromWords(
        words[at + FAMILY] === 4 ? 4 : 6,
        words[at + i]!,
        words[at + i + 1]!,
        words[at + i + 2]!,
        words[at + i + 3]!,
      )
    const whole: Packet = {
      from: address(LOCAL),
      to: address(REMOTE),
      bytes: flat(mp.cont!),
      ecn: words[at + TRAFFIC_CLASS]! & 3,
      gsoSize: mp.cont!.gsoSize,
    }
    freemsg(mp)
    if (whole.gsoSize === 0 || direction.options.cut !== true) return this.send(direction, whole)
    for (const bytes of cut(whole.bytes, whole.gsoSize)) this.send(direction, { ...whole, bytes, gsoSize: 0 })
  }

  private send(direction: Direction, packet: Packet): void {
    const { options } = direction
    const { random } = this
    direction.packets++
    if (options.drop?.(packet) === true || (options.loss !== undefined && random.unit() < options.loss)) {
      direction.lost++
      return
    }
    let leavesUs = this.nowUs
    if (options.bitsPerSecond !== undefined) {
      const begins = Math.max(direction.freeUs, this.nowUs)
      const waiting = ((begins - this.nowUs) * options.bitsPerSecond) / 8e6
      if (options.queueBytes !== undefined && waiting > options.queueBytes) {
        direction.lost++
        return
      }
      if (options.markBytes !== undefined && waiting > options.markBytes && packet.ecn !== 0) packet.ecn = 3
      direction.freeUs = begins + ((packet.bytes.length + IP_BYTES) * 8e6) / options.bitsPerSecond
      leavesUs = direction.freeUs
    }
    let delayMs = options.delayMs ?? 0
    if (options.jitterMs !== undefined) delayMs += random.unit() * options.jitterMs
    if (options.reorder !== undefined && random.unit() < options.reorder) delayMs += options.reorderMs ?? 1
    this.push(Math.round(leavesUs + delayMs * 1_000), direction.target, packet)
    if (options.duplicate !== undefined && random.unit() < options.duplicate)
      this.push(Math.round(leavesUs + delayMs * 1_000), direction.target, packet)
  }

  private push(atUs: number, target: TcpTest, packet: Packet): void {
    const { heap } = this
    heap.push({ atUs, order: this.order++, target, packet })
    for (let i = heap.length - 1; i > 0; ) {
      const parent = (i - 1) >> 1
      if (!sooner(heap[i]!, heap[parent]!)) break
      ;[heap[i], heap[parent]] = [heap[parent]!, heap[i]!]
      i = parent
    }
  }

  private pop(): void {
    const { heap } = this
    const last = heap.pop()!
    if (heap.length === 0) return
    heap[0] = last
    for (let i = 0; ; ) {
      let least = i
      for (const child of [2 * i + 1, 2 * i + 2])
        if (child < heap.length && sooner(heap[child]!, heap[least]!)) least = child
      if (least === i) return
      ;[heap[i], heap[least]] = [heap[least]!, heap[i]!]
      i = least
    }
  }

  finish(): void {
    this.heap.length = 0
    this.a.onTransmit = null
    this.b.onTransmit = null
    this.a.finish(false)
    this.b.finish(false)
    this.finishArena()
  }
}

function sooner(x: InFlight, y: InFlight): boolean {
  return x.atUs < y.atUs || (x.atUs === y.atUs && x.order < y.order)
}

/** What a device makes of a super-segment. */
export function cut(bytes: Uint8Array, size: number): Uint8Array[] {
  const header = (bytes[12]! >> 4) << 2
  const parts: Uint8Array[] = []
  const seq = new DataView(bytes.buffer, bytes.byteOffset).getInt32(4)
  for (let at = header; at < bytes.length; at += size) {
    const end = Math.min(bytes.length, at + size)
    const part = new Uint8Array(header + end - at)
    part.set(bytes.subarray(0, header))
    part.set(bytes.subarray(at, end), header)
    new DataView(part.buffer).setInt32(4, seq + at - header)
    if (end < bytes.length) part[13]! &= ~FIN_PSH
    if (at > header) part[13]! &= ~CWR
    parts.push(part)
  }
  return parts
}

/** Byte `i` of what {@link Sender} writes. */
export const patternByte = (i: number): number => (Math.imul(i, 0x9e3779b1) >>> 24) ^ (i & 0xff)

/** A program that writes so many bytes of a pattern, as fast as it may. */
export class Sender {
  readonly test: TcpTest
  readonly tcb: Tcb
  readonly total: number
  readonly chunkBytes: number
  written = 0

  constructor(test: TcpTest, tcb: Tcb, total: number, chunkBytes = 16_384) {
    this.test = test
    this.tcb = tcb
    this.total = total
    this.chunkBytes = chunkBytes
  }

  step(): void {
    while (this.written < this.total && sendRoom(this.test.tcp, this.tcb) > 0) {
      const chunk = new Uint8Array(Math.min(this.chunkBytes, this.total - this.written))
      for (let i = 0; i < chunk.length; i++) chunk[i] = patternByte(this.written + i)
      this.test.write(this.tcb, chunk, false)
      this.written += chunk.length
    }
  }
}

/** A program that reads everything and compares it with the pattern. */
export class Receiver {
  readonly test: TcpTest
  readonly tcb: Tcb
  got = 0

  constructor(test: TcpTest, tcb: Tcb) {
    this.test = test
    this.tcb = tcb
  }

  step(): void {
    const bytes = this.test.read(this.tcb)
    for (let i = 0; i < bytes.length; i++) {
      if (bytes[i] !== patternByte(this.got + i)) throw new Error(`byte ${this.got + i} is wrong`)
    }
    this.got += bytes.length
  }
}
