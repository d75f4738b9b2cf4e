/** Serves tests, one at a time, to whoever connects. */
import type { BulkConnection, BulkListener, BulkNetwork, DatagramFlow, DatagramListener } from './bulk.ts'
import { ControlLink } from './control-link.ts'
import { DatagramConnection } from './datagram-connection.ts'
import type { TellLine } from './lines.ts'
import type { TestParameters } from './parameters.ts'
import { ACCESS_DENIED, COOKIE_BYTES } from './protocol.ts'
import { endLine } from './report.ts'
import type { SideResults } from './results.ts'
import { ServerSession, type SessionHost, type SessionOutcome } from './server-session.ts'
import { Traffic, type TrafficStream } from './traffic.ts'

/** Connections that have not said yet what they are. */
const GREETING_MAX = 256
/** A client takes each step of a test within this time. */
const STEP_MS = 15_000
/** Beyond the time of a test, and for tests that are measured in bytes: how long nothing may come or go. */
const GRACE_MS = 30_000
const STALL_MS = 120_000
const WATCH_MS = 1_000

export interface ServerOptions {
  readonly network: BulkNetwork
  readonly port: number
  readonly address?: string
  readonly intervalSeconds: number
  /** One test, and it closes. */
  readonly once?: boolean
  readonly tell: TellLine
  /** Called when it has closed. */
  readonly onClosed?: () => void
}

export class IperfServer {
  readonly address: string
  readonly port: number
  private readonly options: ServerOptions
  private readonly listener: BulkListener
  /** Connections that owe their cookie. */
  private readonly greeting = new Map<BulkConnection, NodeJS.Timeout>()
  private test: ServedTest | null = null
  private closed = false

  private constructor(options: ServerOptions, listener: BulkListener) {
    this.options = options
    this.listener = listener
    this.address = listener.address
    this.port = listener.port
    listener.onConnection = connection => this.greet(connection)
    options.tell({ kind: 'listening', address: this.address, port: this.port })
  }

  /** @throws StackError `ERR_ADDR_IN_USE`, `ERR_ADDR_NOT_AVAILABLE`, `ERR_BAD_ADDRESS` */
  static async start(options: ServerOptions): Promise<IperfServer> {
    return new IperfServer(options, await options.network.listen(options.port, options.address))
  }

  private greet(connection: BulkConnection): void {
    if (this.greeting.size >= GREETING_MAX) return connection.abort()
    const drop = (): void => {
      this.forget(connection)
      connection.abort()
    }
    this.greeting.set(connection, setTimeout(drop, STEP_MS))
    const cookie = new Uint8Array(COOKIE_BYTES)
    let size = 0
    connection.onEnd = drop
    connection.onClosed = drop
    connection.onReadable = () => {
      size += connection.fill(cookie, size, COOKIE_BYTES - size)
      if (size < COOKIE_BYTES) return
      this.forget(connection)
      connection.onReadable = null
      connection.onEnd = null
      connection.onClosed = null
      this.introduced(connection, cookie)
    }
  }

  private forget(connection: BulkConnection): void {
    clearTimeout(this.greeting.get(connection))
    this.greeting.delete(connection)
  }

  /** It has said its cookie: the first is a control connection, the others belong to its test or to none. */
  private introduced(connection: BulkConnection, cookie: Uint8Array): void {
    if (this.test?.join(connection, cookie) === true) return
    if (this.test === null && !this.closed) {
      this.test = new ServedTest(this.options, connection, cookie, () => {
        this.test = null
        if (this.options.once === true) this.close()
      })
      return
    }
    try {
      connection.write(Uint8Array.of(ACCESS_DENIED))
    } catch {
      // It has gone already.
    }
    connection.close()
  }

  /** Stops listening, and ends the test that runs. Twice is harmless. */
  close(): void {
    if (this.closed) return
    this.closed = true
    this.listener.close()
    for (const connection of [...this.greeting.keys()]) {
      this.forget(connection)
      connection.abort()
    }
    this.test?.terminate('the server ends')
    this.options.onClosed?.()
  }
}

