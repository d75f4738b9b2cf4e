/**
 * Reassembly of IPv4 and IPv6 datagrams, a pure core. Read first: RFC 791 §3.2, RFC 8200 §4.5, RFC 5722, RFC 6946,
 * RFC 8021, RFC 7112, RFC 1858, RFC 3128, RFC 3168 §5.3, RFC 1122 §3.3.2, and why CVE-2018-5391 was one.
 *
 * Nothing is copied: the data blocks of the fragments are chained, and each counts for the memory that it pins, not
 * for what it holds. Finding the place of a fragment is logarithmic. Two fragments that overlap discard their
 * datagram, in both families: no honest sender makes them, and whoever lets either win is wrong for somebody.
 */
import { type Counters, makeCounters } from '../../base/counters.ts'
import { StackError } from '../../base/errors.ts'
import { after, type Duration, type Instant, seconds } from '../../base/time.ts'
import { freemsg } from '../../streams/mblk/alloc.ts'
import { FRAME_BLOCK_BYTES } from '../../streams/mblk/arena.ts'
import { type Mblk, OFFLOAD_CSUM_NEEDED } from '../../streams/mblk/mblk.ts'
import { messageBytes } from '../../streams/mblk/message.ts'
import { unshare } from '../../streams/mblk/pullup.ts'
import {
  COMPACT_BYTES,
  chainPieces,
  combineCodepoints,
  copyIntoFrames,
  ECN_CONFLICT,
  freePieces,
  pinnedBytes,
  removeFragmentHeader,
  repairHeader4,
  repairHeader6,
  sameData,
  withoutHeader,
} from './fragment-assembly.ts'
import {
  FRAGMENT_HEADER_SIZE,
  FRAGMENT_OFFSET,
  type FragmentFault,
  FragmentFields,
  IPV6_HEADER_SIZE,
  IPV6_PAYLOAD_LENGTH,
  PACKET_BYTES_MAX,
  readFragment4,
  readFragment6,
  u16,
} from './fragment-check.ts'
import { type Datagram, type FragmentSource, FragmentTable } from './fragment-table.ts'

/**
 * Counters. Every fragment that comes in ends in one of those marked with a dot, in `fragments-reassembled`, or
 * still waits. Those named `datagrams-` tell how often, not how many fragments.
 */
export const REASSEMBLY_COUNTERS = [
  'fragments-in',
  'fragments-reassembled',
  'fragments-atomic', // ·
  'datagrams-reassembled',
  // One fragment was refused.
  'fragment-malformed', // ·
  'fragment-offload', // ·
  'fragment-empty', // ·
  'fragment-length', // ·
  'fragment-too-long', // ·
  'fragment-tiny', // ·
  'fragment-header-chain', // ·
  'fragment-duplicate', // ·
  'fragment-of-discarded', // ·
  'fragment-memory', // ·
  'fragment-no-buffers', // ·
  // One fragment was refused, and its datagram with it.
  'fragment-overlap', // ·
  'fragment-two-ends', // ·
  'fragment-past-end', // ·
  'fragment-too-many', // ·
  'fragment-ecn', // ·
  // What had been collected of a datagram was freed.
  'fragments-discarded', // ·
  'fragments-evicted', // ·
  'fragments-expired', // ·
  'datagrams-discarded',
  'datagrams-evicted-memory',
  'datagrams-evicted-source',
  'datagrams-expired',
  // A small fragment pinned a large block, and was copied out of it.
  'fragments-compacted',
] as const

export type ReassemblyCounter = (typeof REASSEMBLY_COUNTERS)[number]

export interface ReassemblyLimits {
  /** Memory that all fragments may pin, in bytes; beyond it the oldest datagrams go, until `bytesLow` is left. */
  readonly bytesHigh: number
  readonly bytesLow: number
  /** Memory that the fragments of one sender may pin; beyond it, its own oldest datagrams go. */
  readonly sourceBytes: number
  /** Datagrams that may wait, refused ones included; one sender may have half of them. */
  readonly datagrams: number
  /** Fragments of one datagram. */
  readonly fragments: number
  /** How long a datagram may take, 30 to 60 seconds. RFC 1122 §3.3.2 wants a fixed value, RFC 8200 §4.5 has 60. */
  readonly timeout: Duration
}

export const REASSEMBLY_LIMITS: ReassemblyLimits = {
  bytesHigh: 256 * 1024,
  bytesLow: 192 * 1024,
  sourceBytes: 192 * 1024,
  datagrams: 512,
  fragments: 128,
  timeout: seconds(30),
}

