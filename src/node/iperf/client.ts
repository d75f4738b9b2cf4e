/** Runs a test against a server. */
import { StackError } from '../../base/errors.ts'
import type { BulkConnection, BulkNetwork, BulkSettings } from './bulk.ts'
import { type ClientHost, ClientSession } from './client-session.ts'
import { ControlLink } from './control-link.ts'
import { DatagramConnection } from './datagram-connection.ts'
import type { TellLine } from './lines.ts'
import type { StreamPlan, TestParameters } from './parameters.ts'
import { makeCookie, streamNumber } from './protocol.ts'
import { endLine } from './report.ts'
import type { SideResults } from './results.ts'
import type { SessionOutcome } from './server-session.ts'
import { Traffic, type TrafficStream } from './traffic.ts'

export interface ClientOptions {
  readonly network: BulkNetwork
  /** An IP address. */
  readonly address: string
  readonly port: number
  readonly parameters: TestParameters
  readonly intervalSeconds: number
  /** For the server to answer in each step. */
  readonly timeoutMs: number
  readonly tell: TellLine
}

/**
 * Runs one test to its end.
 * @param signal - ends it early; what was measured so far is told as the last interval
 * @throws StackError what connecting failed with; `ERR_PROTOCOL` what the server refused or did wrong
 */
export function runClient(options: ClientOptions, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const run = new ClientRun(options, error => {
      signal.removeEventListener('abort', stop)
      if (error === null) resolve()
      else reject(error)
    })
    const stop = (): void => run.stop()
    signal.addEventListener('abort', stop)
    if (signal.aborted) run.stop()
  })
}

class ClientRun implements ClientHost {
  private readonly options: ClientOptions
  private readonly finish: (error: Error | null) => void
  private readonly session: ClientSession
  private readonly cookie: Uint8Array
  private readonly settings: BulkSettings
  private readonly control: BulkConnection
  private link: ControlLink | null = null
  private readonly streams: TrafficStream[] = []
  private traffic: Traffic | null = null
  private patience: NodeJS.Timeout | null = null
  private stopped = false
  private connectError: Error | null = null

  constructor(options: ClientOptions, finish: (error: Error | null) => void) {
    this.options = options
    this.finish = finish
    const { network, parameters } = options
    this.settings = {
      noDelay: parameters.noDelay,
      maxSegment: parameters.maxSegment,
      windowBytes: parameters.windowBytes,
    }
    this.cookie = makeCookie(network.random(64))
    this.session = new ClientSession(this, this.cookie, parameters)
    this.control = this.connect({ noDelay: true, maxSegment: 0, windowBytes: 0 }, () => {
      this.link = new ControlLink(
        this.control,
        bytes => {
          this.wait(`no answer in state "${this.session.state}"`)
          this.session.controlIn(bytes)
        },
        () => this.session.controlEnded(),
      )
      this.session.begin()
    })
    this.wait('no connection')
  }

  private connect(settings: BulkSettings, onConnect: () => void): BulkConnection {
    const { network, address, port } = this.options
    const connection = network.connect(address, port, settings)
    connection.onConnect = onConnect
    connection.onClosed = error => {
      this.connectError = error
      this.session.controlEnded()
    }
    return connection
  }

  // ---- what the session asks for

  send(bytes: Uint8Array): void {
    this.link?.send(bytes)
  }

  openStreams(): void {
    const { parallel, direction } = this.options.parameters
    const plans: StreamPlan[] = Array.from({ length: parallel * (direction === 'both' ? 2 : 1) }, (_, i) => ({
      number: streamNumber(i),
      sending: direction === 'forward' || (direction === 'both' && i < parallel),
    }))
    this.openNext(plans)
  }

  /** One after the other, since a server gives them their parts in the order in which they come. */
  private openNext(plans: readonly StreamPlan[]): void {
    const plan = plans[this.streams.length]
    if (plan === undefined) return this.session.connected()
    try {
      const next = (): void => this.openNext(plans)
      const connection = this.options.parameters.protocol === 'udp' ? this.greet(next) : this.introduce(next)
      this.streams.push({ ...plan, connection })
    } catch (error) {
      this.connectError = error as Error
      this.session.streamFailed((error as Error).message)
    }
  }

  private introduce(onConnect: () => void): BulkConnection {
    const connection = this.connect(this.settings, () => {
      connection.write(this.cookie)
      onConnect()
    })
    return connection
  }

  private greet(onConnect: () => void): BulkConnection {
    const { network, address, port, parameters } = this.options
    const connection = new DatagramConnection(network.openDatagrams(address, port), parameters.wideCounters)
    connection.onConnect = onConnect
    connection.onClosed = error => this.session.streamFailed(error?.message ?? 'UDP ended')
    // Behind the list of those that are under way.
    setImmediate(() => connection.greet())
    return connection
  }

  begin(parameters: TestParameters): void {
    const { network, intervalSeconds, tell } = this.options
    this.calm()
    tell({
      kind: 'start',
      role: 'client',
      parameters,
      streams: this.streams.map(({ number, sending, connection: { local, remote } }) => ({
        number,
        sending,
        local,
        remote,
      })),
    })
    this.traffic = new Traffic({
      parameters,
      streams: this.streams,
      network,
      intervalSeconds,
      tell,
      onUsedUp: () => {
        this.session.testOver()
        this.wait('no results')
      },
      onFailed: reason => this.session.streamFailed(reason),
      endsSenders: false,
    })
    this.traffic.begin()
  }

  measure(): SideResults {
    return this.traffic!.measure()
  }

  over(outcome: SessionOutcome): void {
    this.calm()
    if (this.traffic !== null) {
      this.traffic.measure()
      this.traffic.close()
    } else for (const { connection } of this.streams) connection.abort()
    if (this.link === null) this.control.abort()
    else this.link.close()
    if (outcome.kind === 'done') {
      this.options.tell(endLine(this.streams, outcome.own, outcome.remote))
      return this.finish(null)
    }
    if (this.stopped) return this.finish(null)
    this.finish(this.failure(outcome.reason))
  }

  private failure(reason: string): StackError {
    const { connectError: cause } = this
    const { address, port } = this.options
    const code = cause === null ? 'ERR_PROTOCOL' : cause instanceof StackError ? cause.code : 'ERR_HOST'
    return new StackError(code, `${address} port ${port}: ${cause?.message ?? reason}`, {
      cause,
      hint: 'is an iperf3 server running there, and no test? "iperf3 -s", or "putnext iperf NODE -s"',
    })
  }

  /** The user ends it. */
  stop(): void {
    this.stopped = true
    this.session.terminate('interrupted')
  }

  private wait(what: string): void {
    this.calm()
    const { timeoutMs } = this.options
    if (this.session.state === 'running' || this.session.state === 'over') return
    this.patience = setTimeout(() => {
      this.connectError ??= new StackError('ERR_TIMED_OUT', `${what} in ${timeoutMs} ms`)
      this.session.terminate('timeout')
    }, timeoutMs)
  }

  private calm(): void {
    if (this.patience !== null) clearTimeout(this.patience)
    this.patience = null
  }
}
