/**
 * Credit for data, as its receiver gives it: a stream begins with a little and is given more while its data is taken, so that those that
 * nobody reads hold little of the memory that all streams of a port share.
 */
import { CREDIT_BYTES, FIRST_CREDIT_BYTES } from './protocol.ts'

/** Credit is given back in parts of this share of what a stream may have under way. */
const STEPS = 4

/** What all streams of a port may have under way beyond their first credit. */
export class CreditBudget {
  left: number

  constructor(bytes: number) {
    this.left = bytes
  }
}

/** Of one stream that is received. */
export class CreditGiver {
  private readonly budget: CreditBudget
  /** What may be under way. */
  private window = FIRST_CREDIT_BYTES
  private taken = 0

  constructor(budget: CreditBudget) {
    this.budget = budget
  }

  /**
   * @param cost - of data that was taken
   * @param mayGrow - whoever it is for keeps up
   * @returns credit to be given now; 0 if it is too little to be told
   */
  took(cost: number, mayGrow: boolean): number {
    this.taken += cost
    if (this.taken * STEPS < this.window) return 0
    const more = mayGrow ? Math.min(this.window, CREDIT_BYTES - this.window, this.budget.left) : 0
    const given = this.taken + more
    this.taken = 0
    this.window += more
    this.budget.left -= more
    return given
  }

  /** The stream is over: others may have what it had. Twice is harmless. */
  close(): void {
    this.budget.left += this.window - FIRST_CREDIT_BYTES
    this.window = FIRST_CREDIT_BYTES
  }
}