export interface ReassemblyOptions {
  readonly limits?: Partial<ReassemblyLimits>
  /** A secret number for the hash; without it, whoever chooses the keys can make lookups slow. */
  readonly seed?: number
  /** A datagram took too long, and its first fragment is known: takes it, for an ICMP time exceeded with code 1. */
  readonly onExpire: (first: Mblk) => void
  /**
   * RFC 8200 §4.5 wants an ICMPv6 parameter problem for this fragment: takes it, with the code (0, or 3 for an incomplete
   * header chain) and the pointer. Without it the fragment is freed.
   */
  readonly onParameterProblem?: (fragment: Mblk, code: number, pointer: number) => void
}

/** Blocks that pin so many times what they hold are copied into smaller ones. */
const WASTE_MAX = 2

export class Reassembly {
  readonly counters: Counters<ReassemblyCounter> = makeCounters(REASSEMBLY_COUNTERS)
  readonly limits: ReassemblyLimits
  private readonly table: FragmentTable
  private readonly fields = new FragmentFields()
  private readonly onExpire: ReassemblyOptions['onExpire']
  private readonly onParameterProblem: ReassemblyOptions['onParameterProblem']

  /** @throws StackError `ERR_BAD_CONFIG` for limits that cannot be */
  constructor(options: ReassemblyOptions) {
    this.limits = { ...REASSEMBLY_LIMITS, ...options.limits }
    checkLimits(this.limits)
    this.table = new FragmentTable(options.seed ?? 0)
    this.onExpire = options.onExpire
    this.onParameterProblem = options.onParameterProblem
  }

  /** Memory that waiting fragments pin, in bytes. */
  get bytes(): number {
    return this.table.bytes
  }

  /** Datagrams that wait, those refused included. */
  get datagrams(): number {
    return this.table.size
  }

  /**
   * Takes a fragment.
   * @param mp - consumed; an IP packet, headers contiguous in the first block up to and with the fragment header,
   * trimmed to the length that the header tells
   * @returns the whole datagram, owned, with its IP header repaired and its transport checksum still to be verified;
   * or null while it is incomplete, and when the fragment was refused
   */
  input(mp: Mblk, family: 4 | 6, now: Instant): Mblk | null {
    const { counters, fields } = this
    counters['fragments-in']++
    const fault = family === 4 ? readFragment4(mp, fields) : readFragment6(mp, fields)
    if (fault !== null) return this.refuse(mp, fault)
    if (family === 6 && fields.start === 0 && !fields.more) return this.atomic(mp)
    const datagram = this.table.find(fields)
    if (datagram === null) return this.store(mp, null, 0, now)
    if (datagram.discarded) return this.drop(mp, 'fragment-of-discarded')
    const reason = this.contradiction(datagram)
    if (reason !== null) return this.discard(datagram, mp, reason)
    const position = datagram.position(fields.start)
    if (this.overlaps(datagram, position)) {
      if (this.isDuplicate(datagram, position, mp)) return this.drop(mp, 'fragment-duplicate')
      return this.discard(datagram, mp, 'fragment-overlap')
    }
    if (datagram.count >= this.limits.fragments) return this.discard(datagram, mp, 'fragment-too-many')
    return this.store(mp, datagram, position, now)
  }

  /** When {@link expire} has something to do; null if nothing waits. */
  pollAt(): Instant | null {
    return this.table.oldest === null ? null : this.table.oldest.expiresAt
  }

  /** Gives up what took too long. */
  expire(now: Instant): void {
    for (let at = this.table.oldest; at !== null && at.expiresAt <= now; at = this.table.oldest) {
      if (!at.discarded) this.counters['datagrams-expired']++
      this.counters['fragments-expired'] += at.count
      const first = at.hasFirst ? at.take(0) : null
      this.forget(at)
      if (first !== null) this.onExpire(first)
    }
  }

  /** Frees everything, telling nobody. */
  clear(): void {
    for (let at = this.table.oldest; at !== null; at = this.table.oldest) {
      this.counters['fragments-evicted'] += at.count
      this.forget(at)
    }
  }

  /** Frees the pieces that a datagram still has, and takes it out of the table. */
  private forget(datagram: Datagram): void {
    freePieces(datagram)
    this.table.remove(datagram)
  }

  private drop(mp: Mblk, reason: ReassemblyCounter): null {
    this.counters[reason]++
    freemsg(mp)
    return null
  }

