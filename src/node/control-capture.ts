/** POST /capture: a capture as the body of the answer. POST /capture/start and /stop: one into a file of the node's. */
import type { ServerResponse } from 'node:http'
import type { CaptureSink } from '../driver/capture-recording.ts'
import { CAPTURE_ID_HEADER, CAPTURE_TOTALS_TRAILER } from './capture-headers.ts'
import type { ControlContext } from './control.ts'
import type { CaptureRequest } from './control-requests.ts'

/** What may wait for a reader that is slower than the packets; beyond it the capture ends. */
const WAITING_BYTES_MAX = 64 * 1024 * 1024

export async function postCapture({ captures, node, body, response, signal }: ControlContext): Promise<void> {
  const sink = new ResponseSink(response, () => {
    node.events.add('warn', 'capture.slow-reader', 'the reader of a capture was too slow: it ended')
    capture.end()
  })
  const capture = captures.start(body as CaptureRequest, sink)
  response.writeHead(200, {
    'content-type': 'application/x-pcapng',
    [CAPTURE_ID_HEADER]: capture.id,
    trailer: CAPTURE_TOTALS_TRAILER,
  })
  // A reader must know that packets are taken from now on, though none has come.
  response.flushHeaders()
  sink.begin()
  signal.addEventListener('abort', capture.end, { once: true })
  if (signal.aborted) capture.end()
  const totals = await capture.done
  if (!response.destroyed) response.addTrailers({ [CAPTURE_TOTALS_TRAILER]: JSON.stringify(totals) })
}

/** Bytes of a capture on their way to whoever asked. */
class ResponseSink implements CaptureSink {
  readonly startedAtUs = Date.now() * 1_000
  private readonly response: ServerResponse
  private readonly onSlow: () => void
  /** What was written before the head of the answer was; null afterwards. */
  private early: Uint8Array[] | null = []
  private slow = false

  constructor(response: ServerResponse, onSlow: () => void) {
    this.response = response
    this.onSlow = onSlow
  }

  begin(): void {
    for (const bytes of this.early ?? []) this.response.write(bytes)
    this.early = null
  }

  write(bytes: Uint8Array): void {
    // The bytes are the capture's own memory, and valid during this call only.
    const copy = bytes.slice()
    if (this.early !== null) this.early.push(copy)
    else if (!this.slow && !this.response.destroyed) this.response.write(copy)
    if (this.slow || this.response.writableLength <= WAITING_BYTES_MAX) return
    this.slow = true
    setImmediate(this.onSlow)
  }
}

export function startCapture({ captures, body }: ControlContext): unknown {
  const { id, at } = captures.start(body as CaptureRequest)
  return { id, at }
}

export async function stopCapture({ captures, body }: ControlContext): Promise<unknown> {
  return captures.stop((body as { id: string }).id)
}
