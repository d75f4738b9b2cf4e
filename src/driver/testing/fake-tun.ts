/**
 * A TUN device of memory, behind the same calls as the shim's, for tests of what a kernel does rarely: it refuses a write, is
 * full, is down, is gone, or hands over a packet that nobody would expect.
 */
import { ERRNO } from '../../host/host-error.ts'
import {
  DESC_HEAD_CAPACITY,
  DESC_RX_BASE,
  DESC_RX_BYTES,
  DESC_RX_ERRNO,
  DESC_SPILL_BASE,
  DESC_SPILL_USED,
  DESC_TX_BASE,
  DESC_TX_BYTES,
  DESC_TX_DONE,
  DESC_TX_ERRNO,
  type ReadyCallback,
  type Shim,
} from '../../host/shim.ts'
import type { Arena } from '../../streams/mblk/arena.ts'
import type { TunHost } from '../tun.ts'

const PORT = 1
const FD = 100

export class FakeTun {
  /** What the driver wrote, virtio headers included. */
  readonly written: Uint8Array[] = []
  /** What the driver finds to read, virtio headers included. */
  readonly toRead: Uint8Array[] = []
  /** The errno that each of the next writes meets; 0 lets one through. */
  readonly writeErrnos: number[] = []
  /** What reading ends with once nothing is left. */
  readErrno: number = ERRNO.EAGAIN
  /** Events polled for; 0 when polling stopped. */
  polling = 0
  attached = false
  ready: ReadyCallback = () => {}
  readonly host: TunHost
  private readonly arena: Arena
  private desc: Int32Array = new Int32Array(0)

  constructor(arena: Arena) {
    this.arena = arena
    const calls: Partial<Shim> = {
      tunOpen: () => FD,
      tunOffload: () => 0,
      tunVnetHdrSize: () => 0,
      tunName: () => 'tun0',
      fdClose: () => 0,
      attach: (_fd, _arena, desc, _clock, ready) => this.attach(desc, ready),
      detach: () => this.stop(),
      pollStart: (_port, events) => this.poll(events),
      pollStop: () => this.poll(0),
      pin: () => 0,
      exchange: (_port, txCount, rxMax) => this.exchange(txCount, rxMax),
    }
    this.host = { shim: calls as Shim, arenaId: 0, onReady: () => {} }
  }

  private attach(desc: Int32Array, ready: ReadyCallback): number {
    this.desc = desc
    this.ready = ready
    this.attached = true
    return PORT
  }

  private stop(): number {
    this.attached = false
    return this.poll(0)
  }

  private poll(events: number): number {
    this.polling = events
    return 0
  }

  private exchange(txCount: number, rxMax: number): number {
    const { desc } = this
    desc[DESC_TX_DONE] = desc[DESC_TX_ERRNO] = desc[DESC_TX_BYTES] = 0
    let at = desc[DESC_TX_BASE]!
    for (let i = 0; i < txCount; i++) {
      const errno = this.writeErrnos.shift() ?? 0
      if (errno !== 0) {
        desc[DESC_TX_ERRNO] = errno
        break
      }
      at = this.writeOne(at)
    }
    return this.readAll(rxMax)
  }

  /** @returns where the next packet's fragments are */
  private writeOne(at: number): number {
    const { desc } = this
    const bytes: number[] = []
    let word = at
    for (let left = desc[word++]!; left > 0; left--) {
      const offset = desc[word + 1]!
      for (let i = 0; i < desc[word + 2]!; i++) bytes.push(this.arena.bytes[offset + i]!)
      word += 3
    }
    this.written.push(Uint8Array.from(bytes))
    desc[DESC_TX_DONE]!++
    desc[DESC_TX_BYTES]! += bytes.length
    return word
  }

  private readAll(rxMax: number): number {
    const { desc } = this
    const head = desc[DESC_HEAD_CAPACITY]!
    desc[DESC_RX_BYTES] = desc[DESC_SPILL_USED] = desc[DESC_RX_ERRNO] = 0
    let count = 0
    for (; count < rxMax && this.toRead.length > 0; count++) {
      const packet = this.toRead.shift()!
      const place = desc[DESC_RX_BASE]! + count
      this.arena.bytes.set(packet.subarray(0, head), desc[place]!)
      if (packet.length > head) {
        const spill = desc[DESC_SPILL_BASE]! + desc[DESC_SPILL_USED]!++
        this.arena.bytes.set(packet.subarray(head), desc[spill]!)
      }
      desc[place] = packet.length
      desc[DESC_RX_BYTES]! += packet.length
    }
    if (count < rxMax) desc[DESC_RX_ERRNO] = this.readErrno
    return count
  }
}
