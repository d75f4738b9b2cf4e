/** A stream of a UDP test as the rest of a test sees one: bytes that go and come, and how the datagrams fared. */
import type { BulkConnection, DatagramFlow, EndName, SenderFigures } from './bulk.ts'
import {
  answerTo,
  DATAGRAM_HEADER_BYTES,
  type DatagramFigures,
  DatagramMeter,
  HELLO_BYTES,
  helloBytes,
  writeHeader,
} from './datagram-header.ts'

/** A hello that was lost is said again. */
const HELLO_MS = 250

const nowUs = (): number => Math.round((performance.timeOrigin + performance.now()) * 1_000)

export class DatagramConnection implements BulkConnection {
  onConnect: (() => void) | null = null
  onReadable: (() => void) | null = null
  onEnd: (() => void) | null = null
  onClosed: ((error: Error | null) => void) | null = null
  private readonly flow: DatagramFlow
  private readonly meter: DatagramMeter
  private readonly wide: boolean
  private readonly header = new Uint8Array(DATAGRAM_HEADER_BYTES)
  private waiting = 0
  private hello: NodeJS.Timeout | null = null

  constructor(flow: DatagramFlow, wide: boolean) {
    this.flow = flow
    this.wide = wide
    this.meter = new DatagramMeter(wide)
    flow.onDatagram = (head, size) => this.receive(head, size)
    flow.onError = error => this.onClosed?.(error)
  }

  get local(): EndName {
    return this.flow.local
  }

  get remote(): EndName {
    return this.flow.remote
  }

  set onWritable(callback: (() => void) | null) {
    this.flow.onWritable = callback
  }

  /** The client's side: says hello until there is an answer, which is told by `onConnect`. */
  greet(): void {
    const say = (): void => void this.flow.send(helloBytes(), HELLO_BYTES)
    this.hello = setInterval(say, HELLO_MS)
    say()
  }

  private receive(head: Uint8Array, size: number): void {
    if (this.hello !== null) {
      // Data may overtake the answer: it says as much.
      clearInterval(this.hello)
      this.hello = null
      this.onConnect?.()
      if (size === HELLO_BYTES) return
    }
    const answer = answerTo(head, size)
    if (answer !== null) return void this.flow.send(answer, HELLO_BYTES)
    if (!this.meter.take(head, size, nowUs())) return
    this.waiting += size
    this.onReadable?.()
  }

  drain(): number {
    const bytes = this.waiting
    this.waiting = 0
    return bytes
  }

  sendShared(size: number): boolean {
    writeHeader(this.header, nowUs(), this.meter.packets + 1, this.wide)
    if (!this.flow.send(this.header, size)) return false
    this.meter.packets++
    return true
  }

  get datagrams(): DatagramFigures {
    return this.meter.figures
  }

  beginCounting(): void {
    this.meter.beginCounting()
  }

  /** There is no control on these. */
  write(bytes: Uint8Array): number {
    return bytes.length
  }

  fill(): number {
    return 0
  }

  figures(): SenderFigures | null {
    return null
  }

  close(): void {
    if (this.hello !== null) clearInterval(this.hello)
    this.hello = null
    this.flow.close()
  }

  abort(): void {
    this.close()
  }
}
