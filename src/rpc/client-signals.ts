/** The signals that calls of a client are cancelled by: one listener for each, however many calls it is given to. */
import type { Call } from './client-call.ts'

/** The calls of one signal. */
class SignalWatch {
  readonly calls = new Set<Call>()
  private readonly cancelled: (call: Call) => void

  constructor(cancelled: (call: Call) => void) {
    this.cancelled = cancelled
  }

  /** As a listener. A call that ends takes itself out. */
  handleEvent(): void {
    for (const call of this.calls) this.cancelled(call)
  }
}

export class ClientSignals {
  private readonly watches = new Map<AbortSignal, SignalWatch>()
  private readonly cancelled: (call: Call) => void

  /** @param cancelled - called for each call of a signal that aborts */
  constructor(cancelled: (call: Call) => void) {
    this.cancelled = cancelled
  }

  /** Signals that are listened to. */
  get size(): number {
    return this.watches.size
  }

  add(call: Call, signal: AbortSignal): void {
    let watch = this.watches.get(signal)
    if (watch === undefined) {
      watch = new SignalWatch(this.cancelled)
      // Node warns of more than ten listeners of one signal, and many calls of one request have one.
      signal.addEventListener('abort', watch)
      this.watches.set(signal, watch)
    }
    watch.calls.add(call)
    call.signal = signal
  }

  /** A call is over. */
  delete(call: Call): void {
    const { signal } = call
    if (signal === null) return
    call.signal = null
    const watch = this.watches.get(signal)!
    watch.calls.delete(call)
    if (watch.calls.size > 0) return
    this.watches.delete(signal)
    signal.removeEventListener('abort', watch)
  }
}
