import { describe, expect, it } from 'vitest'
import { loadOptionalPackage } from './optional-package.ts'

describe('host/optional-package', () => {
  it('answers a package that is nowhere with a reason and a remedy instead of an exception', () => {
    const nowhere = new URL('file:///nonexistent-putnext/package.json')
    const answer = loadOptionalPackage('raw-socket', nowhere)
    expect(answer).toMatchObject({ kind: 'missing', reason: expect.stringContaining('raw-socket') })
    expect(answer.kind === 'missing' && answer.remedy).toContain('scripts/install-peers')
  })

  it.for(['cap', 'raw-socket'] as const)(
    'loads %s where scripts/install-peers has built it',
    (name, { skip }) => {
      const answer = loadOptionalPackage(name)
      if (answer.kind === 'missing') return skip(`${name}: ${answer.reason}; ${answer.remedy}`)
      expect(typeof answer.exports).toBe('object')
      expect(answer.from).toContain(name)
    },
  )
})
