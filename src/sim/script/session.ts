/**
 * A script that is running: takes commands as lines of JSON, and gives a line of JSON for each. A call that waits is answered
 * when it is done, which may be after the answers of later commands. One answer for each command, whatever happens.
 */
import { ScriptArguments } from './arguments.ts'
import { type CallResult, SOCKETS_MAX, Waiting } from './call.ts'
import type { Command } from './commands.ts'
import { Errno, Misuse } from './errno.ts'
import { PacketError } from './packet-fields.ts'
import type { ScriptSocket } from './script-socket.ts'
import { WORLD_DEFAULTS, World, WorldFault, type WorldOptions } from './world.ts'

/** Bytes of a line; a longer one is answered with `line-too-long`. */
export const LINE_MAX = 8 * 1024 * 1024
/** Calls that may wait at once. */
export const WAITING_MAX = 1_024
const RESTS_MAX = 100_000
/** The first descriptor: 0 to 2 are taken in every process. */
const FIRST_FD = 3

interface Pending {
  readonly head: Readonly<Record<string, unknown>>
  readonly call: Waiting
  /** Microseconds since the script began; null for never. */
  readonly deadline: number | null
}

export class Session {
  /** What the stack is made with when it is first needed. */
  options: WorldOptions = WORLD_DEFAULTS
  readonly sockets = new Map<number, ScriptSocket>()
  private readonly commands: Readonly<Record<string, Command>>
  private readonly write: (line: string) => void
  private world: World | null = null
  private pending: Pending[] = []
  private lines = 0
  private ended = false

  /** @param write - takes a line without its end */
  constructor(commands: Readonly<Record<string, Command>>, write: (line: string) => void) {
    this.commands = commands
    this.write = write
  }

  /** Whether the stack has begun, so that its options are settled. */
  get begun(): boolean {
    return this.world !== null
  }

  /** The stack, made when it is first asked for. */
  get stack(): World {
    this.world ??= new World(this.options)
    return this.world
  }

  get now(): number {
    return this.world?.now ?? 0
  }

  // ---- lines

  /** Carries out a line. Empty lines, and lines that begin with #, are counted and ignored. */
  line(text: string): void {
    this.lines++
    const trimmed = text.trim()
    if (trimmed === '' || trimmed.startsWith('#')) return
    const head: Record<string, unknown> = { line: this.lines }
    try {
      const members = readMembers(text)
      if (members['id'] !== undefined) head['id'] = members['id']
      this.command(head, members)
    } catch (error) {
      this.answerError(head, error)
    }
  }

  /** A line that was longer than {@link LINE_MAX}. */
  tooLong(): void {
    this.lines++
    const error = new Misuse('line-too-long', `a line has more than ${LINE_MAX} bytes`)
    this.answerError({ line: this.lines }, error)
  }

  private command(head: Record<string, unknown>, members: Readonly<Record<string, unknown>>): void {
    const args = new ScriptArguments(members)
    const name = args.string('cmd')
    const command = Object.hasOwn(this.commands, name) ? this.commands[name]! : null
    if (command === null) {
      const known = Object.keys(this.commands).join(', ')
      throw new Misuse('unknown-command', `nobody knows "${name.slice(0, 80)}"; there are ${known}`)
    }
    const action = command(args)
    args.done()
    const outcome = action(this)
    if (outcome instanceof Waiting) return this.begin(head, outcome)
    this.rest()
    this.answer(head, outcome)
  }

  /** A call that may wait: tried at once, then whenever something happened. */
  private begin(head: Record<string, unknown>, call: Waiting): void {
    const pending: Pending = {
      head,
      call,
      deadline: call.timeoutUs > 0 ? this.now + call.timeoutUs : null,
    }
    if (this.tryOne(pending)) return this.rest()
    // What it began, as the SYN of a connect, may be over before any time passes.
    this.rest()
    if (this.tryOne(pending)) return this.rest()
    if (!call.mayWait) return this.giveUp(pending)
    if (this.pending.length >= WAITING_MAX) throw new Misuse('too-many', `${WAITING_MAX} calls wait already`)
    this.pending.push(pending)
  }

  /** @returns whether it is over, and answered */
  private tryOne({ head, call }: Pending): boolean {
    try {
      const result = call.attempt()
      if (result === null) return false
      if (this.begun) this.stack.settle()
      this.answer(head, result)
    } catch (error) {
      this.answerError(head, error)
    }
    return true
  }

  private giveUp({ head, call }: Pending): void {
    try {
      if (typeof call.onTimeout === 'function') this.answer(head, call.onTimeout())
      else this.answerError(head, new Errno(call.onTimeout, 'the call would have to wait'))
    } catch (error) {
      this.answerError(head, error)
    }
  }

  // ---- time

