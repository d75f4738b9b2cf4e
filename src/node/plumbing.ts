/** The plumbing of a live node as values, and changed by words: what the control port and `putnext plumb` stand on. */
import { StackError } from '../base/errors.ts'
import {
  type AnyQueue,
  freemsg,
  isDriver,
  M_IOCACK,
  M_IOCNAK,
  type ModuleInfo,
  makeIoctl,
  put,
  putnext,
  type Queue,
  type Runtime,
  readIoctl,
  type Stream,
  WR,
} from '../streams/index.ts'
import { didYouMean, nearest } from './did-you-mean.ts'

/** What waits in one direction of an instance. */
export interface QueueView {
  readonly bytes: number
  readonly full: boolean
}

/** A head, a module or a driver. */
export interface InstanceView {
  /** `capture`, `capture#2`; what commands call it by. */
  readonly label: string
  readonly kind: 'head' | 'module' | 'driver'
  /** The name of its module, as registered. */
  readonly module: string
  readonly counters: Readonly<Record<string, number>>
  /** What the module tells of its settings and its state; null if nothing. */
  readonly settings: unknown
  readonly read: QueueView
  readonly write: QueueView
}

export interface StreamView {
  readonly name: string
  /** The multiplexor that the stream is linked under; null if none. */
  readonly under: string | null
  /** What went wrong with it, if anything did. */
  readonly error: string | null
  /** From the top down. */
  readonly instances: readonly InstanceView[]
}

/** The label of the top of every stream, also of one that is linked and has a multiplexor there. */
const HEAD = 'head'

const queueView = (q: AnyQueue): QueueView => ({ bytes: q.bytes, full: q.zero.full })

/** Asks a module something; one that throws has nothing to say, and its fault is its own. */
function ask<T>(q: AnyQueue, question: () => T, otherwise: T): T {
  try {
    return question()
  } catch (error) {
    q.stream.runtime.event('warn', 'stream.describe-fault', `${q.holderName}: ${String(error)}`)
    return otherwise
  }
}

function instanceView(label: string, q: AnyQueue, kind: InstanceView['kind']): InstanceView {
  const { info, state } = q
  const counters = kind === 'head' ? {} : ask(q, () => ({ ...info.counters?.(state) }), {})
  const settings = kind === 'head' ? null : ask(q, () => info.describe?.(state) ?? null, null)
  return { label, kind, module: info.name, counters, settings, read: queueView(q), write: queueView(q.other) }
}

/** The name of the multiplexor above each stream that is linked. */
function multiplexors(runtime: Runtime): ReadonlyMap<Stream, string> {
  const above = new Map<Stream, string>()
  for (const upper of runtime.streams)
    for (const lower of upper.linked.values()) above.set(lower, upper.bottom.info.name)
  return above
}

function viewOf(stream: Stream, above: ReadonlyMap<Stream, string>): StreamView {
  const error = stream.poll().error
  return {
    name: stream.name,
    under: above.get(stream) ?? null,
    error: error === null ? null : `${error.code}: ${error.message}`,
    instances: [
      instanceView(HEAD, stream.top as AnyQueue, 'head'),
      ...stream.instances().map(({ label, queue }) => instanceView(label, queue, 'module')),
      instanceView(stream.bottom.info.name, stream.bottom, 'driver'),
    ],
  }
}

/** One stream, from its head to its driver. */
export function describeStream(stream: Stream): StreamView {
  return viewOf(stream, multiplexors(stream.runtime))
}

/** Streams without a name of their own (connections, of which there may be very many) that are shown. */
export const UNNAMED_SHOWN_MAX = 256

/** Open streams of a runtime, in the order of opening. @param unnamed - how many of those without a name of their own */
export function describePlumbing(runtime: Runtime, unnamed = UNNAMED_SHOWN_MAX): StreamView[] {
  const above = multiplexors(runtime)
  const views: StreamView[] = []
  let left = unnamed
  for (const stream of runtime.streams) if (stream.isNamed || left-- > 0) views.push(viewOf(stream, above))
  return views
}

