/**
 * Module "capture": writes the packets that pass a joint of the plumbing to a pcapng file. It hands every message on at
 * once, whether it records or not; what memory has no room for is counted, never delayed. A checksum that was left to
 * the link is finished in the recorded copy, if the whole packet is recorded.
 */
import type { Counters } from '../base/counters.ts'
import { StackError } from '../base/errors.ts'
import {
  answerIoctl,
  M_DATA,
  M_IOCTL,
  type Mblk,
  type ModuleInfo,
  putnext,
  type Queue,
  RD,
  readIoctl,
} from '../streams/index.ts'
import { type CaptureOptions, parseCaptureOptions } from './capture-options.ts'
import { CaptureRecording, type CaptureSink, type CaptureTotals } from './capture-recording.ts'

/** Requests on the stream: start with options (a running capture is ended first), stop; both answer with totals. */
const IOC_START = 'capture-start'
const IOC_STOP = 'capture-stop'

/** State of one instance; it records while `recording` is set. */
export interface Capture {
  recording: CaptureRecording | null
  /** Of the last capture, or the one that runs. */
  totals: CaptureTotals
}

/** Opens a file for a capture. @throws StackError when it cannot be written */
export type OpenCaptureFile = (path: string) => CaptureSink

/**
 * The module. With neither `file` nor `sink` in its options it waits for `capture-start`.
 * @param openFile - how files are opened; without it only sinks given in code are possible
 */
export function makeCaptureModule(openFile: OpenCaptureFile | null = null): ModuleInfo<Capture> {
  const start = (q: Queue<Capture>, options: CaptureOptions): void => begin(q, options, openFile)
  return {
    name: 'capture',
    hiwat: 65_536,
    lowat: 16_384,
    open: (q, options) => {
      const parsed = parseCaptureOptions(options)
      const capture: Capture = { recording: null, totals: noTotals() }
      // The queues learn of their state only when this returns, and starting needs it.
      q.state = capture
      start(q, parsed)
      return capture
    },
    close: ({ state }) => end(state),
    read: { put: readPut },
    write: { put: (q, mp) => writePut(q, mp, start) },
    counters: ({ totals }) => asCounters(totals),
    configure: (q, options) => start(q, parseCaptureOptions(options)),
    describe: ({ recording, totals }) => ({
      recording: recording !== null,
      ...(recording === null
        ? {}
        : { ...recording.options, sink: undefined, filter: recording.options.filterText }),
      ...totals,
    }),
  }
}

const noTotals = (): CaptureTotals => ({ seen: 0, recorded: 0, bytes: 0, notRecorded: 0 })

const asCounters = ({ seen, recorded, bytes, notRecorded }: CaptureTotals): Counters => ({
  seen,
  recorded,
  bytes,
  'not-recorded': notRecorded,
})

function readPut(q: Queue<Capture>, mp: Mblk): void {
  const { recording } = q.state
  if (recording !== null && mp.type === M_DATA) recording.record(mp, false)
  putnext(q, mp)
}

function writePut(
  q: Queue<Capture>,
  mp: Mblk,
  start: (q: Queue<Capture>, options: CaptureOptions) => void,
): void {
  const { recording } = q.state
  if (mp.type === M_IOCTL) return request(q, mp, start)
  if (recording !== null && mp.type === M_DATA) recording.record(mp, true)
  putnext(q, mp)
}

/** Begins a capture; one that runs is ended, unless the new one cannot begin. */
function begin(q: Queue<Capture>, options: CaptureOptions, openFile: OpenCaptureFile | null): void {
  const capture = q.state
  const { file } = options
  if (file !== null && openFile === null && options.sink === null)
    throw new StackError('ERR_BAD_CONFIG', 'capture: this instance was made without files: give a sink')
  const sink = options.sink ?? (file === null ? null : openFile!(file))
  end(capture)
  if (sink === null) return
  const { stream } = q
  const timer = stream.runtime.timer(q, () => {
    if (capture.recording?.expire() === false) end(capture)
  })
  capture.recording = new CaptureRecording(stream.runtime, options, sink, stream.name, timer)
  capture.totals = capture.recording.totals
}

function end(capture: Capture): CaptureTotals {
  const { recording } = capture
  capture.recording = null
  return recording?.stop() ?? capture.totals
}

function request(
  q: Queue<Capture>,
  mp: Mblk,
  start: (q: Queue<Capture>, options: CaptureOptions) => void,
): void {
  const { command, argument } = readIoctl(mp)
  if (command !== IOC_START && command !== IOC_STOP) return putnext(q, mp)
  answerIoctl(q, mp, () => {
    if (command === IOC_STOP) return end(q.state)
    start(RD(q), parseCaptureOptions(argument))
    return q.state.totals
  })
}
