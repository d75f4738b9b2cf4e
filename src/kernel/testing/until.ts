/** Waits for what the event loop brings. */

const LIMIT_MS = 5_000

/** @throws Error if it does not come true in time */
export async function until(what: string, holds: () => boolean, limitMs = LIMIT_MS): Promise<void> {
  for (const end = performance.now() + limitMs; !holds(); ) {
    if (performance.now() > end) throw new Error(`waited in vain: ${what}`)
    await new Promise(resolve => setTimeout(resolve, 1))
  }
}
