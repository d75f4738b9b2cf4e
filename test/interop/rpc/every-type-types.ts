// Made from every-type.x by putnext rpcgen. Edits are lost when it runs again.
import type { XdrOpaque } from '../../../src/rpc/xdr/index.ts'

/**
 * Every type that both languages have, in every place; programs on both sides of it, see every-type.test.ts.
 */
export const MAX_NAME = 255

export const Color = {
  RED: 2,
  GREEN: 3,
  BLUE: 5,
} as const
export type Color = (typeof Color)[keyof typeof Color]

export type Handle = Uint8Array

export type Name = string

export type Blob = Uint8Array

export type Row = readonly number[]

export interface Matrix {
  readonly rows: readonly Row[]
}

/** An entry of a linked list, which is an array here. */
export interface Entry {
  readonly item: Name
}

export interface Tree {
  readonly value: number
  readonly left: Tree | null
  readonly right: Tree | null
}

export type Result =
  | { readonly paint: typeof Color.RED; readonly why: string }
  | { readonly paint: typeof Color.GREEN | typeof Color.BLUE }

export type Lookup =
  | { readonly status: 0; readonly found: Handle }
  | { readonly status: 1; readonly moved: bigint }
  | { readonly status: number; readonly found?: never; readonly moved?: never }

export interface Everything {
  readonly a: number
  readonly b: number
  readonly c: bigint
  readonly size: number
  readonly f: number
  readonly d: number
  readonly flag: boolean
  readonly paint: Color
  readonly title: Name
  readonly where: Handle
  readonly cookie: Uint8Array
  readonly data: XdrOpaque
  readonly triple: readonly number[]
  readonly tags: readonly Name[]
  readonly root: Tree | null
  readonly entries: readonly Entry[]
  readonly outcome: Result
}

export type Maybe = { readonly known: true; readonly value: number } | { readonly known: false }

export type Measure =
  | { readonly size: 0 }
  | { readonly size: 4000000000; readonly unit: string }
  | { readonly size: number; readonly grid: Matrix; readonly unit?: never }

export interface More {
  readonly answer: Maybe
  readonly length: Measure
  readonly later: bigint | null
  readonly grids: readonly Matrix[]
  readonly words: readonly number[]
  readonly halves: readonly number[]
  readonly flags: readonly boolean[]
  readonly paints: readonly Color[]
  readonly places: readonly Handle[]
  readonly total: bigint
}
