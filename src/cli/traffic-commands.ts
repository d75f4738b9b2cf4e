/** The commands that speak TCP and UDP through a node's own stack, as data; see {@link CommandSpec}. */
import type { ArgumentSpec, CommandSpec } from './command.ts'

const NODE: ArgumentSpec = {
  name: 'NODE',
  summary: "a node's name, LAB/NODE, or the path of its control socket",
}

const PORT_MAX = 65_535

const nc: CommandSpec = {
  name: 'nc',
  summary: "talk over TCP or UDP through a node's own stack",
  description:
    'What comes on stdin is sent, what comes back goes to stdout. The end of stdin ends that direction alone (FIN); the command ends when both have ended, or with Ctrl-C. ' +
    'With -l it waits for one connection, with -k for one after the other. With -z it only tells whether ports are open. ' +
    'With -u each chunk that is read is a datagram; -l answers whoever sent last, and it ends when stdin has ended and nothing came for a while (-w).',
  arguments: [
    NODE,
    { name: 'WHERE', summary: 'HOST PORT; with -l only PORT; with -z also HOST 20-25', repeat: true },
  ],
  options: {
    udp: { type: 'flag', short: 'u', summary: 'UDP instead of TCP' },
    listen: { type: 'flag', short: 'l', summary: 'wait on PORT' },
    keep: { type: 'flag', short: 'k', summary: 'with -l: go on after the first connection' },
    scan: { type: 'flag', short: 'z', summary: 'only tell which ports are open' },
    ipv6: { type: 'flag', short: '6', summary: 'IPv6: addresses of a name; with -l, IPv6 alone' },
    port: {
      type: 'integer',
      short: 'p',
      value: 'PORT',
      min: 1,
      max: PORT_MAX,
      summary: "the node's own port",
    },
    wait: {
      type: 'duration',
      short: 'w',
      value: 'TIME',
      min: 0,
      summary: 'to connect, and of silence that ends it; UDP: of silence after the end of stdin',
      fallback: 'for ever; UDP: 1s; -z: 5s',
    },
  },
  examples: [
    { command: 'nc n1 10.77.1.1 22', text: 'what says a server?' },
    { command: 'nc -l n1 9000 > file', text: 'take a file' },
    { command: 'nc n1 10.77.1.1 9000 < file', text: 'and send one' },
    { command: 'nc -z n1 10.77.1.1 20-25', text: 'which ports are open?' },
    { command: 'nc -u n1 10.77.1.1 7', text: 'talk to an echo service on UDP' },
  ],
  load: async () => (await import('./nc.ts')).nc,
}

const curl: CommandSpec = {
  name: 'curl',
  summary: "fetch a URL through a node's own stack",
  description:
    'HTTP/1.1 with or without TLS, by undici. The body goes to stdout or to a file; on a terminal it shows how far it is. Names are looked up by the host that the command runs on, unless --resolve says their address.',
  arguments: [NODE, { name: 'URL', summary: 'http:// or https://; http:// if left out' }],
  options: {
    output: { type: 'string', short: 'o', value: 'FILE', summary: 'write to FILE', fallback: 'stdout' },
    'remote-name': { type: 'flag', short: 'O', summary: 'write to a file named as the last part of the URL' },
    head: { type: 'flag', short: 'I', summary: 'only the header fields (HEAD)' },
    include: { type: 'flag', short: 'i', summary: 'the header fields, too' },
    request: { type: 'string', short: 'X', value: 'METHOD', summary: 'another method' },
    header: {
      type: 'string',
      short: 'H',
      value: 'LINE',
      summary: '"Name: value"; empty takes it away',
      repeat: true,
    },
    data: {
      type: 'string',
      short: 'd',
      value: 'DATA',
      summary: 'POST this; @FILE for what is in it',
      repeat: true,
    },
    user: { type: 'string', short: 'u', value: 'NAME:PASSWORD', summary: 'basic authentication' },
    location: { type: 'flag', short: 'L', summary: 'follow redirections' },
    fail: { type: 'flag', short: 'f', summary: 'no body and exit code 22 for a status of 400 and above' },
    insecure: { type: 'flag', short: 'k', summary: 'take any certificate' },
    cacert: { type: 'string', value: 'FILE', summary: 'trust what FILE has signed' },
    resolve: { type: 'string', value: 'HOST:PORT:ADDRESS', summary: 'the address of a name', repeat: true },
    'connect-timeout': { type: 'duration', value: 'TIME', min: 1, summary: 'to connect', fallback: '30s' },
    'max-time': { type: 'duration', short: 'm', value: 'TIME', min: 1, summary: 'for everything' },
  },
  examples: [
    { command: 'curl n1 http://10.77.1.1/', text: "from the kernel's side of its link" },
    { command: 'curl n1 http://10.77.1.1/big.iso -o big.iso', text: 'to a file' },
    { command: 'curl n1 -d a=1 -d b=2 http://10.77.1.1/form', text: 'POST' },
    {
      command: 'curl n1 -k https://10.77.1.1/ --json',
      text: 'status, header fields and times as a document',
    },
  ],
  load: async () => (await import('./curl.ts')).curl,
}

