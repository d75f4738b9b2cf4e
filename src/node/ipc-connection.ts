/**
 * The program of a connection whose real program is in another process: what comes in goes to the client as far as its credit
 * reaches, the rest stays in the stream and closes the window; what the client sends waits here, within its credit, while TCP is full.
 */
import { StackError } from '../base/errors.ts'
import { makePrimitive, URGENT_REQ } from '../inet/tcp/primitives.ts'
import { CreditGiver } from '../ipc/credit.ts'
import {
  ABORT,
  ANSWER,
  BODY_BYTES_MAX,
  CLOSE,
  CONNECTED,
  CREDIT,
  CREDIT_BYTES,
  costOf,
  DATA,
  END,
  errorText,
  FIRST_CREDIT_BYTES,
  OVER,
  REFUSAL,
  REQUEST,
  SET,
  SHUTDOWN,
  TROUBLE,
  takeText,
  URGENT,
  URGENT_DATA,
} from '../ipc/protocol.ts'
import { ANY_MEMORY, bodyCost, Cutter } from '../ipc/send-data.ts'
import type { TcpConnection } from '../socket/tcp-endpoint.ts'
import { freemsg } from '../streams/mblk/alloc.ts'
import type { Mblk } from '../streams/mblk/mblk.ts'
import { messageBytes } from '../streams/mblk/message.ts'
import { M_DATA } from '../streams/mblk/types.ts'
import { putnext } from '../streams/putnext.ts'
import type { IpcAgent, IpcStream } from './ipc-agent.ts'

/** What a client may have under way: its credit, and one message over it. */
const UNDER_WAY_MAX = CREDIT_BYTES + costOf(BODY_BYTES_MAX)

/** What is cut is sent before anything else is cut. */
const cutter = new Cutter(ANY_MEMORY)

interface Request {
  readonly command: string
  readonly argument: unknown
}

export class IpcConnection implements IpcStream {
  private readonly agent: IpcAgent
  private readonly id: number
  private readonly connection: TcpConnection
  /** Cost of data that may go to the client. */
  private credit = FIRST_CREDIT_BYTES
  /** Cost of data of the client's that TCP has not taken. */
  private underWay = 0
  private readonly giver: CreditGiver
  /** Bytes that went to the client. */
  private sent = 0
  /** What waits for TCP to have room, with SHUTDOWN, URGENT_DATA and CLOSE in their places. */
  private readonly waiting: (Mblk | number)[] = []
  /** The client closed it: nothing goes there any more. */
  private left = false
  private over = false

  constructor(agent: IpcAgent, id: number, connection: TcpConnection) {
    this.agent = agent
    this.id = id
    this.connection = connection
    this.giver = new CreditGiver(agent.credits)
    connection.onConnect = () => this.say(CONNECTED, 0)
    connection.onEnd = () => this.say(END, 0)
    connection.onWritable = () => this.work()
    connection.onUrgent = () => this.say(URGENT, (this.sent + connection.urgentAhead) | 0)
    connection.onTrouble = (_error, code) => this.say(TROUBLE, code)
    connection.onClosed = (reason, error) => {
      this.say(OVER, 0, { reason, error: error === null ? null : errorText(error) })
      this.end()
    }
    connection.onReadable = () => this.pump()
  }

  private say(kind: number, detail: number, text?: unknown): void {
    if (this.left) return
    if (text === undefined) this.agent.send(this.id, kind, detail, null)
    else this.agent.sendText(this.id, kind, detail, text)
  }

  // ---- to the client

  /** Sends what waits in the stream, as far as credit and the channel go. */
  private pump(): void {
    const { connection, agent } = this
    while (this.credit > 0 && !this.left && !this.over) {
      if (connection.stream.top.first === null || agent.isFull(this)) return
      const mp = connection.getmsg()
      if (mp === null) return
      this.sent = (this.sent + messageBytes(mp)) | 0
      if (!this.send(mp)) return this.giveUp()
    }
  }

  /** @param mp - consumed @returns false if it can be neither cut nor sent */
  private send(mp: Mblk): boolean {
    for (let rest: Mblk | null = mp; rest !== null; rest = cutter.rest) {
      if (cutter.cut(rest) === 'no-view') {
        freemsg(cutter.rest!)
        return false
      }
      this.credit -= bodyCost(cutter.body!)
      this.agent.send(this.id, DATA, 0, cutter.body)
    }
    return true
  }

  /** Data must not be missing: the connection ends. */
  private giveUp(): void {
    this.agent.count('no-views')
    const error = errorText(new StackError('ERR_NO_BUFFERS', 'too many views of blocks are alive'))
    this.say(OVER, 0, { reason: 'aborted', error })
    this.abort()
  }

