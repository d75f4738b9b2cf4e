import { driverControl } from '../../src/driver/driver-control.ts'
import { LINK_CSUM, LINK_TSO4, LINK_TSO6, LINK_USO } from '../../src/streams/link-info.ts'
import { allocb, dupmsg, freemsg } from '../../src/streams/mblk/alloc.ts'
import type { Arena } from '../../src/streams/mblk/arena.ts'
import type { Mblk } from '../../src/streams/mblk/mblk.ts'
import { messageBytes } from '../../src/streams/mblk/message.ts'
import { readMessage } from '../../src/streams/mblk/pullup.ts'
import { M_DATA } from '../../src/streams/mblk/types.ts'
import type { AnyQueue, DriverInfo } from '../../src/streams/module.ts'
import { putnext } from '../../src/streams/putnext.ts'
import { getq, putq, qenable } from '../../src/streams/queue.ts'

const LEARN_EVERY = 512
const SUPER_BYTES = 40_000

/** Makes packets, one at a time. */
export interface PacketSource {
  /** The packet in hand. */
  readonly bytes: Uint8Array
  readonly length: number
  readonly offload: number
  readonly csumStart: number
  readonly csumOffset: number
  readonly gsoSize: number
  /** Where it is to be cut into blocks, ascending; the first `cutCount` count. */
  readonly cuts: Int32Array
  readonly cutCount: number
  /** Makes the next one. */
  next(): void
  /** Hears of a packet that the node sent. */
  learn(packet: Uint8Array): void
}

export interface HostileLinkOptions {
  readonly mtu?: number
  /** Takes what the node sends: every packet, instead of one now and then that the source learns. Consumes it. */
  readonly onSent?: (mp: Mblk) => void
}

/** A link whose far end is an attacker: injects what the generator makes, and takes what the node sends. */
export interface HostileLink {
  readonly driver: DriverInfo<null>
  /** Makes and injects one packet. @returns false if the arena had no block left for it */
  inject(packets: PacketSource, random: { below(bound: number): number }): boolean
  /** Injects a packet as it is. */
  injectBytes(bytes: Uint8Array): boolean
  /** Injects a copy of a packet of another arena, with what its device says of it. */
  injectCopy(mp: Mblk): boolean
  /** While it is blocked, what the node sends waits on the link's queue, until that is full. */
  setBlocked(blocked: boolean): void
  /** Frees what a capture would hold. */
  release(): void
  readonly sent: { packets: number; bytes: number; tooLong: number }
}

export function makeHostileLink({ mtu = 1_500, onSent }: HostileLinkOptions = {}): HostileLink {
  const sent = { packets: 0, bytes: 0, tooLong: 0 }
  let read: AnyQueue | null = null
  let learner: PacketSource | null = null
  let held: Mblk | null = null

  const take = (mp: Mblk): void => {
    sent.packets++
    const size = messageBytes(mp)
    sent.bytes += size
    if (size > mtu && mp.gsoSize === 0) sent.tooLong++
    if (onSent !== undefined) return onSent(mp)
    if (learner !== null && size <= 2_048 && sent.packets % LEARN_EVERY === 0) {
      const copy = new Uint8Array(size)
      readMessage(mp, 0, copy, 0, size, 'edge')
      learner.learn(copy)
    }
    freemsg(mp)
  }

  const release = (): void => {
    if (held !== null) freemsg(held)
    held = null
  }

  let blocked = false

  return {
    sent,
    release,
    setBlocked(next) {
      blocked = next
      if (!blocked) qenable(read!.other)
    },
    driver: {
      name: 'hostile',
      driver: true,
      hiwat: 65_536,
      lowat: 16_384,
      open: q => {
        read = q
        return null
      },
      close: release,
      read: { put: putnext },
      write: {
        put: (q, mp) => {
          if (mp.type === M_DATA && (blocked || q.first !== null)) putq(q, mp)
          else if (mp.type === M_DATA) take(mp)
          else
            driverControl(q, mp, {
              mtu,
              capabilities: LINK_CSUM | LINK_TSO4 | LINK_TSO6 | LINK_USO,
              up: true,
            })
        },
        service: q => {
          if (blocked) return
          for (let mp = getq(q); mp !== null; mp = getq(q)) take(mp)
        },
      },
    },
    inject(packets, random) {
      packets.next()
      learner = packets
      const mp = toMessage(read!.stream.runtime.arena, packets, random)
      if (mp === null) return false
      release()
      // As a capture does: somebody else holds the same bytes for a while.
      if (random.below(32) === 0) held = dupmsg(mp)
      putnext(read!, mp)
      return true
    },
    injectCopy(mp) {
      const bytes = new Uint8Array(messageBytes(mp))
      readMessage(mp, 0, bytes, 0, bytes.length, 'edge')
      const copy = part(read!.stream.runtime.arena, bytes, 0, bytes.length, 0)
      if (copy === null) return false
      copy.offload = mp.offload
      copy.csumStart = mp.csumStart
      copy.csumOffset = mp.csumOffset
      copy.gsoSize = mp.gsoSize
      putnext(read!, copy)
      return true
    },
    injectBytes(bytes) {
      const mp = part(read!.stream.runtime.arena, bytes, 0, bytes.length, 0)
      if (mp === null) return false
      putnext(read!, mp)
      return true
    },
  }
}

/** The packet in hand as a chain, cut where it says. */
function toMessage(
  arena: Arena,
  packets: PacketSource,
  random: { below(bound: number): number },
): Mblk | null {
  let head: Mblk | null = null
  let tail: Mblk | null = null
  let start = 0
  const large = random.below(16) === 0 ? SUPER_BYTES : 0
  for (let i = 0; i <= packets.cutCount; i++) {
    const end = i === packets.cutCount ? packets.length : packets.cuts[i]!
    const bp = part(arena, packets.bytes, start, end, i === 0 ? random.below(130) + large : random.below(9))
    if (bp === null) {
      if (head !== null) freemsg(head)
      return null
    }
    if (tail === null) head = bp
    else tail.cont = bp
    tail = bp
    start = end
  }
  head!.offload = packets.offload
  head!.csumStart = packets.csumStart
  head!.csumOffset = packets.csumOffset
  head!.gsoSize = packets.gsoSize
  return head
}

function part(arena: Arena, bytes: Uint8Array, start: number, end: number, headroom: number): Mblk | null {
  const room = Math.min(headroom, 66_000 - (end - start))
  const mp = allocb(arena, end - start, Math.max(0, room))
  if (mp === null) return null
  const to = mp.dblk.bytes
  for (let i = start; i < end; i++) to[mp.wptr++] = bytes[i]!
  return mp
}
