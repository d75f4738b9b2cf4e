/** `putnext capture`: packets at a joint of a live node's plumbing, or on an interface of the kernel, as pcapng. */
import { createWriteStream, openSync } from 'node:fs'
import type { Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { StackError } from '../base/errors.ts'
import type { CaptureTotals } from '../driver/capture-recording.ts'
import { CAPTURE_ID_HEADER, CAPTURE_TOTALS_TRAILER } from '../node/capture-headers.ts'
import type { CommandRun, Invocation } from './command.ts'
import { UsageError } from './exit-codes.ts'
import { nodeClient } from './node-target.ts'

export const capture: CommandRun = async invocation => {
  const { args, out, host } = invocation
  const file = args.string('write') ?? '-'
  if (file === '-' && out.json)
    throw new UsageError('--json and a capture cannot both have stdout', 'give -w FILE')
  if (file === '-' && host.stdout.isTTY === true)
    throw new UsageError(
      'a capture is no text for a terminal',
      'give -w FILE, or pipe it on: -w - | tshark -r -',
    )
  const totals = args.flag('kernel')
    ? await captureKernel(invocation, file)
    : await captureNode(invocation, file)
  out.report({ file, ...totals })
  out.note(
    `${totals.recorded} packets recorded, ${totals.bytes} bytes${totals.notRecorded === 0 ? '' : `, ${totals.notRecorded} lost for want of memory`}`,
  )
}

async function captureNode(invocation: Invocation, file: string): Promise<CaptureTotals> {
  const { args, out, signal } = invocation
  const [stream, module] = (args.string('at') ?? '').split('/')
  const asked = {
    stream: stream === '' ? undefined : stream,
    module,
    snaplen: args.number('snaplen'),
    filter: args.string('filter'),
    count: args.number('count'),
    seconds: args.number('seconds'),
  }
  const client = nodeClient(invocation)
  const sink = sinkOf(invocation, file)
  const response = await client.capture(JSON.parse(JSON.stringify(asked)) as object)
  out.note(`capturing${file === '-' ? '' : ` to ${file}`}; Ctrl-C ends it`)
  const id = String(response.headers[CAPTURE_ID_HEADER])
  // The node writes the end of the file, so it is asked to, instead of being cut off.
  const stop = (): void => void client.stopCapture(id).catch(() => response.destroy())
  signal.addEventListener('abort', stop, { once: true })
  if (signal.aborted) stop()
  try {
    await pipeline(response, sink, { end: file !== '-' })
  } catch (cause) {
    response.destroy()
    throw new StackError('ERR_HOST', `the capture broke off: ${(cause as Error).message}`, { cause })
  }
  const told = response.trailers[CAPTURE_TOTALS_TRAILER]
  if (told === undefined) throw new StackError('ERR_HOST', 'the capture broke off: the node has ended')
  return JSON.parse(told) as CaptureTotals
}

/** Opened before anything is captured. @throws StackError `ERR_ACCESS` */
function sinkOf({ host }: Invocation, file: string): Writable {
  if (file === '-') return host.stdout as Writable
  try {
    return createWriteStream(file, { fd: openSync(file, 'w', 0o644) })
  } catch (cause) {
    throw new StackError('ERR_ACCESS', `cannot write to ${file} (${(cause as NodeJS.ErrnoException).code})`, {
      cause,
    })
  }
}

const KERNEL_SNAPLEN_MAX = 65_535

/** NODE is an interface here, in the namespace that the command is started in. */
async function captureKernel(invocation: Invocation, file: string): Promise<CaptureTotals> {
  const { args, out, signal } = invocation
  if (args.string('at') !== undefined) throw new UsageError('--at is for nodes: the kernel has one joint')
  const { startKernelCapture } = await import('../driver/kernel-capture.ts')
  const writable = sinkOf(invocation, file)
  const [count, filter] = [args.number('count'), args.string('filter')]
  const capture = startKernelCapture({
    interface: args.required('NODE'),
    // What is handed over is valid during the call only.
    sink: { startedAtUs: Date.now() * 1_000, write: bytes => void writable.write(bytes.slice()) },
    snaplen: Math.min(args.number('snaplen') ?? KERNEL_SNAPLEN_MAX, KERNEL_SNAPLEN_MAX),
    ...(count === undefined ? {} : { packets: count }),
    ...(filter === undefined ? {} : { filter }),
  })
  out.note(`capturing${file === '-' ? '' : ` to ${file}`}; Ctrl-C ends it`)
  signal.addEventListener('abort', () => capture.stop(), { once: true })
  if (signal.aborted) capture.stop()
  const seconds = args.number('seconds')
  const timer = seconds === undefined ? null : setTimeout(() => capture.stop(), seconds * 1_000)
  try {
    return await capture.done
  } finally {
    if (timer !== null) clearTimeout(timer)
    if (file !== '-') await new Promise<void>(resolve => writable.end(() => resolve()))
  }
}
