/** `putnext node run`: a node, its control port, and the life of the process around them. */
import { closeSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'
import { StackError } from '../base/errors.ts'
import { type NodeConfig, readNodeConfig } from '../node/config.ts'
import { ControlPort } from '../node/control.ts'
import { assertFree } from '../node/control-socket.ts'
import { EventLog, type NodeEvent } from '../node/event-log.ts'
import { Node } from '../node/node.ts'
import { controlSocketPath } from '../node/state-dir.ts'
import type { CommandRun, Invocation } from './command.ts'
import { EXIT_DONE, EXIT_FAILED } from './exit-codes.ts'
import type { Output } from './output.ts'

export const nodeRun: CommandRun = async invocation => {
  const { args, out, host } = invocation
  const file = args.required('FILE')
  const config = withPort(readNodeConfig(file), args.string('ipc'), args.flag('ipc-mapped'))
  if (args.flag('dry-run')) {
    out.report({ file, config }, `${file}: node ${config.name}, ${config.links.length} links: nothing wrong`)
    return EXIT_DONE
  }
  const events = new EventLog()
  events.listen(event => tell(invocation, event))
  const control = controlPath(config, args.string('control'), host.env)
  if (control !== null) await assertFree(control)
  if (config.ipc !== undefined) await assertFree(config.ipc.path)
  const node = await Node.start(config, { events, directory: dirname(file) })
  const end = new Ending(invocation.signal)
  let port: ControlPort | null = null
  try {
    port = control === null ? null : await ControlPort.open(node, { path: control, onShutdown: end.ask })
    sayReady(invocation, node, control)
    await end.wait
  } finally {
    end.forget()
    await node.close()
    // The socket goes last: who waits for it to go knows that the node has ended.
    await port?.close()
  }
  return report(out, node, end)
}

/** @param path - of `--ipc` */
function withPort(config: NodeConfig, path: string | undefined, mapped: boolean): NodeConfig {
  const before = config.ipc ?? { path: '', mapped: false, clients: 64, connections: 4_096 }
  const ipc = { ...before, path: path ?? before.path, mapped: mapped || before.mapped }
  if (ipc.path !== '') return { ...config, ipc }
  if (mapped) throw new StackError('ERR_BAD_ARGUMENT', '--ipc-mapped needs a port: give --ipc PATH, too')
  return config
}

function controlPath(
  config: NodeConfig,
  asked: string | undefined,
  env: Readonly<Record<string, string | undefined>>,
): string | null {
  if (asked !== undefined) return asked
  if (config.control === false) return null
  return config.control ?? controlSocketPath(config.name, undefined, env)
}

/** What ends a node: a signal, a request, or a fault that nobody caught. */
class Ending {
  readonly wait: Promise<void>
  /** Asks for the end. */
  readonly ask: () => void
  /** What nobody caught; null in a good life. */
  fault: unknown = null
  private readonly onFault = (error: unknown): void => {
    this.fault ??= error
    this.ask()
  }

  constructor(signal: AbortSignal) {
    const { promise, resolve } = withResolvers()
    this.wait = promise
    this.ask = resolve
    if (signal.aborted) resolve()
    signal.addEventListener('abort', () => resolve(), { once: true })
    process.on('uncaughtException', this.onFault)
    process.on('unhandledRejection', this.onFault)
  }

  forget(): void {
    process.off('uncaughtException', this.onFault)
    process.off('unhandledRejection', this.onFault)
  }
}

function withResolvers(): { promise: Promise<void>; resolve: () => void } {
  let resolve = (): void => {}
  const promise = new Promise<void>(settle => {
    resolve = settle
  })
  return { promise, resolve }
}

function sayReady({ args, out, host }: Invocation, node: Node, control: string | null): void {
  const ipc = node.ipc?.path ?? null
  const document = { ready: true, name: node.name, pid: process.pid, control, ipc }
  const ports = [control === null ? '' : `, control port ${control}`, ipc === null ? '' : `, IPC port ${ipc}`]
  if (out.json) host.stderr.write(`${JSON.stringify(document)}\n`)
  else out.note(`ready: ${node.name}${ports.join('')}`)
  const fd = args.number('ready-fd')
  if (fd === undefined) return
  try {
    writeSync(fd, `${JSON.stringify(document)}\n`)
    closeSync(fd)
  } catch (cause) {
    throw new StackError('ERR_BAD_ARGUMENT', `cannot write to descriptor ${fd} of --ready-fd`, { cause })
  }
}

function tell({ out, host }: Invocation, event: NodeEvent): void {
  if (out.json) {
    if (!out.quiet || event.level === 'error') host.stderr.write(`${JSON.stringify(event)}\n`)
    return
  }
  if (out.quiet && event.level !== 'error') return
  const colors = { info: 'green', warn: 'yellow', error: 'red' } as const
  host.stderr.write(
    `${event.time} ${out.styleTalk(colors[event.level], event.level)} ${event.name}: ${event.text}\n`,
  )
}

async function report(out: Output, node: Node, end: Ending): Promise<number> {
  const { arenaWhole, arena } = await node.close()
  const left = arena.blocksInUse + arena.viewsInUse + arena.foreignInUse
  const fault = end.fault === null ? null : String((end.fault as Error).stack ?? end.fault)
  out.report({ name: node.name, uptimeSeconds: node.uptimeSeconds, arenaWhole, fault })
  out.note(
    arenaWhole
      ? `${node.name} ended: the arena is whole`
      : `${node.name} ended: ${left} blocks did not come home: ${arena.holders.join('; ')}`,
  )
  if (fault !== null) out.warn(fault)
  return arenaWhole && fault === null ? EXIT_DONE : EXIT_FAILED
}
