/** What is asked and set of a datagram socket: the part of node:dgram's calls that moves no data. */
import { EventEmitter } from 'node:events'
import type { Stream } from '../streams/stream.ts'
import { checkNumber, checkString } from './dgram-arguments.ts'
import type { DgramSender } from './dgram-sender.ts'
import type { SocketEvents } from './dgram-types.ts'
import {
  argumentTypeError,
  bufferSizeError,
  missingArgumentError,
  systemError,
  usageError,
} from './errors.ts'
import type { SocketHost } from './host.ts'

const BUFFER_BYTES_MIN = 2_048
const BUFFER_BYTES_MAX = 64 * 1024 * 1024
const BUFFER_BYTES = 256 * 1024

const clamp = (size: number): number => Math.min(BUFFER_BYTES_MAX, Math.max(BUFFER_BYTES_MIN, size))

/** A buffer size from the options of a socket, in bytes. @throws TypeError */
export function optionSize(name: string, size: unknown): number {
  if (!size) return BUFFER_BYTES
  if (typeof size !== 'number') throw argumentTypeError(`options.${name}`, 'of type number', size)
  return clamp(size)
}

export abstract class DgramSettings extends EventEmitter<SocketEvents> {
  protected abstract readonly host: SocketHost
  protected abstract readonly stream: Stream
  protected abstract readonly sender: DgramSender
  protected closed = false
  protected bound: 'no' | 'binding' | 'yes' = 'no'
  protected recvBufferSize = BUFFER_BYTES
  protected sendBufferSize = BUFFER_BYTES
  private wantsRef = true
  private holdsRef = false

  protected mustRun(): void {
    if (this.closed) throw usageError('ERR_SOCKET_DGRAM_NOT_RUNNING')
  }

  /** For the calls that Node passes on to a descriptor, which is there from `bind` on. */
  protected mustHaveDescriptor(call: string): void {
    this.mustRun()
    if (this.bound !== 'yes') throw systemError('EBADF', call)
  }

  setBroadcast(on: boolean): void {
    this.mustHaveDescriptor('setBroadcast')
    this.set({ broadcast: Boolean(on) })
  }

  /** @param ttl - 1 to 255 */
  setTTL(ttl: number): number {
    checkNumber('ttl', ttl)
    this.mustRun()
    if (!(ttl >= 1 && ttl <= 255)) throw systemError('EINVAL', 'setTTL')
    this.mustHaveDescriptor('setTTL')
    this.set({ ttl: Math.trunc(ttl) })
    return ttl
  }

  private set(settings: object): void {
    // Values were checked; nothing is left to refuse.
    this.stream.ioctl('udp.set', settings).catch(() => {})
  }

  setRecvBufferSize(size: number): void {
    this.recvBufferSize = this.bufferSize(size, 'uv_recv_buffer_size')
    this.set({ receiveBytes: this.recvBufferSize })
  }

  setSendBufferSize(size: number): void {
    this.sendBufferSize = this.bufferSize(size, 'uv_send_buffer_size')
    this.sender.limitBytes = this.sendBufferSize
  }

  getRecvBufferSize(): number {
    this.bufferSize(0, 'uv_recv_buffer_size')
    return this.recvBufferSize
  }

  getSendBufferSize(): number {
    this.bufferSize(0, 'uv_send_buffer_size')
    return this.sendBufferSize
  }

  private bufferSize(size: number, call: string): number {
    if (size >>> 0 !== size) throw usageError('ERR_SOCKET_BAD_BUFFER_SIZE')
    this.mustRun()
    if (this.bound !== 'yes') throw bufferSizeError('EBADF', call)
    return clamp(size)
  }

  /** Bytes of datagrams that wait for room. */
  getSendQueueSize(): number {
    return this.sender.waitingBytes
  }

  /** Datagrams that wait for room. */
  getSendQueueCount(): number {
    return this.sender.waitingCount
  }

  // ---- multicast, which this stack takes only as far as a host must

  setMulticastTTL(ttl: number): number {
    checkNumber('ttl', ttl)
    return this.noMulticast('setMulticastTTL')
  }

  setMulticastLoopback(_on: boolean): boolean {
    return this.noMulticast('setMulticastLoopback')
  }

  setMulticastInterface(address: string): void {
    this.mustRun()
    checkString('interfaceAddress', address)
    this.noMulticast('setMulticastInterface')
  }

  addMembership(group: string, _interface?: string): void {
    this.memberships('addMembership', group)
  }

  dropMembership(group: string, _interface?: string): void {
    this.memberships('dropMembership', group)
  }

  addSourceSpecificMembership(source: string, group: string, _interface?: string): void {
    this.sourceMemberships('addSourceSpecificMembership', source, group)
  }

  dropSourceSpecificMembership(source: string, group: string, _interface?: string): void {
    this.sourceMemberships('dropSourceSpecificMembership', source, group)
  }

  private memberships(call: string, group: string): never {
    this.mustRun()
    if (!group) throw missingArgumentError('multicastAddress')
    return this.noMulticast(call)
  }

  private sourceMemberships(call: string, source: string, group: string): never {
    this.mustRun()
    checkString('sourceAddress', source)
    checkString('groupAddress', group)
    return this.noMulticast(call)
  }

  private noMulticast(call: string): never {
    this.mustRun()
    throw systemError('ENOTSUP', call)
  }

  // ---- keeping the program running

  ref(): this {
    this.wantsRef = true
    if (this.bound === 'yes' && !this.closed) this.hold()
    return this
  }

  unref(): this {
    this.wantsRef = false
    this.letGo()
    return this
  }

  protected hold(): void {
    if (!this.wantsRef || this.holdsRef) return
    this.holdsRef = true
    this.host.keepalive?.ref()
  }

  protected letGo(): void {
    if (!this.holdsRef) return
    this.holdsRef = false
    this.host.keepalive?.unref()
  }
}
