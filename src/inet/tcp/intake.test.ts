import { describe, expect, it } from 'vitest'
import { Prng } from '../../base/prng.ts'
import { allocb, freemsg } from '../../streams/mblk/alloc.ts'
import type { Mblk } from '../../streams/mblk/mblk.ts'
import { messageBytes } from '../../streams/mblk/message.ts'
import { pattern } from '../testing/packets.ts'
import { heldBytes, isLoose } from './condense.ts'
import { condenseStored, dequeue, enqueue, lend, settleLent, takeIntake } from './intake.ts'
import type { Reassembly } from './reassembly.ts'
import { takeUp } from './receive.ts'
import { established, type Peer } from './testing/peer.ts'
import { makeTcpTest } from './testing/tcp-test.ts'

interface Sums {
  bytes: number
  held: number
  loose: number
  messages: number
}

/** Adds a list of messages, looked at one by one. */
function add(sums: Sums, first: Mblk | null): Sums {
  for (let mp = first; mp !== null; mp = mp.next) {
    const size = messageBytes(mp)
    const held = heldBytes(mp)
    sums.bytes += size
    sums.held += held
    sums.messages++
    if (isLoose(size, held)) sums.loose++
  }
  return sums
}

const none = (): Sums => ({ bytes: 0, held: 0, loose: 0, messages: 0 })
const told = ({ bytes, held, loose, messages }: Sums): Sums => ({ bytes, held, loose, messages })

function inReassembly(reassembly: Reassembly): Sums {
  const sums = none()
  reassembly.replaceEach(mp => {
    const { next } = mp
    mp.next = null
    add(sums, mp)
    mp.next = next
    return mp
  }, Number.POSITIVE_INFINITY)
  return sums
}

/** Compares every sum with what is there. @returns memory that one connection holds */
function check({ tcb }: Peer): number {
  const { intake } = tcb
  if (intake === null) return 0
  expect(told(intake)).toEqual(add(none(), intake.first))
  const { reassembly } = intake
  if (reassembly === null) return intake.held + intake.lent
  expect(told(reassembly)).toEqual(inReassembly(reassembly))
  return intake.held + intake.lent + reassembly.held
}

describe('inet/tcp/intake', () => {
  it('at any time bytes, memory, messages and loose ones are the sums of what is there, and no byte is lost', () => {
    let copied = 0
    for (let seed = 1; seed <= 12; seed++) {
      const random = new Prng(seed)
      const memoryBytes = 300_000 + random.below(3_000_000)
      const t = makeTcpTest({
        settings: { memoryBytes },
        arenaOptions: { sizeBytes: 16 << 20, poison: false },
      })
      const listener = t.listen()
      const peers = [0, 1, 2].map(i => t.peer({ sack: random.below(2) === 0, windowScale: 4, port: 100 + i }))
      for (const peer of peers) peer.open(listener)
      const begins = peers.map(peer => peer.next)
      const data = pattern(2_000_000, 3)
      const read = peers.map(() => 0)
      for (let step = 0; step < 500; step++) {
        const i = random.below(peers.length)
        const peer = peers[i]!
        const size = [1, 50, 200, 300, 1_400, 5_000, 30_000][random.below(7)]!
        const base = (peer.tcb.rcvNxt - begins[i]!) | 0
        const at = random.below(3) === 0 ? base : Math.max(0, base + random.below(40_000) - 3_000)
        if (at + size > data.length) continue
        peer.send('A', { seq: (begins[i]! + at) | 0, data: data.subarray(at, at + size) }, {}, false)
        if (random.below(20) === 0) {
          t.flush()
          t.take()
        }
        if (random.below(12) === 0) {
          const got = t.read(peer.tcb)
          if (!Buffer.from(got).equals(data.subarray(read[i]!, read[i]! + got.length)))
            throw new Error(`seed ${seed}: other bytes behind ${read[i]}`)
          read[i]! += got.length
        }
        if (step % 5 === 0) expect(peers.reduce((sum, each) => sum + check(each), 0)).toBe(t.tcp.memoryUsed)
      }
      copied += t.counters.condensed
      t.flush()
      t.finish()
    }
    expect(copied).toBeGreaterThan(100)
  })

  it('what condensing left loose is counted as loose, and nothing is when all is taken', () => {
    const t = makeTcpTest({ settings: { memoryBytes: 8_000_000 } })
    const intake = takeIntake(t.tcp, established(t).tcb)
    // From a large block into a frame's, where they are loose, too.
    for (let i = 0; i < 10; i++) {
      const mp = allocb(t.arena, 66_000)!
      mp.wptr = mp.rptr + 200
      enqueue(t.tcp, intake, mp, 200)
    }
    condenseStored(t.tcp, intake)
    expect([t.counters.condensed, intake.loose, intake.held]).toEqual([10, 10, 10 * 2_048])
    for (let mp = dequeue(t.tcp, intake); mp !== null; mp = dequeue(t.tcp, intake)) freemsg(mp)
    expect([intake.loose, intake.held, t.tcp.memoryUsed]).toEqual([0, 0, 0])
    t.finish()
  })

  it('checklist 3.5-58: what went up to the program counts against the budget until it is read', () => {
    const t = makeTcpTest()
    const { tcb } = established(t)
    const intake = takeIntake(t.tcp, tcb)
    const mp = allocb(t.arena, 1_900)!
    mp.wptr = mp.rptr + 1_500
    enqueue(t.tcp, intake, mp, 1_500)
    tcb.user = { tcb }
    t.unreadHeld = () => 2_048
    expect(lend(t.tcp, intake)).toBe(mp)
    expect([intake.held, intake.lent, t.tcp.memoryUsed]).toEqual([0, 2_048, 2_048])
    expect(takeUp(t.tcp, tcb)).toBeNull()
    settleLent(t.tcp, tcb)
    expect(t.tcp.memoryUsed).toBe(2_048)
    t.unreadHeld = () => 0
    settleLent(t.tcp, tcb)
    expect([intake.lent, t.tcp.memoryUsed]).toEqual([0, 0])
    freemsg(mp)
    t.finish()
  })
})
