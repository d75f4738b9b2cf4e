/** The ends of a TCP measurement: processes that are started in namespaces, asked, and ended. */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { StackError } from '../base/errors.ts'
import { insideNamespace } from '../host/namespace.ts'
import { compiledFile } from '../lab/node-process.ts'
import { endProcess } from './end-process.ts'
import { type PeerName, type Place, peerPath, spawnIn } from './peers.ts'
import { moveTo } from './placement.ts'
import type { TcpEndOptions, TcpEndQuestion } from './tcp-end.ts'

const START_TIMEOUT_MS = 15_000
const STDERR_TAIL_BYTES = 2_000

/** A stack of ours, or Node on the kernel's sockets: `tcp-end.ts`, or another file that answers as that does. */
export class EndProcess<Options = TcpEndOptions, Question extends object = TcpEndQuestion> {
  private readonly place: Place | null
  private readonly options: Options
  private readonly file: string
  private child: ChildProcess | null = null
  private said = ''

  /**
   * @param place - null for where this process is
   * @param file - in the compiled package
   */
  constructor(place: Place | null, options: Options, file = 'bench/tcp-end.js') {
    this.place = place
    this.options = options
    this.file = file
  }

  get pid(): number {
    return this.child!.pid!
  }

  async start(): Promise<void> {
    const { place } = this
    const file = compiledFile(this.file)
    const begin = (): ChildProcess =>
      fork(file, [JSON.stringify(this.options)], { stdio: ['ignore', 'ignore', 'pipe', 'ipc'] })
    const child = place === null ? begin() : insideNamespace(place.shim, place.namespace, begin)
    this.child = child
    this.said = ''
    child.stderr!.on('data', chunk => {
      this.said = (this.said + String(chunk)).slice(-STDERR_TAIL_BYTES)
    })
    await this.answer(START_TIMEOUT_MS)
    if (place?.end !== undefined) moveTo(place.end, child.pid!)
  }

  /** @throws StackError `ERR_HOST` with what it said */
  async ask<T>(question: Question, timeoutMs = START_TIMEOUT_MS): Promise<T> {
    const answer = this.answer(timeoutMs)
    this.child!.send(question)
    return (await answer) as T
  }

  private async answer(timeoutMs: number): Promise<unknown> {
    const controller = new AbortController()
    const { signal } = controller
    const child = this.child!
    const fail = (text: string): never => {
      throw new StackError(
        'ERR_HOST',
        `an end of the measurement ${text}: ${this.said.trim() || 'it said nothing'}`,
      )
    }
    const told = once(child, 'message', { signal }).then(([answer]) => {
      const { value, error } = answer as { value?: unknown; error?: string }
      return error === undefined ? value : fail(error)
    })
    const ended = once(child, 'exit', { signal }).then(([code]) => fail(`ended with ${String(code)}`))
    const late = once(AbortSignal.timeout(timeoutMs), 'abort', { signal }).then(() => fail('does not answer'))
    try {
      return await Promise.race([told, ended, late])
    } finally {
      for (const each of [told, ended, late]) each.catch(() => {})
      controller.abort()
    }
  }

  async stop(): Promise<void> {
    await endProcess(this.child)
    this.child = null
  }
}

/** A peer of `native-shims/bench` that says `{"ready":true}` and runs until it is ended. */
export class PeerProcess {
  private readonly place: Place | null
  private readonly name: PeerName
  private readonly args: readonly string[]
  private child: ChildProcess | null = null
  private said = ''

  constructor(place: Place | null, name: PeerName, args: readonly string[]) {
    this.place = place
    this.name = name
    this.args = args
  }

  get pid(): number {
    return this.child!.pid!
  }

  async start(): Promise<void> {
    const child = spawnIn(this.place, peerPath(this.name), this.args, { stdio: ['ignore', 'pipe', 'ignore'] })
    this.child = child
    this.said = ''
    const ready = new Promise<void>((resolve, reject) => {
      child.stdout!.on('data', chunk => {
        this.said += String(chunk)
        if (this.said.includes('\n')) resolve()
      })
      child.on('exit', code => reject(new StackError('ERR_HOST', `${this.name} ended with ${String(code)}`)))
      child.on('error', cause => reject(new StackError('ERR_HOST', `${this.name} does not start`, { cause })))
    })
    await ready
    if (!this.said.includes('"ready":true'))
      throw new StackError('ERR_HOST', `${this.name}: ${this.said.trim()}`)
  }

  /** Ends it. @returns its last line of JSON, null if it said none */
  async stop(): Promise<Record<string, unknown> | null> {
    await endProcess(this.child)
    this.child = null
    const last = this.said.trim().split('\n').at(-1)
    return last === undefined || last === '' || last.includes('"ready"')
      ? null
      : (JSON.parse(last) as Record<string, unknown>)
  }
}
