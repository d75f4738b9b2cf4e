/**
 * One end of a TCP measurement in a process of its own: a stack on a TUN device, or the kernel's sockets. It answers on the
 * ports of echo, discard and character generator, and sends when it is told to, by messages or through a `Duplex`.
 * Started by `tcp-ends.ts` with its description as the only argument.
 */
import type { Server, Socket } from 'node:net'
import * as kernelNet from 'node:net'
import { TcpConnection, TcpListener } from '../socket/tcp-endpoint.ts'
import { allocb, dupmsg, freemsg } from '../streams/mblk/alloc.ts'
import type { Mblk } from '../streams/mblk/mblk.ts'
import type { Runtime } from '../streams/runtime.ts'
import { type EndStackOptions, openEndStack } from './end-stack.ts'
import { HeapWatch } from './heap.ts'
import { PORT_CHARGEN, PORT_DISCARD, PORT_ECHO } from './tcp-ports.ts'

/** The device is a stack's. */
export interface TcpEndOptions extends EndStackOptions {
  /** A stack of ours on a new TUN device, or the kernel's sockets of the namespace that it was started in. */
  readonly kind: 'stack' | 'kernel'
  /** How its program reads and writes: messages without copies, or a `Duplex`. Of the kernel: always a `Duplex`. */
  readonly edge: 'messages' | 'duplex'
}

/** What it may be asked by message. */
export type TcpEndQuestion =
  | {
      readonly ask: 'send'
      readonly address: string
      /** 1 by default. */
      readonly connections?: number
      readonly seconds: number
      readonly warmupSeconds: number
    }
  | { readonly ask: 'copies' }
  | { readonly ask: 'memory' }

export interface TcpEndSent {
  /** Of each connection, while it was measured. */
  readonly bytes: readonly number[]
  readonly seconds: number
}

export interface TcpEndCopies {
  readonly stack: number
  readonly edge: number
  /** TCP's and the device's, for who looks for a cause. */
  readonly counters?: unknown
}

const CHUNK_BYTES = 64 * 1024

/** Ways to serve and to send that measure the same. */
interface End {
  serve(): Promise<void>
  /** @returns a count of the bytes that were taken so far, and an end */
  send(address: string, port: number): { readonly bytes: () => number; readonly stop: () => void }
  copies(): TcpEndCopies
}

// ---- messages

class MessageEnd implements End {
  private readonly runtime: Runtime
  /** One block that is sent again and again. */
  private readonly chunk: Mblk

  constructor(runtime: Runtime) {
    this.runtime = runtime
    const chunk = allocb(runtime.arena, CHUNK_BYTES)!
    chunk.dblk.bytes.fill(0x78, chunk.rptr, chunk.rptr + CHUNK_BYTES)
    chunk.wptr += CHUNK_BYTES
    this.chunk = chunk
  }

  async serve(): Promise<void> {
    this.listen(PORT_DISCARD, connection => {
      connection.onReadable = () => {
        for (let mp = connection.getmsg(); mp !== null; mp = connection.getmsg()) freemsg(mp)
      }
    })
    this.listen(PORT_CHARGEN, connection => this.generate(connection))
    this.listen(PORT_ECHO, connection => {
      let held: Mblk | null = null
      const echo = (): void => {
        for (let mp = held ?? connection.getmsg(); mp !== null; mp = connection.getmsg()) {
          held = mp
          if (!connection.putmsg(mp)) return
          held = null
        }
      }
      connection.onReadable = echo
      connection.onWritable = echo
    })
  }

  private listen(port: number, serve: (connection: TcpConnection) => void): void {
    const listener = TcpListener.open(this.runtime, { port, settings: { noDelay: true } })
    listener.onConnection = () => {
      for (let connection = listener.accept(); connection !== null; connection = listener.accept()) {
        const each = connection
        each.onEnd = () => each.close()
        each.onClosed = () => each.close()
        serve(each)
      }
    }
  }

  private generate(connection: TcpConnection): void {
    const more = (): void => {
      while (connection.closeReason === null) {
        const mp = dupmsg(this.chunk)
        if (mp === null) return
        if (!connection.putmsg(mp)) return freemsg(mp)
      }
    }
    connection.onWritable = more
    more()
  }