/** @throws StackError `ERR_NOT_FOUND`, naming what there is */
export function findStream(runtime: Runtime, name: string): Stream {
  const streams = [...runtime.streams]
  const found = streams.find(stream => stream.name === name)
  if (found !== undefined) return found
  const names = [...new Set(streams.filter(stream => stream.isNamed).map(stream => stream.name))]
  const near = nearest(name, names)
  throw new StackError('ERR_NOT_FOUND', `there is no link or stream "${name}"`, {
    hint: name.startsWith('tcp:')
      ? 'has that connection ended? "putnext plumb NODE --all" shows those that live'
      : near === null
        ? `there are: ${names.join(', ') || 'none'}`
        : `did you mean "${near}"?`,
  })
}

/** What a module throws when it should not is told as its fault, with its name. */
function guarded<T>(what: string, act: () => T): T {
  try {
    return act()
  } catch (cause) {
    if (cause instanceof StackError) throw cause
    const text = cause instanceof Error ? cause.message : String(cause)
    throw new StackError('ERR_MODULE_FAULT', `${what}: ${text}`, { cause })
  }
}

/** Puts a module at the top of a stream, next to its head or to the multiplexor above. */
export function pushModule(runtime: Runtime, stream: string, module: string, options?: unknown): void {
  const target = findStream(runtime, stream)
  const before = target.modules.length
  mustBePushable(runtime, module)
  guarded(`cannot push ${module}`, () => target.push(module, options))
  mustHaveStayed(target, module, before)
}

/** Puts a module right below another. @param below - its label; `head` for the top */
export function insertModule(
  runtime: Runtime,
  stream: string,
  module: string,
  below: string,
  options?: unknown,
): void {
  const target = findStream(runtime, stream)
  const above = instanceBelow(target, below)
  const before = target.modules.length
  mustBePushable(runtime, module)
  guarded(`cannot insert ${module}`, () => target.insert(module, options, above))
  mustHaveStayed(target, module, before)
}

/** The registry knows drivers and multiplexors too, which nobody pushes: only modules are offered. */
function mustBePushable(runtime: Runtime, module: string): void {
  const names = pushableModules(runtime)
  if (names.includes(module) || runtime.registry.names().includes(module)) return
  throw new StackError('ERR_NOT_FOUND', `no module named "${module}"`, { hint: didYouMean(module, names) })
}

/** A module may get a message as soon as it is there, throw, and be taken off again. */
function mustHaveStayed(target: Stream, module: string, before: number): void {
  if (target.modules.length > before) return
  throw new StackError('ERR_MODULE_FAULT', `${module} threw at its first message, and was taken off`, {
    hint: '"putnext node status NODE --events" says where; "putnext module check FILE" runs it by itself',
  })
}

/**
 * The instance that something is to be put right below.
 * @param label - `head`, or the name of the multiplexor above, for the top
 * @throws StackError `ERR_NOT_FOUND`; `ERR_PLUMBING` for the driver
 */
export function instanceBelow(stream: Stream, label: string): AnyQueue {
  const found = stream.find(label === multiplexors(stream.runtime).get(stream) ? HEAD : label)
  if (found !== stream.bottom) return found
  throw new StackError('ERR_PLUMBING', `nothing goes below ${label}: it is the end of the stream`)
}

/** Takes a module off, wherever it is. @param label - as {@link InstanceView} has it */
export function removeModule(runtime: Runtime, stream: string, label: string): void {
  const target = findStream(runtime, stream)
  target.remove(target.find(label))
}

/** Takes the topmost module off. @returns its label */
export function popModule(runtime: Runtime, stream: string): string {
  const target = findStream(runtime, stream)
  const label = target.modules[0] ?? ''
  target.pop()
  return label
}

