/** What a connection sends: messages of a turn, and those that Node has and the kernel has not taken yet. */
import type { Socket } from 'node:net'
import { freemsg } from '../streams/mblk/alloc.ts'
import type { Mblk } from '../streams/mblk/mblk.ts'
import { type KernelSockets, viewOf } from './sockets.ts'

export class KernelConnectionOutbox {
  /** Bytes of all that is here. */
  bytes = 0
  private readonly sockets: KernelSockets
  private readonly socket: Socket
  private readonly onDrained: () => void
  /** In order, linked by `next`: first what Node has, from {@link firstNew} on what this turn brought. */
  private first: Mblk | null = null
  private last: Mblk | null = null
  private firstNew: Mblk | null = null
  private newBytes = 0
  /** The last message of each write that Node has in hand, and the write's bytes. */
  private readonly writes: { readonly last: Mblk; readonly bytes: number }[] = []

  constructor(sockets: KernelSockets, socket: Socket, onDrained: () => void) {
    this.sockets = sockets
    this.socket = socket
    this.onDrained = onDrained
  }

  /** @param mp - consumed */
  put(mp: Mblk, bytes: number): void {
    mp.next = null
    if (this.last === null) this.first = mp
    else this.last.next = mp
    this.last = mp
    this.firstNew ??= mp
    this.bytes += bytes
    this.newBytes += bytes
  }

  /** Gives Node what is new, all in one write. */
  flush(): void {
    const { socket, firstNew, last } = this
    if (firstNew === null) return
    this.firstNew = null
    this.writes.push({ last: last!, bytes: this.newBytes })
    this.newBytes = 0
    const single = firstNew === last && firstNew.cont === null
    if (!single) socket.cork()
    for (let mp: Mblk | null = firstNew; mp !== null; mp = mp.next) {
      for (let bp: Mblk | null = mp; bp !== null; bp = bp.cont) {
        const view = viewOf(bp, bp.rptr, bp.wptr)
        if (mp === last && bp.cont === null) socket.write(view, this.onWritten)
        else socket.write(view)
      }
    }
    if (!single) socket.uncork()
  }

  private readonly onWritten = (error?: Error | null): void => {
    const { loop } = this.sockets
    // What is left when the socket broke goes with it.
    if (error || this.writes.length === 0) return
    loop.enter(true)
    try {
      this.taken()
    } finally {
      loop.leave()
    }
  }

  private taken(): void {
    const { last, bytes } = this.writes.shift()!
    this.sockets.kernelCopied(bytes)
    this.bytes -= bytes
    for (let mp = this.first!; ; ) {
      const next = mp.next
      mp.next = null
      const done = mp === last
      freemsg(mp)
      if (done) {
        this.first = next
        break
      }
      mp = next!
    }
    if (this.first === null) this.last = null
    this.onDrained()
  }

  /** Frees everything: the socket is destroyed, and Node reads no more of it. */
  clear(): void {
    for (let mp = this.first; mp !== null; ) {
      const next = mp.next
      mp.next = null
      freemsg(mp)
      mp = next
    }
    this.first = this.last = this.firstNew = null
    this.bytes = this.newBytes = 0
    this.writes.length = 0
  }
}
