/**
 * What the streams of one stack's IP multiplexor share: tables, limits, counters. The data path is in `input4.ts`,
 * `input6.ts`, `output.ts`, `forward.ts` and `transmit.ts`; the module in `module.ts`; what people may change in `control.ts`.
 */
import type { Random } from '../../base/prng.ts'
import type { Instant } from '../../base/time.ts'
import type { Arena } from '../../streams/mblk/arena.ts'
import type { Mblk } from '../../streams/mblk/mblk.ts'
import type { AnyQueue } from '../../streams/module.ts'
import type { Runtime } from '../../streams/runtime.ts'
import type { Timer } from '../../streams/timers.ts'
import { ERROR_HEADER_CHAIN, ERROR_PARAMETER, ERROR_REASSEMBLY_TIME } from '../icmp/errors.ts'
import { RATE_LIMIT_DEFAULTS, RateLimit } from '../icmp/rate-limit.ts'
import { sendIcmpError } from '../icmp/send-error.ts'
import { AddressTable } from './addresses.ts'
import { type IpCounters, makeIpCounters } from './counters.ts'
import { Destinations, type RoutingTables } from './destinations.ts'
import { HeaderWalk } from './extension-headers.ts'
import type { Interface } from './interfaces.ts'
import { OutputRequest } from './output-request.ts'
import { PacketAddresses } from './packet-addresses.ts'
import { PathMtuCache } from './path-mtu.ts'
import { Reassembly, type ReassemblyLimits } from './reassembly.ts'
import { RouteTable } from './routes.ts'

/** RFC 1700's advice, and what everybody uses. */
export const HOP_LIMIT_DEFAULT = 64
const MICROSECONDS = 1_000_000
/** RFC 8200 §4.5: an incomplete header chain in the first fragment. */
const CODE_INCOMPLETE_CHAIN = 3

export interface IpOptions {
  readonly reassembly?: Partial<ReassemblyLimits>
}

export class Ip implements RoutingTables {
  readonly runtime: Runtime
  readonly arena: Arena
  /** The arena as words, where control blocks lie. */
  readonly words: Int32Array
  readonly random: Random
  readonly counters: IpCounters = makeIpCounters()
  readonly addresses = new AddressTable()
  readonly routes = new RouteTable()
  readonly pathMtu: PathMtuCache
  readonly destinations: Destinations
  /** By number, from 1 on. */
  readonly interfaces: (Interface | null)[] = [null]
  loopback: Interface | null = null
  /** Read queues of the streams that take a protocol, by its number. */
  readonly bound: (AnyQueue | null)[] = new Array<AnyQueue | null>(256).fill(null)
  /** Read queues of all streams above. */
  readonly uppers = new Set<AnyQueue>()
  readonly errorLimit: RateLimit
  readonly reassembly: Reassembly
  forwarding = false
  hopLimit = HOP_LIMIT_DEFAULT
  /** Scratch records of the data path; nothing in them outlives a call. */
  readonly walk = new HeaderWalk()
  readonly request = new OutputRequest()
  readonly packet = new PacketAddresses()
  /** Where {@link emitPiece} sends fragments and segments. */
  pieceOut: Interface | null = null
  readonly emitPiece: (mp: Mblk, size?: number) => void
  /** Due when a datagram has waited too long for its fragments. */
  reassemblyTimer: Timer | null = null

  /** @param emitPiece - sends one fragment or segment by an interface; `transmit.ts` has it */
  constructor(
    runtime: Runtime,
    emitPiece: (ip: Ip, mp: Mblk, size: number) => void,
    options: IpOptions = {},
  ) {
    this.runtime = runtime
    this.arena = runtime.arena
    this.words = runtime.arena.words
    this.random = runtime.random
    this.emitPiece = (mp, size = 0) => emitPiece(this, mp, size)
    this.pathMtu = new PathMtuCache(runtime.random.int32())
    this.destinations = new Destinations(this)
    this.errorLimit = new RateLimit(RATE_LIMIT_DEFAULTS, runtime.random)
    this.reassembly = new Reassembly({
      ...(options.reassembly === undefined ? {} : { limits: options.reassembly }),
      seed: runtime.random.int32(),
      onExpire: first => sendIcmpError(this, first, ERROR_REASSEMBLY_TIME, 0),
      onParameterProblem: (mp, code, pointer) => {
        const error = code === CODE_INCOMPLETE_CHAIN ? ERROR_HEADER_CHAIN : ERROR_PARAMETER
        sendIcmpError(this, mp, error, pointer)
      },
    })
  }

  now(): Instant {
    return this.runtime.clock.now()
  }

  nowSeconds(): number {
    return Math.floor(this.runtime.clock.now() / MICROSECONDS) | 0
  }

  /** Sets the timer for the datagram that has waited longest. */
  armReassembly(): void {
    const at = this.reassembly.pollAt()
    const timer = this.reassemblyTimer
    if (timer === null) return
    if (at === null) this.runtime.timers.cancel(timer)
    else if (!timer.armed || timer.at !== at) this.runtime.timers.arm(timer, at)
  }
}
