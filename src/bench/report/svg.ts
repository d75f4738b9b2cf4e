/** SVG as text: elements, and how wide a text will be. Nothing here knows what is drawn. */

export type Attributes = Readonly<Record<string, string | number | undefined>>

/** Of the text in figures, in units of the drawing; the style sheet of the page says the same. */
export const FONT_SIZE = 12
/** A line of text with the room it needs. */
export const LINE_HEIGHT = 15

/**
 * What the widest common sans serif font (DejaVu Sans) needs on the average, so that what fits by this estimate fits
 * on the reader's machine too.
 */
const CHARACTER_WIDTH = 0.58

const ESCAPES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' }

/** Text for the inside of an element, or of a quoted attribute. */
export const escapeText = (text: string): string => text.replace(/[&<>"]/g, found => ESCAPES[found]!)

/** A coordinate: a tenth of a unit is finer than any eye. */
export const units = (value: number): string => String(Math.round(value * 10) / 10)

/** @param children - markup already */
export function element(name: string, attributes: Attributes, ...children: readonly string[]): string {
  const given = Object.entries(attributes)
    .filter((entry): entry is [string, string | number] => entry[1] !== undefined)
    .map(([key, value]) => ` ${key}="${typeof value === 'number' ? units(value) : escapeText(value)}"`)
    .join('')
  return children.length === 0 ? `<${name}${given}/>` : `<${name}${given}>${children.join('')}</${name}>`
}

/** One line of text at a point. @param anchor - which end of the text stands there */
export function textAt(
  x: number,
  y: number,
  text: string,
  anchor: 'start' | 'middle' | 'end' = 'start',
  className?: string,
): string {
  const attributes = { x, y, 'text-anchor': anchor === 'start' ? undefined : anchor, class: className }
  return element('text', attributes, escapeText(text))
}

export const line = (x1: number, y1: number, x2: number, y2: number, className: string): string =>
  element('line', { x1, y1, x2, y2, class: className })

/** @returns units of the drawing, rather too many than too few */
export const textWidth = (text: string, fontSize: number = FONT_SIZE): number =>
  text.length * fontSize * CHARACTER_WIDTH

/** Breaks a text at its spaces into lines of at most `characters`, where words allow. */
export function wrap(text: string, characters: number): string[] {
  const lines: string[] = []
  let current = ''
  for (const word of text.split(' ')) {
    if (current !== '' && current.length + 1 + word.length > characters) {
      lines.push(current)
      current = word
    } else current = current === '' ? word : `${current} ${word}`
  }
  lines.push(current)
  return lines
}

/** A whole drawing that tells readers of the screen what it is. */
export interface Drawing {
  /** Unique in the page. */
  readonly id: string
  readonly title: string
  /** What a person who cannot see it should know. */
  readonly description: string
  readonly width: number
  readonly height: number
  readonly marks: readonly string[]
}

export function drawing({ id, title, description, width, height, marks }: Drawing): string {
  const attributes = {
    xmlns: 'http://www.w3.org/2000/svg',
    viewBox: `0 0 ${units(width)} ${units(height)}`,
    role: 'img',
    'aria-labelledby': `${id}-title ${id}-desc`,
    class: 'plot',
  }
  return element(
    'svg',
    attributes,
    element('title', { id: `${id}-title` }, escapeText(title)),
    element('desc', { id: `${id}-desc` }, escapeText(description)),
    ...marks,
  )
}
