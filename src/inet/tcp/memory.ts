/** How near the stack is to the end of its memory: of TCP's own budget, and of the blocks that all of the stack shares. */
import type { Tcp } from './tcp.ts'

export const PRESSURE_NONE = 0
/** Above three quarters: windows grow no further than a few segments, what is out of order moves to small blocks. */
export const PRESSURE_SOME = 1
/** Nothing is left: no window opens, and what nobody waits for is thrown away. */
export const PRESSURE_HARD = 2

export function pressure(tcp: Tcp): number {
  const { memoryBytes } = tcp.settings
  const { classes } = tcp.arena
  if (tcp.memoryUsed >= memoryBytes) return PRESSURE_HARD
  let found = 4 * tcp.memoryUsed > 3 * memoryBytes ? PRESSURE_SOME : PRESSURE_NONE
  for (let i = 0; i < classes.length; i++) {
    const sizeClass = classes[i]!
    const all = sizeClass.limit - sizeClass.base
    const used = sizeClass.inUse * sizeClass.blockBytes
    if (16 * used > 15 * all) return PRESSURE_HARD
    if (4 * used > 3 * all) found = PRESSURE_SOME
  }
  return found
}
