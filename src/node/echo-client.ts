/** Echo requests of a node's own: one endpoint of "icmp", on which every request has a sequence number of its own. */
import { StackError } from '../base/errors.ts'
import { formatAddress, fromWords, parseAddress } from '../inet/address.ts'
import { errorMeaning } from '../inet/icmp/errors.ts'
import {
  allocUnitdata,
  ERROR_CODE,
  ERROR_IND,
  FAMILY,
  HOP_LIMIT,
  KIND,
  REMOTE,
  REMOTE_PORT,
  UNITDATA_REQ,
} from '../inet/unitdata.ts'
import { freemsg, type Mblk, messageBytes, messageFrom, type Runtime, Stream } from '../streams/index.ts'
import type { EchoRequest, EchoResult } from './network.ts'

const SEQUENCES = 65_536
/** Requests of one node that may wait for their replies. */
const PENDING_MAX = 1_024

interface Pending {
  readonly request: EchoRequest
  readonly sentAt: number
  readonly settle: (result: EchoResult) => void
}

export class EchoClient {
  private readonly stream: Stream
  private readonly pending = new Map<number, Pending>()
  private next = 1

  constructor(runtime: Runtime) {
    this.stream = Stream.open(runtime, 'icmp', { name: 'echo' })
    this.stream.onReadable = () => this.receive()
  }

  /**
   * Sends one echo request and waits for what becomes of it.
   * @throws StackError `ERR_BAD_ADDRESS`, `ERR_NO_BUFFERS`, `ERR_WOULD_BLOCK` if the way out is full
   */
  ping(request: EchoRequest): Promise<EchoResult> {
    const sequence = this.freeSequence()
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => this.settle(sequence, { kind: 'timeout', sequence: request.sequence }),
        request.timeoutMs,
      )
      const ended = (): void => this.settle(sequence, { kind: 'timeout', sequence: request.sequence })
      const settle = (result: EchoResult): void => {
        clearTimeout(timer)
        request.signal?.removeEventListener('abort', ended)
        resolve(result)
      }
      request.signal?.addEventListener('abort', ended, { once: true })
      this.pending.set(sequence, { request, sentAt: this.stream.runtime.clock.now(), settle })
      try {
        this.send(request, sequence)
      } catch (error) {
        this.pending.delete(sequence)
        clearTimeout(timer)
        request.signal?.removeEventListener('abort', ended)
        reject(error)
      }
    })
  }

  /** Ends what waits, as timeouts. */
  close(): void {
    for (const [sequence, { request }] of [...this.pending])
      this.settle(sequence, { kind: 'timeout', sequence: request.sequence })
    this.stream.close()
  }

  private freeSequence(): number {
    if (this.pending.size >= PENDING_MAX)
      throw new StackError('ERR_BUSY', `${PENDING_MAX} echo requests wait for their replies`)
    while (this.pending.has(this.next)) this.next = (this.next + 1) % SEQUENCES
    const sequence = this.next
    this.next = (this.next + 1) % SEQUENCES
    return sequence
  }

  private send(request: EchoRequest, sequence: number): void {
    const { arena } = this.stream.runtime
    const address = parseAddress(request.address)
    if (address === null) throw new StackError('ERR_BAD_ADDRESS', `"${request.address}" is no IP address`)
    const payload = Uint8Array.from({ length: request.bytes }, (_, i) => i)
    const mp = allocUnitdata(arena, UNITDATA_REQ)
    const data = mp === null ? null : messageFrom(arena, payload, 0, payload.length, 'edge')
    if (mp === null || data === null) {
      if (mp !== null) freemsg(mp)
      throw new StackError('ERR_NO_BUFFERS', 'no block left for an echo request')
    }
    const at = mp.rptr >> 2
    arena.words[at + FAMILY] = address.family
    for (const [i, word] of address.words.entries()) arena.words[at + REMOTE + i] = word
    arena.words[at + REMOTE_PORT] = sequence
    arena.words[at + HOP_LIMIT] = request.ttl ?? 0
    mp.cont = data
    if (this.stream.putmsg(mp)) return
    freemsg(mp)
    throw new StackError('ERR_WOULD_BLOCK', 'the way out is full')
  }

  private receive(): void {
    for (let mp = this.stream.getmsg(); mp !== null; mp = this.stream.getmsg()) {
      this.take(mp)
      freemsg(mp)
    }
  }

  /** @param mp - borrowed: an indication or an error */
  private take(mp: Mblk): void {
    const { runtime } = this.stream
    const { words } = runtime.arena
    const at = mp.rptr >> 2
    const key = words[at + REMOTE_PORT]!
    const waiting = this.pending.get(key)
    if (waiting === undefined) return
    const { sequence } = waiting.request
    if (words[at + KIND] === ERROR_IND) {
      this.settle(key, { kind: 'error', sequence, reason: errorMeaning(words[at + ERROR_CODE]!).text })
      return
    }
    const [a, b, c, d] = [0, 1, 2, 3].map(i => words[at + REMOTE + i]!)
    const from = formatAddress(fromWords(words[at + FAMILY] === 4 ? 4 : 6, a!, b!, c!, d!))
    const bytes = mp.cont === null ? 0 : messageBytes(mp.cont)
    const milliseconds = (runtime.clock.now() - waiting.sentAt) / 1_000
    this.settle(key, { kind: 'reply', sequence, from, bytes, ttl: words[at + HOP_LIMIT]!, milliseconds })
  }

  private settle(key: number, result: EchoResult): void {
    const waiting = this.pending.get(key)
    this.pending.delete(key)
    waiting?.settle(result)
  }
}
