/** What a program's callback throws is the program's: it surfaces as from any callback of Node's, and the stack goes on. */
export function rethrow(error: unknown): void {
  process.nextTick(() => {
    throw error
  })
}
