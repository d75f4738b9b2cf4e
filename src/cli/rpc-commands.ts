/** The commands that speak ONC RPC through a node's own stack or the kernel's, as data; see {@link CommandSpec}. */
import type { ArgumentSpec, CommandSpec, OptionSpec } from './command.ts'

const PORT_MAX = 65_535

const HOST: ArgumentSpec = { name: 'HOST', summary: 'an IP address, or a name that this host finds' }

const STACK: Readonly<Record<string, OptionSpec>> = {
  node: {
    type: 'string',
    short: 'n',
    value: 'NODE',
    summary: "through this node's own stack: its name, LAB/NODE, or the path of its control socket",
  },
  kernel: { type: 'flag', short: 'k', summary: "through the kernel's stack" },
  wait: {
    type: 'duration',
    short: 'w',
    value: 'TIME',
    min: 1,
    summary: 'for each answer',
    fallback: '10s',
  },
}

const SERVER: Readonly<Record<string, OptionSpec>> = {
  ...STACK,
  transport: {
    type: 'string',
    short: 't',
    value: 'NAME',
    choices: ['tcp', 'udp'],
    summary: 'by a connection or by datagrams',
    fallback: 'tcp',
  },
  port: {
    type: 'integer',
    short: 'p',
    value: 'PORT',
    min: 1,
    max: PORT_MAX,
    summary: "the server's port",
    fallback: 'ask the rpcbind of HOST',
  },
  uid: {
    type: 'integer',
    value: 'N',
    min: 0,
    max: 0xffff_ffff,
    summary: 'say who calls, by AUTH_SYS',
    fallback: 'nobody, by AUTH_NONE',
  },
}

const info: CommandSpec = {
  name: 'rpc info',
  summary: 'what programs a host has, as its rpcbind tells',
  description:
    'A line for each entry: program, version, transport, address, name and owner; with -s a line for each program. ' +
    'Asked is rpcbind 4, then 3, then the port mapper (2), until one is there; with -P the port mapper alone.',
  arguments: [HOST],
  options: {
    ...STACK,
    port: {
      type: 'integer',
      short: 'p',
      value: 'PORT',
      min: 1,
      max: PORT_MAX,
      summary: "rpcbind's port",
      fallback: '111',
    },
    short: { type: 'flag', short: 's', summary: 'a line for each program' },
    portmapper: { type: 'flag', short: 'P', summary: 'ask version 2, which knows IPv4 alone and no owners' },
  },
  examples: [
    { command: 'rpc info 10.77.1.1 --node n1', text: "what the kernel's side of a node's link offers" },
    { command: 'rpc info 127.0.0.1 -k -s', text: 'what this host offers, in short' },
  ],
  load: async () => (await import('./rpc-info.ts')).rpcInfo,
}

const ping: CommandSpec = {
  name: 'rpc ping',
  summary: 'call procedure 0 of a program, which does nothing, and tell how long it took',
  description:
    'PROG is a number or a well-known name. Without VERS the newest version that is there is called. Exit code 1 if no call was answered.',
  arguments: [
    HOST,
    { name: 'PROG', summary: 'number, 0x20000001, or name: nfs, mountd, rpcbind' },
    { name: 'VERS', summary: 'version', optional: true },
  ],
  options: {
    ...SERVER,
    count: {
      type: 'integer',
      short: 'c',
      value: 'N',
      min: 1,
      max: 1_000_000,
      summary: 'calls',
      fallback: '4',
    },
    interval: {
      type: 'duration',
      short: 'i',
      value: 'TIME',
      min: 0,
      summary: 'between calls',
      fallback: '1s',
    },
  },
  examples: [
    { command: 'rpc ping 10.77.1.1 nfs 3 --node n1', text: 'four null calls over TCP' },
    { command: 'rpc ping 10.77.1.1 rpcbind --node n1 -t udp -c 1', text: 'is there an rpcbind?' },
  ],
  load: async () => (await import('./rpc-ping.ts')).rpcPing,
}

const call: CommandSpec = {
  name: 'rpc call',
  summary: 'call a procedure with arguments in JSON',
  description:
    'With --interface the arguments are JSON and the result is: a struct is an object whose fields are called as in the file, a hyper a string of digits, ' +
    'an enum the name of a member, an optional value null or the value, a linked list an array, a union an object with its discriminant and the field of the arm; ' +
    'opaque is "hex:00ff" up to 64 bytes and "base64:..." beyond, and "text:..." is taken, too. Several arguments are an array. JSON that is - is read from stdin. ' +
    'Without --interface PROG, VERS and PROC are numbers, and arguments and result XDR as an opaque of that form.',
  arguments: [
    HOST,
    { name: 'PROG[:VERS]', summary: 'number or name; the newest version of the file without VERS' },
    { name: 'PROC', summary: "number, the procedure's name, or its end: ADD for CALC_ADD" },
    { name: 'JSON', summary: 'the arguments, or - for stdin', optional: true },
  ],
  options: {
    ...SERVER,
    interface: { type: 'string', short: 'I', value: 'F.x', summary: 'the interface file' },
    with: {
      type: 'string',
      repeat: true,
      value: 'FILE',
      summary: 'read this file before it, as one with it',
    },
  },
  examples: [
    { command: "rpc call 10.77.1.1 CALC_PROG ADD '[1,2]' -I calc.x --node n1", text: 'a remote sum' },
    { command: 'rpc call 10.77.1.1 100000:4 6 -k', text: 'what time has an rpcbind? (GETTIME)' },
  ],
  load: async () => (await import('./rpc-call.ts')).rpcCall,
}

export const RPC_COMMANDS: readonly CommandSpec[] = [info, ping, call]
