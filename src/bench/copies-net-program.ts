/** The program of the experiment on Node's own sockets. */

import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { StackError } from '../base/errors.ts'
import type { Program } from './copies-client.ts'
import { patternBytes } from './copies-pattern.ts'
import type { CopiesCheck } from './copies-result.ts'
import { PORT_DISCARD, PORT_ECHO } from './tcp-ports.ts'

const PATTERN_BYTES = 4 * 1024 * 1024
/** Written before the event loop has its turn, at least. */
const TURN_BYTES = 256 * 1024
const SAMPLES_MAX = 1_000_000
const MICROSECONDS = 1_000

export class NetProgram implements Program {
  private readonly host: string
  private readonly portOf: (port: number) => number
  private readonly pattern = Buffer.from(patternBytes(PATTERN_BYTES).buffer)
  private bulk: Socket | null = null

  /** @param portOf - where a service is, if not at its own port */
  constructor(host: string, portOf: (port: number) => number) {
    this.host = host
    this.portOf = portOf
  }

  /** Whatever the way is called, there is only one. */
  async send(bytes: number): Promise<{ bytes: () => number; stop: () => void }> {
    this.bulk ??= await this.open(PORT_DISCARD)
    const socket = this.bulk
    const parts = Math.max(1, Math.min(1_024, Math.floor(PATTERN_BYTES / bytes)))
    const all = Array.from({ length: parts }, (_, i) => this.pattern.subarray(i * bytes, (i + 1) * bytes))
    let next = 0
    let stopped = false
    const more = (): void => {
      // A reader that keeps up takes every write at once, and the loop would never end.
      for (let left = TURN_BYTES; !stopped && left > 0; left -= bytes) {
        const taken = socket.write(all[next]!)
        if (++next === parts) next = 0
        if (!taken) return
      }
      if (!stopped) setImmediate(more)
    }
    socket.on('drain', more)
    more()
    const stop = (): void => {
      stopped = true
      socket.off('drain', more)
    }
    return { bytes: () => socket.bytesWritten - socket.writableLength, stop }
  }

  check(): Promise<CopiesCheck> {
    throw new StackError(
      'ERR_NOT_SUPPORTED',
      "node:net stands beside the experiment: what the kernel's stack moves is not checked",
    )
  }

  async pingpong(startAt: number, seconds: number): Promise<Float64Array> {
    const socket = await this.open(PORT_ECHO)
    const samples = new Float64Array(SAMPLES_MAX)
    const byte = Buffer.from('x')
    const begin = startAt - performance.timeOrigin
    const end = begin + seconds * 1_000
    let count = 0
    let sentAt = 0
    await new Promise<void>((resolve, reject) => {
      const ask = (): void => {
        sentAt = performance.now()
        socket.write(byte)
      }
      socket.on('data', () => {
        const now = performance.now()
        if (sentAt >= begin && count < SAMPLES_MAX) samples[count++] = (now - sentAt) * MICROSECONDS
        if (now < end) ask()
        else resolve()
      })
      socket.on('error', reject)
      ask()
    })
    socket.destroy()
    return samples.subarray(0, count).sort()
  }

  private async open(port: number): Promise<Socket> {
    const socket = connect({ host: this.host, port: this.portOf(port), noDelay: true })
    await once(socket, 'connect')
    return socket
  }
}