  /** Refuses a fragment for what it is, and tells an IPv6 sender where the RFC wants that. */
  private refuse(mp: Mblk, fault: FragmentFault): null {
    this.counters[fault]++
    const tell = this.onParameterProblem
    if (tell === undefined || this.fields.family !== 6) freemsg(mp)
    else if (fault === 'fragment-length') tell(mp, 0, IPV6_PAYLOAD_LENGTH)
    else if (fault === 'fragment-too-long') tell(mp, 0, this.fields.fragmentHeaderAt + FRAGMENT_OFFSET)
    else if (fault === 'fragment-header-chain') tell(mp, 3, 0)
    else freemsg(mp)
    return null
  }

  /**
   * Refuses a fragment and its whole datagram. The datagram stays in the table, empty, until its time is over: RFC 5722 §4
   * wants that fragments not yet received are dropped too.
   */
  private discard(datagram: Datagram, mp: Mblk, reason: ReassemblyCounter): null {
    this.abandon(datagram)
    return this.drop(mp, reason)
  }

  private abandon(datagram: Datagram): void {
    this.counters['datagrams-discarded']++
    this.counters['fragments-discarded'] += datagram.count
    freePieces(datagram)
    this.table.charge(datagram, -datagram.bytes)
    datagram.reset()
    datagram.discarded = true
  }

  /** What the fragment says about the end of the datagram, against what others said. */
  private contradiction(datagram: Datagram): ReassemblyCounter | null {
    const { more, end } = this.fields
    if (more) return datagram.end >= 0 && end >= datagram.end ? 'fragment-past-end' : null
    if (datagram.end >= 0 && end !== datagram.end) return 'fragment-two-ends'
    return datagram.reach > end ? 'fragment-past-end' : null
  }

  private overlaps(datagram: Datagram, position: number): boolean {
    const { order, starts, ends } = datagram
    if (position > 0 && ends[order[position - 1]!]! > this.fields.start) return true
    return position < datagram.count && starts[order[position]!]! < this.fields.end
  }

  /** RFC 8200 §4.5: an exact duplicate may be dropped alone. The same place with other bytes is an overlap. */
  private isDuplicate(datagram: Datagram, position: number, mp: Mblk): boolean {
    const { start, end, more } = this.fields
    if (position >= datagram.count || (!more && datagram.end !== end)) return false
    const slot = datagram.order[position]!
    if (datagram.starts[slot] !== start || datagram.ends[slot] !== end) return false
    const kept = datagram.pieces[slot]!
    return sameData(kept, start === 0 ? datagram.headerBytes : 0, mp, this.fields.headerBytes, end - start)
  }

  /** Keeps a fragment, if there is room. @param datagram - null if it is the first to come */
  private store(mp: Mblk, datagram: Datagram | null, position: number, now: Instant): Mblk | null {
    const { fields, table } = this
    const piece = this.compact(mp)
    if (piece === null) return null
    // A fragment may come with a sum that the device was to finish; the datagram's is verified by the transport.
    piece.offload = 0
    piece.csumStart = 0
    piece.csumOffset = 0
    const data = fields.start === 0 ? piece : withoutHeader(piece, fields.headerBytes)
    // What waits here is in nobody's hand: a module that fails meanwhile does not take it along.
    data.at = null
    const pinned = pinnedBytes(data)
    if (!this.makeRoom(pinned, datagram === null)) return this.drop(data, 'fragment-memory')
    // Making room may have cost the datagram itself.
    if (datagram !== null && !datagram.live) return this.drop(data, 'fragment-memory')
    const kept = datagram ?? table.add(fields, after(now, this.limits.timeout))
    kept.insert(position, data, fields.start, fields.end)
    table.charge(kept, pinned)
    kept.codepoints |= 1 << fields.codepoint
    if (!fields.more) kept.end = fields.end
    if (fields.start === 0) {
      kept.headerBytes = fields.headerBytes
      kept.fragmentHeaderAt = fields.fragmentHeaderAt
      kept.nextHeaderAt = fields.nextHeaderAt
      kept.nextHeader = fields.nextHeader
    }
    return kept.received === kept.end ? this.assemble(kept) : null
  }

  /** Evicts datagrams until one more fragment fits. @returns false if it is too large for any room */
  private makeRoom(pinned: number, isNew: boolean): boolean {
    const { limits, table } = this
    if (pinned > limits.sourceBytes) return false
    const source = table.findSource(this.fields)
    if (source !== null) this.evictOfSource(source, pinned, isNew)
    if (isNew && table.size >= limits.datagrams) this.evict(table.oldest!, 'datagrams-evicted-memory')
    if (table.bytes + pinned <= limits.bytesHigh) return true
    while (table.oldest !== null && table.bytes + pinned > limits.bytesLow)
      this.evict(table.oldest, 'datagrams-evicted-memory')
    return true
  }

