/** The node that a command line names. */
import { ControlClient } from '../node/control-client.ts'
import { resolveNode } from '../node/state-dir.ts'
import type { Invocation } from './command.ts'

/** @throws StackError `ERR_NOT_FOUND` if no node has that name */
export function nodeClient({ args, host }: Invocation): ControlClient {
  return new ControlClient(resolveNode(args.required('NODE'), host.env))
}
