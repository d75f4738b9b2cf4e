/** The arms of `bench copies` in figures: what they look like, and which belong side by side. */
import {
  symbolCircle,
  symbolCross,
  symbolDiamond,
  symbolSquare,
  symbolStar,
  symbolTriangle,
  symbolWye,
} from 'd3-shape'
import { type ArmStyle, styleAt } from './arm-style.ts'

const FINE_DASH = '2 3'
const DASH = '6 3'

/** Blue avoids copies, red makes them, green has a process between, grey is not ours. */
const STYLES: Readonly<Record<string, ArmStyle>> = {
  write: { tone: 1, shape: symbolTriangle, hollow: false },
  sendOwned: { tone: 0, shape: symbolCircle, hollow: true, dash: DASH },
  a: { tone: 2, shape: symbolSquare, hollow: false },
  b: { tone: 2, shape: symbolSquare, hollow: true, dash: DASH },
  c: { tone: 1, shape: symbolTriangle, hollow: false },
  d: { tone: 1, shape: symbolTriangle, hollow: true, dash: DASH },
  e: { tone: 0, shape: symbolCircle, hollow: true, dash: FINE_DASH },
  f: { tone: 0, shape: symbolDiamond, hollow: true, dash: DASH },
  p: { tone: 0, shape: symbolCross, hollow: true },
  q: { tone: 1, shape: symbolStar, hollow: false, dash: DASH },
  g: { tone: 0, shape: symbolCircle, hollow: false },
  h: { tone: 1, shape: symbolDiamond, hollow: false, dash: FINE_DASH },
  kernel: { tone: 3, shape: symbolCross, hollow: false },
  nodenet: { tone: 3, shape: symbolStar, hollow: true, dash: DASH },
  rawtun: { tone: 3, shape: symbolWye, hollow: false, dash: FINE_DASH },
}

export const armStyle = (id: string): ArmStyle => STYLES[id] ?? styleAt(0)

const LETTER = /^[a-hpq]$/

/** `(e) chains`; those beside the experiment have no letter. */
export const armLabel = (id: string, title: string): string => (LETTER.test(id) ? `(${id}) ${title}` : title)

/** How the text names an arm whose title was told before. */
export const armName = (id: string, titles: ReadonlyMap<string, string>): string =>
  LETTER.test(id) ? `(${id})` : (titles.get(id) ?? id)

/** Small panels, each of a question. An arm may stand in several of them. */
export const PANELS: readonly { readonly title: string; readonly ids: readonly string[] }[] = [
  { title: 'A process between, or none', ids: ['a', 'b', 'g'] },
  { title: 'Copies, or chains', ids: ['c', 'd', 'e'] },
  { title: 'Work that the device takes over', ids: ['e', 'f', 'p', 'g'] },
  { title: 'Copies in small packets and in large ones', ids: ['p', 'q', 'g', 'h'] },
  { title: 'Beside the experiment', ids: ['g', 'kernel', 'nodenet', 'rawtun'] },
]

/** The first of each group of rows. */
export const GROUP_STARTS: readonly string[] = ['c', 'e', 'p', 'g', 'kernel']
