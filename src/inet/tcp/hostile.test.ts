/** Whatever comes, in whatever state: nothing is thrown, nothing leaks, memory keeps within its bounds. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Prng } from '../../base/prng.ts'
import { release, shutdown } from './close.ts'
import { acceptNext } from './listener.ts'
import { connect } from './open.ts'
import { CLOSED } from './states.ts'
import { established, type OpenState, Peer, type PeerOptions } from './testing/peer.ts'
import { flagsOf, type SegmentFields } from './testing/segments.ts'
import { address, makeTcpTest, PEER, PORT, type TcpTest } from './testing/tcp-test.ts'

const STATES = [
  'LISTEN',
  'SYN-SENT',
  'SYN-RECEIVED',
  'SYN-RECEIVED of a listener',
  'ESTABLISHED',
  'FIN-WAIT-1',
  'FIN-WAIT-2',
  'CLOSE-WAIT',
  'CLOSING',
  'LAST-ACK',
  'TIME-WAIT',
  'orphan',
] as const

const FULL: PeerOptions = { windowScale: 7, sack: true, timestamps: true }

function bring(t: TcpTest, state: (typeof STATES)[number], options: PeerOptions): Peer {
  const peer = new Peer(t, options)
  if (state === 'SYN-SENT' || state === 'SYN-RECEIVED') {
    peer.connectFrom()
    if (state === 'SYN-RECEIVED') peer.syn()
    return peer
  }
  const listener = t.listen({ port: peer.ourPort })
  if (state === 'LISTEN') return peer
  if (state.startsWith('SYN-RECEIVED')) {
    peer.halfOpen()
    return peer
  }
  peer.open(listener)
  if (state === 'orphan') release(t.tcp, peer.tcb)
  else if (state === 'TIME-WAIT') {
    peer.to('FIN-WAIT-2')
    peer.send('FA')
  } else peer.to(state as OpenState)
  return peer
}

/** Near where something is decided, or anywhere. */
const near = fc.oneof(
  fc.constantFrom(0, 1, -1, 2, 100, 65_535, 65_536, -65_536, 0x7fffffff, -0x80000000),
  fc.integer({ min: -2_000, max: 2_000 }),
  fc.integer(),
)

const segment = fc.record({
  control: fc.oneof(
    fc.constantFrom(0x10, 0x18, 0x11, 0x02, 0x12, 0x04, 0x14, 0x38),
    fc.integer({ min: 0, max: 255 }),
  ),
  seq: near,
  ack: near,
  window: fc.oneof(fc.constantFrom(0, 1, 65_535), fc.integer({ min: 0, max: 65_535 })),
  urgent: fc.integer({ min: 0, max: 65_535 }),
  length: fc.oneof(
    { weight: 3, arbitrary: fc.integer({ min: 0, max: 3 }) },
    { weight: 1, arbitrary: fc.integer({ min: 0, max: 3_000 }) },
  ),
  options: fc.oneof(fc.constant(null), fc.uint8Array({ maxLength: 40 })),
  stamp: near,
  sack: fc.array(fc.tuple(near, near), { maxLength: 3 }),
  ecn: fc.integer({ min: 0, max: 3 }),
  gso: fc.constantFrom(0, 1, 100, 1_448),
  wait: fc.constantFrom(0, 0, 0, 1, 50, 1_500, 70_000),
  act: fc.constantFrom('', '', '', 'read', 'write', 'shutdown', 'release'),
})

type Step = typeof segment extends fc.Arbitrary<infer T> ? T : never

function play(t: TcpTest, peer: Peer, step: Step): void {
  const flags = flagsOf(step.control)
  const padded = (bytes: Uint8Array): number[] => [
    ...bytes,
    ...new Array<number>((4 - (bytes.length & 3)) & 3).fill(1),
  ]
  const fields: SegmentFields = {
    flags,
    seq: (peer.next + step.seq) | 0,
    ack: (peer.ack + step.ack) | 0,
    window: step.window,
    urgent: step.urgent,
    data: new Uint8Array(step.length),
    ...(step.options !== null
      ? { options: padded(step.options) }
      : {
          ...(peer.timestamps
            ? { timestamps: [(peer.tsNow + (step.stamp >> 8)) | 0, peer.tsRecent] as const }
            : {}),
          sack: step.sack.map(([left, right]) => [(peer.ack + left) | 0, (peer.ack + right) | 0] as const),
        }),
  }
  const delivery = {
    from: peer.address,
    to: peer.here,
    ecn: step.ecn,
    ...(step.gso > 0 ? { gsoSize: step.gso } : {}),
  }
  t.inject(fields, [peer.port, peer.ourPort], delivery)
  t.tcp.connections.each(tcb => {
    if (step.act === 'read') t.discard(tcb)
    if (step.act === 'write' && tcb.user !== null && tcb.state !== CLOSED) t.write(tcb, 'abcdef', false)
    if (step.act === 'shutdown') shutdown(t.tcp, tcb)
    if (step.act === 'release' && tcb.user !== null) release(t.tcp, tcb)
  })
  t.flush()
  if (step.wait > 0) t.advance(step.wait)
  t.take()
}

describe.each(STATES)('inet/tcp under attack in %s', state => {
  it('random segments, timers and program calls: nothing is thrown, nothing leaks', () => {
    fc.assert(
      fc.property(
        fc.array(segment, { maxLength: 25 }),
        fc.boolean(),
        fc.constantFrom(1_000, -20, 0x7ffffff0),
        (steps, full, iss) => {
          const t = makeTcpTest({ arenaOptions: { sizeBytes: 1024 * 1024, poison: false } })
          const peer = bring(t, state, { ...(full ? FULL : {}), iss })
          for (const step of steps) play(t, peer, step)
          expect(t.tcp.memoryUsed).toBeGreaterThanOrEqual(0)
          t.finish()
        },
      ),
      { numRuns: 60 },
    )
  })
})

