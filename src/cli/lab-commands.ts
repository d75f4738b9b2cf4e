/** The `lab` commands, as data; see {@link CommandSpec}. */
import type { CommandSpec } from './command.ts'

export const LAB_COMMANDS: readonly CommandSpec[] = []
