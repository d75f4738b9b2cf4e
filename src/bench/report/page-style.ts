/** The style sheet of a report: quiet, the same in print, and dark where the reader wants that. */
import { TICK_FONT_SIZE } from './axis.ts'
import { FONT_SIZE } from './svg.ts'

/** Each has at least 4.5 to 1 against the ground; in print shape, dash and pattern carry what colour does here. */
const LIGHT = `--ground: #fffefb; --ink: #1d1d1b; --faint: #5c5c58; --rule: #deddd6; --band: #eeece4;
  --t0: #0b5394; --t1: #a63c06; --t2: #00664f; --t3: #4d4d4d;`
const DARK = `--ground: #15171a; --ink: #e8e6e1; --faint: #a5a49e; --rule: #35383d; --band: #24272c;
  --t0: #7ab8f5; --t1: #f39a63; --t2: #52c7a3; --t3: #bdbdbd;`

const TONES = [0, 1, 2, 3]
  .map(
    tone => `
.plot .t${tone} { color: var(--t${tone}); }`,
  )
  .join('')

export const PAGE_STYLE = `
:root { color-scheme: light dark; ${LIGHT} }
@media (prefers-color-scheme: dark) { :root { ${DARK} } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 3rem 1.5rem 5rem; max-width: 56rem; background: var(--ground); color: var(--ink);
  font: 1.0625rem/1.55 Charter, "Bitstream Charter", "Iowan Old Style", Georgia, "Liberation Serif", serif; }
h1 { font-size: 1.9rem; line-height: 1.2; font-weight: 600; margin: 0 0 .4rem; }
h2 { font-size: 1.25rem; line-height: 1.3; font-weight: 600; margin: 3.5rem 0 .6rem; }
p, ul { margin: 0 0 .8rem; max-width: 44rem; }
ul { padding-left: 1.2rem; }
li { margin-bottom: .3rem; }
a { color: var(--t0); }
code, pre { font: .875em/1.5 ui-monospace, "SF Mono", Menlo, "Liberation Mono", monospace; }
pre { overflow-x: auto; padding: .7rem .9rem; background: var(--band); }
nav ol { columns: 2; column-gap: 2.5rem; padding-left: 0; list-style: none; font-size: .9375rem; max-width: none; }
nav li { break-inside: avoid; }
figure { margin: 1.4rem 0 1.6rem; overflow-x: auto; }
.subtitle, .fine { color: var(--faint); }
.fine { font-size: .875rem; }
.notice { border-left: 3px solid var(--t1); padding-left: .9rem; }
.scroll { overflow-x: auto; margin: 0 0 1.2rem; }
table { border-collapse: collapse; font: .8125rem/1.35 Helvetica, Arial, "Liberation Sans", sans-serif;
  font-variant-numeric: tabular-nums; min-width: 24rem; }

caption { text-align: left; color: var(--faint); padding-bottom: .35rem; }
th, td { padding: .3rem 0 .3rem .8rem; text-align: right; vertical-align: top; border-top: 1px solid var(--rule); }
thead th { font-weight: 600; border-top: 0; vertical-align: bottom; }
tbody tr:last-child > * { border-bottom: 1px solid var(--rule); }
tbody th { font-weight: 400; }
th:first-child, td.text, th.text { text-align: left; }
th:first-child, thead td:first-child { padding-left: 0; }
thead td { border-top: 0; }
tbody th { min-width: 7.5rem; }
td.text { min-width: 5.5rem; }
td .range { display: block; color: var(--faint); font-size: .9em; }
${plotStyle()}
@media print {
  :root { color-scheme: light; ${LIGHT} --ground: #fff; }
  @page { margin: 18mm 16mm; }
  body { padding: 0; max-width: none; font-size: 10.5pt; }
  h2 { break-after: avoid; margin-top: 2rem; }
  figure, tr, .says { break-inside: avoid; }
  figure, .scroll { overflow: visible; }
  table { font-size: 7.5pt; min-width: 0; }
  th, td { padding-left: .5rem; }
  nav, .screen { display: none; }
}
`

/** Classes of the drawings. A drawing by itself takes them along, with colours of its own. */
export function plotStyle(): string {
  return `
.plot { display: block; width: 100%; min-width: 34rem; height: auto; color: var(--ink);
  font: ${FONT_SIZE}px Helvetica, Arial, "Liberation Sans", sans-serif; font-variant-numeric: tabular-nums; }
.plot text { fill: currentColor; }
.plot .tick { font-size: ${TICK_FONT_SIZE}px; color: var(--faint); }
.plot .axis-title, .plot .note { color: var(--faint); }
.plot .panel-title { font-weight: 600; }
.plot .grid { stroke: var(--rule); }
.plot .axis, .plot .nothing { stroke: currentColor; }
.plot .nothing { stroke-width: 2; }
.plot .equal { stroke: currentColor; stroke-dasharray: 2 2; }
.plot .leader { stroke: var(--faint); stroke-width: .6; }
.plot .band { fill: var(--band); }
.plot .fit { stroke: var(--faint); }
.plot .line { fill: none; stroke: currentColor; stroke-width: 1.4; }
.plot .whisker { stroke: currentColor; stroke-width: 1.2; }
.plot .round { fill: var(--ground); stroke: currentColor; stroke-width: .9; }
.plot .mark { fill: currentColor; stroke: currentColor; stroke-width: 1.2; }
.plot .mark.hollow { fill: var(--ground); }
.plot .part { stroke: var(--t0); }
.plot .part.solid { fill: var(--t0); }
.plot .part.empty { fill: var(--ground); }
.plot .pattern-ground { fill: var(--ground); }
.plot .pattern-line { stroke: var(--t0); stroke-width: 2; }
.plot .pattern-fine { stroke: var(--t0); stroke-width: .8; }
.plot .pattern-dot { fill: var(--t0); }${TONES}
`
}
