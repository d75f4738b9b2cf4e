import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { COPIES_ARMS, COPIES_FIGURES, COPIES_VERSION, type CopiesResult } from './copies-result.ts'

it('the sample that the report is tried on has the shape of a result', () => {
  const file = new URL('../../test/bench/copies-sample.json', import.meta.url)
  const sample = JSON.parse(readFileSync(file, 'utf8')) as CopiesResult
  expect(sample).toMatchObject({ kind: 'copies', version: COPIES_VERSION, rounds: 5 })
  const ids = sample.arms.map(({ id }) => id)
  expect(COPIES_ARMS.filter(id => ids.includes(id))).toEqual(ids)
  for (const { figures } of sample.arms) {
    for (const [name, { samples }] of Object.entries(figures)) {
      expect(Object.keys(COPIES_FIGURES)).toContain(name)
      expect(samples).toHaveLength(5)
    }
  }
})
