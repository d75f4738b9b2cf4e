/** The link of the script door: a driver that keeps every packet sent, with its time, and brings those that the script injects. */
import type { Clock } from '../../base/time.ts'
import { driverControl } from '../../driver/driver-control.ts'
import { completeChecksum } from '../../driver/impair-packet.ts'
import {
  allocb,
  type DriverInfo,
  freemsg,
  getq,
  LINK_CSUM,
  LINK_TSO4,
  LINK_TSO6,
  type LinkInfo,
  M_DATA,
  type Mblk,
  makeLinkInfo,
  messageBytes,
  messageFrom,
  OFFLOAD_GSO_TCP4,
  OFFLOAD_GSO_TCP6,
  putnext,
  putq,
  type Queue,
  qenable,
  type Runtime,
  readMessage,
  Stream,
} from '../../streams/index.ts'

/** What a link with offload does for the stack. */
const OFFLOAD_CAPABILITIES = LINK_CSUM | LINK_TSO4 | LINK_TSO6

/** Packets that may wait to be asked for; the oldest go when there are more. */
export const CAPTURED_MAX = 65_536

export interface CapturedPacket {
  /** When it was sent, in microseconds on the stack's clock. */
  readonly at: number
  /** The whole IP packet, checksums complete. */
  readonly bytes: Uint8Array
  /** Payload bytes of each segment of a super-segment; 0 for a packet. */
  readonly gsoSize: number
}

export class CaptureLink {
  readonly stream: Stream
  readonly sent: CapturedPacket[] = []
  /** Packets that went because nobody asked for them. */
  overrun = 0
  private info: LinkInfo
  private isBlocked = false
  private readonly clock: Clock

  constructor(runtime: Runtime, mtu: number, offload: boolean) {
    this.clock = runtime.clock
    this.info = { mtu, capabilities: offload ? OFFLOAD_CAPABILITIES : 0, up: true }
    this.stream = Stream.open(runtime, this.driver(), { name: 'capture' })
  }

  get mtu(): number {
    return this.info.mtu
  }

  get offload(): boolean {
    return this.info.capabilities !== 0
  }

  /** Tells the stack something new of the link. */
  change(mtu: number, offload: boolean): void {
    this.info = { mtu, capabilities: offload ? OFFLOAD_CAPABILITIES : 0, up: true }
    const mp = makeLinkInfo(this.stream.runtime.arena, this.info)
    if (mp !== null) putnext(this.stream.bottom, mp)
  }

  get blocked(): boolean {
    return this.isBlocked
  }

  /** While blocked, what is sent waits on the link's queue, as at a device that takes no more. */
  set blocked(value: boolean) {
    this.isBlocked = value
    if (!value) qenable(this.stream.bottom.other)
  }

  /**
   * Brings a packet.
   * @param gsoSize - of a super-segment; 0 for a packet
   * @returns false when no block is left
   */
  bring(packet: Uint8Array, gsoSize: number): boolean {
    const { arena } = this.stream.runtime
    // An empty read is a message of one empty block, as from a device.
    const mp = packet.length === 0 ? allocb(arena, 0) : messageFrom(arena, packet, 0, packet.length, 'kernel')
    if (mp === null) return false
    if (gsoSize > 0) {
      mp.offload |= packet[0]! >> 4 === 6 ? OFFLOAD_GSO_TCP6 : OFFLOAD_GSO_TCP4
      mp.gsoSize = gsoSize
    }
    putnext(this.stream.bottom, mp)
    return true
  }

  private driver(): DriverInfo<CaptureLink> {
    return {
      name: 'capture-link',
      driver: true,
      hiwat: 256 * 1024,
      lowat: 64 * 1024,
      open: () => this,
      close: () => {},
      read: { put: putnext },
      write: { put: (q, mp) => this.writePut(q, mp), service: q => this.writeService(q) },
      describe: () => ({ ...this.info, blocked: this.isBlocked, sent: this.sent.length }),
    }
  }

  private writePut(q: Queue<CaptureLink>, mp: Mblk): void {
    if (mp.type !== M_DATA) driverControl(q, mp, this.info)
    else if (this.isBlocked || q.first !== null) putq(q, mp)
    else this.keep(mp)
  }

  private writeService(q: Queue<CaptureLink>): void {
    while (!this.isBlocked) {
      const mp = getq(q)
      if (mp === null) return
      this.keep(mp)
    }
  }

  /** @param mp - consumed */
  private keep(mp: Mblk): void {
    const { gsoSize } = mp
    const whole = completeChecksum(mp)
    if (whole === null) {
      this.overrun++
      return
    }
    const bytes = new Uint8Array(messageBytes(whole))
    readMessage(whole, 0, bytes, 0, bytes.length, 'kernel')
    freemsg(whole)
    this.sent.push({ at: this.clock.now(), bytes, gsoSize })
    if (this.sent.length <= CAPTURED_MAX) return
    this.sent.shift()
    this.overrun++
  }
}
