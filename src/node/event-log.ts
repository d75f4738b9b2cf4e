/** The last things that happened in a node, for `GET /events` and for whoever follows. */
import type { StackEvent } from '../streams/runtime.ts'

const EVENTS_MAX = 512

/** An event as it is told outside: numbered, and with the time of day. */
export interface NodeEvent {
  readonly number: number
  /** ISO 8601, UTC. */
  readonly time: string
  readonly level: StackEvent['level']
  readonly name: string
  readonly text: string
}

export class EventLog {
  private readonly ring: NodeEvent[] = []
  private readonly listeners = new Set<(event: NodeEvent) => void>()
  private next = 1

  add(level: StackEvent['level'], name: string, text: string): void {
    const event = { number: this.next++, time: new Date().toISOString(), level, name, text }
    this.ring.push(event)
    if (this.ring.length > EVENTS_MAX) this.ring.shift()
    for (const listener of this.listeners) listener(event)
  }

  /** @returns what ends the listening */
  listen(listener: (event: NodeEvent) => void): () => void {
    this.listeners.add(listener)
    return () => this.listeners.delete(listener)
  }

  /** The events that are still kept, oldest first. @param after - only those with a higher number */
  since(after = 0): NodeEvent[] {
    return this.ring.filter(event => event.number > after)
  }
}
