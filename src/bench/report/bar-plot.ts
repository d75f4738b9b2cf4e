/** Figures of parts that add up, by arm: bars whose parts differ by pattern, named above the first that shows them. */
import { linearAxis } from './axis.ts'
import { digits } from './numbers.ts'
import { drawing, element, line, textAt, textWidth } from './svg.ts'

export interface BarRow {
  readonly label: string
  /** As many as there are parts. */
  readonly values: readonly number[]
}

export interface BarPlot {
  readonly id: string
  readonly title: string
  readonly description: string
  readonly axis: string
  /** At most five. */
  readonly parts: readonly string[]
  readonly rows: readonly BarRow[]
}

const WIDTH = 780
const ROW_HEIGHT = 26
const BAR_HEIGHT = 14
const FOOT = 44
const GAP = 14
const KEY_SIZE = 14
const KEY_ROW = 20
const KEY_GAP = 18
const PATTERN = { patternUnits: 'userSpaceOnUse' } as const
/** Below that a part cannot be seen. */
const VISIBLE = 0.5

export function barPlot(plot: BarPlot): string {
  const { id, rows, parts, axis: title } = plot
  const left = Math.max(...rows.map(({ label }) => textWidth(label))) + GAP
  const totals = rows.map(({ values }) => values.reduce((sum, value) => sum + value, 0))
  const right = WIDTH - Math.max(...totals.map(total => textWidth(digits(total)))) - GAP
  const axis = linearAxis(totals, [left, right])
  const key = keyMarks(id, parts)
  const bottom = key.height + rows.length * ROW_HEIGHT + 4
  const marks = [
    element('defs', {}, ...patterns(id)),
    ...key.marks,
    ...axis.ticks.flatMap(({ at, text }) => [
      line(at, key.height - 4, at, bottom, 'grid'),
      ...(text === '' ? [] : [textAt(at, bottom + 16, text, 'middle', 'tick')]),
    ]),
    ...rows.flatMap(({ label, values }, i) => {
      const y = key.height + (i + 0.5) * ROW_HEIGHT
      return [
        textAt(left - GAP, y + 4, label, 'end', 'label'),
        ...barMarks(id, values, y, axis.place),
        textAt(WIDTH, y + 4, digits(totals[i]!), 'end', 'value'),
      ]
    }),
    line(left, bottom, left, key.height - 4, 'axis'),
    textAt((left + right) / 2, bottom + 36, title, 'middle', 'axis-title'),
  ]
  return drawing({ ...plot, width: WIDTH, height: bottom + FOOT, marks })
}

/** Told apart on any printer. */
const FILLS = ['solid', 'hatched', 'dotted', 'lined', 'empty'] as const

const partRect = (id: string, part: number, x: number, y: number, width: number, height: number): string =>
  element('rect', {
    x,
    y,
    width,
    height,
    class: `part ${FILLS[part]!}`,
    fill: FILLS[part] === 'solid' || FILLS[part] === 'empty' ? undefined : `url(#${id}-${FILLS[part]!})`,
  })

function barMarks(
  id: string,
  values: readonly number[],
  y: number,
  place: (value: number) => number,
): string[] {
  let sum = 0
  const marks = values.flatMap((value, part) => {
    const from = place(sum)
    sum += value
    const width = place(sum) - from
    return width < VISIBLE ? [] : [partRect(id, part, from, y - BAR_HEIGHT / 2, width, BAR_HEIGHT)]
  })
  // An arm that copies nothing has a mark, too: it was measured.
  return marks.length > 0
    ? marks
    : [line(place(0), y - BAR_HEIGHT / 2, place(0), y + BAR_HEIGHT / 2, 'nothing')]
}

/** The names of the parts; as many rows of them as it takes. */
function keyMarks(id: string, parts: readonly string[]): { marks: string[]; height: number } {
  let x = 0
  let y = 0
  const marks = parts.flatMap((name, part) => {
    const width = KEY_SIZE + 6 + textWidth(name)
    if (x > 0 && x + width > WIDTH) {
      x = 0
      y += KEY_ROW
    }
    const at = x
    x += width + KEY_GAP
    return [
      partRect(id, part, at + 1, y + 1, KEY_SIZE, KEY_SIZE),
      textAt(at + KEY_SIZE + 6, y + 12, name, 'start', 'label'),
    ]
  })
  return { marks, height: y + KEY_ROW + 14 }
}

const patterns = (id: string): string[] => [
  element(
    'pattern',
    { ...PATTERN, id: `${id}-hatched`, width: 5, height: 5, patternTransform: 'rotate(45)' },
    element('rect', { width: 5, height: 5, class: 'pattern-ground' }),
    element('line', { x1: 0, y1: 0, x2: 0, y2: 5, class: 'pattern-line' }),
  ),
  element(
    'pattern',
    { ...PATTERN, id: `${id}-dotted`, width: 4, height: 4 },
    element('rect', { width: 4, height: 4, class: 'pattern-ground' }),
    element('circle', { cx: 2, cy: 2, r: 0.9, class: 'pattern-dot' }),
  ),
  element(
    'pattern',
    { ...PATTERN, id: `${id}-lined`, width: 4, height: 4 },
    element('rect', { width: 4, height: 4, class: 'pattern-ground' }),
    element('line', { x1: 2, y1: 0, x2: 2, y2: 4, class: 'pattern-fine' }),
  ),
]
