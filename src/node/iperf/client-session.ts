/** One test as the client goes through it. Pure, as the server's side is. */
import type { TestParameters } from './parameters.ts'
import { wireParameters } from './parameters.ts'
import {
  ACCESS_DENIED,
  CLIENT_TERMINATE,
  ControlIntake,
  CREATE_STREAMS,
  DISPLAY_RESULTS,
  EXCHANGE_RESULTS,
  IPERF_DONE,
  jsonBytes,
  PARAM_EXCHANGE,
  SERVER_ERROR,
  SERVER_ERROR_BYTES,
  SERVER_TERMINATE,
  TEST_END,
  TEST_RUNNING,
  TEST_START,
} from './protocol.ts'
import { readResults, type SideResults, wireResults } from './results.ts'
import type { SessionHost } from './server-session.ts'

/** What the client asks for besides. */
export interface ClientHost extends SessionHost {
  /** Connect all connections of the test; each begins with the cookie. Then {@link ClientSession.connected}. */
  openStreams(): void
}

type ClientState = 'begin' | 'streams' | 'waiting' | 'running' | 'ending' | 'results' | 'display' | 'over'

export class ClientSession {
  state: ClientState = 'begin'
  readonly parameters: TestParameters
  private readonly host: ClientHost
  private readonly cookie: Uint8Array
  private readonly intake = new ControlIntake()
  private own: SideResults | null = null
  private remote: SideResults | null = null
  /** SERVER_ERROR came: its numbers follow. */
  private refused = false

  constructor(host: ClientHost, cookie: Uint8Array, parameters: TestParameters) {
    this.host = host
    this.cookie = cookie
    this.parameters = parameters
  }

  /** The control connection is there. */
  begin(): void {
    this.host.send(this.cookie)
  }

  /** All connections of the test are there. */
  connected(): void {
    if (this.state === 'streams') this.state = 'waiting'
  }

  /** Time or bytes are used up. */
  testOver(): void {
    if (this.state !== 'running') return
    this.own = this.host.measure()
    this.state = 'ending'
    this.host.send(Uint8Array.of(TEST_END))
  }

  controlIn(bytes: Uint8Array): void {
    this.intake.add(bytes)
    while (this.state !== 'over' && this.step());
  }

  controlEnded(): void {
    if (this.state !== 'over') this.fail('the server closed the control connection')
  }

  streamFailed(reason: string): void {
    // At the end of a test a server closes what it has not read.
    if (this.state === 'streams' || this.state === 'waiting' || this.state === 'running') this.fail(reason)
  }

  terminate(reason: string): void {
    if (this.state === 'over') return
    this.host.send(Uint8Array.of(CLIENT_TERMINATE))
    this.fail(reason)
  }

  private step(): boolean {
    if (this.refused) return this.takeRefusal()
    if (this.state === 'results') return this.takeResults()
    const state = this.intake.state()
    if (state === null) return false
    if (!this.follow(state)) this.fail(`the server sent state ${state}, which has no place here`)
    return true
  }

  /** @returns false if the state has no place here */
  private follow(state: number): boolean {
    switch (state) {
      case PARAM_EXCHANGE:
        if (this.state !== 'begin') return false
        this.host.send(jsonBytes(wireParameters(this.parameters)))
        return true
      case CREATE_STREAMS:
        if (this.state !== 'begin') return false
        this.state = 'streams'
        this.host.openStreams()
        return true
      case TEST_START:
        return this.state === 'streams' || this.state === 'waiting'
      case TEST_RUNNING:
        if (this.state !== 'streams' && this.state !== 'waiting') return false
        this.state = 'running'
        this.host.begin(this.parameters)
        return true
      case EXCHANGE_RESULTS:
        if (this.state !== 'ending' && this.state !== 'running') return false
        this.own ??= this.host.measure()
        this.host.send(jsonBytes(wireResults(this.own)))
        this.state = 'results'
        return true
      case DISPLAY_RESULTS:
        if (this.state !== 'display') return false
        this.state = 'over'
        this.host.send(Uint8Array.of(IPERF_DONE))
        this.host.over({ kind: 'done', own: this.own!, remote: this.remote! })
        return true
      case ACCESS_DENIED:
        this.fail('the server is busy with another test')
        return true
      case SERVER_TERMINATE:
        this.fail('the server ended the test')
        return true
      case SERVER_ERROR:
        this.refused = true
        return true
      default:
        return false
    }
  }

  private takeRefusal(): boolean {
    const numbers = this.intake.take(SERVER_ERROR_BYTES)
    if (numbers === null) return false
    const view = new DataView(numbers.buffer, numbers.byteOffset)
    const [iperfError, systemError] = [view.getUint32(0), view.getUint32(4)]
    const system = systemError === 0 ? '' : ` (errno ${systemError})`
    this.fail(`the server refused the test: error ${iperfError} of iperf3${system}`)
    return true
  }

  private takeResults(): boolean {
    const document = this.intake.json()
    if (document === null) return false
    this.remote = document === 'invalid' ? null : readResults(document.value)
    if (this.remote === null) this.fail('the results of the server are none')
    else this.state = 'display'
    return true
  }

  private fail(reason: string): void {
    this.state = 'over'
    this.host.over({ kind: 'failed', reason })
  }
}
