/** Attaching to a node: `putnext/ipc`. */
import { StackError } from '../base/errors.ts'
import { ERRNO, errnoName } from '../host/host-error.ts'
import { mapSharedMemory } from '../host/shared-memory.ts'
import { loadShim, type Shim } from '../host/shim.ts'
import { Arena } from '../streams/mblk/arena.ts'
import type { Runtime } from '../streams/runtime.ts'
import type { Channel } from './channel.ts'
import { openChannelStream, seat } from './channel-stream.ts'
import { ClientLoop } from './client-loop.ts'
import { ClientPort, type Welcome } from './client-port.ts'
import type { AttachOptions, IpcClient, PortCounters } from './interface.ts'
import { MappedChannel } from './mapped-channel.ts'
import { MappedClientSide } from './mapped-client.ts'
import { datagramDriver, portDriver } from './port-driver.ts'
import { HELLO, PROTOCOL_VERSION } from './protocol.ts'
import { RingReader, RingWriter } from './ring.ts'
import { SocketChannel } from './socket-channel.ts'

const ARENA_BYTES = 32 * 1024 * 1024
const ARENA_BYTES_MIN = 1024 * 1024
const ARENA_BYTES_MAX = 2 ** 31 - 1
/** The bell of a mapped client moves nothing but wake-ups. */
const BELL_ARENA_BYTES = 1024 * 1024
const TIMEOUT_MS = 5_000
/** Of a timer. */
const TIMEOUT_MS_MAX = 0x7fff_ffff
/** What connections may have under way beyond their first credit: part of the memory, and of what the node lends. */
const CREDITS_PART = 8
const MAPPED_CREDITS_BYTES = 4 * 1024 * 1024
/** How long `close` waits for the node to take what is in line. */
const CLOSE_MS = 1_000

class Client implements IpcClient {
  readonly runtime: Runtime
  readonly mapped: boolean
  readonly node: IpcClient['node']
  onDown: ((error: StackError) => void) | null = null
  private readonly channel: Channel
  private readonly port: ClientPort
  private readonly loop: ClientLoop
  private closing: Promise<void> | null = null

  constructor(
    loop: ClientLoop,
    port: ClientPort,
    channel: Channel,
    mapped: boolean,
    { name, nodeVersion, pid }: Welcome,
  ) {
    this.loop = loop
    this.runtime = loop.runtime
    this.port = port
    this.channel = channel
    this.mapped = mapped
    this.node = { name, version: nodeVersion, pid }
    port.onAnswer = null
    port.onDown = error => this.onDown?.(error)
  }

  get counters(): PortCounters {
    return this.channel.counters
  }

  ref(): void {
    this.channel.ref(true)
  }

  unref(): void {
    this.channel.ref(false)
  }

  close(): Promise<void> {
    this.closing ??= this.end()
    return this.closing
  }

