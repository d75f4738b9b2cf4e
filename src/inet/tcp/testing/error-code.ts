/** What a caller's error is, for tests. */
import { type ErrorCode, StackError } from '../../../base/errors.ts'

/** The code that a call throws; 'none' if it does not throw. */
export function codeOf(call: () => unknown): ErrorCode | 'none' {
  try {
    call()
  } catch (error) {
    if (error instanceof StackError) return error.code
    throw error
  }
  return 'none'
}