  /** Lets the stack come to rest, and answers the calls that are done. */
  rest(): void {
    if (!this.begun) return
    this.stack.settle()
    // A call that goes on may let another go on, as a read makes room for a write; one that looked in vain may have asked for more.
    for (let i = 0; this.settlePending() || !this.stack.isIdle; i++) {
      if (i > RESTS_MAX) throw new WorldFault('calls that wait and the stack keep each other awake')
      this.stack.settle()
    }
  }

  private settlePending(): boolean {
    const before = this.pending
    if (before.length === 0) return false
    this.pending = []
    const { now } = this
    const left = before.filter(pending => {
      if (this.tryOne(pending)) return false
      if (pending.deadline === null || pending.deadline > now) return true
      this.giveUp(pending)
      return false
    })
    this.pending = [...left, ...this.pending]
    return left.length < before.length
  }

  /** Lets time pass until `end`, in microseconds since the script began, or until `enough` says so. */
  advance(end: number, enough: () => boolean = () => false): void {
    const nextOwn = (): number | null =>
      this.pending.reduce<number | null>(
        (first, { deadline }) =>
          deadline !== null && (first === null || deadline < first) ? deadline : first,
        null,
      )
    const pause = (): boolean => {
      this.rest()
      return enough()
    }
    this.stack.advanceTo(end, pause, nextOwn)
  }

  // ---- descriptors

  /** The lowest free one, as POSIX wants it. */
  add(socket: ScriptSocket): number {
    if (this.sockets.size >= SOCKETS_MAX) throw new Errno('EMFILE', `${SOCKETS_MAX} sockets are open`)
    let fd = FIRST_FD
    while (this.sockets.has(fd)) fd++
    this.sockets.set(fd, socket)
    return fd
  }

  find(fd: number): ScriptSocket {
    const socket = this.sockets.get(fd)
    if (socket === undefined) throw new Errno('EBADF', `there is no socket ${fd}`)
    return socket
  }

  /** Takes a descriptor away; calls that wait on it fail. */
  remove(fd: number): ScriptSocket {
    const socket = this.find(fd)
    this.sockets.delete(fd)
    const [gone, left] = partition(this.pending, ({ call }) => call.fd === fd)
    this.pending = left
    for (const { head } of gone) this.answerError(head, new Errno('EBADF', `socket ${fd} was closed`))
    return socket
  }

  // ---- the end

  /** Ends the stack and begins anew with the same options, at time 0. @returns what was leaked, or null */
  reset(): string | null {
    const error = new Errno('EBADF', 'the script was reset')
    for (const { head } of this.pending.splice(0)) this.answerError(head, error)
    return this.finish()
  }

  /** The input has ended: calls that wait are told so. @returns what was leaked, or null; a defect of the stack */
  end(): string | null {
    if (this.ended) return null
    this.ended = true
    const error = new Misuse('end-of-input', 'the script ended while the call waited')
    for (const { head } of this.pending.splice(0)) this.answerError(head, error)
    return this.finish()
  }

  private finish(): string | null {
    for (const socket of this.sockets.values()) socket.drop()
    this.sockets.clear()
    const leaked = this.world?.finish() ?? null
    this.world = null
    return leaked
  }

  // ---- answers

  private answer(head: Readonly<Record<string, unknown>>, result: CallResult): void {
    this.write(JSON.stringify({ ...head, at: this.now, ok: true, ...result, ...this.faults() }))
  }

  private answerError(head: Readonly<Record<string, unknown>>, error: unknown): void {
    const told = tellError(error)
    this.write(JSON.stringify({ ...head, at: this.now, ok: false, ...told, ...this.faults() }))
  }

  /** What broke inside since the last answer: defects of the stack, which go with whatever is answered next. */
  private faults(): Record<string, unknown> {
    const faults = this.world?.takeFaults() ?? []
    return faults.length === 0 ? {} : { faults }
  }
}

/** @throws what is no error of a script or of the stack */
function tellError(error: unknown): Record<string, unknown> {
  if (error instanceof Errno) return { errno: error.errno, message: error.message }
  if (error instanceof Misuse) return { error: error.code, message: error.message }
  if (error instanceof PacketError) return { error: 'bad-packet', message: error.message }
  if (error instanceof WorldFault) return { error: 'internal', message: error.message }
  if (error instanceof Error) return { error: 'internal', message: `${error.name}: ${error.message}` }
  throw error
}

function readMembers(text: string): Readonly<Record<string, unknown>> {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw new Misuse('bad-json', (error as Error).message)
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value))
    return value as Record<string, unknown>
  throw new Misuse('bad-json', 'a command is a JSON object')
}

function partition<T>(list: readonly T[], test: (one: T) => boolean): [T[], T[]] {
  return [list.filter(test), list.filter(one => !test(one))]
}
