/** Reads what a server sends, and finds the call that it answers. */
import type { Counters } from '../base/counters.ts'
import { freemsg } from '../streams/mblk/alloc.ts'
import type { Mblk } from '../streams/mblk/mblk.ts'
import type { OpaqueAuth } from './auth.ts'
import type { Call } from './client-call.ts'
import type { ClientCore } from './client-core.ts'
import { REPLY_FAULTS, type ReplyFault, ReplyHeader, readReply } from './message.ts'
import { XdrDecoder, type XdrDecoderOptions } from './xdr/index.ts'

export const REPLY_COUNTERS = [
  /** To calls that were answered or given up before. */
  'late-replies',
  /** With an xid that this client never used. */
  'foreign-replies',
  'results-undecodable',
  ...REPLY_FAULTS,
] as const

/** Is told of each outstanding call that a reply came for; each ends it, or has it sent again. */
export interface ReplySink {
  results(call: Call, value: unknown, verifier: OpaqueAuth): void
  /** The call succeeded, and what came is no result. */
  undecodable(call: Call, error: unknown): void
  /** Any other status. @param reply - good until the next message */
  denied(call: Call, reply: ReplyHeader): void
  /** A reply whose header is wrong. */
  spoiled(call: Call, fault: ReplyFault): void
}

export class ReplyReader {
  private readonly core: ClientCore<Call>
  private readonly sink: ReplySink
  private readonly counters: Counters<(typeof REPLY_COUNTERS)[number]>
  private readonly decoder: XdrDecoder
  private readonly header = new ReplyHeader()

  constructor(
    core: ClientCore<Call>,
    sink: ReplySink,
    counters: Counters<(typeof REPLY_COUNTERS)[number]>,
    options: XdrDecoderOptions | undefined,
  ) {
    this.core = core
    this.sink = sink
    this.counters = counters
    this.decoder = new XdrDecoder(options)
  }

  /** @param mp - consumed */
  take(mp: Mblk): void {
    const { decoder, header, core, counters, sink } = this
    decoder.start(mp, 'reply')
    const fault = readReply(decoder, header)
    if (fault !== null) counters[fault]++
    // A call that a server makes has an xid of its own, which may be the one of ours.
    const call = header.hasXid && fault !== 'reply-not-a-reply' ? core.find(header.xid) : null
    if (call === null) {
      if (fault === null) counters[core.wasUsed(header.xid) ? 'late-replies' : 'foreign-replies']++
    } else if (fault === null && header.isSuccess) {
      return this.takeResults(call, mp)
    }
    decoder.abort()
    freemsg(mp)
    if (call === null) return
    if (fault !== null) sink.spoiled(call, fault)
    else sink.denied(call, header)
  }

  /** @param mp - consumed; the decoder has read the header */
  private takeResults(call: Call, mp: Mblk): void {
    const { decoder, header, sink } = this
    let value: unknown
    try {
      decoder.root = 'result'
      value = call.procedure.result.decode(decoder)
      decoder.finish()
    } catch (error) {
      // With it go the views that were made.
      decoder.abort()
      freemsg(mp)
      this.counters['results-undecodable']++
      return sink.undecodable(call, error)
    }
    freemsg(mp)
    sink.results(call, value, header.verifier)
  }
}
