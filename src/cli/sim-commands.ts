/** The commands about simulations, as data; see {@link CommandSpec}. */
import type { CommandSpec } from './command.ts'

const simRun: CommandSpec = {
  name: 'sim run',
  summary: 'run simulations, each from a seed',
  description:
    'SCENARIO is tcp: two stacks over a link that loses, delays, doubles, reorders and corrupts, programs that send both ways and pause, all in virtual time. ' +
    'The same seed gives the same run. Exit code 3 if a run failed: bytes that differ, a stall, a connection that does not end, memory that does not come home.',
  arguments: [{ name: 'SCENARIO', summary: 'tcp' }],
  options: {
    seeds: { type: 'string', value: 'N[-M]', summary: 'one seed, or all from N to M', fallback: '1-20' },
    packets: { type: 'flag', summary: "show every packet at the client's end of the link" },
  },
  examples: [
    { command: 'sim run tcp --seeds 1-1000', text: 'a thousand runs' },
    { command: 'sim run tcp --seeds 89 --packets', text: 'one of them, packet by packet' },
  ],
  streams: true,
  load: async () => (await import('./sim-run.ts')).simRun,
}

export const SIM_COMMANDS: readonly CommandSpec[] = [simRun]
