import { afterEach, describe, expect, it } from 'vitest'
import { TcpConnection } from '../socket/tcp-endpoint.ts'
import { MessageProgram } from './copies-client.ts'
import { CHECK_BYTES, Digest, FRAME_PART_BYTES } from './copies-pattern.ts'
import { type CopiesStack, openStack, PEER_ADDRESS } from './copies-stack.ts'
import { IN_PROCESS, type InProcessArm, STEPS } from './copies-steps.ts'
import { copyModule } from './copy-module.ts'

const open: CopiesStack[] = []
afterEach(() => {
  for (const stack of open.splice(0)) stack.close()
})

async function programOf(id: InProcessArm): Promise<{ program: MessageProgram; stack: CopiesStack }> {
  const stack = await openStack({ kind: 'wire' }, STEPS[id])
  open.push(stack)
  const { runtime } = stack
  const connect = (port: number): TcpConnection => {
    const connection = TcpConnection.connect(runtime, { address: PEER_ADDRESS, port })
    connection.stream.push(copyModule, { how: STEPS[id].head })
    return connection
  }
  return { program: new MessageProgram(runtime.arena, connect, FRAME_PART_BYTES), stack }
}

/** At the boundaries where the arm copies; headers are in front of the data at two of them. */
const BOUNDARIES: Readonly<Record<InProcessArm, number>> = { c: 3, d: 1, e: 0, f: 0, p: 0, q: 3, g: 0, h: 1 }

describe('bench/copies: the arms over a wire', () => {
  it.each(IN_PROCESS)('%s delivers every byte, in order', async id => {
    const { program } = await programOf(id)
    const { bytes, sent, arrived } = await program.check()
    expect(bytes).toBe(CHECK_BYTES)
    expect(arrived).toBe(sent)
  })

  it.each(IN_PROCESS)('%s copies messages of 64 KiB at its own boundaries and nowhere else', async id => {
    const { program, stack } = await programOf(id)
    const { stack: copies } = stack.runtime.arena.copies
    const sending = await program.send(65_536, 'messages')
    while (sending.bytes() < 4_000_000) await new Promise(resolve => setImmediate(resolve))
    const from = { bytes: sending.bytes(), copied: copies.bytes }
    while (sending.bytes() < 40_000_000) await new Promise(resolve => setImmediate(resolve))
    const perByte = (copies.bytes - from.copied) / (sending.bytes() - from.bytes)
    sending.stop()
    // What is on its way at both ends of the window, and headers.
    expect(Math.round(perByte)).toBe(BOUNDARIES[id])
    if (BOUNDARIES[id] === 0) expect(perByte).toBe(0)
  })

  it('a round trip is told in microseconds', async () => {
    const { program } = await programOf('g')
    const samples = await program.pingpong(Date.now(), 0.05)
    expect(samples.length).toBeGreaterThan(10)
    expect(samples[0]!).toBeGreaterThan(0)
    expect(samples.at(-1)!).toBeGreaterThanOrEqual(samples[0]!)
  })

  it('a digest differs where a byte, or the order of two, does', () => {
    const digest = (...bytes: number[]): string => {
      const one = new Digest()
      one.add(Uint8Array.from(bytes), 0, bytes.length)
      return one.text()
    }
    expect(digest(1, 2, 3)).toMatch(/^[0-9a-f]{16}$/)
    expect(new Set([digest(1, 2, 3), digest(2, 1, 3), digest(1, 2, 4), digest(1, 2)]).size).toBe(4)
  })
})
