/** The measured node: a real `putnext node run`, with a probe in its process and its control port. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { StackError } from '../base/errors.ts'
import { compiledFile } from '../lab/node-process.ts'
import type { NodeConfigInput } from '../node/config.ts'
import { ControlClient } from '../node/control-client.ts'
import { type CopyTotals, copyTotals } from './copies-check.ts'
import { endProcess } from './end-process.ts'
import type { HeapState } from './heap.ts'
import type { ProbeQuestion } from './node-probe.ts'
import { type End, moveTo } from './placement.ts'

const START_TIMEOUT_MS = 15_000
const PROBE_TIMEOUT_MS = 10_000
const STDERR_TAIL_BYTES = 2_000
/** Descriptor on which the node says that it is ready; 3 is the channel of the probe. */
const READY_FD = 4

export interface NodeProcessOptions {
  readonly config: NodeConfigInput
  /** Where its configuration and its control socket go. */
  readonly directory: string
  /** The file of the command line; this package's own by default. */
  readonly program?: string
  /** Whose processor it runs on; by default the scheduler decides. */
  readonly end?: End
}

/** What the node has counted since it began. */
export interface NodeTotals {
  readonly copies: CopyTotals
  /** Datagrams that came to an endpoint. */
  readonly datagramsIn: number
}

export class NodeProcess {
  private readonly options: NodeProcessOptions
  private readonly control: ControlClient
  private child: ChildProcess | null = null
  private said = ''

  constructor(options: NodeProcessOptions) {
    this.options = options
    this.control = new ControlClient(join(options.directory, 'node.sock'))
  }

  /** @throws StackError with what the node said, if it does not become ready */
  async start(): Promise<void> {
    const { config, directory, program = compiledFile('cli/main.js') } = this.options
    const file = join(directory, 'node.yaml')
    // JSON is YAML, too.
    writeFileSync(file, JSON.stringify({ ...config, control: this.control.path }))
    const probe = pathToFileURL(compiledFile('bench/node-probe.js')).href
    const args = ['--import', probe, program, 'node', 'run', file, '--quiet', `--ready-fd=${READY_FD}`]
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'pipe', 'ipc', 'pipe'] })
    this.child = child
    this.said = ''
    child.stderr!.on('data', chunk => {
      this.said = (this.said + String(chunk)).slice(-STDERR_TAIL_BYTES)
    })
    const ready = once(child.stdio[READY_FD] as NodeJS.ReadableStream, 'data')
    await this.orEnd(ready, START_TIMEOUT_MS, 'does not become ready')
    if (this.options.end !== undefined) moveTo(this.options.end, child.pid!)
  }

  /** Asks the control port; the answer itself leaves garbage on the node's heap. */
  async totals(): Promise<NodeTotals> {
    const metrics = await this.control.metrics()
    const { udp } = await this.control.counters()
    return { copies: copyTotals(metrics), datagramsIn: udp?.['datagrams-in'] ?? Number.NaN }
  }

  /** TCP's counters. */
  async tcpCounters(): Promise<Readonly<Record<string, number>>> {
    return (await this.control.counters()).tcp ?? {}
  }

  /** Of the running process. */
  get pid(): number {
    return this.child!.pid!
  }

  /** Asks the probe. */
  heap(question: ProbeQuestion): Promise<HeapState> {
    return this.ask(question)
  }

  async stop(): Promise<void> {
    await endProcess(this.child)
    this.child = null
  }

  private async ask(question: ProbeQuestion): Promise<HeapState> {
    const child = this.child!
    const answer = once(child, 'message')
    child.send(question)
    const [state] = (await this.orEnd(answer, PROBE_TIMEOUT_MS, 'does not answer')) as [HeapState]
    return state
  }

  /** Waits for something of the node's, or fails when it ends or takes too long. */
  private async orEnd<T>(wanted: Promise<T>, timeoutMs: number, otherwise: string): Promise<T> {
    const child = this.child!
    const controller = new AbortController()
    const { signal } = controller
    const fail = (text: string): never => {
      throw new StackError('ERR_HOST', `the measured node ${text}: ${this.said.trim() || 'it said nothing'}`)
    }
    const ended = once(child, 'exit', { signal }).then(([code]) => fail(`ended with ${String(code)}`))
    const late = once(AbortSignal.timeout(timeoutMs), 'abort', { signal }).then(() => fail(otherwise))
    try {
      return await Promise.race([wanted, ended, late])
    } finally {
      wanted.catch(() => {})
      ended.catch(() => {})
      late.catch(() => {})
      controller.abort()
    }
  }
}