describe('inet/tcp under attack', () => {
  it('100,000 random segments to one stack with connections in all states: memory keeps within its budget', () => {
    const t = makeTcpTest({
      settings: { memoryBytes: 512 * 1024, synBacklog: 64, timeWaitMax: 64, connectionsMax: 200 },
      arenaOptions: { sizeBytes: 4 * 1024 * 1024, poison: false },
    })
    const random = new Prng(7)
    const known = new Known()
    const listener = t.listen({ backlog: 16 })
    for (let i = 0; i < 20; i++) t.hold(connect(t.tcp, { remote: PEER, remotePort: 1 + i, localPort: 5_000 }))
    let most = 0
    for (let i = 0; i < 100_000; i++) {
      const port = 1 + random.below(40)
      known.listen(t)
      const [next, expected] = known.of(port)
      const fields: SegmentFields = {
        flags: flagsOf(
          random.below(4) === 0 ? random.below(256) : [0x02, 0x10, 0x18, 0x11, 0x12][random.below(5)]!,
        ),
        seq: random.below(9) === 0 ? random.int32() : (expected + random.below(3) * random.below(3)) | 0,
        ack: (next - random.below(3) * random.below(2)) | 0,
        window: random.below(65_536),
        data: new Uint8Array(random.below(5) === 0 ? random.below(1_400) : 0),
        ...(random.below(2) === 0
          ? { mss: 1 + random.below(2_000), windowScale: random.below(20), sackPermitted: true }
          : {}),
      }
      t.inject(fields, [port, random.below(2) === 0 ? PORT : 5_000], {}, random.below(8) === 0)
      most = Math.max(most, t.tcp.memoryUsed)
      if (i % 512 === 0) {
        const tcb = acceptNext(t.tcp, listener)
        if (tcb !== null) t.hold(tcb).user = { tcb }
        t.advance(random.below(400))
      }
    }
    // One segment for each connection that has none may go beyond.
    expect(most).toBeLessThan(2 * 512 * 1024)
    expect(t.tcp.halfOpen.size).toBeLessThanOrEqual(64)
    expect(t.tcp.timeWait.size).toBeLessThanOrEqual(64)
    expect(t.tcp.connections.size).toBeLessThanOrEqual(200)
    expect(t.counters['passive-opens']).toBeGreaterThan(200)
    t.advance(4_000_000)
    const honest = new Peer(t, { port: 60_000, address: address('10.0.0.9') })
    for (let tcb = acceptNext(t.tcp, listener); tcb !== null; tcb = acceptNext(t.tcp, listener)) t.hold(tcb)
    t.take()
    honest.open(listener)
    honest.data('after all')
    expect(t.readText(honest.tcb)).toBe('after all')
    t.finish()
  })

  it('checklist 3.5-47 (SegmentSmack): one-byte gaps cost linear time and bounded memory', () => {
    const run = (segments: number): { readonly took: number; readonly held: number } => {
      const t = makeTcpTest({ arenaOptions: { poison: false } })
      const peer = established(t, FULL)
      const begin = process.hrtime.bigint()
      for (let i = 0; i < segments; i++)
        peer.send('A', { seq: (peer.next + 2 * ((i % 20_000) + 1)) | 0, data: 'x' }, {}, i % 16 === 0)
      const took = Number(process.hrtime.bigint() - begin)
      const held = peer.tcb.intake!.reassembly!.messages
      t.finish()
      return { took, held }
    }
    run(2_000)
    const [few, many] = [run(3_000), run(30_000)]
    // By the memory of their blocks: four times the buffer.
    expect(many.held).toBeLessThanOrEqual((4 * 256 * 1024) / 256 + 1)
    expect(many.took / few.took).toBeLessThan(100)
  })

  it('no block is left: segments are lost, nothing else', () => {
    const t = makeTcpTest({ arenaOptions: { sizeBytes: 1024 * 1024 } })
    const peer = established(t, FULL)
    const waiting: number[] = []
    for (let i = 0; i < 700; i++) {
      try {
        peer.send('PA', { data: new Uint8Array(1_000) }, {}, i % 4 === 0)
      } catch (error) {
        // The device itself finds no block.
        expect(String(error)).toContain('ran out of blocks')
        waiting.push(i)
      }
    }
    expect(t.counters['memory-pressure']).toBeGreaterThan(0)
    t.discard(peer.tcb)
    peer.next = peer.tcb.rcvNxt
    t.flush()
    t.take()
    peer.data('on we go')
    expect(t.readText(peer.tcb)).toBe('on we go')
    t.finish()
  })
})

/** Where the core stands with the peer at a port, so that part of the noise fits: the next number it sends, and the next it expects. */
class Known {
  private readonly ends = new Map<number, readonly [next: number, expected: number]>()

  listen(t: TcpTest): void {
    for (const s of t.take()) {
      const length = s.data.length + (s.flags.includes('S') ? 1 : 0) + (s.flags.includes('F') ? 1 : 0)
      if (!s.flags.includes('R')) this.ends.set(s.toPort, [(s.seq + length) | 0, s.ack])
    }
  }

  of(port: number): readonly [next: number, expected: number] {
    return this.ends.get(port) ?? [0, 0]
  }
}