  /** A sender that has its share makes room among its own. */
  private evictOfSource(source: FragmentSource, pinned: number, isNew: boolean): void {
    const datagramsMax = this.limits.datagrams >> 1
    while (
      source.oldest !== null &&
      (source.bytes + pinned > this.limits.sourceBytes || (isNew && source.datagrams >= datagramsMax))
    ) {
      this.evict(source.oldest, 'datagrams-evicted-source')
    }
  }

  private evict(datagram: Datagram, reason: ReassemblyCounter): void {
    this.counters[reason]++
    this.counters['fragments-evicted'] += datagram.count
    this.forget(datagram)
  }

  /**
   * Copies a small fragment out of the large blocks in which it came, when those would use up the limits. A device
   * that reads every packet into a block for super-packets makes that necessary.
   * @param mp - consumed
   */
  private compact(mp: Mblk): Mblk | null {
    const size = messageBytes(mp)
    if (pinnedBytes(mp) <= WASTE_MAX * Math.max(size, FRAME_BLOCK_BYTES)) return mp
    if (this.fields.headerBytes > COMPACT_BYTES) return mp
    const copy = copyIntoFrames(mp, size)
    if (copy === null) return this.drop(mp, 'fragment-no-buffers')
    this.counters['fragments-compacted']++
    freemsg(mp)
    return copy
  }

  /** Chains the pieces of a complete datagram behind the first one's header. */
  private assemble(datagram: Datagram): Mblk | null {
    const codepoint = combineCodepoints(datagram.codepoints)
    if (codepoint === ECN_CONFLICT) return this.fail(datagram, 'fragment-ecn')
    // Only now the header that counts, the first fragment's, is surely known.
    const ahead = datagram.family === 4 ? datagram.headerBytes : datagram.fragmentHeaderAt - IPV6_HEADER_SIZE
    if (ahead + datagram.end > PACKET_BYTES_MAX) return this.fail(datagram, 'fragment-too-long')
    const head = unshare(datagram.take(0))
    if (head === null) {
      this.lose(datagram)
      return null
    }
    chainPieces(head, datagram)
    if (datagram.family === 4) repairHeader4(head, datagram, codepoint)
    const whole = datagram.family === 4 ? head : repairHeader6(head, datagram, codepoint)
    this.counters['fragments-reassembled'] += datagram.count
    this.counters['datagrams-reassembled']++
    this.table.remove(datagram)
    return whole
  }

  /** A complete datagram that must not be: the fragment that completed it counts as refused, the others as discarded. */
  private fail(datagram: Datagram, reason: ReassemblyCounter): null {
    this.abandon(datagram)
    this.counters['fragments-discarded']--
    this.counters[reason]++
    return null
  }

  /** The first piece is gone for lack of a block; the rest follows. */
  private lose(datagram: Datagram): void {
    this.counters['fragment-no-buffers']++
    this.counters['fragments-discarded'] += datagram.count - 1
    this.counters['datagrams-discarded']++
    this.forget(datagram)
  }

  /** RFC 6946: an atomic fragment is a whole datagram; only its fragment header goes. */
  private atomic(mp: Mblk): Mblk | null {
    const { fields, counters } = this
    const head = unshare(mp)
    if (head === null) {
      counters['fragment-no-buffers']++
      return null
    }
    counters['fragments-atomic']++
    if ((head.offload & OFFLOAD_CSUM_NEEDED) !== 0) head.csumStart -= FRAGMENT_HEADER_SIZE
    const length = u16(head.bytes, head.rptr + IPV6_PAYLOAD_LENGTH) - FRAGMENT_HEADER_SIZE
    return removeFragmentHeader(head, fields.fragmentHeaderAt, fields.nextHeaderAt, fields.nextHeader, length)
  }
}

function checkLimits(limits: ReassemblyLimits): void {
  const { bytesHigh, bytesLow, sourceBytes, datagrams, fragments, timeout } = limits
  const bad = (text: string): never => {
    throw new StackError('ERR_BAD_CONFIG', `reassembly: ${text}`)
  }
  if (!(bytesLow >= 0 && bytesLow <= bytesHigh)) bad('bytesLow has to be from 0 to bytesHigh')
  if (!(sourceBytes >= 0 && sourceBytes <= bytesHigh)) bad('sourceBytes has to be from 0 to bytesHigh')
  if (!(datagrams >= 2 && fragments >= 2)) bad('at least 2 datagrams of 2 fragments have to be allowed')
  if (!(timeout >= seconds(30) && timeout <= seconds(60))) bad('timeout has to be from 30 to 60 seconds')
}
