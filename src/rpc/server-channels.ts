/** The channels of a server: which go when there are too many, and when memory is short. */
import type { Runtime } from '../streams/runtime.ts'
import type { ServerChannel } from './server-channel.ts'

/** Where memory is short, a connection that takes its answers so late may be ended, one each so often. */
const LATE_US = 1_000_000
const RELIEF_US = 20_000

export class ServerChannels implements Iterable<ServerChannel> {
  private readonly runtime: Runtime
  private readonly maxConnections: number
  private readonly counters: Record<'connections-displaced' | 'connections-late', number>
  private readonly all = new Set<ServerChannel>()
  /** Connections that no message came of yet, oldest first. */
  private readonly silent = new Set<ServerChannel>()
  private relieveAt = 0

  constructor(
    runtime: Runtime,
    maxConnections: number,
    counters: Record<'connections-displaced' | 'connections-late', number>,
  ) {
    this.runtime = runtime
    this.maxConnections = maxConnections
    this.counters = counters
  }

  get size(): number {
    return this.all.size
  }

  /** As they are now: they may go while it is looked at. */
  [Symbol.iterator](): Iterator<ServerChannel> {
    return [...this.all].values()
  }

  add(channel: ServerChannel): void {
    this.all.add(channel)
    if (channel.isStream) this.silent.add(channel)
  }

  /** Its first message came. */
  spoke(channel: ServerChannel): void {
    this.silent.delete(channel)
  }

  delete(channel: ServerChannel): void {
    this.all.delete(channel)
    this.silent.delete(channel)
  }

  /**
   * Whether there is room for one more connection. Those who connect and say nothing, or a byte now and then, do not keep out those who
   * call: the oldest of them goes.
   */
  makeRoom(): boolean {
    if (this.all.size < this.maxConnections) return true
    for (const channel of this.silent) {
      this.counters['connections-displaced']++
      channel.abort()
      return true
    }
    return false
  }

  /** Checklist 43: who does not take answers cannot pin the memory that others' need. The one of them that holds the most goes. */
  relieve(): void {
    const now = this.runtime.clock.now()
    if (now < this.relieveAt) return
    this.relieveAt = now + RELIEF_US
    let worst: ServerChannel | null = null
    for (const channel of this.all) {
      const { isStream, waitingBytes, lateSince } = channel
      if (!isStream || waitingBytes === 0 || now - lateSince < LATE_US) continue
      if (worst === null || waitingBytes > worst.waitingBytes) worst = channel
    }
    if (worst === null) return
    this.counters['connections-late']++
    worst.abort()
  }
}
