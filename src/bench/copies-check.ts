/** Copies by place for each datagram, from the counters of the node: what "zero copy" means here. */
import { StackError } from '../base/errors.ts'
import type { CopyPlace } from '../streams/mblk/copy.ts'

export const COPY_PLACES: readonly CopyPlace[] = ['stack', 'edge', 'kernel']

export interface CopyTotal {
  readonly calls: number
  readonly bytes: number
}

/** Since the stack began. */
export type CopyTotals = Readonly<Record<CopyPlace, CopyTotal>>

const SAMPLE = /^(putnext_copies_total|putnext_copied_bytes_total)\{place="(\w+)"\} (\S+)$/gm

/**
 * @param metrics - what `GET /metrics` of a node answers
 * @throws StackError `ERR_PROTOCOL` if a place is missing
 */
export function copyTotals(metrics: string): CopyTotals {
  const found = new Map<string, number>()
  for (const [, name, place, value] of metrics.matchAll(SAMPLE)) found.set(`${name} ${place}`, Number(value))
  const read = (name: string, place: CopyPlace): number => {
    const value = found.get(`${name} ${place}`)
    if (value === undefined)
      throw new StackError('ERR_PROTOCOL', `the node tells nothing of ${name} at ${place}`)
    return value
  }
  const of = (place: CopyPlace): CopyTotal => ({
    calls: read('putnext_copies_total', place),
    bytes: read('putnext_copied_bytes_total', place),
  })
  return { stack: of('stack'), edge: of('edge'), kernel: of('kernel') }
}

/** What was copied while so many datagrams were echoed. */
export interface CopiesPerDatagram {
  readonly datagrams: number
  readonly perDatagram: CopyTotals
  /** In the stack and at its edge, altogether: must be 0. */
  readonly userSpaceCalls: number
}

export function copiesPerDatagram(
  before: CopyTotals,
  after: CopyTotals,
  datagrams: number,
): CopiesPerDatagram {
  const per = (place: CopyPlace): CopyTotal => ({
    calls: (after[place].calls - before[place].calls) / Math.max(1, datagrams),
    bytes: (after[place].bytes - before[place].bytes) / Math.max(1, datagrams),
  })
  const calls = (place: CopyPlace): number => after[place].calls - before[place].calls
  return {
    datagrams,
    perDatagram: { stack: per('stack'), edge: per('edge'), kernel: per('kernel') },
    userSpaceCalls: calls('stack') + calls('edge'),
  }
}
