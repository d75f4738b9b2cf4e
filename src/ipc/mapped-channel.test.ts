/** The mapped channel against a program at the other end that writes what it likes into the memory that both map. */
import { afterEach, beforeEach, expect, it } from 'vitest'
import { Prng } from '../base/prng.ts'
import { instant } from '../base/time.ts'
import { allocb, freeb, freemsg } from '../streams/mblk/alloc.ts'
import { Arena } from '../streams/mblk/arena.ts'
import type { Mblk } from '../streams/mblk/mblk.ts'
import { Runtime } from '../streams/runtime.ts'
import type { ChannelUser } from './channel.ts'
import { openChannelStream, seat } from './channel-stream.ts'
import { type BlockSide, KIND, LENGTH, MappedChannel, NOTHING, SPACE } from './mapped-channel.ts'
import { DATA } from './protocol.ts'
import { RING_BYTES, RING_ENTRIES, RingReader, RingWriter } from './ring.ts'
import type { SocketChannel } from './socket-channel.ts'

const bell = { user: null, send: () => {}, serve: () => {}, close: () => {}, ref: () => {} }
const noSide: BlockSide = {
  describe: () => 0,
  resolve: () => null,
  returned: () => false,
  nextReturn: () => -1,
  isStrained: false,
  close: () => {},
}

let arena: Arena
let runtime: Runtime
let rings: Mblk[]

beforeEach(() => {
  arena = new Arena({ sizeBytes: 4 * 1024 * 1024 })
  runtime = new Runtime({ arena, clock: { now: () => instant(0) }, random: new Prng(1) })
  rings = [allocb(arena, RING_BYTES)!, allocb(arena, RING_BYTES)!]
  for (const { rptr } of rings) arena.words.fill(0, rptr >> 2, (rptr + RING_BYTES) >> 2)
})

afterEach(() => {
  for (const stream of [...runtime.streams]) stream.close()
  for (const ring of rings) freeb(ring)
  arena.assertWhole()
})

function open(side: Partial<BlockSide>, user: Partial<ChannelUser>): MappedChannel {
  const { stream, q } = openChannelStream(runtime, 'ipc')
  const place = { words: arena.words, now: () => 0, run: () => {} }
  const ends = {
    writer: new RingWriter(arena.words, rings[0]!.rptr),
    reader: new RingReader(arena.words, rings[1]!.rptr),
  }
  const channel = new MappedChannel(
    place,
    bell as unknown as SocketChannel,
    q,
    ends,
    { ...noSide, ...side },
    { frame: () => true, drained: () => {}, down: () => {}, ...user },
  )
  seat(stream, { serve: () => channel.serve(), counters: {}, describe: () => null })
  return channel
}

it('a program that writes as fast as it is read has its turn, and others have theirs', () => {
  const far = new RingWriter(arena.words, rings[1]!.rptr)
  const write = (): void => {
    arena.words[far.entry + KIND] = DATA
    arena.words[far.entry + SPACE] = NOTHING
    far.next()
    far.publish()
  }
  let taken = 0
  const frame = (): boolean => {
    if (++taken > 100 * RING_ENTRIES) throw new Error('it reads for ever')
    write()
    return true
  }
  const channel = open({}, { frame })
  write()
  channel.serve()
  expect(taken).toBeGreaterThan(0)
  expect(taken).toBeLessThan(10)
  channel.close()
})

it('what it writes over a length that was told it does not change what is sent', () => {
  const described: Mblk[] = []
  const describeIt = (bp: Mblk, entry: number): number => {
    described.push(bp)
    // The other side, in between.
    arena.words[entry + LENGTH] = 3
    return bp.wptr - bp.rptr
  }
  const channel = open({ describe: describeIt }, {})
  for (let i = 0; i < 2; i++) {
    const mp = allocb(arena, 100)!
    mp.wptr += 100
    channel.send(1, DATA, 0, mp)
  }
  channel.serve()
  expect(described.length).toBe(2)
  expect(channel.waitingBytes).toBe(0)
  for (const bp of new Set(described)) freemsg(bp)
  channel.close()
})
