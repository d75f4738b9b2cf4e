/** The commands about modules of one's own, as data; see {@link CommandSpec}. */
import type { CommandSpec } from './command.ts'

const moduleNew: CommandSpec = {
  name: 'module new',
  summary: 'write a protocol module that works, with its test',
  description: 'Plain JavaScript with types in its comments: no build step, no dependency but putnext.',
  arguments: [
    { name: 'NAME', summary: 'lower-case letters, digits and dashes' },
    { name: 'DIR', summary: 'where to; made if it is not there', optional: true },
  ],
  options: { force: { type: 'flag', summary: 'overwrite files that are there' } },
  examples: [{ command: 'module new hop', text: 'hop/hop.mjs, its test and a README' }],
  load: async () => (await import('./module-new.ts')).moduleNew,
}

const moduleCheck: CommandSpec = {
  name: 'module check',
  summary: 'run the compliance suite of modules on a file',
  description:
    'Every module that FILE exports must keep the rules of put and service procedures, flow control, control messages and memory. ' +
    'FILE may export "compliance", the options of the suite: {open, bad, transparent}. Exit code 3 if a rule is broken.',
  arguments: [{ name: 'FILE', summary: 'an ES module that exports a ModuleInfo' }],
  options: {
    options: {
      type: 'string',
      value: 'JSON',
      summary: 'to open the module with',
      fallback: 'what FILE exports',
    },
  },
  examples: [{ command: 'module check hop/hop.mjs', text: 'before you push it' }],
  load: async () => (await import('./module-check.ts')).moduleCheck,
}

export const MODULE_COMMANDS: readonly CommandSpec[] = [moduleNew, moduleCheck]
