/** Numbers as reports write them: three digits, so that a column of them can be read down. */

const DIGITS = 3

/** `0`, `0.0821`, `2.70`, `113`, `3,190`; what is whole stays so, what is no number is `?`. */
export function digits(value: number): string {
  if (!Number.isFinite(value)) return '?'
  const size = Math.abs(value)
  if (size >= 1_000) return Number(value.toPrecision(DIGITS)).toLocaleString('en')
  // What arithmetic left behind the ninth digit is not there.
  const rounded = Number(value.toPrecision(9))
  if (Number.isInteger(rounded)) return String(rounded)
  return size < 1e-4 ? value.toExponential(DIGITS - 1) : value.toPrecision(DIGITS)
}

/** `12.3 to 14.0`, or `12.3` where both ends read alike. */
export function rangeText(min: number, max: number): string {
  const [low, high] = [digits(min), digits(max)]
  return readAlike(min, max) ? low : `${low} to ${high}`
}

/** Whether two values cannot be told apart by the digits that are written: `1` and `1.00`. */
export const readAlike = (one: number, other: number): boolean =>
  Number.isFinite(one) &&
  Number.isFinite(other) &&
  Number(one.toPrecision(DIGITS)) === Number(other.toPrecision(DIGITS))

/** The same for a narrow column: `12.3–14.0`; nothing where both ends read alike. */
export function narrowRange(min: number, max: number): string {
  if (readAlike(min, max)) return ''
  return min < 0 ? rangeText(min, max) : rangeText(min, max).replace(' to ', '–')
}
