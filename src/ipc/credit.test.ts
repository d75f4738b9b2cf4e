import { describe, expect, it } from 'vitest'
import { CreditBudget, CreditGiver } from './credit.ts'
import { CREDIT_BYTES, FIRST_CREDIT_BYTES } from './protocol.ts'

const KIB = 1024

describe('ipc/credit', () => {
  it('a stream that nobody reads has its first credit, and is given back what was taken', () => {
    const giver = new CreditGiver(new CreditBudget(10 * CREDIT_BYTES))
    expect(giver.took(10 * KIB, false)).toBe(0)
    expect(giver.took(10 * KIB, false)).toBe(20 * KIB)
    expect(giver.took(1, false)).toBe(0)
  })

  it('one that is read may have twice as much under way with each step, up to the most', () => {
    const giver = new CreditGiver(new CreditBudget(10 * CREDIT_BYTES))
    let window = FIRST_CREDIT_BYTES
    for (const grown of [128, 256, 512, 1024, 1024]) {
      const cost = window / 4
      window += giver.took(cost, true) - cost
      expect(window).toBe(grown * KIB)
    }
    expect(window).toBe(CREDIT_BYTES)
  })

  it('all of a port grow from one budget, and what is over gives its part back, once', () => {
    const budget = new CreditBudget(100 * KIB)
    const [one, other] = [new CreditGiver(budget), new CreditGiver(budget)]
    expect(one.took(64 * KIB, true)).toBe(128 * KIB)
    expect(other.took(64 * KIB, true)).toBe(100 * KIB)
    expect(budget.left).toBe(0)
    expect(other.took(64 * KIB, true)).toBe(64 * KIB)
    one.close()
    one.close()
    expect(budget.left).toBe(64 * KIB)
    expect(other.took(64 * KIB, true)).toBe(128 * KIB)
    other.close()
    expect(budget.left).toBe(100 * KIB)
  })
})
