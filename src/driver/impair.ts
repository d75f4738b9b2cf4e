/**
 * Module "impair": makes any link a bad one. Delay, jitter, loss, duplication, reordering, corruption, a rate with a
 * bounded queue, partition, for either direction or both, for all packets or for those of certain remote addresses.
 * Random numbers come from a seed, so that the same packets at the same times meet the same fate.
 *
 * A super-packet is one packet to this module. While something acts on single packets that go out, impair takes TSO and
 * USO out of the link's capabilities, so that IP sends them one by one; super-packets that come in are lost, doubled or
 * delayed as a whole, and one that should be corrupted is dropped, as its receiver would do.
 */
import type { Counters } from '../base/counters.ts'
import { StackError } from '../base/errors.ts'
import type { Instant } from '../base/time.ts'
import {
  type AnyDriver,
  answerIoctl,
  bcanputnext,
  CTL_LINK_INFO,
  controlCode,
  FLUSHBAND,
  FLUSHR,
  FLUSHW,
  flushAsAsked,
  getq,
  isHighPriority,
  LINK_CSUM,
  LINK_TRUSTED,
  LINK_TSO4,
  LINK_TSO6,
  LINK_USO,
  type LinkInfo,
  M_DATA,
  M_FLUSH,
  M_IOCTL,
  type Mblk,
  type ModuleInfo,
  makeLinkInfo,
  maskLinkCapabilities,
  putbq,
  putnext,
  type Queue,
  type Runtime,
  readIoctl,
  readLinkInfo,
  type Timer,
  unshare,
} from '../streams/index.ts'
import {
  actsPerPacket,
  describeImpairOptions,
  type ImpairOptions,
  parseImpairOptions,
} from './impair-options.ts'
import { remoteMatches } from './impair-packet.ts'
import { ImpairSide, pass } from './impair-side.ts'

/** Request with partial options, or none; answered with what holds now. */
const IOC_IMPAIR = 'impair'

export class Impair {
  options: ImpairOptions
  readonly out: ImpairSide
  readonly in: ImpairSide
  readonly timer: Timer
  /** What the link last told of itself, before anything was taken out. */
  link: LinkInfo | null = null
  readonly runtime: Runtime
  readonly q: Queue<Impair>
  closed = false

  constructor(q: Queue<Impair>, options: ImpairOptions) {
    this.q = q
    this.runtime = q.stream.runtime
    this.options = options
    const seed = options.seed ?? this.runtime.random.int32()
    this.out = new ImpairSide(q.other, options.out, seed)
    this.in = new ImpairSide(q, options.in, ~seed)
    this.timer = this.runtime.timer(q, now => this.expire(now))
  }

  sideOf(q: Queue<Impair>): ImpairSide {
    return q.isRead ? this.in : this.out
  }

  expire(now: Instant): void {
    this.out.expire(now)
    this.in.expire(now)
    this.arm()
  }

  /** One timer for all packets, at the earliest time that any of them is due. */
  arm(): void {
    if (this.closed) return
    const out = this.out.pollAt()
    const into = this.in.pollAt()
    const at = out === null || (into !== null && into < out) ? into : out
    if (at === null) this.runtime.timers.cancel(this.timer)
    else if (!this.timer.armed || this.timer.at !== at) this.runtime.timers.arm(this.timer, at)
  }

  /** Takes over new options; what a link can do is told again if that changes. */
  change(options: ImpairOptions): void {
    const before = this.masked
    if (options.seed !== null && options.seed !== this.options.seed) {
      this.out.reseed(options.seed)
      this.in.reseed(~options.seed)
    }
    this.options = options
    const now = this.runtime.clock.now()
    this.out.change(options.out, now)
    this.in.change(options.in, now)
    this.arm()
    if (this.link === null || this.masked === before) return
    const capabilities = this.link.capabilities & ~this.masked
    const mp = makeLinkInfo(this.runtime.arena, { ...this.link, capabilities })
    if (mp !== null) putnext(this.q, mp)
  }

  /** Capability bits that are not to be used while the link is bad in this way. */
  get masked(): number {
    const { out, in: into } = this.options
    const single = actsPerPacket(out) ? LINK_TSO4 | LINK_TSO6 | LINK_USO : 0
    return out.corrupt + into.corrupt > 0 ? single | LINK_CSUM | LINK_TRUSTED : single
  }
}

