import { availableParallelism } from 'node:os'
import { describe, expect, it } from 'vitest'
import { onProcessor, parseProcessors, placementOf } from './placement.ts'

describe('bench/placement', () => {
  it.each([
    ['0-1', [0, 1]],
    ['3', [3]],
    ['0,2-4,7', [0, 2, 3, 4, 7]],
    ['', []],
  ])('reads the processors %j', (list, expected) => {
    expect(parseProcessors(`Name:\tx\nCpus_allowed_list:\t${list}\nMems_allowed:\t1\n`)).toEqual(expected)
  })

  it('gives each end a processor of its own, and leaves a command alone that has none', () => {
    expect(onProcessor(undefined, 'a', ['b'])).toEqual(['a', ['b']])
    const chosen = placementOf()
    if (chosen === null) return expect(onProcessor('far', 'a', ['b'])).toEqual(['a', ['b']])
    expect(chosen.near).not.toBe(chosen.far)
    expect(availableParallelism()).toBeGreaterThan(1)
    expect(onProcessor('far', 'a', ['b'])).toEqual(['taskset', ['-c', String(chosen.far), 'a', 'b']])
  })
})
