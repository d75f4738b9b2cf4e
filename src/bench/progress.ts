/** What a long measurement says of itself while it runs: where it is, and how long it will take. */

export type OnProgress = (text: string) => void

export class Progress {
  private readonly steps: number
  private readonly onProgress: OnProgress
  private readonly now: () => number
  private readonly startedAt: number
  private plannedMs: number
  private done = 0

  /**
   * @param steps - of about the same length
   * @param plannedMs - a guess for all of them; from the first step on their own time counts
   */
  constructor(
    steps: number,
    plannedMs: number,
    onProgress: OnProgress = () => {},
    now: () => number = () => performance.now(),
  ) {
    this.steps = steps
    this.plannedMs = plannedMs
    this.onProgress = onProgress
    this.now = now
    this.startedAt = now()
  }

  /** Says what comes next. */
  say(text: string): void {
    const spentMs = this.now() - this.startedAt
    const leftMs = Math.max(0, this.plannedMs - spentMs)
    this.onProgress(`[${this.done}/${this.steps}] ${text} (about ${timeText(leftMs)} left)`)
  }

  /** A step is done. */
  step(): void {
    this.done++
    this.plannedMs = ((this.now() - this.startedAt) / this.done) * this.steps
  }
}

/** `8 s`, `2 min 5 s` */
export function timeText(ms: number): string {
  const seconds = Math.round(ms / 1_000)
  const minutes = Math.floor(seconds / 60)
  return minutes === 0 ? `${seconds} s` : `${minutes} min ${seconds % 60} s`
}
