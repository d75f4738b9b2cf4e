/** How near the stack is to the end of its memory: of TCP's own budget, and of the blocks that all of the stack shares. */
import type { Tcp } from './tcp.ts'

export const PRESSURE_NONE = 0
/** Above three quarters: windows grow no further than a few segments, what is out of order moves to small blocks. */
export const PRESSURE_SOME = 1
/** The budget is spent: no window opens, what nobody waits for is thrown away, and who holds nothing yet gets one segment's worth. */
export const PRESSURE_HARD = 2
/** An eighth more than the budget, or all but the last blocks: nothing is taken, whoever it is for. */
export const PRESSURE_FULL = 3

export function pressure(tcp: Tcp): number {
  const { memoryBytes } = tcp.settings
  const { memoryUsed } = tcp
  const { classes } = tcp.arena
  if (memoryUsed >= memoryBytes + (memoryBytes >> 3)) return PRESSURE_FULL
  let found =
    memoryUsed >= memoryBytes
      ? PRESSURE_HARD
      : 4 * memoryUsed > 3 * memoryBytes
        ? PRESSURE_SOME
        : PRESSURE_NONE
  for (let i = 0; i < classes.length; i++) {
    const sizeClass = classes[i]!
    const all = sizeClass.limit - sizeClass.base
    const used = sizeClass.inUse * sizeClass.blockBytes
    if (4 * used <= 3 * all) continue
    if (32 * used > 31 * all) return PRESSURE_FULL
    if (16 * used > 15 * all) found = PRESSURE_HARD
    else if (found === PRESSURE_NONE) found = PRESSURE_SOME
  }
  return found
}
