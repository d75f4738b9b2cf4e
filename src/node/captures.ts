/** Captures of a node that somebody asked for: an instance of the module "capture" for each, taken off when it ends. */
import { StackError } from '../base/errors.ts'
import { captureModule, openCaptureFile } from '../driver/capture-file.ts'
import type { CaptureSink, CaptureTotals } from '../driver/capture-recording.ts'
import type { AnyQueue, Stream } from '../streams/index.ts'
import type { CaptureRequest } from './control-requests.ts'
import type { Node } from './node.ts'
import { findStream, instanceBelow } from './plumbing.ts'

const CAPTURES_MAX = 64

/** One capture that runs, or ran. */
export interface RunningCapture {
  readonly id: string
  /** Where it listens: `tun0`, `tun0/impair`. */
  readonly at: string
  /** Settled when it has ended, by itself or by {@link Captures.stop}. */
  readonly done: Promise<CaptureTotals>
  readonly end: () => void
}

export class Captures {
  private readonly node: Node
  private readonly running = new Map<string, RunningCapture>()
  private next = 1

  constructor(node: Node) {
    this.node = node
  }

  /**
   * Begins a capture.
   * @param sink - where it goes; a file that the request names if there is none
   * @throws StackError `ERR_NOT_FOUND`, `ERR_BAD_CONFIG` for options or a filter that are wrong, what opening the file throws
   */
  start(request: CaptureRequest, sink?: CaptureSink): RunningCapture {
    if (this.running.size >= CAPTURES_MAX)
      throw new StackError('ERR_BUSY', `${CAPTURES_MAX} captures are running`)
    const stream = this.streamOf(request)
    const above = instanceBelow(stream, request.module ?? 'head')
    const id = String(this.next++)
    let settle: (totals: CaptureTotals) => void = () => {}
    const done = new Promise<CaptureTotals>(resolve => {
      settle = resolve
    })
    let own: AnyQueue | null = null
    const end = (): void => {
      if (own !== null && !own.removed && !stream.isClosed) stream.remove(own)
    }
    const ended = (): void => {
      this.running.delete(id)
      const totals = own === null ? null : (own.state as { totals: CaptureTotals }).totals
      settle(totals ?? { seen: 0, recorded: 0, bytes: 0, notRecorded: 0 })
      // The sink is closed from within the module; taking it off has to wait until it has returned.
      setImmediate(end)
    }
    const target = sink ?? fileSink(request)
    try {
      own = insertCapture(stream, above, moduleOptions(request, withEnd(target, ended)))
    } catch (error) {
      // No module took the sink over: a file would stay open for ever.
      target.close?.()
      throw error
    }
    const at = request.module === undefined ? stream.name : `${stream.name}/${request.module}`
    const capture: RunningCapture = { id, at, done, end }
    this.running.set(id, capture)
    if (request.seconds !== undefined) {
      const timer = setTimeout(end, request.seconds * 1_000)
      void done.then(() => clearTimeout(timer))
    }
    return capture
  }

  /** Ends a capture. @throws StackError `ERR_NOT_FOUND` */
  stop(id: string): Promise<CaptureTotals> {
    const capture = this.running.get(id)
    if (capture === undefined) {
      const hint = `running: ${[...this.running.keys()].join(', ') || 'none'}`
      throw new StackError('ERR_NOT_FOUND', `there is no capture ${id}`, { hint })
    }
    capture.end()
    return capture.done
  }

  /** Ends them all. */
  close(): void {
    for (const capture of [...this.running.values()]) capture.end()
  }

  private streamOf(request: CaptureRequest): Stream {
    const name = request.stream ?? this.node.links.keys().next().value
    if (name === undefined) throw new StackError('ERR_NOT_FOUND', 'the node has no link to capture on')
    return findStream(this.node.runtime, name)
  }
}

function insertCapture(stream: Stream, above: AnyQueue, options: unknown): AnyQueue {
  const before = new Set(stream.instances().map(({ queue }) => queue))
  stream.insert(captureModule, options, above)
  return stream.instances().find(({ queue }) => !before.has(queue))!.queue
}

function moduleOptions(request: CaptureRequest, sink: CaptureSink): Record<string, unknown> {
  const { snaplen, filter, count } = request
  return {
    sink,
    comments: true,
    ...(snaplen === undefined ? {} : { snaplen }),
    ...(filter === undefined ? {} : { filter }),
    ...(count === undefined ? {} : { packets: count }),
  }
}

function fileSink({ file }: CaptureRequest): CaptureSink {
  if (file === undefined) throw new StackError('ERR_BAD_ARGUMENT', 'file: where the capture goes is missing')
  return openCaptureFile(file)
}

/** The same sink, and a word when it is closed. */
function withEnd(sink: CaptureSink, ended: () => void): CaptureSink {
  return {
    startedAtUs: sink.startedAtUs,
    write: bytes => sink.write(bytes),
    close: () => {
      try {
        sink.close?.()
      } finally {
        ended()
      }
    },
  }
}
