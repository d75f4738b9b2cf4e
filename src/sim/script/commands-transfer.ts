/** Commands that move data: `write` and `send`, `read` and `recv`, `poll`, `ioctl`. */
import type { ScriptArguments } from './arguments.ts'
import { type Attempt, type CallResult, Waiting } from './call.ts'
import type { Command } from './commands.ts'
import { readFd, readWaits } from './commands-socket.ts'
import { Errno, Misuse } from './errno.ts'
import { patternByte } from './packet-encode.ts'
import { fromHex, toHex } from './packet-fields.ts'
import type { ScriptSocket } from './script-socket.ts'
import { POLL_EVENTS } from './socket-look.ts'

/** Bytes of one call: what a line can answer. */
export const TRANSFER_MAX = 3 * 1024 * 1024

/** What is to be sent: `data` (text), `hex`, or `size` bytes of test data. */
function readData(args: ScriptArguments): (socket: ScriptSocket) => Uint8Array {
  const given = ['data', 'hex', 'size'].filter(name => args.has(name))
  if (given.length !== 1) throw new Misuse('bad-argument', 'give one of data, hex, size')
  if (given[0] === 'size') {
    const size = args.integer('size', 0, TRANSFER_MAX)
    return socket => socket.nextBytes(size)
  }
  const bytes =
    given[0] === 'hex' ? fromHex(args.string('hex')) : new TextEncoder().encode(args.string('data'))
  return () => bytes
}

const FLAGS = ['MSG_DONTWAIT', 'MSG_MORE', 'MSG_OOB', 'MSG_NOSIGNAL', 'MSG_WAITALL'] as const

function readFlags(args: ScriptArguments): ReadonlySet<string> {
  const flags = args.strings('flags') ?? []
  const unknown = flags.find(flag => !(FLAGS as readonly string[]).includes(flag))
  if (unknown !== undefined)
    throw new Misuse('bad-argument', `flags: "${unknown}" is none of ${FLAGS.join(', ')}`)
  return new Set(flags)
}

/** Sends bytes. A call that waits is done when all were taken; one that does not takes what there is room for. */
const write: Command = args => {
  const fd = readFd(args)
  const data = readData(args)
  const flags = readFlags(args)
  const waits = flags.has('MSG_DONTWAIT') ? false : readWaits(args)
  const isTestData = args.has('size')
  return session => {
    const socket = session.find(fd)
    const mayWait = waits ?? !socket.nonblock
    const bytes = data(socket)
    const sending = { sent: 0 }
    const done = (): CallResult => {
      if (isTestData) socket.usedBytes(sending.sent)
      return { value: sending.sent }
    }
    const attempt = sendAll(socket, bytes, sending, done, flags)
    return new Waiting(attempt, {
      mayWait,
      timeoutUs: socket.sendTimeoutUs,
      onTimeout: () => {
        if (sending.sent === 0 && bytes.length > 0) throw new Errno('EAGAIN', 'no room')
        return done()
      },
      fd,
    })
  }
}

function sendAll(
  socket: ScriptSocket,
  bytes: Uint8Array,
  sending: { sent: number },
  done: () => CallResult,
  flags: ReadonlySet<string>,
): Attempt {
  return () => {
    try {
      sending.sent += socket.send(bytes.subarray(sending.sent), flags.has('MSG_OOB'), flags.has('MSG_MORE'))
    } catch (error) {
      // What went before the error counts; the next call is told of it.
      if (sending.sent > 0 && error instanceof Errno) {
        socket.untake(error)
        return done()
      }
      throw error
    }
    return sending.sent === bytes.length ? done() : null
  }
}

/**
 * Takes bytes: at most `size`. `as` says how they are shown: `hex`, `text`, or `pattern`, which says whether they are the
 * test data that follows what was read so far. The end of the data is value 0.
 */
