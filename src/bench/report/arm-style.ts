/** How the arms of an experiment look: a shape, a colour and a dash each, so that they differ without colour too. */
import {
  type SymbolType,
  symbol,
  symbolCircle,
  symbolCross,
  symbolDiamond,
  symbolSquare,
  symbolStar,
  symbolTriangle,
  symbolWye,
} from 'd3-shape'
import { element, units } from './svg.ts'

/** A colour of the style sheet: `t0` to `t3`. */
export type Tone = 0 | 1 | 2 | 3

export interface ArmStyle {
  readonly tone: Tone
  readonly shape: SymbolType
  /** Drawn as an outline. */
  readonly hollow: boolean
  /** `stroke-dasharray` of its line; none for a whole one. */
  readonly dash?: string
}

const SYMBOL_AREA = 44

const SHAPES: readonly SymbolType[] = [
  symbolCircle,
  symbolSquare,
  symbolTriangle,
  symbolDiamond,
  symbolCross,
  symbolStar,
  symbolWye,
]
const DASHES: readonly (string | undefined)[] = [undefined, '6 3', '2 3', '8 3 2 3']

/** The style of something that has none of its own, by its place in the list. */
export function styleAt(index: number): ArmStyle {
  const dash = DASHES[index % DASHES.length]
  return {
    tone: (index % 4) as Tone,
    shape: SHAPES[index % SHAPES.length]!,
    hollow: index % 2 === 1,
    ...(dash === undefined ? {} : { dash }),
  }
}

/** A mark at a point. */
export function mark(x: number, y: number, { tone, shape, hollow }: ArmStyle, area = SYMBOL_AREA): string {
  const path = symbol().type(shape).size(area).digits(1)() ?? ''
  const transform = `translate(${units(x)},${units(y)})`
  return element('path', { d: path, transform, class: `mark t${tone}${hollow ? ' hollow' : ''}` })
}
