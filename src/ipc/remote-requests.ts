/** Requests to modules and to the stack of a stream that has its other part in the node: they go there, and their answers come back. */
import { StackError } from '../base/errors.ts'
import { ackIoctl, nakIoctl, readIoctl } from '../streams/ioctl.ts'
import type { Mblk } from '../streams/mblk/mblk.ts'
import type { AnyQueue } from '../streams/module.ts'
import type { ClientPort } from './client-port.ts'
import { ANSWER, type ErrorText, errorFrom, REQUEST, readText } from './protocol.ts'

export class RemoteRequests {
  private readonly port: ClientPort
  private readonly id: number
  /** Write queue of the driver's end. */
  private readonly wq: AnyQueue
  /** M_IOCTLs that wait for their answers, by number. */
  private readonly waiting = new Map<number, Mblk>()
  private next = 1

  constructor(port: ClientPort, id: number, wq: AnyQueue) {
    this.port = port
    this.id = id
    this.wq = wq
  }

  /** @param mp - consumed: an M_IOCTL */
  ask(mp: Mblk): void {
    const { command, argument } = readIoctl(mp)
    const number = this.next++
    try {
      this.port.sendText(this.id, REQUEST, number, { command, argument })
    } catch (error) {
      return nakIoctl(this.wq, mp, error as StackError)
    }
    this.waiting.set(number, mp)
  }

  /** @param body - borrowed */
  answer(kind: number, number: number, body: Mblk | null): void {
    const mp = this.waiting.get(number)
    if (mp === undefined) return
    this.waiting.delete(number)
    const text = readText(body)
    if (kind === ANSWER) ackIoctl(this.wq, mp, text)
    else nakIoctl(this.wq, mp, errorFrom(text as ErrorText))
  }

  /** Nothing is answered any more. */
  fail(error: StackError): void {
    for (const mp of this.waiting.values()) nakIoctl(this.wq, mp, error)
    this.waiting.clear()
  }
}

export const streamOver = (): StackError => new StackError('ERR_STREAM_CLOSED', 'the stream is over')
