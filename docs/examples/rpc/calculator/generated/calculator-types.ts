// Made from calculator.x by putnext rpcgen. Edits are lost when it runs again.
export const NOTE_BYTES = 80

export const Operation = {
  ADD: 1,
  SUBTRACT: 2,
  MULTIPLY: 3,
  DIVIDE: 4,
} as const
export type Operation = (typeof Operation)[keyof typeof Operation]

/** What to compute. */
export interface Task {
  readonly what: Operation
  readonly left: number
  readonly right: number
}

/** Not every task has a result. */
export type Answer =
  | { readonly isDefined: true; readonly value: number }
  | { readonly isDefined: false; readonly reason: string }
