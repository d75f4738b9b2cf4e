/** Module "trace": a hash over every packet that passes, with its time, so that two runs can be told to be the same. */
import {
  M_DATA,
  type Mblk,
  type ModuleInfo,
  messageBytes,
  putnext,
  type Queue,
  type Runtime,
  readMessage,
} from '../../streams/index.ts'

/** Bytes of each block that are hashed: headers, and enough data to tell two streams apart. */
const HASHED_BYTES = 96

/** Takes a packet: when, which way, and its bytes. For people who look at one run. */
export type PacketListener = (us: number, isRead: boolean, packet: Uint8Array) => void

export class Trace {
  listener: PacketListener | null = null
  private hash = 0x811c9dc5 | 0
  packets = 0

  /** FNV-1a over a 32-bit word, byte order included. */
  word(value: number): void {
    let h = this.hash
    for (let shift = 0; shift < 32; shift += 8) h = Math.imul(h ^ ((value >>> shift) & 0xff), 0x01000193)
    this.hash = h
  }

  packet(mp: Mblk, runtime: Runtime, isRead: boolean): void {
    this.packets++
    this.tell(mp, runtime, isRead)
    this.word(runtime.clock.now())
    this.word(messageBytes(mp) * 2 + Number(isRead))
    for (let bp: Mblk | null = mp; bp !== null; bp = bp.cont) {
      const end = Math.min(bp.wptr, bp.rptr + HASHED_BYTES)
      let h = this.hash
      for (let i = bp.rptr; i < end; i++) h = Math.imul(h ^ bp.bytes[i]!, 0x01000193)
      this.hash = h
    }
  }

  private tell(mp: Mblk, runtime: Runtime, isRead: boolean): void {
    if (this.listener === null) return
    const packet = new Uint8Array(messageBytes(mp))
    readMessage(mp, 0, packet, 0, packet.length, 'kernel')
    this.listener(runtime.clock.now(), isRead, packet)
  }

  /** Eight hexadecimal digits. */
  get text(): string {
    return (this.hash >>> 0).toString(16).padStart(8, '0')
  }
}

/** A module that tells `trace` of every packet. */
export function makeTraceModule(trace: Trace): ModuleInfo<null> {
  const put = (q: Queue<null>, mp: Mblk): void => {
    if (mp.type === M_DATA) trace.packet(mp, q.stream.runtime, q.isRead)
    putnext(q, mp)
  }
  return {
    name: 'trace',
    hiwat: 65_536,
    lowat: 16_384,
    open: () => null,
    close: () => {},
    read: { put },
    write: { put },
  }
}
