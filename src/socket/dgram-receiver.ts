/** The receiving half of a datagram socket: messages out of the stream, copied once, as `message` events. */
import { formatV4Word, formatV6Words } from '../inet/address.ts'
import { ERROR_IND, KIND, REMOTE, REMOTE_PORT } from '../inet/unitdata.ts'
import { freemsg } from '../streams/mblk/alloc.ts'
import type { Mblk } from '../streams/mblk/mblk.ts'
import { messageBytes } from '../streams/mblk/message.ts'
import { readMessage } from '../streams/mblk/pullup.ts'
import { qenable } from '../streams/queue.ts'
import type { Stream } from '../streams/stream.ts'
import type { RemoteInfo } from './dgram-types.ts'
import { readUdpError } from './endpoint.ts'
import { systemError } from './errors.ts'

/** Messages handed to the program before other streams have their turn. */
const TURN_MESSAGES = 64

/** Who is told. */
export interface DatagramReceiver {
  onData(data: Buffer, remote: RemoteInfo): void
  onError(error: Error): void
}

export class DgramReceiver {
  private readonly stream: Stream
  private readonly family: 4 | 6
  private readonly to: DatagramReceiver
  /** The last peer's address as words and as text: most datagrams come from whom the one before came. */
  private lastWords: [number, number, number, number] = [0, 0, 0, 0]
  private lastText = ''

  constructor(stream: Stream, family: 4 | 6, to: DatagramReceiver) {
    this.stream = stream
    this.family = family
    this.to = to
  }

  start(): void {
    this.stream.onReadable = () => this.receive()
  }

  private receive(): void {
    const { stream } = this
    try {
      for (let left = TURN_MESSAGES; left > 0 && !stream.isClosed; left--) {
        const mp = stream.getmsg()
        if (mp === null) return
        if (mp.dblk.arena.words[(mp.rptr >> 2) + KIND] === ERROR_IND) this.receiveError(mp)
        else this.receiveData(mp)
      }
    } finally {
      if (!stream.isClosed && stream.top.first !== null) qenable(stream.top)
    }
  }

  private receiveData(mp: Mblk): void {
    const size = mp.cont === null ? 0 : messageBytes(mp.cont)
    const data = Buffer.allocUnsafe(size)
    if (size > 0) readMessage(mp.cont!, 0, data, 0, size, 'edge')
    const remote: RemoteInfo = {
      address: this.textOf(mp),
      family: this.family === 4 ? 'IPv4' : 'IPv6',
      port: mp.dblk.arena.words[(mp.rptr >> 2) + REMOTE_PORT]!,
      size,
    }
    freemsg(mp)
    this.to.onData(data, remote)
  }

  private textOf(mp: Mblk): string {
    const { words } = mp.dblk.arena
    const at = (mp.rptr >> 2) + REMOTE
    const last = this.lastWords
    const same =
      words[at + 3] === last[3] &&
      words[at + 2] === last[2] &&
      words[at + 1] === last[1] &&
      words[at] === last[0]
    if (same && this.lastText !== '') return this.lastText
    this.lastWords = [words[at]!, words[at + 1]!, words[at + 2]!, words[at + 3]!]
    this.lastText = this.family === 4 ? formatV4Word(this.lastWords[3]) : formatV6Words(...this.lastWords)
    return this.lastText
  }

  /** As on Linux, only what is final is an error; and what the stack said of a `send` long done concerns nobody. */
  private receiveError(mp: Mblk): void {
    const told = readUdpError(mp)
    freemsg(mp)
    if (!told.hard || told.refusedHere) return
    this.to.onError(systemError(told.error.errnoName, 'recvmsg', undefined, undefined, told.error))
  }
}
