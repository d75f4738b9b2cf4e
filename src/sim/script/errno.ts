/** How a call of the script door fails: by an errno name, as the system call would, or because it was asked wrongly. */
import { StackError } from '../../base/errors.ts'

/** What the system call of the same name would fail with. */
export class Errno extends Error {
  override readonly name = 'Errno'
  readonly errno: string

  constructor(errno: string, message: string) {
    super(message)
    this.errno = errno
  }
}

/** Why a line was no command that can be carried out. */
export type MisuseCode =
  | 'bad-json'
  | 'line-too-long'
  | 'unknown-command'
  | 'bad-argument'
  | 'bad-packet'
  | 'too-late'
  | 'too-many'
  | 'end-of-input'
  | 'internal'

/** The script is at fault, not the socket. */
export class Misuse extends Error {
  override readonly name = 'Misuse'
  readonly code: MisuseCode

  constructor(code: MisuseCode, message: string) {
    super(message)
    this.code = code
  }
}

/** Linux's name where ours is another. */
const LINUX_NAMES: Readonly<Record<string, string>> = { ENOTSUP: 'EOPNOTSUPP' }

/** What a program would see of an error of the stack's. */
export function errnoOf(error: StackError): Errno {
  const name = error.errnoName
  return new Errno(LINUX_NAMES[name] ?? name, error.message)
}

/** Runs a call of the stack's interface. @throws Errno in place of a StackError */
export function asErrno<T>(call: () => T): T {
  try {
    return call()
  } catch (error) {
    if (error instanceof StackError) throw errnoOf(error)
    throw error
  }
}
