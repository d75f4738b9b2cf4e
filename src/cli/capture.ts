/** `putnext capture`: packets at a joint of a live node's plumbing, or on an interface of the kernel. */
import { StackError } from '../base/errors.ts'
import type { CommandRun } from './command.ts'

export const capture: CommandRun = async () => {
  throw new StackError('ERR_NOT_SUPPORTED', 'this build has no capture')
}
