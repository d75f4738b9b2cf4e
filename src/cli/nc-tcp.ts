/** `putnext nc` for TCP: stdin and stdout joined to a connection of a node's own stack, or a look at which ports are open. */
import type { Readable } from 'node:stream'
import { StackError } from '../base/errors.ts'
import type { BridgedStream } from '../node/bridged-stream.ts'
import type { ControlClient } from '../node/control-client.ts'
import type { CommandRun, Invocation } from './command.ts'
import { EXIT_DONE, EXIT_FAILED, UsageError } from './exit-codes.ts'
import { addressOf, portOf, portsOf } from './host-port.ts'
import { nodeClient } from './node-target.ts'

const SCAN_TIMEOUT_MS = 5_000

export const ncTcp: CommandRun = async invocation => {
  const { args } = invocation
  const words = args.list('WHERE')
  if (args.flag('listen')) {
    if (words.length !== 1) throw new UsageError('with -l there is only a PORT')
    if (args.flag('scan')) throw new UsageError('-z asks, -l waits: not both')
    return listen(invocation, portOf(words[0]))
  }
  if (args.flag('keep')) throw new UsageError('-k goes with -l')
  if (words.length !== 2) throw new UsageError('HOST PORT is missing, or there is too much')
  const ports = portsOf(words[1])
  if (!args.flag('scan') && ports.length > 1) throw new UsageError('a range of ports goes with -z')
  const address = await addressOf(words[0]!, args.flag('ipv6') ? 6 : 0)
  return args.flag('scan') ? scan(invocation, address, ports) : connect(invocation, address, ports[0]!)
}

async function connect(invocation: Invocation, to: string, toPort: number): Promise<number> {
  const { args, out, signal } = invocation
  const wait = args.number('wait')
  const own = args.number('port')
  const query = {
    to,
    toPort,
    ...(own === undefined ? {} : { port: own }),
    ...(wait === undefined || wait === 0 ? {} : { timeoutMs: wait }),
  }
  const { socket, local, remote } = await nodeClient(invocation).openStream(query, signal)
  out.detail(`connected from ${local.address} port ${local.port} to ${remote.address} port ${remote.port}`)
  const counts = await converse(invocation, socket, true)
  out.report({ local, remote, ...counts })
  return EXIT_DONE
}

async function listen(invocation: Invocation, port: number): Promise<number> {
  const { args, out, signal } = invocation
  const client: ControlClient = nodeClient(invocation)
  const keep = args.flag('keep')
  const options = { port, ...(args.flag('ipv6') ? { address: '::' } : {}), ...(keep ? {} : { count: 1 }) }
  const connections: unknown[] = []
  try {
    for await (const line of client.listenStreams(options, signal)) {
      if (line.kind === 'listening') {
        out.detail(`listening on port ${line.port}`)
        continue
      }
      const { socket, local, remote } = await client.openStream({ accept: line.id }, signal)
      out.detail(`connection from ${remote.address} port ${remote.port}`)
      // What comes on stdin goes to the first; the others are heard only.
      const counts = await converse(invocation, socket, connections.length === 0)
      connections.push({ local, remote, ...counts })
    }
  } catch (error) {
    if (!signal.aborted) throw error
  }
  out.report({ port, connections })
  return EXIT_DONE
}

interface Counts {
  sent: number
  received: number
}

/**
 * Copies stdin to the connection and the connection to stdout until both have ended. When the peer ends and a person
 * sits at stdin, that is the end; a file or a pipe is still sent to its end.
 * @throws StackError what the connection broke with
 */
