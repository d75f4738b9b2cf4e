/** The idle timer of a socket, as `socket.setTimeout` has it: it tells, and ends nothing; it does not keep the program running. */
import { argumentTypeError } from './errors.ts'
import { rangeError } from './net-errors.ts'

/** What Node's timers take. */
const TIMEOUT_MS_MAX = 2 ** 31 - 1

/** @throws TypeError, RangeError */
function checkDuration(value: unknown, name: string): number {
  if (typeof value !== 'number') throw argumentTypeError(name, 'of type number', value)
  if (!(value >= 0) || !Number.isFinite(value)) throw rangeError(name, 'a non-negative finite number', value)
  if (value <= TIMEOUT_MS_MAX) return value
  process.emitWarning(
    `${value} does not fit into a 32-bit signed integer.\nTimer duration was truncated to ${TIMEOUT_MS_MAX}.`,
    'TimeoutOverflowWarning',
  )
  return TIMEOUT_MS_MAX
}

export class IdleTimer {
  private timer: NodeJS.Timeout | null = null

  /**
   * @param ms - 0 to stop
   * @returns whether it runs
   * @throws TypeError, RangeError as Node's
   */
  set(ms: unknown, callback: () => void): boolean {
    const duration = checkDuration(ms, 'msecs')
    this.stop()
    if (duration === 0) return false
    this.timer = setTimeout(callback, duration).unref()
    return true
  }

  /** Something moved: it begins again. */
  refresh(): void {
    this.timer?.refresh()
  }

  stop(): void {
    if (this.timer === null) return
    clearTimeout(this.timer)
    this.timer = null
  }
}
