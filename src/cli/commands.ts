/** The table of all commands, in the order of help. Data only: nothing here imports what a command does. */
import { BENCH_COMMANDS } from './bench-commands.ts'
import { BENCH_REPORT_COMMANDS } from './bench-report-commands.ts'
import type { CommandSpec, GroupSpec } from './command.ts'
import { SHELLS, type Shell } from './completion.ts'
import { DOCTOR, DOCTOR_PROBE } from './doctor-commands.ts'
import { UsageError } from './exit-codes.ts'
import { LAB_COMMANDS } from './lab-commands.ts'
import { MODULE_COMMANDS } from './module-commands.ts'
import { NODE_COMMANDS } from './node-commands.ts'
import { RPC_COMMANDS } from './rpc-commands.ts'
import { RPCGEN_COMMANDS } from './rpcgen-commands.ts'
import { SIM_COMMANDS } from './sim-commands.ts'
import { TCP_COMMANDS } from './tcp-commands.ts'
import { TRAFFIC_COMMANDS } from './traffic-commands.ts'

export const GROUPS: readonly GroupSpec[] = [
  { name: 'lab', summary: 'Topologies of nodes in namespaces, or in one process.' },
  { name: 'node', summary: 'One node.' },
  { name: 'module', summary: 'Protocol modules of your own.' },
  { name: 'rpc', summary: 'Remote procedure calls.' },
  { name: 'tcp', summary: 'The reliable transport by hand.' },
  { name: 'sim', summary: 'Simulations that a seed repeats.' },
  { name: 'bench', summary: 'Measurements.' },
]

const completion: CommandSpec = {
  name: 'completion',
  summary: 'print a completion script for a shell',
  arguments: [{ name: 'SHELL', summary: SHELLS.join(', ') }],
  examples: [
    { command: 'completion bash > /etc/bash_completion.d/putnext', text: 'for everybody' },
    { command: 'completion fish > ~/.config/fish/completions/putnext.fish', text: 'for yourself' },
  ],
  load: async () => {
    const { completionScript } = await import('./completion.ts')
    return async ({ args, out }) => {
      const shell = args.required('SHELL')
      if (!SHELLS.includes(shell as Shell))
        throw new UsageError(`no completion for "${shell}"`, `known: ${SHELLS.join(', ')}`)
      const script = completionScript(shell as Shell, COMMANDS)
      out.report({ shell, script }, script.trimEnd())
    }
  },
}

export const COMMANDS: readonly CommandSpec[] = [
  ...LAB_COMMANDS,
  ...NODE_COMMANDS,
  ...TRAFFIC_COMMANDS,
  ...MODULE_COMMANDS,
  ...RPC_COMMANDS,
  ...RPCGEN_COMMANDS,
  ...TCP_COMMANDS,
  ...SIM_COMMANDS,
  ...BENCH_COMMANDS,
  ...BENCH_REPORT_COMMANDS,
  DOCTOR,
  completion,
]

/** Commands that only other commands use: not in help, completion or the manual. */
export const INTERNAL_COMMANDS: readonly CommandSpec[] = [DOCTOR_PROBE]
