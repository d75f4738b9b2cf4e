/** Numbers as reports write them: three digits, so that a column of them can be read down. */

const DIGITS = 3

/** `0`, `0.0821`, `2.70`, `113`, `3,190`; what is whole stays so. */
export function digits(value: number): string {
  if (!Number.isFinite(value)) return '-'
  const size = Math.abs(value)
  if (size >= 1_000) return Math.round(value).toLocaleString('en')
  // What arithmetic left behind the ninth digit is not there.
  const rounded = Number(value.toPrecision(9))
  if (Number.isInteger(rounded)) return String(rounded)
  return size < 1e-4 ? value.toExponential(DIGITS - 1) : value.toPrecision(DIGITS)
}

/** `12.3 to 14.0`, or `12.3` where both ends read alike. */
export function rangeText(min: number, max: number): string {
  const [low, high] = [digits(min), digits(max)]
  return low === high ? low : `${low} to ${high}`
}

/** The same for a narrow column: `12.3–14.0`. */
export const narrowRange = (min: number, max: number): string =>
  min < 0 ? rangeText(min, max) : rangeText(min, max).replace(' to ', '–')
