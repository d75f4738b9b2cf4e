// @ts-nocheck
// What the browser test asks of a page. Each function is sent as text and runs there, so that it may use nothing from
// outside itself. Not type-checked: the browser's own types would be there for every other file, too.

/**
 * @returns {{ id: string, marks: number, outside: string[], overlapping: string[] }[]} of each drawing: what stands out of
 * it or has no size, and texts that touch each other
 */
export function plots() {
  const SLACK = 1
  const name = one =>
    `${one.tagName}.${one.getAttribute('class') ?? ''} ${(one.textContent ?? '').slice(0, 40)}`
  return [...document.querySelectorAll('svg.plot')].map(svg => {
    const frame = svg.getBoundingClientRect()
    const drawn = [...svg.querySelectorAll('text, path, line, circle, rect')].filter(
      one => one.closest('defs') === null,
    )
    const outside = drawn.filter(one => {
      const box = one.getBoundingClientRect()
      const isEmpty = one.tagName === 'text' && box.width === 0
      return (
        isEmpty ||
        box.left < frame.left - SLACK ||
        box.right > frame.right + SLACK ||
        box.top < frame.top - SLACK ||
        box.bottom > frame.bottom + SLACK
      )
    })
    const texts = [...svg.querySelectorAll('text')].map(one => ({ one, box: one.getBoundingClientRect() }))
    const overlapping = texts.flatMap(({ one, box }, i) =>
      texts.slice(i + 1).flatMap(other => {
        const across = Math.min(box.right, other.box.right) - Math.max(box.left, other.box.left)
        // The box of a text has room above and below its letters.
        const along = Math.min(box.bottom, other.box.bottom) - Math.max(box.top, other.box.top)
        return across > SLACK && along > box.height * 0.2 ? [`${name(one)} | ${name(other.one)}`] : []
      }),
    )
    const marks = svg.querySelectorAll('.mark, .part, .nothing').length
    return {
      id: svg.getAttribute('aria-labelledby') ?? '',
      marks,
      outside: outside.map(name),
      overlapping,
    }
  })
}

/**
 * Against what is behind: 4.5 for texts, 3 for marks (WCAG 2.2, 1.4.3 and 1.4.11).
 * @returns {{ texts: number, marks: number, faint: string[] }}
 */
export function contrasts() {
  const parts = color => (color.match(/[\d.]+/g) ?? []).map(Number)
  const luminance = color => {
    const [r, g, b] = parts(color)
      .slice(0, 3)
      .map(part => part / 255)
      .map(part => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4))
    return 0.2126 * r + 0.7152 * g + 0.0722 * b
  }
  const groundOf = one => {
    for (let at = one; at !== null; at = at.parentElement) {
      const color = getComputedStyle(at).backgroundColor
      if (parts(color)[3] !== 0) return color
    }
    return 'rgb(255, 255, 255)'
  }
  const contrast = (one, color) => {
    const [a, b] = [luminance(color), luminance(groundOf(one))].sort((x, y) => y - x)
    return (a + 0.05) / (b + 0.05)
  }
  const shown = one => one.getClientRects().length > 0
  const texts = [...document.querySelectorAll('body *')].filter(
    one =>
      shown(one) &&
      !one.matches('script, style, title, desc') &&
      [...one.childNodes].some(node => node.nodeType === Node.TEXT_NODE && node.textContent?.trim() !== ''),
  )
  const marks = [
    ...document.querySelectorAll('.plot .mark, .plot .part, .plot .line, .plot .whisker, .plot .axis'),
  ]
  const faint = [
    ...texts
      .filter(
        one =>
          contrast(one, one.matches('svg *') ? getComputedStyle(one).fill : getComputedStyle(one).color) <
          4.5,
      )
      .map(one => `text ${one.textContent?.slice(0, 40)}`),
    ...marks
      .filter(one => contrast(one, getComputedStyle(one).stroke) < 3)
      .map(one => `mark ${one.getAttribute('class')}`),
  ]
  return { texts: texts.length, marks: marks.length, faint }
}

/** @returns {number} 0 for black, 1 for white */
export function groundBrightness() {
  const [r, g, b] = (getComputedStyle(document.body).backgroundColor.match(/[\d.]+/g) ?? []).map(Number)
  return (r + g + b) / 3 / 255
}

/** @returns {string[]} what would have to be scrolled sideways, or is cut off at the edge of a page */
export function tooWide() {
  const whole = document.documentElement
  const all = [whole, ...document.querySelectorAll('figure, .scroll')]
  return all
    .filter(one => one.scrollWidth > one.clientWidth + 1)
    .map(
      one =>
        `${one.tagName} ${(one.textContent ?? '').trim().slice(0, 60)}: ${one.scrollWidth} in ${one.clientWidth}`,
    )
}

/** @returns {number[]} */
export function figureHeights() {
  return [...document.querySelectorAll('figure')].map(one => one.getBoundingClientRect().height)
}

/** @param {string} font @returns {string} an expression: everything in one font */
export const withFont = font =>
  `void document.head.append(Object.assign(document.createElement('style'), { textContent: '* { font-family: "${font}" !important }' }))`
