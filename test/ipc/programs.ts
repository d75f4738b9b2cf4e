/** A node with a port, another at the far end of a wire, and what programs do through both: in one process. */
import { createHash, randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type AttachOptions, attach, type IpcClient } from '../../src/ipc/index.ts'
import { checkNodeConfig } from '../../src/node/config.ts'
import { Node } from '../../src/node/node.ts'
import { Wires } from '../../src/node/wires.ts'
import { type TcpConnection, TcpListener } from '../../src/socket/tcp-endpoint.ts'
import { freemsg } from '../../src/streams/mblk/alloc.ts'
import { messageBytes } from '../../src/streams/mblk/message.ts'
import { readMessage } from '../../src/streams/mblk/pullup.ts'
import type { Runtime } from '../../src/streams/runtime.ts'

export const NEAR = '10.77.0.1'
export const FAR = '10.77.0.2'

export class Pair {
  readonly path: string
  private readonly directory: string
  readonly near: Node
  readonly far: Node
  private readonly clients: IpcClient[] = []

  private constructor(directory: string, near: Node, far: Node) {
    this.directory = directory
    this.path = join(directory, 'port')
    this.near = near
    this.far = far
  }

  /** @param size - of the memory of both nodes together */
  static async start(ipc: object = {}, size = '32MiB'): Promise<Pair> {
    const directory = mkdtempSync(join(tmpdir(), 'putnext-ipc-'))
    const wires = new Wires()
    const config = (name: string, address: string, extra: object): unknown => ({
      version: 1,
      name,
      arena: { size },
      control: false,
      links: [{ name: 'w', driver: 'wire', wire: 'w', addresses: [`${address}/24`] }],
      ...extra,
    })
    const port = { ipc: { path: join(directory, 'port'), ...ipc } }
    const near = await Node.start(checkNodeConfig(config('near', NEAR, port)), { wires })
    const far = await Node.start(checkNodeConfig(config('far', FAR, {})), {
      wires,
      arena: near.runtime.arena,
    })
    return new Pair(directory, near, far)
  }

  async attach(options: AttachOptions = {}): Promise<IpcClient> {
    const client = await attach(this.path, options)
    this.clients.push(client)
    return client
  }

  /** Closes all of it. @returns whether every block came home */
  async finish(): Promise<boolean> {
    for (const client of this.clients) await client.close()
    for (const { runtime } of this.clients) runtime.arena.assertWhole()
    await this.far.close()
    const { arenaWhole, arena } = await this.near.close()
    rmSync(this.directory, { recursive: true, force: true })
    if (!arenaWhole) throw new Error(`not whole: ${JSON.stringify(arena)}`)
    return arenaWhole
  }
}

/** Returns whatever comes to whoever sent it, and ends when they do. */
export function echo(runtime: Runtime, port = 0): TcpListener {
  const listener = TcpListener.open(runtime, { port, address: '0.0.0.0' })
  listener.onConnection = () => {
    for (let c = listener.accept(); c !== null; c = listener.accept()) echoOn(c)
  }
  return listener
}

export function echoOn(connection: TcpConnection): void {
  let held: ReturnType<TcpConnection['getmsg']> = null
  let ended = false
  const pump = (): void => {
    for (;;) {
      held ??= connection.getmsg()
      if (held === null) break
      try {
        if (!connection.putmsg(held)) return
      } catch {}
      held = null
    }
    if (ended) connection.shutdown()
  }
  connection.onReadable = pump
  connection.onWritable = pump
  connection.onEnd = () => {
    ended = true
    pump()
  }
  connection.onClosed = () => {
    if (held !== null) freemsg(held)
    connection.close()
  }
}

export interface Transfer {
  readonly bytes: number
  readonly hash: string
}

export const sha = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

/** Sends bytes, ends, and hashes what comes back until the end. */
export function exchange(connection: TcpConnection, bytes: Uint8Array): Promise<Transfer> {
  return new Promise((resolve, reject) => {
    const hash = createHash('sha256')
    let done = 0
    let got = 0
    const send = (): void => {
      while (done < bytes.length) {
        const taken = connection.write(bytes.subarray(done))
        if (taken === 0) return
        done += taken
      }
      connection.shutdown()
    }
    connection.onWritable = send
    connection.onConnect = send
    connection.onReadable = () => {
      for (let mp = connection.getmsg(); mp !== null; mp = connection.getmsg()) {
        const size = messageBytes(mp)
        const part = new Uint8Array(size)
        readMessage(mp, 0, part, 0, size, 'edge')
        hash.update(part)
        got += size
        freemsg(mp)
      }
    }
    let settled = false
    const finish = (): void => {
      if (settled) return
      settled = true
      resolve({ bytes: got, hash: hash.digest('hex') })
    }
    connection.onEnd = finish
    connection.onClosed = (reason, error) => {
      connection.close()
      if (error === null) finish()
      else if (!settled) reject(error)
      void reason
    }
    send()
  })
}

export const noise = (bytes: number): Uint8Array => randomBytes(bytes)
