import { describe, expect, it } from 'vitest'
import { Progress, timeText } from './progress.ts'

describe('bench/progress', () => {
  it('guesses until a step is done, then goes by what steps took', () => {
    let now = 0
    const said: string[] = []
    const progress = new Progress(
      4,
      20_000,
      text => said.push(text),
      () => now,
    )
    progress.say('one')
    now = 10_000
    progress.step()
    progress.say('two')
    now = 95_000
    progress.say('still two')
    expect(said).toEqual([
      '[0/4] one (about 20 s left)',
      '[1/4] two (about 30 s left)',
      '[1/4] still two (about 0 s left)',
    ])
  })

  it('minutes from sixty seconds on', () => {
    expect(timeText(59_400)).toBe('59 s')
    expect(timeText(125_000)).toBe('2 min 5 s')
  })
})
