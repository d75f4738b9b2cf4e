/** One test as the server goes through it. Pure: bytes of the control connection and events in, bytes and requests out. */

import { readParameters, type StreamPlan, type TestParameters } from './parameters.ts'
import {
  CLIENT_TERMINATE,
  ControlIntake,
  CREATE_STREAMS,
  DISPLAY_RESULTS,
  EXCHANGE_RESULTS,
  IE_RECEIVE_PARAMETERS,
  IE_STREAM_LISTEN,
  IE_UNIMPLEMENTED,
  IPERF_DONE,
  jsonBytes,
  PARAM_EXCHANGE,
  SERVER_TERMINATE,
  sameBytes,
  serverErrorBytes,
  streamNumber,
  TEST_END,
  TEST_RUNNING,
  TEST_START,
} from './protocol.ts'
import { readResults, type SideResults, wireResults } from './results.ts'

/** What a session asks of whoever has the connections. None of it may call back into the session. */
export interface SessionHost {
  /** Bytes for the control connection. */
  send(bytes: Uint8Array): void
  /** What is to be ready before the client opens connections. @returns null for nothing; later why it cannot be, or null */
  prepare?(parameters: TestParameters): Promise<string | null> | null
  /** All connections are there: data flows from now on. */
  begin(parameters: TestParameters): void
  /** The test is over: nothing more is sent, what comes is not counted. @returns what was measured */
  measure(): SideResults
  /** Nothing follows. `remote` is what the other side measured, null if it did not come to that. */
  over(outcome: SessionOutcome): void
}

export type SessionOutcome =
  | { readonly kind: 'done'; readonly own: SideResults; readonly remote: SideResults }
  | { readonly kind: 'failed'; readonly reason: string }

type ServerState = 'parameters' | 'preparing' | 'streams' | 'running' | 'results' | 'display' | 'over'

export class ServerSession {
  state: ServerState = 'parameters'
  parameters: TestParameters | null = null
  private readonly host: SessionHost
  private readonly cookie: Uint8Array
  private readonly intake = new ControlIntake()
  private streamsJoined = 0
  private own: SideResults | null = null

  /** @param cookie - what the control connection began with */
  constructor(host: SessionHost, cookie: Uint8Array) {
    this.host = host
    this.cookie = cookie
  }

  begin(): void {
    this.host.send(Uint8Array.of(PARAM_EXCHANGE))
  }

  /** Connections that the test has in all. */
  get streamsWanted(): number {
    const { parameters } = this
    return parameters === null ? 0 : parameters.parallel * (parameters.direction === 'both' ? 2 : 1)
  }

  /**
   * A connection came that began with `cookie`.
   * @returns its part in the test; null if it has none
   */
  join(cookie: Uint8Array): StreamPlan | null {
    return sameBytes(cookie, this.cookie) ? this.joinDatagrams() : null
  }

  /** As {@link join}, for what has no cookie: a UDP stream. */
  joinDatagrams(): StreamPlan | null {
    const { parameters } = this
    if (parameters === null || this.state !== 'streams' || this.streamsJoined >= this.streamsWanted)
      return null
    const index = this.streamsJoined++
    const { direction, parallel } = parameters
    // Of both directions, those in which the client sends connect first.
    const sending = direction === 'reverse' || (direction === 'both' && index >= parallel)
    return { number: streamNumber(index), sending }
  }

  /** What {@link join} let in is ready; the last one starts the test. */
  joined(): void {
    const { parameters } = this
    if (parameters === null || this.state !== 'streams' || this.streamsJoined < this.streamsWanted) return
    this.state = 'running'
    this.host.send(Uint8Array.of(TEST_START))
    this.host.send(Uint8Array.of(TEST_RUNNING))
    this.host.begin(parameters)
  }

  /** Bytes of the control connection. */
  controlIn(bytes: Uint8Array): void {
    this.intake.add(bytes)
    while (this.state !== 'over' && this.step());
  }

  /** The control connection ended or broke. */
  controlEnded(): void {
    if (this.state !== 'over') this.fail('the client closed the control connection')
  }

  /** A connection of the test broke. */
  streamFailed(reason: string): void {
    if (this.state === 'streams' || this.state === 'running') this.fail(reason)
  }

  /** This side ends it. */
  terminate(reason: string): void {
    if (this.state === 'over') return
    this.host.send(Uint8Array.of(SERVER_TERMINATE))
    this.fail(reason)
  }

  /** @returns whether something was taken from the intake */
  private step(): boolean {
    if (this.state === 'parameters') return this.takeParameters()
    if (this.state === 'results') return this.takeResults()
    if (this.state === 'preparing') return false
    const state = this.intake.state()
    if (state === null) return false
    if (state === CLIENT_TERMINATE) this.fail('the client ended the test')
    else if (state === TEST_END && this.state === 'running') this.endTest()
    else if (state === IPERF_DONE && this.state === 'display') this.done()
    else this.fail(`the client sent state ${state}, which has no place here`)
    return true
  }

  private takeParameters(): boolean {
    const document = this.intake.json()
    if (document === null) return false
    const read = document === 'invalid' ? null : readParameters(document.value)
    if (read?.kind !== 'parameters') {
      this.host.send(
        serverErrorBytes(read?.unimplemented === true ? IE_UNIMPLEMENTED : IE_RECEIVE_PARAMETERS),
      )
      this.fail(read?.reason ?? 'the parameters of the client are no JSON')
      return true
    }
    this.parameters = read.parameters
    this.state = 'preparing'
    const prepared = this.host.prepare?.(read.parameters) ?? null
    if (prepared === null) this.prepared(null)
    else void prepared.then(reason => this.prepared(reason))
    return true
  }

  private prepared(reason: string | null): void {
    if (this.state !== 'preparing') return
    if (reason !== null) {
      this.host.send(serverErrorBytes(IE_STREAM_LISTEN))
      return this.fail(reason)
    }
    this.state = 'streams'
    this.host.send(Uint8Array.of(CREATE_STREAMS))
    // What came meanwhile.
    this.controlIn(new Uint8Array(0))
  }

  private endTest(): void {
    this.own = this.host.measure()
    this.state = 'results'
    this.host.send(Uint8Array.of(EXCHANGE_RESULTS))
  }

  private takeResults(): boolean {
    const document = this.intake.json()
    if (document === null) return false
    const remote = document === 'invalid' ? null : readResults(document.value)
    if (remote === null) {
      this.fail('the results of the client are none')
      return true
    }
    this.remote = remote
    this.host.send(jsonBytes(wireResults(this.own!)))
    this.host.send(Uint8Array.of(DISPLAY_RESULTS))
    this.state = 'display'
    return true
  }

  private remote: SideResults | null = null

  private done(): void {
    this.state = 'over'
    this.host.over({ kind: 'done', own: this.own!, remote: this.remote! })
  }

  private fail(reason: string): void {
    const complete = this.state === 'display'
    // Some clients leave without a word once they have the results.
    if (complete) return this.done()
    this.state = 'over'
    this.host.over({ kind: 'failed', reason })
  }
}