/**
 * Changes settings of a live instance.
 * @throws StackError `ERR_NOT_SUPPORTED` if it has none, `ERR_BAD_CONFIG` if they are wrong
 */
export function configureModule(runtime: Runtime, stream: string, label: string, options: unknown): void {
  const target = findStream(runtime, stream)
  const q = target.find(label)
  const { configure } = q.info
  if (configure === undefined)
    throw new StackError('ERR_NOT_SUPPORTED', `${label} has no settings that can be changed`, {
      hint: 'remove it and push it again with other options',
    })
  guarded(`cannot set ${label}`, () => configure.call(q.info, q, options))
}

/** How long somebody has to answer a request. */
const IOCTL_TIMEOUT_MS = 5_000

interface Asker {
  answer: (mp: { readonly error: StackError | null; readonly value: unknown }) => void
}

/**
 * Stands on a stream for the time of one request. A stream that is linked has no head of its own to ask from, and
 * the multiplexor above does not wait for our answers.
 */
function askerModule(asker: Asker, id: number): ModuleInfo<Asker> {
  return {
    name: 'asker',
    hiwat: 1,
    lowat: 0,
    open: () => asker,
    close: () => {},
    read: {
      put: (q: Queue<Asker>, mp) => {
        if ((mp.type !== M_IOCACK && mp.type !== M_IOCNAK) || readIoctl(mp).id !== id) return putnext(q, mp)
        const { argument } = readIoctl(mp)
        const refused = mp.type === M_IOCNAK
        freemsg(mp)
        q.state.answer(refused ? { error: refusal(argument), value: null } : { error: null, value: argument })
      },
    },
    write: { put: putnext },
  }
}

function refusal(argument: unknown): StackError {
  const told = argument as { code?: StackError['code']; message?: string; hint?: string } | undefined
  const hint = told?.hint === undefined ? {} : { hint: told.hint }
  return new StackError(
    told?.code ?? 'ERR_IOCTL',
    told?.message ?? 'nobody on the stream knows the request',
    hint,
  )
}

let requests = 0x4000_0000

/**
 * Sends a control request down a stream, linked or not, and waits for the answer.
 * @param label - the instance to ask; null for whoever knows the command
 * @throws StackError what it was refused with; `ERR_IOCTL` if nobody knows it, `ERR_TIMED_OUT` if nobody answers
 */
export async function requestOf(
  runtime: Runtime,
  stream: string,
  label: string | null,
  command: string,
  argument?: unknown,
): Promise<unknown> {
  const target = findStream(runtime, stream)
  const to = label === null ? null : target.find(label)
  const id = requests++ >>> 0
  const mp = makeIoctl(runtime.arena, id, command, argument)
  const asker: Asker = { answer: () => {} }
  const answered = new Promise<unknown>((resolve, reject) => {
    asker.answer = ({ error, value }) => (error === null ? resolve(value) : reject(error))
  })
  const late = AbortSignal.timeout(IOCTL_TIMEOUT_MS)
  const timedOut = new Promise<never>((_resolve, reject) => {
    late.onabort = () => reject(new StackError('ERR_TIMED_OUT', `nobody answered the request "${command}"`))
  })
  // Whichever is first settles the request; the other must not become an unhandled rejection.
  answered.catch(() => {})
  timedOut.catch(() => {})
  const info = askerModule(asker, id)
  target.push(info)
  const own = target.instances().find(({ queue }) => queue.info === info)!.queue
  try {
    if (to === null) putnext(WR(own), mp)
    else put(WR(to), mp)
    return await Promise.race([answered, timedOut])
  } finally {
    late.onabort = null
    if (!own.removed && !target.isClosed) target.remove(own)
  }
}

/** Names of what can be pushed. */
export function pushableModules(runtime: Runtime): string[] {
  return runtime.registry.names().filter(name => !isDriver(runtime.registry.find(name)))
}
