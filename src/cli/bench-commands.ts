/** The measurements, as data; see {@link CommandSpec}. */
import type { CommandSpec, OptionSpec } from './command.ts'

const CHECK: OptionSpec = { type: 'flag', summary: 'exit code 3 if a figure is short of what is required' }
const ROUNDS: OptionSpec = {
  type: 'integer',
  value: 'N',
  min: 1,
  max: 1_000,
  summary: 'of all candidates',
  fallback: '5',
}

const benchUdp: CommandSpec = {
  name: 'bench udp',
  summary: 'the way of a datagram, against the least that C can do',
  description:
    'UDP echo through a TUN device, in a window and in turns, against a C program on the same device and against the kernel, candidates in turn each round. ' +
    'Needs root; --inproc measures two stacks in one process instead.',
  options: {
    rounds: ROUNDS,
    seconds: { type: 'number', value: 'N', min: 0.1, max: 3_600, summary: 'of each load', fallback: '3' },
    bytes: { type: 'integer', value: 'N', min: 8, max: 1_400, summary: 'of each datagram', fallback: '64' },
    window: {
      type: 'integer',
      value: 'N',
      min: 1,
      max: 1_024,
      summary: 'datagrams in flight',
      fallback: '64',
    },
    pings: {
      type: 'integer',
      value: 'N',
      min: 0,
      summary: 'requests of ping -f, in both families',
      fallback: '10000',
    },
    ipv6: { type: 'flag', short: '6', summary: 'over IPv6' },
    inproc: { type: 'flag', summary: 'without devices and kernel' },
    check: CHECK,
  },
  examples: [
    { command: 'bench udp', text: 'about four minutes, as root' },
    { command: 'bench udp --inproc --rounds 3 --json', text: 'anywhere' },
  ],
  load: async () => (await import('./bench.ts')).benchUdp,
}

const benchTcp: CommandSpec = {
  name: 'bench tcp',
  summary: 'streams, round trips and connections, against the least that C can do',
  description:
    'TCP through a TUN device and between two, against a C program on the same devices, the kernel and node:net, candidates in turn each round. ' +
    'Scenarios: bulk, plain (without offload), pair (namespace to namespace), churn, lossnone, lossrare, losssome, lossmuch, reorder, fairness, flood (of SYNs); hold (100,000 connections) when it is named. Needs root.',
  arguments: [{ name: 'SCENARIO', summary: 'only these', optional: true, repeat: true }],
  options: {
    rounds: ROUNDS,
    seconds: { type: 'number', value: 'N', min: 0.1, max: 3_600, summary: 'of each load', fallback: '2' },
    check: CHECK,
  },
  examples: [
    { command: 'bench tcp', text: 'everything but hold, as root' },
    { command: 'bench tcp bulk pair --rounds 7', text: 'two scenarios' },
  ],
  load: async () => (await import('./bench.ts')).benchTcp,
}

const benchRpc: CommandSpec = {
  name: 'bench rpc',
  summary: 'what a remote procedure call costs, beside libtirpc, gRPC and a local call',
  description:
    "From namespace to namespace over TCP: ours on its own stack and on the kernel's sockets, libtirpc in C, @grpc/grpc-js (where it is installed), bare frames echoed over node:net and a local function, candidates in turn each round. " +
    'Scenarios: turns (null calls one at a time), flight (32 in flight), blobs (replies of 1 MiB). Needs root.',
  arguments: [{ name: 'SCENARIO', summary: 'only these', optional: true, repeat: true }],
  options: {
    rounds: ROUNDS,
    seconds: { type: 'number', value: 'N', min: 0.1, max: 3_600, summary: 'of each load', fallback: '1.5' },
    quick: { type: 'flag', summary: 'two rounds of shorter loads: within two minutes, and decides nothing' },
    check: CHECK,
  },
  examples: [
    { command: 'bench rpc', text: 'about eight minutes, as root' },
    { command: 'bench rpc flight --rounds 7', text: 'one scenario' },
  ],
  load: async () => (await import('./bench.ts')).benchRpc,
}

const benchModules: CommandSpec = {
  name: 'bench modules',
  summary: 'what a module in the way of a message costs, and the calls on messages',
  description:
    'In one process, without a device: streams with 0 to 16 modules that do nothing, and the slope of the price.',
  options: {
    rounds: { ...ROUNDS, fallback: '7' },
    seconds: {
      type: 'number',
      value: 'N',
      min: 0.01,
      max: 3_600,
      summary: 'of each point in a round',
      fallback: '0.2',
    },
    check: CHECK,
  },
  examples: [{ command: 'bench modules', text: 'anywhere, in less than a minute' }],
  load: async () => (await import('./bench.ts')).benchModules,
}

const benchCopies: CommandSpec = {
  name: 'bench copies',
  summary: 'what copies, layers and processes cost, and what offload saves',
  description:
    'The same transfer in arms that differ by one thing each: a copy at every boundary, one copy, chains without copies, checksum and segmentation offload, a control with one copy more; ' +
    'beside them kernel sockets, node:net and C on a raw TUN device. Against the size of messages, with round trips, heap and calls. ' +
    'As root over TUN devices; else, or with --inproc, between two stacks of one process.',
  options: {
    rounds: ROUNDS,
    quick: { type: 'flag', summary: 'within 90 seconds: fewer sizes, shorter loads' },
    inproc: { type: 'flag', summary: 'without devices' },
    output: { type: 'string', short: 'o', value: 'FILE', summary: 'also write the report, one HTML file' },
    check: CHECK,
  },
  examples: [
    { command: 'bench copies --quick -o copies.html', text: 'then open it in a browser' },
    { command: 'bench copies --json > copies.json', text: 'about ten minutes, as root' },
  ],
  load: async () => (await import('./bench.ts')).benchCopies,
}

export const BENCH_COMMANDS: readonly CommandSpec[] = [
  benchUdp,
  benchTcp,
  benchRpc,
  benchModules,
  benchCopies,
]
