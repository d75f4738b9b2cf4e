/** A broken invariant of our own: never what a peer sent, never what a caller asked. */
export class AssertionError extends Error {
  override readonly name = 'AssertionError'
}

/**
 * Stops what cannot be. Stays on in production.
 * @throws {@link AssertionError} if `condition` is false
 */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new AssertionError(message)
}

/** The default branch of a switch over a closed union: does not compile while a case is missing. */
export function unreachable(value: never): never {
  throw new AssertionError(`unreachable value ${String(value)}`)
}
