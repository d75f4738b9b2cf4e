import { expect, it } from 'vitest'
import { compareConclusions } from '../../scripts/project/conclusions.mjs'

const run = (e: string, h: string) => [
  { name: 'e over c', verdict: e },
  { name: 'h over g', verdict: h },
]

it('a conclusion moves if two runs contradict each other; one that a run could not draw is only told', () => {
  const same = compareConclusions([run('faster', 'slower'), run('faster', 'slower'), run('faster', 'slower')])
  expect(same).toEqual({ moved: [], undecided: [], same: 2 })
  const weak = compareConclusions([run('faster', 'slower'), run('unclear', 'slower')])
  expect(weak).toEqual({ moved: [], undecided: ['e over c: faster, unclear'], same: 1 })
  const moved = compareConclusions([
    run('faster', 'slower'),
    run('slower', 'slower'),
    run('unclear', 'slower'),
  ])
  expect(moved).toMatchObject({ moved: ['e over c: faster, slower, unclear'], same: 1 })
})