function converse(invocation: Invocation, socket: BridgedStream, withInput: boolean): Promise<Counts> {
  const { args, host, out, signal } = invocation
  const counts: Counts = { sent: 0, received: 0 }
  const wait = args.number('wait') ?? 0
  return new Promise((resolve, reject) => {
    const idle = wait === 0 ? null : setTimeout(() => socket.destroy(), wait)
    const stop = (): void => void socket.destroy()
    signal.addEventListener('abort', stop, { once: true })
    const input = withInput ? feed(host.stdin as Readable, socket, counts, () => idle?.refresh()) : null
    if (input === null) socket.end()
    let failure: Error | null = null
    let writing = Promise.resolve()
    socket.on('data', (chunk: Buffer) => {
      counts.received += chunk.length
      idle?.refresh()
      // With --json, stdout is for the document alone.
      if (out.json) return
      socket.pause()
      writing = out.bytes(chunk).then(
        () => void socket.resume(),
        () => void socket.destroy(),
      )
    })
    socket.on('end', () => {
      if ((host.stdin as { isTTY?: boolean }).isTTY === true) socket.end()
    })
    socket.on('error', (error: NodeJS.ErrnoException) => {
      failure = new StackError('ERR_CONN_RESET', `the connection broke: ${error.message}`, { cause: error })
    })
    socket.on('close', () => {
      signal.removeEventListener('abort', stop)
      if (idle !== null) clearTimeout(idle)
      input?.()
      writing.then(() => (failure === null || signal.aborted ? resolve(counts) : reject(failure)), reject)
    })
  })
}

/** Sends what comes from `input`; its end ends this direction alone. @returns what takes its listeners off */
function feed(input: Readable, socket: BridgedStream, counts: Counts, onData: () => void): () => void {
  const data = (chunk: Buffer): void => {
    counts.sent += chunk.length
    onData()
    if (!socket.write(chunk)) input.pause()
  }
  const drained = (): void => void input.resume()
  const ended = (): void => void socket.end()
  input.on('data', data)
  input.on('end', ended)
  socket.on('drain', drained)
  if (input.readableEnded) ended()
  return () => {
    input.off('data', data)
    input.off('end', ended)
    input.pause()
  }
}

/** A port as `-z` finds it. */
interface Found {
  readonly port: number
  readonly state: 'open' | 'refused' | 'silent' | 'unreachable'
  readonly milliseconds: number
}

async function scan(invocation: Invocation, to: string, ports: readonly number[]): Promise<number> {
  const { args, out, signal } = invocation
  const client = nodeClient(invocation)
  const timeoutMs = args.number('wait') || SCAN_TIMEOUT_MS
  const found: Found[] = []
  for (const port of ports) {
    if (signal.aborted) break
    const began = performance.now()
    const state = await knock(client, { to, toPort: port, timeoutMs }, signal)
    found.push({ port, state, milliseconds: Math.round((performance.now() - began) * 1_000) / 1_000 })
    const text = `${to} port ${port}: ${state}`
    if (state === 'open') out.line(text)
    else if (ports.length === 1) out.note(text)
    else out.detail(text)
  }
  const open = found.filter(({ state }) => state === 'open').map(({ port }) => port)
  if (open.length === 0 && ports.length > 1 && found.length > 0)
    out.note(`${to}: none is open of ${found.length} ports`)
  if (open.length === 0)
    out.failed({ code: 'ERR_CONN_REFUSED', message: `none is open of ${found.length} ports at ${to}` })
  out.report({ address: to, open, ports: found })
  return open.length > 0 ? EXIT_DONE : EXIT_FAILED
}

async function knock(
  client: ControlClient,
  query: Record<string, string | number>,
  signal: AbortSignal,
): Promise<Found['state']> {
  try {
    const { socket } = await client.openStream(query, signal)
    socket.on('error', () => {})
    socket.destroy()
    return 'open'
  } catch (error) {
    if (!(error instanceof StackError)) throw error
    if (error.code === 'ERR_CONN_REFUSED' || error.code === 'ERR_CONN_RESET') return 'refused'
    if (error.code === 'ERR_TIMED_OUT') return 'silent'
    if (error.code === 'ERR_HOST_UNREACHABLE' || error.code === 'ERR_NETWORK_UNREACHABLE')
      return 'unreachable'
    throw error
  }
}
