/** The exit codes of every command, in one table. 77 is what test harnesses read as "skipped", 78 is EX_CONFIG of sysexits(3). */
import { type ErrorCode, StackError } from '../base/errors.ts'

export const EXIT_DONE = 0
export const EXIT_FAILED = 1
export const EXIT_USAGE = 2
export const EXIT_CHECK_FAILED = 3
/** The number that curl gives it. */
export const EXIT_REFUSED_BY_SERVER = 22
/** The number that curl gives it. */
export const EXIT_BAD_CERTIFICATE = 60
export const EXIT_NOT_PERMITTED = 77
export const EXIT_BAD_CONFIG = 78
export const EXIT_INTERRUPTED = 130

/** Every code with its meaning, for help and the manual. */
export const EXIT_CODES: readonly (readonly [number, string])[] = [
  [EXIT_DONE, 'done'],
  [EXIT_FAILED, 'failed'],
  [EXIT_USAGE, 'the command line was wrong'],
  [EXIT_CHECK_FAILED, 'a check did not hold'],
  [EXIT_REFUSED_BY_SERVER, 'curl --fail: the server answered with an error'],
  [EXIT_BAD_CERTIFICATE, "curl: the server's certificate is not trusted, or not its own"],
  [EXIT_NOT_PERMITTED, 'not permitted: a privilege is missing'],
  [EXIT_BAD_CONFIG, 'bad configuration'],
  [EXIT_INTERRUPTED, 'interrupted'],
]

const BY_ERROR_CODE: Partial<Record<ErrorCode, number>> = {
  ERR_ACCESS: EXIT_NOT_PERMITTED,
  ERR_BAD_ADDRESS: EXIT_USAGE,
  ERR_BAD_ARGUMENT: EXIT_USAGE,
  ERR_BAD_CONFIG: EXIT_BAD_CONFIG,
  ERR_PERMISSION: EXIT_NOT_PERMITTED,
}

/** The command line was wrong: exit code 2, with a sentence that says how it should be. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
  readonly hint: string | undefined

  constructor(message: string, hint?: string) {
    super(message)
    this.hint = hint
  }
}

/** An error that has an exit code of its own, which {@link StackError.code} does not tell. */
export class ExitError extends StackError {
  readonly exitCode: number

  constructor(exitCode: number, ...rest: ConstructorParameters<typeof StackError>) {
    super(...rest)
    this.exitCode = exitCode
  }
}

/** The exit code for what a command threw. */
export function exitCodeOf(error: unknown): number {
  if (error instanceof UsageError) return EXIT_USAGE
  if (error instanceof ExitError) return error.exitCode
  if (error instanceof StackError) return BY_ERROR_CODE[error.code] ?? EXIT_FAILED
  return EXIT_FAILED
}
