/** Calls that no proper client sends: what RFC 5531 and 4506 have, with one thing or several wrong. Of some it is known what the answer has to be. */
import type { Random } from '../../src/base/prng.ts'
import { ByteBuilder } from './bytes.ts'

export const HOSTILE_PROGRAM = 0x2000_0099
export const HOSTILE_VERSION = 2
/** Procedures of the service under attack: takes everything and gives it back; an int, not idempotent; names; opaque data of any length; the same, not idempotent. */
export const PROC_EVERYTHING = 1
export const PROC_ADD = 2
export const PROC_NAMES = 3
export const PROC_BLOB = 4
export const PROC_PUT = 5

export interface HostileMessage {
  readonly bytes: Uint8Array
  readonly xid: number
  /** The status that it must be answered with; null if that depends. */
  readonly expected: string | null
}

/** Names that are no names in objects that were made without care. */
export const POLLUTING = [
  '__proto__',
  'constructor',
  'prototype',
  'toString',
  'hasOwnProperty',
  'valueOf',
] as const
const LENGTHS = [
  0, 1, 3, 4, 5, 255, 256, 400, 401, 65_535, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 0xffff_fffc,
] as const
const FLAVORS = [0, 1, 2, 3, 4, 5, 6, 7, 390_003, 400_122, 0x7075_7478, 0xffff_ffff] as const
/** `putnext-session:`, for machine names. */
const SESSION_PREFIX = 'putnext-session:'
const SESSION_FLAVOR = 0x7075_7478
const HANDLE_BYTES = 36
const DEPTHS = [8, 90, 101, 150, 1_500, 6_000] as const
const POOL = 64

export class CallForge {
  /** Handles of sessions that were given to attackers: true ones, to be used wrongly. */
  readonly handles: Uint8Array[] = []
  private readonly random: Random
  private readonly builder = new ByteBuilder()
  /** Of what goes into another message. */
  private readonly inner = new ByteBuilder()
  private readonly pool: Uint8Array[] = []
  private readonly salt: number
  private made = 0

  constructor(random: Random) {
    this.random = random
    this.salt = random.int32()
  }

  make(): HostileMessage {
    const { random } = this
    // Far from each other, so that no flipped bit makes one of another.
    const xid = Math.imul(++this.made, 0x9e37_79b1) ^ this.salt
    const kind = random.below(100)
    if (kind < 12) return this.wrongTarget(xid)
    if (kind < 24) return this.wrongCredentials(xid)
    if (kind < 30) return this.sessionRequest(xid)
    if (kind < 45) return this.sessionCall(xid)
    if (kind < 50) return this.deep(xid)
    if (kind < 58) return this.lyingLength(xid)
    if (kind < 62) return this.noCall(xid)
    return this.mutated(xid)
  }

  // ---- parts

  private pick<T>(list: readonly T[]): T {
    return list[this.random.below(list.length)]!
  }

  private head(
    xid: number,
    procedure: number,
    program = HOSTILE_PROGRAM,
    version = HOSTILE_VERSION,
  ): ByteBuilder {
    return this.builder.start().words(xid, 0, 2, program, version, procedure)
  }

  private sysBody(name: string): Uint8Array {
    const body = this.inner.start().word(this.random.int32()).text(name)
    const groups = this.random.below(4)
    body.words(this.random.below(70_000), this.random.below(70_000), groups)
    for (let i = 0; i < groups; i++) body.word(i)
    return body.take()
  }

  /** Good credentials and verifier. */
  private goodAuth(to: ByteBuilder): ByteBuilder {
    if (this.random.below(2) === 0) return to.words(0, 0, 0, 0)
    return to
      .word(1)
      .opaque(this.sysBody(this.pick(POLLUTING)))
      .words(0, 0)
  }

  private everything(to: ByteBuilder): ByteBuilder {
    const { random } = this
    to.words(random.int32(), random.int32(), random.int32(), random.int32(), 0, random.below(1 << 20))
    to.words(0x3fc0_0000, 0x3ff8_0000, 0, random.below(2), this.pick([2, 3, 5]))
    to.text(this.pick(POLLUTING))
      .raw(new Uint8Array(32))
      .opaque(new Uint8Array(random.below(65)))
    to.opaque(new Uint8Array(random.below(random.below(8) === 0 ? 3_000 : 20))).words(1, 2, 3)
    const tags = random.below(5)
    to.word(tags)
    for (let i = 0; i < tags; i++) to.text(this.pick(POLLUTING))
    this.tree(to, random.below(6))
    for (let i = random.below(4); i > 0; i--) to.word(1).text('entry')
    return to.words(0, 3)
  }