  send(address: string, port: number): { bytes: () => number; stop: () => void } {
    const connection = TcpConnection.connect(this.runtime, { address, port })
    connection.onConnect = () => this.generate(connection)
    connection.onClosed = () => connection.close()
    // What the peer has: the buffer grows meanwhile, and differs from stream to stream.
    const bytes = (): number => {
      const info = connection.info()
      return connection.bytesWritten - (info === null ? 0 : info.unackedBytes + info.notSentBytes)
    }
    return { bytes, stop: () => connection.abort() }
  }

  copies(): TcpEndCopies {
    const { stack, edge } = this.runtime.arena.copies
    return { stack: stack.bytes, edge: edge.bytes }
  }
}

// ---- Duplex

type Net = Pick<typeof kernelNet, 'createServer' | 'connect'>

class DuplexEnd implements End {
  private readonly net: Net
  private readonly runtime: Runtime | null
  private readonly chunk = Buffer.alloc(CHUNK_BYTES, 'x')

  constructor(net: Net, runtime: Runtime | null) {
    this.net = net
    this.runtime = runtime
  }

  async serve(): Promise<void> {
    await Promise.all([
      this.listen(PORT_DISCARD, socket => socket.resume()),
      this.listen(PORT_CHARGEN, socket => this.generate(socket)),
      this.listen(PORT_ECHO, socket => socket.pipe(socket)),
    ])
  }

  private listen(port: number, serve: (socket: Socket) => void): Promise<Server> {
    const server = this.net.createServer({ noDelay: true }, socket => {
      socket.on('error', () => socket.destroy())
      serve(socket)
    })
    return new Promise(resolve => server.listen(port, () => resolve(server)))
  }

  private generate(socket: Socket): void {
    const more = (): void => {
      while (!socket.destroyed && socket.write(this.chunk));
    }
    socket.on('drain', more)
    more()
  }

  send(address: string, port: number): { bytes: () => number; stop: () => void } {
    const socket = this.net.connect({ port, host: address }, () => this.generate(socket))
    socket.on('error', () => socket.destroy())
    return { bytes: () => socket.bytesWritten - socket.writableLength, stop: () => socket.resetAndDestroy() }
  }

  copies(): TcpEndCopies {
    const copies = this.runtime?.arena.copies
    return { stack: copies?.stack.bytes ?? 0, edge: copies?.edge.bytes ?? 0 }
  }
}

// ---- the process

async function openEnd(options: TcpEndOptions): Promise<End> {
  if (options.kind === 'kernel') return new DuplexEnd(kernelNet, null)
  const runtime = openEndStack(options)
  if (options.edge === 'messages') return new MessageEnd(runtime)
  const { netOn } = await import('../socket/net.ts')
  return new DuplexEnd(netOn({ runtime }) as unknown as Net, runtime)
}

async function send(end: End, question: TcpEndQuestion & { ask: 'send' }): Promise<TcpEndSent> {
  const wait = (seconds: number): Promise<void> =>
    new Promise(resolve => setTimeout(resolve, seconds * 1_000))
  const sending = Array.from({ length: question.connections ?? 1 }, () =>
    end.send(question.address, PORT_DISCARD),
  )
  await wait(question.warmupSeconds)
  const before = sending.map(each => each.bytes())
  const start = performance.now()
  await wait(question.seconds)
  const bytes = sending.map((each, i) => each.bytes() - before[i]!)
  const sent = { bytes, seconds: (performance.now() - start) / 1_000 }
  for (const each of sending) each.stop()
  return sent
}

const heap = new HeapWatch()
const end = await openEnd(JSON.parse(process.argv[2]!) as TcpEndOptions)
await end.serve()
process.on('message', (question: TcpEndQuestion) => {
  const answer =
    question.ask === 'send'
      ? send(end, question)
      : question.ask === 'copies'
        ? Promise.resolve(end.copies())
        : heap.collected()
  answer.then(
    value => process.send!({ value }),
    (error: unknown) => process.send!({ error: String(error) }),
  )
})
process.on('disconnect', () => process.exit(0))
process.send!({ value: 'ready' })
