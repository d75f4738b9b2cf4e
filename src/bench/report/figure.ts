/** A figure of a report: what it shows, what it says, and the numbers that it was drawn from. */

/** A text, or a value with its range below. */
export type Cell = string | { readonly value: string; readonly range: string }

export interface Table {
  readonly caption: string
  readonly head: readonly string[]
  /** The first cell names the row. */
  readonly rows: readonly (readonly Cell[])[]
}

export interface Figure {
  /** Unique in the page; the beginning of all ids in its drawings. */
  readonly id: string
  readonly title: string
  /** Sentences. */
  readonly says: readonly string[]
  /** SVG. */
  readonly plots: readonly string[]
  readonly tables: readonly Table[]
}
