/** A report as one HTML file: no script is needed to read it, nothing is fetched, and what it was made from is inside. */
import type { Cell, Figure, Table } from './figure.ts'
import { PAGE_STYLE } from './page-style.ts'
import { escapeText } from './svg.ts'

export interface Section {
  readonly id: string
  readonly title: string
  /** Markup. */
  readonly body: string
}

export interface Page {
  readonly title: string
  readonly subtitle: string
  readonly sections: readonly Section[]
  /** What everything was made from. */
  readonly document: unknown
  /** For the file that the document is saved as. */
  readonly fileName: string
}

export const paragraphs = (texts: readonly string[], className?: string): string =>
  texts
    .map(text => `<p${className === undefined ? '' : ` class="${className}"`}>${escapeText(text)}</p>`)
    .join('\n')

export const list = (texts: readonly string[]): string =>
  texts.length === 0 ? '' : `<ul>\n${texts.map(text => `<li>${escapeText(text)}</li>`).join('\n')}\n</ul>`

export const commandsBlock = (commands: readonly string[]): string =>
  `<pre><code>${commands.map(escapeText).join('\n')}</code></pre>`

function cellMarkup(cell: Cell): string {
  if (typeof cell !== 'string')
    return `<td>${escapeText(cell.value)}${cell.range === '' ? '' : `<span class="range">${escapeText(cell.range)}</span>`}</td>`
  return `<td class="text">${escapeText(cell)}</td>`
}

export function tableMarkup({ caption, head, rows }: Table): string {
  const isText = (column: number): boolean =>
    rows.some(row => typeof row[column] === 'string' && row[column] !== '')
  const headCells = head.map((text, column) =>
    text === ''
      ? '<td></td>'
      : `<th scope="col"${column > 0 && isText(column) ? ' class="text"' : ''}>${escapeText(text)}</th>`,
  )
  const body = rows.map(([name, ...cells]) => {
    const first = typeof name === 'string' ? name : (name?.value ?? '')
    return `<tr><th scope="row">${escapeText(first)}</th>${cells.map(cellMarkup).join('')}</tr>`
  })
  return `<div class="scroll"><table><caption>${escapeText(caption)}</caption>
<thead><tr>${headCells.join('')}</tr></thead>
<tbody>
${body.join('\n')}
</tbody></table></div>`
}

export function figureSection({ id, title, says, plots, tables }: Figure, number: number): Section {
  const told = says.length > 3 ? list(says) : paragraphs(says)
  const body = [
    `<div class="says">${told}</div>`,
    ...plots.map(plot => `<figure>${plot}</figure>`),
    ...tables.map(tableMarkup),
  ]
  return { id: `figure-${id}`, title: `${number}. ${title}`, body: body.join('\n') }
}

/** Inside a script element nothing may look like its end. */
const scriptText = (text: string): string => text.replace(/</g, '\\u003c')

export function pageMarkup({ title, subtitle, sections, document, fileName }: Page): string {
  const json = JSON.stringify(document)
  const data = Buffer.from(json).toString('base64')
  const contents = sections.map(({ id, title: text }) => `<li><a href="#${id}">${escapeText(text)}</a></li>`)
  const bodies = sections.map(
    ({ id, title: text, body }) => `<section id="${id}">\n<h2>${escapeText(text)}</h2>\n${body}\n</section>`,
  )
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>${escapeText(title)}</title>
<style>${PAGE_STYLE}</style>
</head>
<body>
<header>
<h1>${escapeText(title)}</h1>
<p class="subtitle">${escapeText(subtitle)}</p>
</header>
<nav aria-label="Contents"><ol>
${contents.join('\n')}
</ol></nav>
<main>
${bodies.join('\n')}
</main>
<footer>
<p class="fine screen">Everything on this page was made from one document, which is inside the page:
<a download="${escapeText(fileName)}" href="data:application/json;base64,${data}">${escapeText(fileName)}</a>.</p>
</footer>
<script type="application/json" id="result">${scriptText(json)}</script>
</body>
</html>
`
}
