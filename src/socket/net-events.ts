/** What happens to a socket's connection, told to its Duplex: see `net-socket.ts`. */
import type { Socket } from 'node:net'
import type { StackError } from '../base/errors.ts'
import { systemError } from './errors.ts'
import type { HandleOwner } from './net-handle.ts'
import type { SocketState } from './net-state.ts'
import { nextBuffer } from './net-types.ts'
import type { TcpConnection } from './tcp-endpoint.ts'

/** A flowing stream is given all that waits; one that is read piece by piece, no more than node:net gives. */
const FLOWING_BYTES = 256 * 1024
const PIECE_BYTES = 64 * 1024

export class SocketEvents implements HandleOwner {
  private readonly socket: Socket
  private readonly state: SocketState

  constructor(socket: Socket, state: SocketState) {
    this.socket = socket
    this.state = state
  }

  connected(error: StackError | null): void {
    this.state.opening?.settled(error)
  }

  get chunkBytes(): number {
    return this.socket.readableFlowing ? FLOWING_BYTES : PIECE_BYTES
  }

  data(data: Buffer): boolean {
    this.state.timer.refresh()
    return this.socket.push(data)
  }

  take(connection: TcpConnection): boolean | null {
    const { onMessages, onread, timer } = this.state
    if (onMessages !== null) {
      timer.refresh()
      onMessages()
      return true
    }
    if (onread === null || onread.buffer === null) return null
    const { buffer } = onread
    const size = connection.fill(buffer, 0, buffer.length)
    if (size === 0) return true
    timer.refresh()
    const goesOn = onread.callback(size, buffer) !== false
    nextBuffer(onread)
    return goesOn
  }

  ended(): void {
    this.state.timer.refresh()
    this.socket.push(null)
    this.socket.read(0)
  }

  readFailed(code: string): void {
    this.state.timer.refresh()
    this.socket.destroy(systemError(code, 'read'))
  }

  room(): void {
    this.socket.emit('drain')
  }
}
