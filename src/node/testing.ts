/** Waiting in tests for what another part of the process does when it has its turn. */

const LIMIT_MS = 10_000

/** Polls until `condition` holds; throws after ten seconds, however busy the machine. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  what = 'the condition',
): Promise<void> {
  for (const end = performance.now() + LIMIT_MS; !(await condition()); ) {
    if (performance.now() > end) throw new Error(`${what} did not come true in ${LIMIT_MS} ms`)
    await new Promise(resolve => setTimeout(resolve, 2))
  }
}
