/** The line that shows how far a download has come. */
import { sizeText } from '../node/files/listing.ts'

const EVERY_MS = 100
const BAR_CELLS = 24

export class DownloadProgress {
  private readonly total: number
  private began = 0
  private shownAt = 0

  /** @param total - bytes; NaN if nobody said */
  constructor(total: number) {
    this.total = total
  }

  /** @returns the line, or null if it is too early for another */
  take(bytes: number, now: number): string | null {
    if (this.began === 0) this.began = now
    if (now - this.shownAt < EVERY_MS && bytes !== this.total) return null
    this.shownAt = now
    const seconds = (now - this.began) / 1_000
    const speed = seconds === 0 ? '' : `  ${sizeText(bytes / seconds)}/s`
    if (!(this.total > 0)) return `${sizeText(bytes)}${speed}`
    const part = Math.min(1, bytes / this.total)
    const full = Math.round(part * BAR_CELLS)
    const left = bytes === 0 ? '' : `  ${clock((seconds / bytes) * (this.total - bytes))} left`
    const percent = `${Math.floor(part * 100)}%`.padStart(4)
    return `${'█'.repeat(full)}${'░'.repeat(BAR_CELLS - full)}${percent}  ${sizeText(bytes)} of ${sizeText(this.total)}${speed}${left}`
  }
}

function clock(seconds: number): string {
  const whole = Math.ceil(seconds)
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, '0')}`
}