class ServedTest implements SessionHost {
  private readonly options: ServerOptions
  private readonly session: ServerSession
  private readonly link: ControlLink
  private readonly streams: TrafficStream[] = []
  private traffic: Traffic | null = null
  private datagrams: DatagramListener | null = null
  private readonly onOver: () => void
  private readonly watch: NodeJS.Timeout
  /** When the current step has to be done; null while data flows. */
  private deadline: number | null

  constructor(options: ServerOptions, control: BulkConnection, cookie: Uint8Array, onOver: () => void) {
    this.options = options
    this.onOver = onOver
    this.deadline = performance.now() + STEP_MS
    this.watch = setInterval(() => this.look(), WATCH_MS)
    options.tell({ kind: 'accepted', ...control.remote })
    this.session = new ServerSession(this, cookie)
    this.link = new ControlLink(
      control,
      bytes => {
        if (this.deadline !== null) this.deadline = performance.now() + STEP_MS
        this.session.controlIn(bytes)
      },
      () => this.session.controlEnded(),
    )
    this.session.begin()
  }

  /** @returns false if the connection is none of this test's */
  join(connection: BulkConnection, cookie: Uint8Array): boolean {
    const plan = this.session.join(cookie)
    if (plan === null) return false
    const { noDelay, maxSegment, windowBytes } = this.session.parameters!
    this.options.network.apply(connection, { noDelay, maxSegment, windowBytes })
    connection.onClosed = error =>
      this.session.streamFailed(`stream ${plan.number}: ${error?.message ?? 'the client closed it'}`)
    this.streams.push({ ...plan, connection })
    this.session.joined()
    return true
  }

  send(bytes: Uint8Array): void {
    this.link.send(bytes)
  }

  /** A UDP test needs its port before the client is told to go on. */
  prepare(parameters: TestParameters): Promise<string | null> | null {
    if (parameters.protocol === 'tcp') return null
    const { network, port, address } = this.options
    return network.listenDatagrams(port, address).then(
      listener => {
        this.datagrams = listener
        if (this.session.state === 'over') listener.close()
        listener.onFlow = flow => this.joinFlow(flow, parameters.wideCounters)
        return null
      },
      (error: Error) => error.message,
    )
  }

  private joinFlow(flow: DatagramFlow, wide: boolean): boolean {
    const plan = this.session.joinDatagrams()
    if (plan === null) return false
    this.streams.push({ ...plan, connection: new DatagramConnection(flow, wide) })
    // The datagram that came first is answered before the test begins.
    setImmediate(() => this.session.joined())
    return true
  }

  begin(parameters: TestParameters): void {
    const { network, intervalSeconds, tell } = this.options
    this.deadline = null
    tell({
      kind: 'start',
      role: 'server',
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
      onUsedUp: null,
      onFailed: reason => this.session.streamFailed(reason),
      endsSenders: true,
    })
    this.traffic.begin()
  }

  measure(): SideResults {
    this.deadline = performance.now() + STEP_MS
    return this.traffic!.measure()
  }

  over(outcome: SessionOutcome): void {
    clearInterval(this.watch)
    if (this.traffic !== null) {
      this.traffic.measure()
      this.traffic.close()
    } else for (const { connection } of this.streams) connection.abort()
    this.datagrams?.close()
    this.link.close()
    if (outcome.kind === 'done') this.options.tell(endLine(this.streams, outcome.own, outcome.remote))
    else this.options.tell({ kind: 'failed', reason: outcome.reason })
    this.onOver()
  }

  terminate(reason: string): void {
    this.session.terminate(reason)
  }

  /** A client that hangs does not keep the others out for ever. */
  private look(): void {
    const now = performance.now()
    if (this.deadline !== null) {
      if (now > this.deadline) this.terminate('the client does not go on')
      return
    }
    const { seconds, omitSeconds } = this.session.parameters!
    if (now > this.traffic!.progressAt + STALL_MS) this.terminate('nothing comes or goes any more')
    else if (seconds > 0 && now > this.traffic!.beganAt + (seconds + omitSeconds) * 1_000 + GRACE_MS)
      this.terminate('the client does not end the test')
  }
}
