/** Scales with their ticks. A log axis that must show nothing at all has a place for 0 of its own. */
import { scaleLinear, scaleLog } from 'd3-scale'
import { figure } from '../report-text.ts'
import { textWidth } from './svg.ts'

export interface Tick {
  readonly at: number
  readonly text: string
}

export interface Axis {
  /** From a value to a coordinate. */
  readonly place: (value: number) => number
  /** Those with an empty text are marks only. */
  readonly ticks: readonly Tick[]
  readonly log: boolean
}

/** Where an axis begins and ends, in coordinates; upwards the first is the larger one. */
export type Span = readonly [number, number]

/** From this ratio of the largest to the smallest on, a linear axis would hide the small ones. */
const LOG_RATIO = 30
/** Between the place of 0 and the smallest value of a log axis. */
const ZERO_GAP = 30
/** Between the texts of two ticks. */
const TEXT_GAP = 8
const KIBI = 1024

/** `64 B`, `4 KiB`, `1 MiB` */
export function bytesText(bytes: number): string {
  if (bytes < KIBI) return `${figure(bytes)}\u00a0B`
  if (bytes < KIBI * KIBI) return `${figure(bytes / KIBI)}\u00a0KiB`
  return `${figure(bytes / (KIBI * KIBI))}\u00a0MiB`
}

/** Beyond these, rounding up or down to a tick's number ends in infinity or in 0. */
const MAGNITUDE_MAX = 1e300
const MAGNITUDE_MIN = 1e-300

/** A measurement that failed has no number, or none that has a place. */
const placeable = (values: readonly number[]): number[] =>
  values.filter(value => Number.isFinite(value) && Math.abs(value) <= MAGNITUDE_MAX)

/** Linear from 0, unless that would hide the small ones. */
export function axisFor(
  given: readonly number[],
  span: Span,
  text: (value: number) => string = tickText,
): Axis {
  const values = placeable(given)
  const positive = values.filter(value => value > 0)
  const spread = positive.length === 0 ? 1 : Math.max(...positive) / Math.min(...positive)
  return spread > LOG_RATIO && values.every(value => value >= 0)
    ? logAxis(values, span, text)
    : linearAxis(values, span, text)
}

/** Contains 0, and ends where the values end: the frame shows the range. */
export function linearAxis(given: readonly number[], span: Span, text = tickText): Axis {
  const values = placeable(given)
  const top = Math.max(0, ...values)
  const bottom = Math.min(0, ...values)
  const scale = scaleLinear()
    .domain(top === bottom ? [0, 1] : [bottom, top])
    .range(span)
  const ticks = scale.ticks(5).map(value => ({ at: scale(value), text: text(value) }))
  return { place: value => scale(value), ticks: thinned(ticks, span), log: false }
}

/** Values of 0 (and below, as noise around 0 is) stand at the beginning, with a gap before the others. */
export function logAxis(given: readonly number[], span: Span, text = tickText): Axis {
  const values = placeable(given)
  const positive = values.filter(value => value >= MAGNITUDE_MIN)
  if (positive.length === 0) return linearAxis(values, span, text)
  const hasZero = positive.length < values.length
  const start = hasZero ? span[0] + Math.sign(span[1] - span[0]) * ZERO_GAP : span[0]
  const low = roundedDown(Math.min(...positive))
  // One value alone still needs an axis.
  const high = Math.max(roundedUp(Math.max(...positive)), low * 2)
  const scale = scaleLog().domain([low, high]).range([start, span[1]])
  const ticks = logSteps(low, high).map(value => ({ at: scale(value), text: text(value) }))
  const zero = hasZero ? [{ at: span[0], text: '0' }] : []
  const place = (value: number): number => (value > 0 ? scale(value) : span[0])
  return { place, ticks: thinned([...zero, ...ticks], span, isDecade), log: true }
}

/** Has its ticks where something was measured. */
export function countAxis(given: readonly number[], span: Span): Axis {
  const counts = placeable(given)
  const scale = scaleLinear()
    .domain([Math.min(...counts), Math.max(...counts)])
    .range(span)
  const ticks = counts.map(count => ({ at: scale(count), text: figure(count) }))
  return { place: count => scale(count), ticks: thinned(ticks, span), log: false }
}

/** Sizes of messages: powers of two. */
export function sizeAxis(given: readonly number[], span: Span): Axis {
  const sizes = placeable(given)
  const scale = scaleLog()
    .base(2)
    .domain([Math.min(...sizes), Math.max(...sizes)])
    .range(span)
  const ticks = sizes.map(size => ({ at: scale(size), text: bytesText(size) }))
  return { place: size => scale(size), ticks: thinned(ticks, span), log: true }
}

const decadeOf = (value: number): number => 10 ** Math.floor(Math.log10(value) + 1e-9)

function roundedDown(value: number): number {
  const decade = decadeOf(value)
  return decade * ([5, 2, 1].find(step => decade * step <= value * (1 + 1e-9)) ?? 1)
}

function roundedUp(value: number): number {
  const decade = decadeOf(value)
  return decade * ([1, 2, 5, 10].find(step => decade * step >= value * (1 - 1e-9)) ?? 10)
}

/** 1, 2, 5, 10, …; where there are many decades, the decades. */
function logSteps(low: number, high: number): number[] {
  const steps = high / low > 5_000 ? [1] : [1, 2, 5]
  const found: number[] = []
  for (let decade = decadeOf(low); decade <= high * (1 + 1e-9); decade *= 10)
    for (const step of steps) {
      const value = Number((decade * step).toPrecision(1))
      if (value >= low * (1 - 1e-9) && value <= high * (1 + 1e-9)) found.push(value)
    }
  return found
}

/** Empties the texts that would run into others; upwards, texts are a line high. Decades and 0 go first. */
function thinned(
  ticks: readonly Tick[],
  [from, to]: Span,
  isMajor = (_text: string): boolean => true,
): Tick[] {
  const upwards = to < from
  const extent = ({ at, text }: Tick): [number, number] => {
    const half = upwards ? FONT_HALF : textWidth(text, TICK_FONT_SIZE) / 2
    return [at - half - TEXT_GAP / 2, at + half + TEXT_GAP / 2]
  }
  const taken: [number, number][] = []
  const order = [...ticks.filter(({ text }) => isMajor(text)), ...ticks.filter(({ text }) => !isMajor(text))]
  const kept = order.filter(tick => {
    const [start, end] = extent(tick)
    if (taken.some(other => start < other[1] && end > other[0])) return false
    taken.push([start, end])
    return true
  })
  return ticks.map(tick => (kept.includes(tick) ? tick : { at: tick.at, text: '' }))
}

/** `0`, `0.1`, `100`, `10 k` */
const isDecade = (text: string): boolean => /^[0.,]*1?[0.,]*(\u00a0[kM])?$/.test(text)

/** `500`, `20 k`, `3 M`: the number beside the axis has its digits, this one is to find the place. */
function tickText(value: number): string {
  const size = Math.abs(value)
  if (size < 10_000) return figure(value)
  return size < 1e6 ? `${figure(value / 1e3)}\u00a0k` : `${figure(value / 1e6)}\u00a0M`
}

/** Of the texts beside ticks; the style sheet says the same. */
export const TICK_FONT_SIZE = 11
const FONT_HALF = 5
