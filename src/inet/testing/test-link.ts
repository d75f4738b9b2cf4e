/** A link for tests: keeps what is sent, and brings what the test says. */
import { CTL_LINK_QUERY, controlCode, makeLinkInfo } from '../../streams/link-info.ts'
import { freemsg } from '../../streams/mblk/alloc.ts'
import type { Mblk } from '../../streams/mblk/mblk.ts'
import { M_CTL, M_DATA } from '../../streams/mblk/types.ts'
import type { DriverInfo } from '../../streams/module.ts'
import { putnext, qreply } from '../../streams/putnext.ts'
import { getq, putq, type Queue, qenable } from '../../streams/queue.ts'
import type { Runtime } from '../../streams/runtime.ts'
import { Stream } from '../../streams/stream.ts'
import { chainOf, flat } from '../../streams/testing/messages.ts'

/** What one packet was when it was sent. */
export interface SentPacket {
  readonly bytes: Uint8Array
  readonly offload: number
  readonly csumStart: number
  readonly csumOffset: number
  readonly gsoSize: number
}

export interface TestLinkOptions {
  readonly mtu?: number
  readonly capabilities?: number
  readonly up?: boolean
}

export class TestLink {
  readonly stream: Stream
  readonly sent: SentPacket[] = []
  /** While true, what is sent waits on the link's queue. */
  blocked = false
  /** Takes what is sent instead of {@link sent}; consumes. */
  onPacket: ((mp: Mblk) => void) | null = null
  private info: { mtu: number; capabilities: number; up: boolean }

  constructor(runtime: Runtime, options: TestLinkOptions = {}) {
    this.info = { mtu: 1_500, capabilities: 0, up: true, ...options }
    this.stream = Stream.open(runtime, this.driver(), { name: 'test-link' })
  }

  /** Brings a packet, as a chain that is cut at `places`. */
  bring(bytes: Uint8Array, places: readonly number[] = []): void {
    this.bringMessage(chainOf(this.stream.runtime.arena, bytes, places, 64))
  }

  /** @param mp - consumed */
  bringMessage(mp: Mblk): void {
    putnext(this.stream.bottom, mp)
  }

  /** Takes what was sent since the last call. */
  take(): Uint8Array[] {
    return this.sent.splice(0).map(({ bytes }) => bytes)
  }

  /** Tells IP something new of the link. */
  change(options: TestLinkOptions): void {
    this.info = { ...this.info, ...options }
    putnext(this.stream.bottom, makeLinkInfo(this.stream.runtime.arena, this.info)!)
  }

  /** Lets what waits go. */
  unblock(): void {
    this.blocked = false
    qenable(this.stream.bottom.other)
  }

  private send(mp: Mblk): void {
    if (this.onPacket !== null) {
      this.onPacket(mp)
      return
    }
    const { offload, csumStart, csumOffset, gsoSize } = mp
    this.sent.push({ bytes: flat(mp), offload, csumStart, csumOffset, gsoSize })
    freemsg(mp)
  }

  private driver(): DriverInfo<TestLink> {
    return {
      name: 'test-link',
      driver: true,
      hiwat: 8_192,
      lowat: 2_048,
      open: () => this,
      close: () => {},
      read: { put: putnext },
      write: { put: (q, mp) => this.writePut(q, mp), service: q => this.writeService(q) },
    }
  }

  private writePut(q: Queue<TestLink>, mp: Mblk): void {
    if (mp.type === M_CTL && controlCode(mp) === CTL_LINK_QUERY) {
      freemsg(mp)
      qreply(q, makeLinkInfo(q.stream.runtime.arena, this.info)!)
    } else if (mp.type !== M_DATA) {
      freemsg(mp)
    } else if (this.blocked || q.first !== null) {
      putq(q, mp)
    } else {
      this.send(mp)
    }
  }

  private writeService(q: Queue<TestLink>): void {
    if (this.blocked) return
    for (let mp = getq(q); mp !== null; mp = getq(q)) this.send(mp)
  }
}
