/** Replies that no proper server sends to a call: right ones, with one thing or several wrong. */
import type { Random } from '../../src/base/prng.ts'
import { ByteBuilder } from './bytes.ts'
import { mutate, POLLUTING } from './hostile-calls.ts'

const POOL = 32
const HANDLE_MAGIC = 0x706e_7331
const WINDOWS = [1, 2, 64, 256, 0x7fff_ffff, 0xffff_ffff] as const
const LENGTHS = [401, 65_535, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff] as const

export class ReplyForge {
  private readonly random: Random
  private readonly builder = new ByteBuilder()
  private readonly pool: Uint8Array[] = []
  private lastXid = 0

  constructor(random: Random) {
    this.random = random
  }

  /** @param xid - of a call that waits for an answer */
  make(xid: number): Uint8Array {
    const { random } = this
    const before = this.lastXid
    this.lastXid = xid
    const kind = random.below(100)
    if (kind < 20) return this.good(random.below(2) === 0 ? xid ^ (1 << random.below(32)) : before)
    if (kind < 30) return this.status(xid)
    if (kind < 40) return this.verifier(xid)
    if (kind < 50) return this.session(xid)
    if (kind < 55) return this.builder.start().words(xid, [0, 2, -1][random.below(3)]!, 2, 1, 1, 1).take()
    if (kind < 60) return this.good(xid).slice(0, 1 + random.below(28))
    return this.mutated(xid)
  }

  /** The result of every procedure of the service, or of none: the decoder that waits for it decides. */
  good(xid: number): Uint8Array {
    const { random } = this
    const to = this.builder.start().words(xid, 1, 0, 0, 0, 0)
    const kind = random.below(3)
    if (kind === 0) to.word(random.int32())
    else if (kind === 1) to.opaque(new Uint8Array(random.below(500)))
    else for (let i = random.below(6); i > 0; i--) to.text(POLLUTING[random.below(POLLUTING.length)]!)
    return to.take()
  }

  private status(xid: number): Uint8Array {
    const { random, builder } = this
    if (random.below(2) === 0) return builder.start().words(xid, 1, 0, 0, 0, random.below(9), 1, 2).take()
    return builder.start().words(xid, 1, 1, random.below(4), random.below(18), 3).take()
  }

  private verifier(xid: number): Uint8Array {
    const { random, builder } = this
    const length = LENGTHS[random.below(LENGTHS.length)]!
    builder.start().words(xid, 1, 0, random.below(4), random.below(2) === 0 ? length : 400, 0, 0)
    return builder.take()
  }

  /** A handle of a session that nobody asked for, or that the one who asked must not trust in more than its window. */
  private session(xid: number): Uint8Array {
    const { random, builder } = this
    builder.start().words(xid, 1, 0, 2, 36, random.below(4) === 0 ? random.int32() : HANDLE_MAGIC)
    builder.words(random.int32(), random.int32(), random.int32(), WINDOWS[random.below(WINDOWS.length)]!)
    for (let i = 0; i < 4; i++) builder.word(random.int32())
    builder.word(0)
    // The answer to who asked for one ends here.
    return (random.below(2) === 0 ? builder : builder.word(random.int32())).take()
  }

  private mutated(xid: number): Uint8Array {
    const bytes = this.good(xid)
    const { pool, random } = this
    if (pool.length < POOL) pool.push(bytes)
    else pool[random.below(POOL)] = bytes
    return mutate(bytes, random, pool)
  }
}
