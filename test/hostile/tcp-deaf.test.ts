import { describe, expect, it } from 'vitest'
import { type SegmentFields, segmentBytes } from '../../src/inet/tcp/testing/segments.ts'
import { ipv4Packet } from '../../src/inet/testing/packets.ts'
import { DEAF_PORT, ECHO_PORT, HostileTcpNode } from './tcp-node.ts'

const ATTACKER = [10, 77, 1, 166] as const
const NODE = [10, 77, 1, 2] as const
const ISS = 1_000
/** Of an honest connection, in virtual time. */
const PATIENCE_US = 3_000_000

/** Connections that are filled, to a program that does not read. */
class Deaf {
  readonly node = new HostileTcpNode({ seed: 5 })
  /** Sequence numbers of the node's side, by the attacker's port. */
  private readonly numbers = new Map<number, number>()

  constructor() {
    this.node.onHeard = packet => {
      const view = new DataView(packet.buffer, packet.byteOffset)
      if ((packet[33]! & 0x12) === 0x12) this.numbers.set(view.getUint16(22), view.getUint32(24))
    }
  }

  private send(port: number, to: number, fields: SegmentFields): boolean {
    const bytes = segmentBytes(fields, port, to)
    const view = new DataView(bytes.buffer, bytes.byteOffset)
    view.setUint16(16, 0)
    let sum = 6 + bytes.length
    for (const [a, b, c, d] of [ATTACKER, NODE]) sum += (a << 8) + b + (c << 8) + d
    for (let i = 0; i < bytes.length; i++) sum += i % 2 === 0 ? bytes[i]! << 8 : bytes[i]!
    while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16)
    view.setUint16(16, ~sum & 0xffff)
    const packet = ipv4Packet(bytes, { source: [...ATTACKER], destination: [...NODE], protocol: 6 })
    const taken = this.node.link.injectBytes(packet)
    this.node.settle()
    return taken
  }

  /** @param size - of a segment; @returns connections that were opened */
  fill(connections: number, to: number, size: number): number {
    const data = new Uint8Array(size).fill(65)
    for (let port = 10_000; port < 10_000 + connections; port++) {
      this.send(port, to, { flags: 'S', seq: ISS, window: 65_535, mss: 1_460 })
      const iss = this.numbers.get(port)
      if (iss === undefined) continue
      const ack = (iss + 1) | 0
      this.send(port, to, { flags: 'A', seq: ISS + 1, ack, window: 0 })
      for (let i = 0; i < 31; i++) {
        const seq = ISS + 1 + i * size
        if (!this.send(port, to, { flags: 'PA', seq, ack, window: 0, data })) break
      }
    }
    return this.numbers.size
  }

  /** Whether an honest host gets so many bytes through, there and back. */
  serves(bytes: number): boolean {
    const { node } = this
    const exchange = node.honest.exchange('10.77.1.2', ECHO_PORT, bytes)
    const begin = node.clock.now()
    while (!exchange.done && exchange.error === '' && node.clock.now() - begin < PATIENCE_US)
      node.pass(10_000)
    return exchange.done
  }
}

describe('hostile: programs that do not read', () => {
  it.each([
    ['the large blocks and the budget', 600, DEAF_PORT, 2_100],
    ['the frames', 600, DEAF_PORT, 1_400],
    ['the frames to the last reserve', 2_000, DEAF_PORT, 1_400],
    ['what the echo cannot return', 600, ECHO_PORT, 2_100],
  ])(
    'checklist 3.5-58: %s are spent by %i connections, and an honest one comes through',
    (_, count, port, size) => {
      const deaf = new Deaf()
      const { node } = deaf
      expect(deaf.fill(count, port, size)).toBe(count)
      node.pass(1_000)
      expect([deaf.serves(100), deaf.serves(50_000)], node.situation()).toEqual([true, true])
      node.letAllGo()
      node.pass(1_000_000)
      expect(deaf.serves(50_000), node.situation()).toBe(true)
      node.rest()
      node.close()
    },
    60_000,
  )

  it('checklist 3.5-58: what lies at the head of a stream counts against the budget until its program reads or closes', () => {
    const deaf = new Deaf()
    const { node } = deaf
    deaf.fill(3, DEAF_PORT, 1_400)
    const used = (): unknown => (node.stack.describe()['tcp'] as { memoryUsed: number }).memoryUsed
    expect(used()).toBe(3 * 31 * 2_048)
    node.letAllGo()
    node.settle()
    expect(used()).toBe(0)
    node.rest()
    node.close()
  })
})