const serve: CommandSpec = {
  name: 'serve',
  summary: "serve the files of a directory over HTTP from a node's own stack",
  description:
    'GET and HEAD with ranges and conditions; a directory shows its index.html, or what it has. Nothing outside DIR is served: symbolic links are followed only as --symlinks says. ' +
    'Runs until Ctrl-C and writes a line for each request. "services: {files: {directory: DIR}}" in the configuration of a node makes it permanent.',
  arguments: [NODE, { name: 'DIR', summary: 'the directory' }],
  options: {
    port: {
      type: 'integer',
      short: 'p',
      value: 'PORT',
      min: 1,
      max: PORT_MAX,
      summary: 'TCP port',
      fallback: '80',
    },
    address: {
      type: 'string',
      value: 'ADDRESS',
      summary: 'one of the addresses of the node',
      fallback: 'all',
    },
    'no-listing': { type: 'flag', summary: 'do not show directories without an index.html' },
    hidden: { type: 'flag', summary: 'serve names that begin with a dot, too' },
    symlinks: {
      type: 'string',
      value: 'WHICH',
      choices: ['none', 'inside', 'all'],
      summary: 'none, inside (those that stay in DIR), all',
      fallback: 'inside',
    },
  },
  examples: [
    { command: 'serve n1 .', text: 'this directory, on port 80' },
    { command: 'serve inetd/n1 ~/www --port 8080 --json', text: 'a line of JSON for each request' },
  ],
  streams: true,
  load: async () => (await import('./serve.ts')).serve,
}

const iperf: CommandSpec = {
  name: 'iperf',
  summary: "measure the throughput of a node's own stack, against iperf3 or another node",
  description:
    'Speaks the protocol of iperf3 (3.12): either side may be the real one. The test runs inside the process of the node, so nothing else is measured. Amounts are written 64K, 10M, 1G.',
  arguments: [NODE],
  options: {
    server: { type: 'flag', short: 's', summary: 'serve tests until Ctrl-C' },
    client: { type: 'string', short: 'c', value: 'HOST', summary: 'run a test against HOST' },
    port: {
      type: 'integer',
      short: 'p',
      value: 'PORT',
      min: 1,
      max: PORT_MAX,
      summary: 'TCP port',
      fallback: '5201',
    },
    udp: { type: 'flag', short: 'u', summary: 'UDP instead of TCP' },
    time: {
      type: 'duration',
      short: 't',
      value: 'TIME',
      min: 1_000,
      summary: 'whole seconds',
      fallback: '10s',
    },
    bytes: { type: 'string', short: 'n', value: 'AMOUNT', summary: 'end after so many bytes instead' },
    blockcount: { type: 'string', short: 'k', value: 'AMOUNT', summary: 'end after so many blocks instead' },
    parallel: {
      type: 'integer',
      short: 'P',
      value: 'N',
      min: 1,
      max: 128,
      summary: 'connections',
      fallback: '1',
    },
    reverse: { type: 'flag', short: 'R', summary: 'the server sends' },
    bidir: { type: 'flag', summary: 'both send' },
    omit: {
      type: 'duration',
      short: 'O',
      value: 'TIME',
      min: 0,
      summary: 'not counted at the beginning',
      fallback: '0s',
    },
    length: {
      type: 'string',
      short: 'l',
      value: 'AMOUNT',
      summary: 'bytes of a write, or of a datagram',
      fallback: '128K; UDP: 1448',
    },
    bitrate: {
      type: 'string',
      short: 'b',
      value: 'AMOUNT',
      summary: 'bits a second of each connection',
      fallback: 'no limit; UDP: 1M, 0 for none',
    },
    window: {
      type: 'string',
      short: 'w',
      value: 'AMOUNT',
      summary: 'fixed buffers on both sides',
      fallback: 'they grow',
    },
    'set-mss': {
      type: 'integer',
      short: 'M',
      value: 'BYTES',
      min: 48,
      max: PORT_MAX,
      summary: 'largest segment',
    },
    'no-delay': { type: 'flag', short: 'N', summary: 'no Nagle' },
    interval: {
      type: 'duration',
      short: 'i',
      value: 'TIME',
      min: 100,
      max: 60_000,
      summary: 'between two lines',
      fallback: '1s',
    },
    'one-off': { type: 'flag', short: '1', summary: 'with -s: end after one test' },
    'connect-timeout': {
      type: 'duration',
      value: 'TIME',
      min: 1,
      summary: 'for each answer of the server',
      fallback: '10s',
    },
    'iperf3-json': { type: 'flag', short: 'J', summary: "iperf3's own JSON document on stdout" },
  },
  examples: [
    { command: 'iperf n1 -s', text: 'then: iperf3 -c 10.77.1.2' },
    { command: 'iperf n1 -c 10.77.1.1', text: 'against iperf3 -s' },
    { command: 'iperf n1 -c 10.77.1.1 -R -P 4 -t 30s', text: 'the server sends, over four connections' },
    {
      command: 'iperf n1 -c 10.77.1.1 --json',
      text: 'as a document: result.end.sum_received.bits_per_second',
    },
  ],
  load: async () => (await import('./iperf.ts')).iperf,
}

export const TRAFFIC_COMMANDS: readonly CommandSpec[] = [nc, curl, serve, iperf]