export const impairModule: ModuleInfo<Impair> = {
  name: 'impair',
  hiwat: 256 * 1024,
  lowat: 64 * 1024,
  open(q, options) {
    mustBeLink(q)
    return new Impair(q, parseImpairOptions(options))
  },
  close: ({ state }) => {
    state.closed = true
    state.runtime.timers.cancel(state.timer)
    state.out.finish()
    state.in.finish()
  },
  read: { put, service },
  write: { put, service },
  counters,
  configure: ({ state }, options) => state.change(parseImpairOptions(options, state.options)),
  describe,
}

/**
 * M_DATA is a packet on a link only: above a multiplexor it is what a program reads and writes, and a byte stream without some
 * of its bytes would look whole.
 */
function mustBeLink({ stream }: Queue<Impair>): void {
  const { name, lower } = stream.bottom.info as AnyDriver
  if (lower === undefined) return
  throw new StackError('ERR_PLUMBING', `impair is for links: stream ${stream.name} ends in ${name}`, {
    hint: 'push it on the stream of the link below, for all packets or with match for those of one address',
  })
}

function put(q: Queue<Impair>, mp: Mblk): void {
  const impair = q.state
  if (mp.type !== M_DATA) return putOther(q, mp)
  const side = impair.sideOf(q)
  const { match } = impair.options
  if (side.idle || (match.length > 0 && !remoteMatches(mp, !q.isRead, match))) return pass(q, mp)
  side.arrive(mp, impair.runtime.clock.now())
  impair.arm()
}

function service(q: Queue<Impair>): void {
  for (let mp = getq(q); mp !== null; mp = getq(q)) {
    if (!isHighPriority(mp) && !bcanputnext(q, mp.band)) return putbq(q, mp)
    putnext(q, mp)
  }
  const impair = q.state
  if (impair.sideOf(q).idle) return
  impair.sideOf(q).expire(impair.runtime.clock.now())
  impair.arm()
}

/** Everything but packets passes as it is; impair itself knows one request and the words of a link about itself. */
function putOther(q: Queue<Impair>, mp: Mblk): void {
  const impair = q.state
  if (mp.type === M_FLUSH) flush(q, mp)
  else if (mp.type === M_IOCTL && !q.isRead && readIoctl(mp).command === IOC_IMPAIR) return request(q, mp)
  else if (q.isRead && controlCode(mp) === CTL_LINK_INFO) {
    impair.link = readLinkInfo(mp) ?? impair.link
    const own = impair.masked === 0 || mp.wptr - mp.rptr < 16 ? mp : unshare(mp)
    if (own === null) return
    if (own.wptr - own.rptr >= 16) maskLinkCapabilities(own, impair.masked)
    mp = own
  }
  if (isHighPriority(mp)) putnext(q, mp)
  else pass(q, mp)
}

function flush(q: Queue<Impair>, mp: Mblk): void {
  flushAsAsked(q, mp)
  const flags = mp.bytes[mp.rptr]!
  if ((flags & FLUSHBAND) !== 0) return
  if ((flags & FLUSHR) !== 0) q.state.in.discard()
  if ((flags & FLUSHW) !== 0) q.state.out.discard()
  q.state.arm()
}

function request(q: Queue<Impair>, mp: Mblk): void {
  const impair = q.state
  answerIoctl(q, mp, () => {
    const { argument } = readIoctl(mp)
    if (argument !== undefined) impair.change(parseImpairOptions(argument, impair.options))
    return describe(impair)
  })
}

function counters(impair: Impair): Counters {
  const named: Counters = {}
  for (const [name, side] of [['out', impair.out] as const, ['in', impair.in] as const])
    for (const [counter, value] of Object.entries(side.counters)) named[`${name}-${counter}`] = value
  return named
}

function describe({ options, out, in: into }: Impair): Record<string, unknown> {
  const waiting = {
    out: { packets: out.line.packets, bytes: out.line.bytes },
    in: { packets: into.line.packets, bytes: into.line.bytes },
  }
  return { ...describeImpairOptions(options), waiting }
}
