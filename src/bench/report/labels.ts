/** Texts beside marks, moved apart where they would stand on each other. */
import { LINE_HEIGHT } from './svg.ts'

export interface Wanted {
  /** Where its middle would be best. */
  readonly y: number
  /** Of lines of text. */
  readonly lines: number
}

/**
 * Moves labels up or down as little as it takes, in their order from top to bottom.
 * @returns where the middle of each comes to stand, in the order given
 */
export function apart(wanted: readonly Wanted[], top: number, bottom: number): number[] {
  const order = wanted.map((label, index) => ({ ...label, index })).sort((a, b) => a.y - b.y)
  const half = ({ lines }: Wanted): number => (lines * LINE_HEIGHT) / 2
  const middles: number[] = []
  let free = top
  for (const label of order) {
    const middle = Math.max(label.y, free + half(label))
    middles.push(middle)
    free = middle + half(label)
  }
  // What was pushed out below comes back up, and pushes the ones above it.
  let limit = bottom
  for (let i = order.length - 1; i >= 0; i--) {
    const label = order[i]!
    middles[i] = Math.min(middles[i]!, limit - half(label))
    limit = middles[i]! - half(label)
  }
  const placed: number[] = new Array(wanted.length).fill(0)
  for (const [i, { index }] of order.entries()) placed[index] = middles[i]!
  return placed
}
