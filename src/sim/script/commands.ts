/** Every command of the script door, by name. */
import type { ScriptArguments } from './arguments.ts'
import type { Outcome } from './call.ts'
import { LOOK_COMMANDS } from './commands-look.ts'
import { OPTION_COMMANDS } from './commands-options.ts'
import { SOCKET_COMMANDS } from './commands-socket.ts'
import { TRANSFER_COMMANDS } from './commands-transfer.ts'
import { WIRE_COMMANDS } from './commands-wire.ts'
import type { Session } from './session.ts'

/**
 * Reads the members of a command, and gives what is to be done: members that nobody knows are refused in between, so that a
 * command that is wrong does nothing.
 * @throws Misuse
 */
export type Command = (args: ScriptArguments) => (session: Session) => Outcome

export const COMMANDS: Readonly<Record<string, Command>> = {
  ...LOOK_COMMANDS,
  ...WIRE_COMMANDS,
  ...SOCKET_COMMANDS,
  ...OPTION_COMMANDS,
  ...TRANSFER_COMMANDS,
}
