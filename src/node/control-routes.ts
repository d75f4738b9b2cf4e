/** The table of what a control port answers. */
import type { Duplex } from 'node:stream'
import type { GenericSchema } from 'valibot'
import type { ControlContext } from './control.ts'
import { postCapture, startCapture, stopCapture } from './control-capture.ts'
import { postIperf } from './control-iperf.ts'
import { postPing } from './control-ping.ts'
import {
  captureRequest,
  captureStopRequest,
  type FaultRequest,
  faultRequest,
  iperfRequest,
  type PlumbingRequest,
  pingRequest,
  plumbingRequest,
  rpcRequest,
  serveRequest,
  tcpListenRequest,
} from './control-requests.ts'
import { postRpc } from './control-rpc.ts'
import { postServe } from './control-serve.ts'
import { postListen, upgradeToStream } from './control-tcp.ts'
import { upgradeToDatagrams } from './control-udp.ts'
import { METRICS_CONTENT_TYPE } from './metrics.ts'
import type { Node } from './node.ts'
import {
  configureModule,
  describeStream,
  findStream,
  insertModule,
  popModule,
  pushModule,
  removeModule,
  requestOf,
} from './plumbing.ts'

export interface ControlRoute {
  readonly method: 'GET' | 'POST'
  readonly path: string
  /** For the list at `/`, and the manual. */
  readonly summary: string
  readonly schema?: GenericSchema
  /** @returns the JSON document to answer with, unless it wrote the answer itself */
  readonly run: (context: ControlContext) => unknown
}

export const ROUTES: readonly ControlRoute[] = [
  { method: 'GET', path: '/', summary: 'this list', run: () => ({ routes: listRoutes() }) },
  {
    method: 'GET',
    path: '/status',
    summary: 'the node, its links and its network',
    run: ({ node }) => node.status(),
  },
  {
    method: 'GET',
    path: '/plumbing',
    summary: 'every stream with its modules, their counters and settings',
    run: ({ node }) => ({ streams: node.plumbing(), modules: node.modules() }),
  },
  {
    method: 'POST',
    path: '/plumbing',
    summary: 'push, insert, remove, pop, configure, ioctl, load',
    schema: plumbingRequest,
    run: ({ node, body }) => changePlumbing(node, body as PlumbingRequest),
  },
  {
    method: 'GET',
    path: '/counters',
    summary: 'counters of IP, ICMP, UDP and TCP, by part',
    run: ({ node }) => node.counters(),
  },
  { method: 'GET', path: '/metrics', summary: 'everything counted, as Prometheus text', run: getMetrics },
  { method: 'GET', path: '/events', summary: 'what happened; ?after=N, ?follow=1', run: getEvents },
  {
    method: 'POST',
    path: '/ping',
    summary: "echo requests through the node's stack; answers as lines of JSON",
    schema: pingRequest,
    run: postPing,
  },
  {
    method: 'POST',
    path: '/capture',
    summary: 'packets at a joint of the plumbing; the answer is a pcapng file',
    schema: captureRequest,
    run: postCapture,
  },
  {
    method: 'POST',
    path: '/capture/start',
    summary: 'the same into a file of the node',
    schema: captureRequest,
    run: startCapture,
  },
  {
    method: 'POST',
    path: '/capture/stop',
    summary: 'end a capture by its id',
    schema: captureStopRequest,
    run: stopCapture,
  },
  {
    method: 'POST',
    path: '/tcp/listen',
    summary: 'connections as they come, a line of JSON each; to be taken by GET /tcp?accept=ID',
    schema: tcpListenRequest,
    run: postListen,
  },
  {
    method: 'POST',
    path: '/serve',
    summary: 'an HTTP server for the files of a directory, as long as the asker listens',
    schema: serveRequest,
    run: postServe,
  },
  {
    method: 'POST',
    path: '/rpc',
    summary: 'remote procedure calls, results as lines of JSON',
    schema: rpcRequest,
    run: postRpc,
  },
  {
    method: 'POST',
    path: '/iperf',
    summary: 'a throughput test, or a server for them; progress as lines of JSON',
    schema: iperfRequest,
    run: postIperf,
  },
  {
    method: 'POST',
    path: '/faults',
    summary: 'impair a link, or mend it',
    schema: faultRequest,
    run: ({ node, body }) => impairLink(node, body as FaultRequest),
  },
  {
    method: 'POST',
    path: '/shutdown',
    summary: 'end in order',
    run: ({ shutdown }) => {
      shutdown()
      return { ending: true }
    },
  },
]