  drained(): void {
    this.pump()
  }

  // ---- from the client

  frame(kind: number, detail: number, mp: Mblk | null): boolean {
    if (kind === DATA) return mp === null || this.data(mp)
    const text = takeText(mp)
    switch (kind) {
      case CREDIT:
        if (detail <= 0 || this.credit + detail > CREDIT_BYTES) return false
        this.credit += detail
        this.pump()
        return true
      case SHUTDOWN:
      case URGENT_DATA:
      case CLOSE:
        this.inPlace(kind)
        return true
      case ABORT:
        this.left = true
        this.abort()
        return true
      case SET:
        this.set(text)
        return true
      case REQUEST:
        this.request(detail, text as Request)
        return true
      default:
        return false
    }
  }

  /** What has its place behind the data. Twice in the same place it says no more than once, and data alone is bounded by credit. */
  private inPlace(kind: number): void {
    const { waiting } = this
    const last = waiting[waiting.length - 1]
    if (this.left) return
    if (kind === CLOSE) this.left = true
    const isNew = typeof last !== 'number' || (last === URGENT_DATA && kind === SHUTDOWN)
    if (waiting.length === 0) this.obey(kind)
    else if (isNew || kind === CLOSE) waiting.push(kind)
  }

  private data(mp: Mblk): boolean {
    const cost = costOf(messageBytes(mp))
    this.underWay += cost
    if (this.underWay > UNDER_WAY_MAX || this.left) {
      freemsg(mp)
      return false
    }
    mp.type = M_DATA
    if (this.waiting.length === 0 && this.put(mp)) this.took(cost)
    else {
      this.waiting.push(mp)
      this.agent.holds(cost)
    }
    return true
  }

  /** @returns false if TCP is full: `mp` is still ours */
  private put(mp: Mblk): boolean {
    try {
      return this.connection.putmsg(mp)
    } catch {
      // It is over, or was shut down: onClosed tells, or told.
      return true
    }
  }

  private took(cost: number): void {
    this.underWay -= cost
    if (this.left || this.over) return
    const given = this.giver.took(cost, true)
    if (given > 0) this.say(CREDIT, given)
  }

  /** TCP has room. */
  private work(): void {
    while (this.waiting.length > 0) {
      const next = this.waiting[0]!
      if (typeof next === 'number') this.obey(next)
      else {
        const cost = costOf(messageBytes(next))
        if (!this.put(next)) return
        this.agent.holds(-cost)
        this.took(cost)
      }
      this.waiting.shift()
    }
  }

  private obey(kind: number): void {
    const { connection } = this
    if (this.over) return
    if (kind === CLOSE) {
      connection.close()
      this.end()
    } else if (kind === SHUTDOWN) this.shutdown()
    else {
      const mp = makePrimitive(connection.stream.runtime.arena, URGENT_REQ)
      // Urgency is a hint: without a block for it the data goes as any other.
      if (mp !== null) putnext(connection.stream.top.other, mp)
    }
  }

  private shutdown(): void {
    try {
      this.connection.shutdown()
    } catch {
      // No block to tell a module of it: better an abrupt end than none.
      this.abort()
    }
  }

  private set(settings: unknown): void {
    try {
      this.connection.set(settings as object)
    } catch {
      // The client has checked them with the same code: one that does not is none of ours.
    }
  }

  private request(number: number, request: Request): void {
    const { command, argument } = request ?? {}
    this.connection.stream.ioctl(typeof command === 'string' ? command : '', argument).then(
      answer => this.say(ANSWER, number, answer),
      error => this.say(REFUSAL, number, errorText(error)),
    )
  }

  // ---- the end

  /** The client is gone. What it closed in order goes on, the rest is reset. */
  abandon(): void {
    if (this.over) return
    if (this.left && this.waiting.length > 0 && this.agent.home.linger(this, this.waitingCost)) return
    this.left = true
    this.abort()
  }

  private get waitingCost(): number {
    let cost = 0
    for (const each of this.waiting) if (typeof each !== 'number') cost += bodyCost(each)
    return cost
  }

  /** At once, with a reset. */
  abort(): void {
    if (this.over) return
    this.connection.abort()
    this.end()
  }

  private end(): void {
    if (this.over) return
    this.over = true
    for (const each of this.waiting) {
      if (typeof each === 'number') continue
      this.agent.holds(-costOf(messageBytes(each)))
      freemsg(each)
    }
    this.waiting.length = 0
    this.giver.close()
    this.agent.forget(this.id, this)
    this.agent.home.lingered(this)
    this.connection.close()
  }
}
