import { describe, expect, it } from 'vitest'
import { pattern } from '../testing/packets.ts'
import { flush, resume } from './output.ts'
import type { Peer } from './testing/peer.ts'
import { makeTcpTest, type TcpTest } from './testing/tcp-test.ts'

const SENDERS = 4
const ROOM_PER_MS = 2
const ROUNDS = 600

/** Bytes that each of some senders brought over a link that takes two packets a millisecond; each is acknowledged a millisecond later. */
function share(t: TcpTest): number[] {
  const listener = t.listen()
  const peers: Peer[] = Array.from({ length: SENDERS }, (_, i) =>
    t.peer({ port: 3_000 + i, windowScale: 10, window: 65_535, sack: true }),
  )
  for (const peer of peers) {
    peer.open(listener)
    peer.tcb.cwnd = 4_000_000
    peer.tcb.ssthresh = 1_000_000
  }
  t.take()
  t.hasRoom = () => t.sent.length < ROOM_PER_MS
  const bytes = new Array<number>(SENDERS).fill(0)
  for (let round = 0; round < ROUNDS; round++) {
    for (const peer of peers)
      if ((peer.tcb.flight?.queue.bytes ?? 0) < 1_000_000) t.write(peer.tcb, pattern(60_000), false)
    resume(t.tcp)
    while (t.tcp.dirtyFirst !== null) flush(t.tcp)
    const sent = t.take()
    t.advance(1)
    for (const { toPort, seq, data } of sent) {
      const peer = peers[toPort - 3_000]!
      bytes[toPort - 3_000]! += data.length
      peer.ack = (seq + data.length) | 0
      peer.send('A', {}, {}, false)
    }
  }
  return bytes
}

describe('inet/tcp/output: a link that is full', () => {
  it('connections take turns: none waits for good behind those that were served', () => {
    const t = makeTcpTest({
      arenaOptions: { sizeBytes: 64 * 1024 * 1024, poison: false },
      connection: { sendBytes: 4 * 1024 * 1024 },
    })
    const bytes = share(t)
    const all = bytes.reduce((sum, each) => sum + each, 0)
    expect(Math.min(...bytes)).toBeGreaterThan(all / SENDERS / 2)
    t.finish()
  })
})
