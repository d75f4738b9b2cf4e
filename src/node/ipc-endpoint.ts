/**
 * The program of a datagram endpoint whose real program is in another process: what comes goes to the client as far as its credit
 * reaches; the rest waits in the endpoint, and UDP drops and counts what finds no room there (`receive-full`).
 */
import { StackError } from '../base/errors.ts'
import { UD_DONT_FRAGMENT } from '../inet/unitdata.ts'
import { cleanRequest, isDatagram, ownUnitdata, strip } from '../ipc/datagram-body.ts'
import {
  ABORT,
  ANSWER,
  CLOSE,
  CREDIT,
  costOf,
  DATAGRAM,
  DATAGRAM_CREDIT_BYTES,
  DATAGRAM_CREDIT_STEP_BYTES,
  errorText,
  NAMES,
  OVER,
  REFUSAL,
  REQUEST,
  takeText,
} from '../ipc/protocol.ts'
import type { UdpEndpoint } from '../socket/endpoint.ts'
import { freemsg } from '../streams/mblk/alloc.ts'
import type { Mblk } from '../streams/mblk/mblk.ts'
import { messageBytes } from '../streams/mblk/message.ts'
import type { IpcAgent, IpcStream } from './ipc-agent.ts'

/** What a client may have under way: its credit, and one datagram over it. */
const UNDER_WAY_MAX = DATAGRAM_CREDIT_BYTES + costOf(128 * 1024)

interface Request {
  readonly command: string
  readonly argument: unknown
}

export class IpcEndpoint implements IpcStream {
  private readonly agent: IpcAgent
  private readonly id: number
  private readonly endpoint: UdpEndpoint
  /** Cost of datagrams that may go to the client. */
  private credit = DATAGRAM_CREDIT_BYTES
  /** Cost of the client's that UDP has not taken, and of what it took and the client was not told. */
  private underWay = 0
  private taken = 0
  private readonly waiting: Mblk[] = []
  /** The client knows where it is bound. */
  private named: boolean
  private over = false

  constructor(agent: IpcAgent, id: number, endpoint: UdpEndpoint) {
    this.agent = agent
    this.id = id
    this.endpoint = endpoint
    this.named = endpoint.names.local !== null
    endpoint.onWritable = () => this.work()
    endpoint.stream.onDown = () => this.down()
    endpoint.stream.onReadable = () => this.pump()
  }

  // ---- to the client

  private pump(): void {
    const { endpoint, agent, id } = this
    while (this.credit > 0 && !this.over) {
      if (endpoint.stream.top.first === null || agent.isFull(this)) return
      const mp = endpoint.getmsg()
      if (mp === null) return
      strip(mp)
      this.credit -= costOf(messageBytes(mp))
      agent.send(id, DATAGRAM, 0, mp)
    }
  }

  drained(): void {
    this.pump()
  }

  /** The stream failed, or the stack was taken away. */
  private down(): void {
    if (this.over) return
    const error = this.endpoint.stream.poll().error ?? new StackError('ERR_HANGUP', 'the stack is gone')
    this.agent.sendText(this.id, OVER, 0, { error: errorText(error) })
    this.end()
  }

  // ---- from the client

  frame(kind: number, detail: number, mp: Mblk | null): boolean {
    if (kind === DATAGRAM) return mp !== null && this.data(mp)
    const text = takeText(mp)
    switch (kind) {
      case CREDIT:
        if (detail <= 0 || this.credit + detail > DATAGRAM_CREDIT_BYTES) return false
        this.credit += detail
        this.pump()
        return true
      case CLOSE:
      case ABORT:
        this.end()
        return true
      case REQUEST:
        this.request(detail, text as Request)
        return true
      default:
        return false
    }
  }

  private data(mp: Mblk): boolean {
    const cost = costOf(messageBytes(mp))
    this.underWay += cost
    if (!isDatagram(mp) || this.underWay > UNDER_WAY_MAX) {
      freemsg(mp)
      return false
    }
    const request = ownUnitdata(this.endpoint.stream.runtime.arena, mp)
    if (request === null) this.agent.count('no-buffers')
    else cleanRequest(request, UD_DONT_FRAGMENT)
    if (request === null || (this.waiting.length === 0 && this.put(request))) this.took(cost)
    else {
      this.waiting.push(request)
      this.agent.holds(cost)
    }
    return true
  }

  /** @returns false if UDP has no room: `mp` is still ours */
  private put(mp: Mblk): boolean {
    try {
      if (!this.endpoint.send(mp)) return false
    } catch {
      // It is down: the client was told, or will be.
    }
    if (!this.named) this.tellNames()
    return true
  }

  private took(cost: number): void {
    this.underWay -= cost
    this.taken += cost
    if (this.taken < DATAGRAM_CREDIT_STEP_BYTES || this.over) return
    this.agent.send(this.id, CREDIT, this.taken, null)
    this.taken = 0
  }

  /** There is room below. */
  private work(): void {
    while (this.waiting.length > 0) {
      const next = this.waiting[0]!
      const cost = costOf(messageBytes(next))
      if (!this.put(next)) return
      this.waiting.shift()
      this.agent.holds(-cost)
      this.took(cost)
    }
  }

  private request(number: number, request: Request): void {
    const { command, argument } = request ?? {}
    this.endpoint.stream.ioctl(typeof command === 'string' ? command : '', argument).then(
      answer => {
        if (this.over) return
        this.tellNames()
        this.agent.sendText(this.id, ANSWER, number, answer)
      },
      error => {
        if (!this.over) this.agent.sendText(this.id, REFUSAL, number, errorText(error))
      },
    )
  }

  private tellNames(): void {
    const { names } = this.endpoint
    this.named = names.local !== null
    this.agent.sendText(this.id, NAMES, 0, names)
  }

  // ---- the end

  abandon(): void {
    this.end()
  }

  private end(): void {
    if (this.over) return
    this.over = true
    for (const mp of this.waiting) {
      this.agent.holds(-costOf(messageBytes(mp)))
      freemsg(mp)
    }
    this.waiting.length = 0
    this.agent.forget(this.id, this)
    this.endpoint.close()
  }
}