  /** A tree that goes to the left only. */
  private tree(to: ByteBuilder, depth: number): void {
    for (let i = 0; i < depth; i++) to.words(1, i)
    // Each level ends with the right side that it does not have; the deepest has no left side, either.
    for (let i = 0; i < depth + 1; i++) to.word(0)
  }

  private arguments(to: ByteBuilder, procedure: number): ByteBuilder {
    if (procedure === PROC_EVERYTHING) return this.everything(to)
    if (procedure === PROC_ADD) return to.word(this.random.int32())
    if (procedure === PROC_BLOB || procedure === PROC_PUT)
      return to.opaque(new Uint8Array(this.random.below(2_000)))
    const names = this.random.below(6)
    to.word(names)
    for (let i = 0; i < names; i++) to.text(this.pick(POLLUTING))
    return to
  }

  private valid(xid: number): Uint8Array {
    const procedure = 1 + this.random.below(5)
    return this.arguments(this.goodAuth(this.head(xid, procedure)), procedure).take()
  }

  private known(xid: number, expected: string | null): HostileMessage {
    return { bytes: this.builder.take(), xid, expected }
  }

  // ---- kinds

  private wrongTarget(xid: number): HostileMessage {
    const { random } = this
    const kind = random.below(4)
    if (kind === 0) {
      this.goodAuth(this.head(xid, 1, HOSTILE_PROGRAM + 1 + random.below(1_000)))
      return this.known(xid, 'PROG_UNAVAIL')
    }
    if (kind === 1) {
      this.goodAuth(this.head(xid, 1, HOSTILE_PROGRAM, this.pick([0, 1, 3, 0xffff_ffff])))
      return this.known(xid, 'PROG_MISMATCH')
    }
    if (kind === 2) {
      this.goodAuth(this.head(xid, this.pick([6, 7, 255, 0x7fff_ffff, 0xffff_ffff])))
      return this.known(xid, 'PROC_UNAVAIL')
    }
    this.builder.start().words(xid, 0, this.pick([0, 1, 3, 0xffff_ffff]))
    for (let i = random.below(8); i > 0; i--) this.builder.word(random.int32())
    return this.known(xid, 'RPC_MISMATCH')
  }

  private wrongCredentials(xid: number): HostileMessage {
    const { random } = this
    const to = this.head(xid, PROC_ADD)
    const kind = random.below(5)
    if (kind === 0) {
      to.words(this.pick([3, 4, 5, 6, 7, 390_003, 400_122, 0xffff_ffff]), 0, 0, 0, 1)
      return this.known(xid, 'AUTH_BADCRED')
    }
    if (kind === 1) {
      // A length that the message does not have, or that no credentials have.
      to.word(this.pick(FLAVORS)).word(this.pick(LENGTHS.filter(length => length > 400)))
      return this.known(xid, 'AUTH_BADCRED')
    }
    if (kind === 2) {
      const body = this.sysBody('host')
      body[7]! += 1 + random.below(200)
      to.word(1).opaque(body).words(0, 0, 1)
      return this.known(xid, null)
    }
    if (kind === 3) {
      to.words(0, 0, this.pick(FLAVORS), this.pick(LENGTHS.filter(length => length > 400)))
      return this.known(xid, 'AUTH_BADVERF')
    }
    to.word(2)
      .opaque(new Uint8Array(this.pick([0, 1, 20, 35, 36, 37, 400])).fill(random.below(256)))
      .words(0, 0, 1)
    return this.known(xid, 'AUTH_REJECTEDCRED')
  }

  private sessionRequest(xid: number): HostileMessage {
    const digits = Array.from({ length: 32 }, () => this.random.below(16).toString(16)).join('')
    const isTrue = this.random.below(2) === 0
    const name = isTrue
      ? `${SESSION_PREFIX}${digits}:__proto__`
      : `${SESSION_PREFIX}${digits.slice(this.random.below(8))}`
    this.head(xid, 0).word(1).opaque(this.sysBody(name)).words(0, 0)
    return this.known(xid, 'SUCCESS')
  }