  private async end(): Promise<void> {
    const { runtime, port, channel } = this
    port.onDown = null
    for (const stream of [...runtime.streams])
      if (['tcp', 'udp'].includes(stream.bottom.info.name)) stream.close()
    const until = performance.now() + CLOSE_MS
    this.loop.run()
    // What streams that were closed in order have left goes as the node takes it.
    while ((channel.waitingBytes > 0 || port.isBusy) && performance.now() < until) {
      await new Promise(resolve => setTimeout(resolve, 1))
      this.loop.run()
    }
    shut(this.loop, port, channel)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}

function shut(loop: ClientLoop, port: ClientPort, channel: Channel | null): void {
  const { runtime } = loop
  channel?.close()
  port.end(new StackError('ERR_STREAM_CLOSED', 'the port was closed'))
  while (runtime.turn());
  port.stop()
  for (const stream of [...runtime.streams]) stream.close()
  loop.close()
}

/**
 * Attaches to a node's IPC port.
 * @param path - of the port: `putnext node run FILE --ipc PATH`
 * @throws StackError `ERR_BAD_ARGUMENT` an option is none; `ERR_NOT_FOUND` nobody listens, `ERR_ACCESS` another user's, `ERR_NOT_SUPPORTED` a node that maps nothing, `ERR_BUSY` too many
 * clients, `ERR_TIMED_OUT`, `ERR_PROTOCOL` no port of this version, `ERR_SHIM_MISSING`
 */
export async function attach(path: string, options: AttachOptions = {}): Promise<IpcClient> {
  assertOptions(path, options)
  const shim = options.shim ?? loadShim()
  const { mapped = false, timeoutMs = TIMEOUT_MS } = options
  const fd = connect(shim, path)
  const memory = await descriptorOf(shim, fd, timeoutMs)
  if (!mapped && memory >= 0) shim.fdClose(memory)
  const sizeBytes = mapped ? BELL_ARENA_BYTES : (options.arenaBytes ?? ARENA_BYTES)
  const loop = new ClientLoop(shim, new Arena({ sizeBytes }))
  const { stream, q } = openChannelStream(loop.runtime, `ipc:${path}`)
  const port = new ClientPort(loop.runtime, q, Math.floor(sizeBytes / CREDITS_PART))
  let channel: SocketChannel | null = null
  try {
    channel = new SocketChannel(
      { shim, arenaId: loop.arenaId, runtime: loop.runtime, run: () => loop.run() },
      fd,
      q,
      port,
    )
    port.channel = channel
    seat(stream, served(channel))
    const welcome = await greet(port, mapped, timeoutMs)
    if (welcome.mapped !== null && mapped) return mappedClient(shim, loop, port, channel, memory, welcome)
    registerDrivers(loop.runtime, port)
    return new Client(loop, port, channel, false, welcome)
  } catch (error) {
    shut(loop, port, channel)
    throw error
  } finally {
    if (mapped && memory >= 0) shim.fdClose(memory)
  }
}

/** Before anything is opened. @throws StackError `ERR_BAD_ARGUMENT` */
function assertOptions(path: unknown, { mapped, arenaBytes, timeoutMs }: AttachOptions): void {
  const isIn = (value: unknown, least: number, most: number): boolean =>
    value === undefined || (typeof value === 'number' && value >= least && value <= most)
  const wrong =
    typeof path !== 'string' || path === ''
      ? 'the path of a port is text'
      : mapped !== undefined && typeof mapped !== 'boolean'
        ? '"mapped" is true or false'
        : !isIn(arenaBytes, ARENA_BYTES_MIN, ARENA_BYTES_MAX) || !Number.isInteger(arenaBytes ?? 0)
          ? '"arenaBytes" is 1 MiB to 2 GiB'
          : isIn(timeoutMs, 1, TIMEOUT_MS_MAX)
            ? null
            : '"timeoutMs" is 1 to 2147483647'
  if (wrong !== null) throw new StackError('ERR_BAD_ARGUMENT', wrong)
}

/** The node's first byte carries the descriptor of its memory, if it shares it. @returns negative if it does not */
async function descriptorOf(shim: Shim, fd: number, timeoutMs: number): Promise<number> {
  const peer = new Int32Array(2)
  const own = process.geteuid?.() ?? -1
  // Asked while the node is there: it refuses strangers by closing.
  const isStranger = shim.unixPeer(fd, peer) === 0 && peer[1] !== own && own !== 0
  for (const end = performance.now() + timeoutMs; ; ) {
    const memory = shim.receiveDescriptor(fd)
    if (memory >= 0 || memory === -ERRNO.EBADMSG) return memory
    const late = performance.now() > end
    if (memory === -ERRNO.EAGAIN && !late) await new Promise(resolve => setTimeout(resolve, 1))
    else {
      shim.fdClose(fd)
      if (late) throw noAnswer(timeoutMs)
      if (isStranger) throw new StackError('ERR_ACCESS', "the port is another user's", { hint: OWNER_HINT })
      throw new StackError('ERR_BUSY', 'the node has no room for one more client')
    }
  }
}

/** The same client above the node's own memory: the first loop and its socket are the bell. */
function mappedClient(
  shim: Shim,
  bellLoop: ClientLoop,
  bellPort: ClientPort,
  bell: SocketChannel,
  memory: number,
  welcome: Welcome,
): Client {
  const { arenaBytes, toClient, toNode, grants } = welcome.mapped!
  const arena = new Arena({ memory: mapSharedMemory(shim, memory, arenaBytes), blocks: grants })
  const loop = new ClientLoop(shim, arena)
  const { stream, q } = openChannelStream(loop.runtime, 'ipc')
  const side = new MappedClientSide(arena)
  const port = new ClientPort(loop.runtime, q, MAPPED_CREDITS_BYTES, side)
  port.settings = welcome.settings
  const place = { words: arena.words, now: () => shim.now(), run: () => loop.run() }
  const rings = { writer: new RingWriter(arena.words, toNode), reader: new RingReader(arena.words, toClient) }
  const channel = new MappedChannel(place, bell, q, rings, side, port)
  side.onReturn = () => channel.returns()
  side.onBlocks = () => port.feed()
  port.channel = channel
  seat(stream, served(channel))
  registerDrivers(loop.runtime, port)
  loop.onClose = () => shut(bellLoop, bellPort, bell)
  return new Client(loop, port, channel, true, welcome)
}

function registerDrivers({ registry }: Runtime, port: ClientPort): void {
  registry.register(portDriver(port))
  registry.register(datagramDriver(port))
}

function served(channel: Channel): Parameters<typeof seat>[1] {
  return {
    serve: () => channel.serve(),
    counters: channel.counters,
    describe: () => ({ waitingBytes: channel.waitingBytes }),
  }
}

function connect(shim: Shim, path: string): number {
  const fd = shim.unixConnect(path)
  if (fd >= 0) return fd
  const errno = -fd
  const name = errnoName(errno)
  if (errno === ERRNO.ENOENT || errno === ERRNO.ECONNREFUSED)
    throw new StackError('ERR_NOT_FOUND', `no node listens on ${path} (${name})`, {
      hint: 'start one with "putnext node run FILE --ipc PATH"',
    })
  if (errno === ERRNO.EACCES || errno === ERRNO.EPERM)
    throw new StackError('ERR_ACCESS', `the port ${path} is another user's`, {
      hint: OWNER_HINT,
    })
  if (errno === ERRNO.EAGAIN)
    throw new StackError('ERR_BUSY', `the port ${path} has no room for one more client`)
  throw new StackError('ERR_HOST', `cannot attach to ${path} (${name})`)
}

const OWNER_HINT = 'run as the user who started the node'

function noAnswer(timeoutMs: number): StackError {
  return new StackError('ERR_TIMED_OUT', `the node did not answer within ${timeoutMs} ms`, {
    hint: 'is the path the one of "--ipc", not of the control port, and does the node run?',
  })
}

/** Says hello, and waits for the answer. */
function greet(port: ClientPort, mapped: boolean, timeoutMs: number): Promise<Welcome> {
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(noAnswer(timeoutMs)), timeoutMs)
    port.onAnswer = answer => {
      clearTimeout(late)
      if (answer instanceof StackError) reject(answer)
      else resolve(answer)
    }
    port.sendText(0, HELLO, 0, { version: PROTOCOL_VERSION, mapped })
  })
}
