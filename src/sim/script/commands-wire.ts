/** Commands about packets and time: `inject`, `expect`, `advance`, `decode`, `encode`. */

import type { ScriptArguments } from './arguments.ts'
import type { CallResult } from './call.ts'
import type { CapturedPacket } from './capture-link.ts'
import type { Command } from './commands.ts'
import { Errno, Misuse } from './errno.ts'
import { decodePacket } from './packet-decode.ts'
import { type Description, encodePacket } from './packet-encode.ts'
import { fromHex, PacketError, toHex } from './packet-fields.ts'
import type { Session } from './session.ts'
import type { World } from './world.ts'

/** A century, in microseconds. */
const TIME_MAX_US = 3_200_000_000_000_000
const GSO_MAX = 65_535

/** A time, in any of three units. @param prefix - of the members' names */
function readTime(args: ScriptArguments, names: readonly [us: string, ms: string, s: string]): number | null {
  const units = [1, 1_000, 1_000_000]
  const given = names.flatMap((name, i) => {
    const value = args.raw(name)
    if (value === undefined) return []
    const us = typeof value === 'number' ? Math.round(value * units[i]!) : Number.NaN
    if (!(us >= 0 && us <= TIME_MAX_US))
      throw new Misuse('bad-argument', `${name} must be a time of 0 or more`)
    return [us]
  })
  if (given.length > 1) throw new Misuse('bad-argument', `give one of ${names.join(', ')}`)
  return given[0] ?? null
}

/** Lets time pass: by `us`, `ms` or `s`, or until the time `to` (microseconds since the script began). */
const advance: Command = args => {
  const by = readTime(args, ['us', 'ms', 's'])
  const to = args.has('to') ? args.integer('to', 0, TIME_MAX_US) : null
  if ((by === null) === (to === null)) throw new Misuse('bad-argument', 'give one of us, ms, s, to')
  return session => {
    const end = to ?? session.stack.now + by!
    if (end < session.stack.now) throw new Misuse('bad-argument', `to: it is ${session.stack.now} already`)
    session.advance(end)
    return { value: session.now }
  }
}

/** Brings a packet to the stack, now: `hex`, or `packet`, its fields. */
const inject: Command = args => {
  const hex = args.has('hex') ? args.string('hex') : null
  const fields = args.object('packet')
  const gsoSize = args.integer('gsoSize', 0, GSO_MAX, 0)
  if ((hex === null) === (fields === undefined)) throw new Misuse('bad-argument', 'give hex or packet')
  const bytes = hex !== null ? fromHex(hex) : encodePacket(fields!)
  return session => {
    if (!session.stack.link.bring(bytes, gsoSize))
      throw new Errno('ENOBUFS', 'no block is left for the packet')
    session.rest()
    return { value: bytes.length }
  }
}

/**
 * Takes packets that the stack sent, oldest first: all there are after `us`, `ms` or `s` have passed, or `count`, for which
 * time passes, by so much at the most. With `count` 0: none may be sent in that time.
 */
const expect: Command = args => {
  const count = args.has('count') ? args.integer('count', 0, 1_000_000) : null
  const within = readTime(args, ['us', 'ms', 's']) ?? 0
  const decoded = args.flag('decode')
  return session => {
    const world = session.stack
    const { sent } = world.link
    const enough = (): boolean => count !== null && sent.length >= Math.max(1, count)
    if (within > 0 && !enough()) session.advance(world.now + within, enough)
    const taken = sent.splice(0, count === null || count === 0 ? sent.length : count)
    return judge(session, taken, count, decoded)
  }
}

function judge(
  session: Session,
  taken: CapturedPacket[],
  count: number | null,
  decoded: boolean,
): CallResult {
  const packets = taken.map(packet => tellPacket(session.stack, packet, decoded))
  const { link } = session.stack
  const lost = link.overrun === 0 ? {} : { overrun: link.overrun }
  link.overrun = 0
  const result = { value: packets.length, packets, ...lost }
  if (count === null || count === packets.length) return result
  // What came is shown all the same: a script that expects wrongly should see what there was.
  return { ...result, ok: false, error: count === 0 ? 'unexpected-packet' : 'missing-packet' }
}

function tellPacket(
  world: World,
  { at, bytes, gsoSize }: CapturedPacket,
  decoded: boolean,
): Record<string, unknown> {
  return {
    at: world.sinceStart(at),
    hex: toHex(bytes),
    ...(gsoSize === 0 ? {} : { gsoSize }),
    ...(decoded ? { fields: decodeOrSay(bytes) } : {}),
  }
}

function decodeOrSay(bytes: Uint8Array): unknown {
  try {
    return decodePacket(bytes)
  } catch (error) {
    if (error instanceof PacketError) return { error: error.message }
    throw error
  }
}

/** What the fields of a packet are. */
const decode: Command = args => {
  const bytes = fromHex(args.string('hex'))
  return () => ({ value: decodePacket(bytes) })
}

/** The packet that has these fields, as hex. */
const encode: Command = args => {
  const fields: Description | undefined = args.object('packet')
  if (fields === undefined) throw new Misuse('bad-argument', 'packet is missing: it has to be an object')
  return () => ({ value: toHex(encodePacket(fields)) })
}

export const WIRE_COMMANDS: Readonly<Record<string, Command>> = { advance, inject, expect, decode, encode }