/** What `GET` with an `Upgrade` leads to. */
export const UPGRADES: ReadonlyMap<string, (node: Node, url: URL, socket: Duplex) => Promise<void>> = new Map(
  [
    ['/udp', upgradeToDatagrams],
    ['/tcp', upgradeToStream],
  ],
)

function listRoutes(): { method: string; path: string; summary: string }[] {
  return ROUTES.map(({ method, path, summary }) => ({ method, path, summary }))
}

function getMetrics({ node, response }: ControlContext): undefined {
  response.writeHead(200, { 'content-type': METRICS_CONTENT_TYPE })
  response.end(node.metrics())
}

/** The events that are kept; with `follow`, those to come as well, a line of JSON each. */
async function getEvents({ node, url, response, signal }: ControlContext): Promise<unknown> {
  const after = Number(url.searchParams.get('after') ?? 0) || 0
  const events = node.events.since(after)
  if (url.searchParams.get('follow') === null) return { events }
  response.writeHead(200, { 'content-type': 'application/x-ndjson' })
  for (const event of events) response.write(`${JSON.stringify(event)}\n`)
  const stop = node.events.listen(event => void response.write(`${JSON.stringify(event)}\n`))
  await new Promise<void>(resolve => {
    if (signal.aborted) resolve()
    signal.addEventListener('abort', () => resolve(), { once: true })
  })
  stop()
  return undefined
}

async function changePlumbing(node: Node, request: PlumbingRequest): Promise<unknown> {
  const { runtime } = node
  switch (request.op) {
    case 'load':
      return { loaded: await node.loadModules(request.file) }
    case 'ioctl': {
      const { stream, module, command, argument } = request
      return { answer: (await requestOf(runtime, stream, module ?? null, command, argument)) ?? null }
    }
    case 'push':
      pushModule(runtime, request.stream, request.module, request.options)
      break
    case 'insert':
      insertModule(runtime, request.stream, request.module, request.below, request.options)
      break
    case 'remove':
      removeModule(runtime, request.stream, request.module)
      break
    case 'pop':
      popModule(runtime, request.stream)
      break
    case 'configure':
      configureModule(runtime, request.stream, request.module, request.options)
      break
  }
  const stream = findStream(runtime, request.stream)
  const what =
    request.op === 'configure'
      ? `${request.module} ${JSON.stringify(request.options)}`
      : stream.modules.join(', ') || 'no module'
  node.events.add('info', 'plumbing.changed', `${request.op} on ${stream.name}: ${what}`)
  return { stream: describeStream(stream) }
}

/** The module that spoils links. */
const IMPAIR = 'impair'

function impairLink(node: Node, { link, impair }: FaultRequest): unknown {
  const { runtime } = node
  const stream = findStream(runtime, link)
  const there = stream.modules.includes(IMPAIR)
  if (impair === null && there) removeModule(runtime, link, IMPAIR)
  else if (impair !== null && there) configureModule(runtime, link, IMPAIR, { ...impair, reset: true })
  else if (impair !== null) pushModule(runtime, link, IMPAIR, impair)
  node.events.add('info', 'link.impaired', `${link}: ${impair === null ? 'mended' : JSON.stringify(impair)}`)
  return { stream: describeStream(stream) }
}