  /** Under a true handle, or nearly one, with a verifier that says anything: xids below the oldest, far beyond, the same again. */
  private sessionCall(xid: number): HostileMessage {
    const { random } = this
    const { handles } = this
    const handle = handles.length === 0 ? new Uint8Array(HANDLE_BYTES) : this.pick(handles).slice()
    const isForged = handles.length === 0 || random.below(4) === 0
    if (isForged) handle[random.below(HANDLE_BYTES)]! ^= 1 << random.below(8)
    const number = random.below(3) === 0 ? random.below(50) : xid
    const procedure = this.pick([PROC_ADD, PROC_PUT])
    const to = this.head(number, procedure).word(2).opaque(handle)
    const oldest = this.pick([
      number,
      number - random.below(300),
      number + 1,
      random.int32(),
      number ^ 0x8000_0000,
    ])
    const verifier = new ByteBuilder()
      .start()
      .words(oldest, this.pick([0, 1, 10_000, 0xffff_ffff, random.int32()]))
    const kind = random.below(5)
    if (kind === 0) to.word(SESSION_FLAVOR).opaque(new Uint8Array(this.pick([0, 4, 7, 9, 12, 400])))
    else to.word(kind === 1 ? this.pick(FLAVORS) : SESSION_FLAVOR).opaque(verifier.take())
    this.arguments(to, procedure)
    return this.known(number, null)
  }

  private deep(xid: number): HostileMessage {
    const depth = this.pick(DEPTHS)
    const to = this.goodAuth(this.head(xid, PROC_EVERYTHING))
    to.words(1, 2, 0, 3, 0, 4, 0x3fc0_0000, 0x3ff8_0000, 0, 1, 2).text('deep').raw(new Uint8Array(32))
    to.words(0, 0, 1, 2, 3, 0)
    this.tree(to, depth)
    to.words(0, 3)
    return this.known(xid, depth > 100 ? 'GARBAGE_ARGS' : depth === 8 ? 'SUCCESS' : null)
  }

  /** Arguments that announce more than there is. */
  private lyingLength(xid: number): HostileMessage {
    const procedure = this.pick([PROC_NAMES, PROC_BLOB, PROC_PUT])
    const length = this.pick([
      17, 1_000, 0x00ff_ffff, 0x3fff_ffff, 0x7fff_ffff, 0x8000_0000, 0xffff_fffd, 0xffff_ffff,
    ])
    this.goodAuth(this.head(xid, procedure))
      .word(length)
      .raw(new Uint8Array(4 * this.random.below(4)))
    // What is not idempotent may be dropped since it cannot be remembered.
    return this.known(xid, procedure === PROC_PUT ? null : 'GARBAGE_ARGS')
  }

  /** Replies to a server, message types that there are not, too short for anything. */
  private noCall(xid: number): HostileMessage {
    const { random } = this
    this.builder.start().words(xid, this.pick([1, 1, 2, 0xffff_ffff]), 0, 0, 0, 0)
    const bytes = random.below(2) === 0 ? this.builder.take() : this.valid(xid).slice(0, 1 + random.below(40))
    return { bytes, xid, expected: null }
  }

  private mutated(xid: number): HostileMessage {
    const bytes = this.valid(xid)
    const { pool, random } = this
    if (pool.length < POOL) pool.push(bytes)
    else pool[random.below(POOL)] = bytes
    // As it is, and again: what was sent before, by whomever.
    if (random.below(6) === 0) return { bytes: pool[random.below(pool.length)]!, xid, expected: null }
    return { bytes: mutate(bytes, random, pool), xid, expected: null }
  }
}

/** Changes a few things of a message. @returns at least one byte, not the input */
export function mutate(input: Uint8Array, random: Random, pool: readonly Uint8Array[]): Uint8Array {
  let bytes: Uint8Array = input.slice()
  for (let left = 1 + random.below(3); left > 0; left--) {
    const at = random.below(bytes.length)
    const kind = random.below(6)
    if (kind === 0) bytes[at]! ^= 1 << random.below(8)
    else if (kind === 1) bytes[at] = random.below(256)
    else if (kind === 2) setWord(bytes, at & ~3, LENGTHS[random.below(LENGTHS.length)]!)
    else if (kind === 3) bytes = bytes.slice(0, Math.max(1, at))
    else if (kind === 4) bytes = splice(bytes, pool[random.below(pool.length)]!, random)
    else setWord(bytes, at & ~3, bytes.length - at + random.below(9) - 4)
  }
  return bytes
}

function setWord(bytes: Uint8Array, at: number, value: number): void {
  for (let i = 0; i < 4 && at + i < bytes.length; i++) bytes[at + i] = value >>> (24 - 8 * i)
}

function splice(a: Uint8Array, b: Uint8Array, random: Random): Uint8Array {
  const head = a.subarray(0, 1 + random.below(a.length))
  const tail = b.subarray(random.below(b.length))
  const joined = new Uint8Array(head.length + tail.length)
  joined.set(head)
  joined.set(tail, head.length)
  return joined
}
