/** The `lab` commands, as data; see {@link CommandSpec}. */
import type { CommandSpec, OptionSpec } from './command.ts'

const NODE_ARGUMENT = { name: 'NODE', summary: 'a node of a lab, as n1, or pair/n1 if several labs have one' }
const LAB_ARGUMENT = { name: 'LAB', summary: 'a lab by its name, or its file' }

/** What a link may do to packets; each is checked by the module `impair`. */
const IMPAIR_OPTIONS: Readonly<Record<string, OptionSpec>> = {
  delay: { type: 'string', value: 'TIME', summary: 'impair: each packet comes so much later, as 20ms' },
  jitter: { type: 'string', value: 'TIME', summary: 'impair: the delay varies by so much, as 2ms' },
  loss: { type: 'string', value: 'PERCENT', summary: 'impair: packets that get lost, as 1%' },
  duplicate: { type: 'string', value: 'PERCENT', summary: 'impair: packets that come twice' },
  reorder: { type: 'string', value: 'PERCENT', summary: 'impair: packets that overtake others' },
  corrupt: { type: 'string', value: 'PERCENT', summary: 'impair: packets that arrive with a wrong bit' },
  rate: { type: 'string', value: 'RATE', summary: 'impair: bits a second, as 20mbit' },
  limit: { type: 'string', value: 'N', summary: 'impair: packets that wait for the rate, at most' },
}

const up: CommandSpec = {
  name: 'lab up',
  summary: 'bring a lab up: all of it or nothing',
  description:
    'Makes a namespace LAB-NODE for each node, joins them, sets routes, starts the nodes and waits until they are healthy. ' +
    'Doing it twice does nothing. Without root it uses a user namespace where the machine allows that.',
  arguments: [{ name: 'FILE', summary: 'the lab file' }],
  options: {
    mode: {
      type: 'string',
      value: 'MODE',
      choices: ['netns', 'inproc', 'sim'],
      summary: 'instead of what the file says',
      fallback: 'the file',
    },
    seed: { type: 'integer', value: 'N', min: 0, summary: 'of everything random', fallback: 'the file' },
    'dry-run': { type: 'flag', summary: 'only check the file and say what would be made' },
  },
  examples: [
    { command: 'lab up docs/examples/labs/pair.yaml', text: 'two nodes and a kernel host, in namespaces' },
    {
      command: 'lab up --mode inproc docs/examples/labs/pair.yaml',
      text: 'the same in one process, until Ctrl-C',
    },
  ],
  load: async () => (await import('./lab-up.ts')).labUp,
}

const down: CommandSpec = {
  name: 'lab down',
  summary: 'take a lab down and leave nothing',
  arguments: [LAB_ARGUMENT],
  examples: [{ command: 'lab down pair', text: 'by its name; its file does as well' }],
  load: async () => (await import('./lab-up.ts')).labDown,
}

const prune: CommandSpec = {
  name: 'lab prune',
  summary: 'remove what dead and half-made labs have left',
  description:
    'Touches nothing that does not bear the mark of a lab. A lab of which all nodes live is left alone.',
  options: { all: { type: 'flag', summary: 'healthy labs too' } },
  examples: [{ command: 'lab prune', text: 'after a kill -9' }],
  load: async () => (await import('./lab-up.ts')).labPrune,
}

const status: CommandSpec = {
  name: 'lab status',
  summary: 'how labs are doing, node by node',
  description: 'Exit code 3 if a node is not healthy.',
  arguments: [{ ...LAB_ARGUMENT, optional: true }],
  examples: [
    { command: 'lab status', text: 'all labs' },
    { command: 'lab status pair --json', text: 'one, for a program' },
  ],
  load: async () => (await import('./lab-look.ts')).labStatusCommand,
}

const exec: CommandSpec = {
  name: 'lab exec',
  summary: 'run a program in the namespace of a node',
  description:
    "The exit code is the program's own. With --json it is told in a document, and the output goes to stderr.",
  arguments: [NODE_ARGUMENT],
  passThrough: 'COMMAND...',
  examples: [
    { command: 'lab exec n1 -- ping -c 3 10.77.2.2', text: "from n1's kernel to n2's stack" },
    { command: 'lab exec pair/host -- tcpdump -ni eth0', text: 'packets on a wire' },
  ],
  load: async () => (await import('./lab-look.ts')).labExec,
}

const logs: CommandSpec = {
  name: 'lab logs',
  summary: 'what a node has said',
  arguments: [NODE_ARGUMENT],
  options: {
    follow: { type: 'flag', short: 'f', summary: 'go on as it says more' },
    lines: { type: 'integer', short: 'n', value: 'N', min: 0, summary: 'only the last N lines' },
  },
  examples: [{ command: 'lab logs n1 -f', text: 'as it comes' }],
  streams: true,
  load: async () => (await import('./lab-look.ts')).labLogs,
}

const fault: CommandSpec = {
  name: 'lab fault',
  summary: 'cut links, kill nodes, and undo it',
  description:
    'Actions on a link: down, up, impair (with options), clear. Between groups of nodes: partition, heal. ' +
    'On a node: kill (as kill -9), stop (in order), start, restart, pause, continue.',
  arguments: [
    { name: 'ACTION', summary: 'one of these' },
    {
      name: 'TARGET',
      summary: 'a link as n1--n2, a node as n1, groups as n1 n2,host; nothing for heal',
      optional: true,
      repeat: true,
    },
  ],
  options: {
    lab: { type: 'string', value: 'LAB', summary: 'which lab, if several are up' },
    ...IMPAIR_OPTIONS,
  },
  examples: [
    { command: 'lab fault down n1--n2', text: 'cut a link; up joins it' },
    {
      command: 'lab fault impair n1--n2 --delay 20ms --loss 1%',
      text: 'make it slow and bad; clear mends it',
    },
    { command: 'lab fault partition n1 n2,host', text: 'cut all that joins the groups; heal undoes it' },
    { command: 'lab fault restart n1', text: 'kill -9, and start again' },
  ],
  load: async () => (await import('./lab-fault.ts')).labFault,
}

export const LAB_COMMANDS: readonly CommandSpec[] = [up, down, status, exec, logs, fault, prune]
