/** The commands about one node, as data; see {@link CommandSpec}. */
import type { ArgumentSpec, CommandSpec } from './command.ts'

const NODE: ArgumentSpec = {
  name: 'NODE',
  summary: "a node's name, LAB/NODE, or the path of its control socket",
}

const nodeRun: CommandSpec = {
  name: 'node run',
  summary: 'run one node in the namespace it is started in',
  description:
    'Reads and checks FILE as a whole before it opens anything; what cannot be had ends it with nothing left open. Says "ready" on stderr when its links ' +
    'and services are up, and runs until SIGTERM, SIGINT or "putnext node stop". Events go to stderr, with --json as lines of JSON.',
  arguments: [{ name: 'FILE', summary: 'the configuration, see docs/reference/node-config.md' }],
  options: {
    control: {
      type: 'string',
      value: 'PATH',
      summary: 'where to listen for commands, instead of what FILE says',
    },
    ipc: {
      type: 'string',
      value: 'PATH',
      summary: 'listen there for programs that want the sockets of this node, instead of what FILE says',
    },
    'ipc-mapped': {
      type: 'flag',
      summary: "let those programs map the node's memory: each is trusted like the node itself",
    },
    'ready-fd': {
      type: 'integer',
      value: 'N',
      min: 1,
      max: 1_023,
      summary: 'write a line of JSON to this descriptor when ready, and close it',
    },
    'dry-run': { type: 'flag', summary: 'only check FILE' },
  },
  examples: [
    { command: 'node run docs/examples/nodes/n1.yaml', text: 'as root, or where the device may be opened' },
    { command: 'node run n1.yaml --dry-run', text: 'is the file right?' },
    { command: 'node run n1.yaml --json 2>events.jsonl', text: 'events for a program' },
  ],
  load: async () => (await import('./node-run.ts')).nodeRun,
}

const nodeStop: CommandSpec = {
  name: 'node stop',
  summary: 'end a running node in order',
  arguments: [NODE],
  examples: [{ command: 'node stop n1', text: 'as SIGTERM does' }],
  load: async () => (await import('./node-status.ts')).nodeStop,
}

const nodeStatus: CommandSpec = {
  name: 'node status',
  summary: 'show a running node, or all of them',
  arguments: [{ ...NODE, optional: true }],
  options: { events: { type: 'flag', summary: 'what happened in it, too' } },
  examples: [
    { command: 'node status', text: 'which nodes run here' },
    { command: 'node status inetd/n1 --events', text: 'one of them, with its last events' },
  ],
  load: async () => (await import('./node-status.ts')).nodeStatus,
}

const plumb: CommandSpec = {
  name: 'plumb',
  summary: 'show and change the modules of a live node',
  description:
    'Actions: show [LINK]; push LINK MODULE [KEY=VALUE...]; insert LINK MODULE [KEY=VALUE...] --below LABEL; ' +
    'set LINK [LABEL] KEY=VALUE...; set tcp (alone: shows all settings of TCP, see docs/reference/tcp-settings.md); remove LINK LABEL; pop LINK; ioctl LINK COMMAND [JSON]; modules. ' +
    'MODULE is a name, or the path of a module file, which is loaded first. LABEL is a name as "show" has it.',
  arguments: [
    NODE,
    { name: 'ACTION', summary: 'show, push, insert, set, remove, pop, ioctl, modules', optional: true },
    { name: 'WORDS', summary: 'of the action', optional: true, repeat: true },
  ],
  options: {
    below: { type: 'string', value: 'LABEL', summary: 'insert: right below this instance' },
    all: {
      type: 'flag',
      short: 'a',
      summary: 'show: streams that are no links, too (zero counters: --verbose)',
    },
  },
  examples: [
    { command: 'plumb inetd/n1', text: 'its links, from IP down to the device' },
    { command: 'plumb n1 push tun0 impair delay=10ms loss=1%', text: 'make a link bad' },
    { command: 'plumb n1 set tun0 impair loss=0%', text: 'and better' },
    { command: 'plumb n1 set tcp', text: "TCP's settings: value, range, meaning" },
    { command: 'plumb n1 push tun0 ./hop/hop.mjs', text: 'a module of your own' },
    { command: 'plumb n1 pop tun0', text: 'take the topmost module off' },
  ],
  load: async () => (await import('./plumb.ts')).plumb,
}

const ping: CommandSpec = {
  name: 'ping',
  summary: "send echo requests through a node's own stack",
  arguments: [NODE, { name: 'ADDRESS', summary: 'IPv4 or IPv6' }],
  options: {
    count: {
      type: 'integer',
      short: 'c',
      value: 'N',
      min: 1,
      max: 1_000_000,
      summary: 'requests',
      fallback: '4',
    },
    interval: {
      type: 'duration',
      short: 'i',
      value: 'TIME',
      min: 0,
      summary: 'between two requests',
      fallback: '1s',
    },
    size: {
      type: 'integer',
      short: 's',
      value: 'BYTES',
      min: 0,
      max: 65_507,
      summary: 'of data',
      fallback: '56',
    },
    timeout: {
      type: 'duration',
      short: 'W',
      value: 'TIME',
      min: 1,
      summary: 'to wait for an answer',
      fallback: '1s',
    },
    ttl: { type: 'integer', short: 't', value: 'N', min: 1, max: 255, summary: 'TTL or hop limit' },
  },
  examples: [
    { command: 'ping n1 10.77.1.1', text: "the kernel's side of its link" },
    { command: 'ping pair/n1 fd77:2::2 -c 100 -i 10ms', text: 'a hundred, quickly' },
  ],
  load: async () => (await import('./ping.ts')).ping,
}

const capture: CommandSpec = {
  name: 'capture',
  summary: 'record packets at any joint of the plumbing, as pcapng',
  description:
    'NODE is a live node; with --kernel it is a network interface of the kernel, and the optional package "cap" does it. ' +
    'A node records right below the instance that --at names: tun0/head is above all modules, tun0/impair below the impairment.',
  arguments: [{ name: 'NODE', summary: 'a node, or with --kernel an interface' }],
  options: {
    write: {
      type: 'string',
      short: 'w',
      value: 'FILE',
      summary: 'where to write; - is stdout',
      fallback: '-',
    },
    at: { type: 'string', value: 'LINK[/LABEL]', summary: 'which joint', fallback: 'top of the first link' },
    count: { type: 'integer', short: 'c', value: 'N', min: 1, summary: 'packets, then end' },
    seconds: { type: 'number', value: 'N', min: 0.001, summary: 'time, then end' },
    snaplen: {
      type: 'integer',
      short: 's',
      value: 'BYTES',
      min: 64,
      max: 262_144,
      summary: 'of each packet',
    },
    filter: { type: 'string', value: 'TEXT', summary: 'which packets' },
    kernel: { type: 'flag', summary: "the kernel's side: NODE is an interface" },
  },
  examples: [
    { command: 'capture n1 -w n1.pcapng --count 100', text: 'a hundred packets' },
    { command: 'capture n1 --at tun0/impair -w - | tshark -r -', text: 'what an impaired link lets through' },
    { command: 'capture --kernel veth0 -w kernel.pcapng', text: "the kernel's side of a link" },
  ],
  load: async () => (await import('./capture.ts')).capture,
}

export const NODE_COMMANDS: readonly CommandSpec[] = [nodeRun, nodeStatus, nodeStop, plumb, capture, ping]