const read: Command = args => {
  const fd = readFd(args)
  const size = args.integer('size', 0, TRANSFER_MAX, 65_536)
  const shown = args.choice('as', ['hex', 'text', 'pattern'], 'hex')
  const flags = readFlags(args)
  const waits = flags.has('MSG_DONTWAIT') ? false : readWaits(args)
  return session => {
    const socket = session.find(fd)
    const into = new Uint8Array(size)
    const reading = { have: 0 }
    const show = (): CallResult => showData(socket, into.subarray(0, reading.have), shown)
    const attempt = receiveSome(socket, into, reading, flags.has('MSG_WAITALL'), show)
    return new Waiting(attempt, {
      mayWait: waits ?? !socket.nonblock,
      timeoutUs: socket.receiveTimeoutUs,
      onTimeout: () => {
        if (reading.have === 0) throw new Errno('EAGAIN', 'nothing waits')
        return show()
      },
      fd,
    })
  }
}

function receiveSome(
  socket: ScriptSocket,
  into: Uint8Array,
  reading: { have: number },
  all: boolean,
  show: () => CallResult,
): Attempt {
  return () => {
    while (reading.have < into.length || into.length === 0) {
      const got = receiveOrStop(socket, into, reading.have)
      if (got === null) break
      if (got === 'end' || into.length === 0) return show()
      reading.have += got
    }
    const enough = all ? reading.have === into.length : reading.have > 0
    return enough ? show() : null
  }
}

/** An error after some bytes is left for the next call. */
function receiveOrStop(socket: ScriptSocket, into: Uint8Array, have: number): number | 'end' | null {
  try {
    return socket.receive(into, have)
  } catch (error) {
    if (have === 0 || !(error instanceof Errno)) throw error
    socket.untake(error)
    return 'end'
  }
}

function showData(socket: ScriptSocket, bytes: Uint8Array, shown: 'hex' | 'text' | 'pattern'): CallResult {
  const value = bytes.length
  const place = socket.readPlace
  socket.readPlace += value
  if (shown === 'text') return { value, text: new TextDecoder().decode(bytes) }
  if (shown === 'hex') return { value, hex: toHex(bytes) }
  const wrong = bytes.findIndex((byte, i) => byte !== patternByte(place + i))
  return wrong < 0 ? { value, pattern: true } : { value, pattern: false, wrongAt: place + wrong }
}

/** Which of `events` hold; waits for one of them, for `ms` at the most (-1: for ever). */
const poll: Command = args => {
  const fd = readFd(args)
  const asked = args.strings('events') ?? ['POLLIN', 'POLLOUT', 'POLLRDHUP']
  const unknown = asked.find(event => !(POLL_EVENTS as readonly string[]).includes(event))
  if (unknown !== undefined)
    throw new Misuse('bad-argument', `events: "${unknown}" is none of ${POLL_EVENTS.join(', ')}`)
  const ms = args.integer('ms', -1, 0x7fff_ffff, 0)
  return session => {
    const socket = session.find(fd)
    const look = (): CallResult => {
      const events = socket
        .poll()
        .filter(one => one === 'POLLERR' || one === 'POLLHUP' || asked.includes(one))
      return { value: events.length === 0 ? 0 : 1, events }
    }
    const attempt: Attempt = () => {
      const result = look()
      return result.value === 0 ? null : result
    }
    return new Waiting(attempt, {
      mayWait: ms !== 0,
      timeoutUs: Math.max(0, ms) * 1_000,
      onTimeout: look,
      fd,
    })
  }
}

/** SIOCINQ: bytes that wait to be read. SIOCOUTQ: bytes that nobody acknowledged. SIOCOUTQNSD: of these, not sent. SIOCATMARK. */
const ioctl: Command = args => {
  const fd = readFd(args)
  const request = args.choice('request', ['SIOCINQ', 'SIOCOUTQ', 'SIOCOUTQNSD', 'SIOCATMARK'])
  return session => {
    const socket = session.find(fd)
    return { value: 0, result: socket.ioctl(request) }
  }
}

export const TRANSFER_COMMANDS: Readonly<Record<string, Command>> = {
  write,
  send: write,
  read,
  recv: read,
  poll,
  ioctl,
}
