/** Commands about the stack as a whole: `config`, `info`, `counters`, `events`, `describe`, `now`, `reset`. */
import { StackError } from '../../base/errors.ts'
import type { TcpInfo } from '../../inet/tcp/info.ts'
import { readTcpSettings } from '../../inet/tcp/setting-ranges.ts'
import { TCP_SETTINGS } from '../../inet/tcp/settings.ts'
import type { ScriptArguments } from './arguments.ts'
import type { Command } from './commands.ts'
import { readFd } from './commands-socket.ts'
import { Misuse } from './errno.ts'
import { shortNames } from './linux-info.ts'
import type { Session } from './session.ts'
import type { WorldOptions } from './world.ts'

const SEED_MAX = 0xffff_ffff
/** The stack's clock may begin anywhere that leaves room for a script: 2^52 us are 142 years. */
const START_MAX = 2 ** 52
const MTU_LEAST = 68
const MTU_MOST = 65_535
const ARENA_LEAST = 1024 * 1024
const ARENA_MOST = 1024 * 1024 * 1024

/** What has to be said before the stack begins. */
type Early = Partial<Pick<WorldOptions, 'seed' | 'startUs' | 'addresses' | 'arenaBytes'>>

function readEarly(args: ScriptArguments): Early {
  const addresses = args.strings('addresses')
  return {
    ...(args.has('seed') ? { seed: args.integer('seed', 0, SEED_MAX) } : {}),
    ...(args.has('startUs') ? { startUs: args.integer('startUs', 0, START_MAX) } : {}),
    ...(args.has('arenaBytes') ? { arenaBytes: args.integer('arenaBytes', ARENA_LEAST, ARENA_MOST) } : {}),
    ...(addresses === undefined ? {} : { addresses }),
  }
}

/** Sets what is given, and tells what holds now. `mtu`, `offload`, `linkBlocked` and `tcp` may be set at any time. */
const config: Command = args => {
  const early = readEarly(args)
  const mtu = args.has('mtu') ? args.integer('mtu', MTU_LEAST, MTU_MOST) : null
  const offload = args.has('offload') ? args.flag('offload') : null
  const blocked = args.has('linkBlocked') ? args.flag('linkBlocked') : null
  const tcp = args.object('tcp')
  return session => {
    if (session.begun && Object.keys(early).length > 0)
      throw new Misuse(
        'too-late',
        `${Object.keys(early).join(', ')}: the stack has begun; see the command reset`,
      )
    session.options = { ...session.options, ...early }
    if (mtu !== null || offload !== null) setLink(session, mtu, offload)
    if (tcp !== undefined) setTcp(session, tcp)
    if (blocked !== null) session.stack.link.blocked = blocked
    session.rest()
    return { value: describeConfig(session) }
  }
}

function setLink(session: Session, mtu: number | null, offload: boolean | null): void {
  const { options } = session
  session.options = { ...options, mtu: mtu ?? options.mtu, offload: offload ?? options.offload }
  if (session.begun) session.stack.link.change(session.options.mtu, session.options.offload)
}

/** All that are named or none. */
function setTcp(session: Session, given: Readonly<Record<string, unknown>>): void {
  const { options } = session
  try {
    const settings = readTcpSettings(given, { ...TCP_SETTINGS, ...options.tcp })
    session.options = { ...options, tcp: { ...options.tcp, ...settings } }
    if (session.begun) session.stack.stack.setTcp(settings)
  } catch (error) {
    if (error instanceof StackError) {
      throw new Misuse(
        'bad-argument',
        error.hint === undefined ? error.message : `${error.message}; ${error.hint}`,
      )
    }
    throw error
  }
}

function describeConfig(session: Session): Record<string, unknown> {
  const { seed, startUs, addresses, arenaBytes, mtu, offload } = session.options
  const linkBlocked = session.begun && session.stack.link.blocked
  const tcp = { ...TCP_SETTINGS, ...session.options.tcp }
  return { seed, startUs, addresses, arenaBytes, mtu, offload, linkBlocked, tcp }
}

/** The snapshot of a socket, in the manner of TCP_INFO. */
const info: Command = args => {
  const fd = readFd(args)
  return session => {
    const snapshot = session.find(fd).info()
    return {
      value: snapshot.caState === undefined ? snapshot : { ...snapshot, ...shortNames(snapshot as TcpInfo) },
    }
  }
}

/** Every counter of the stack that is not zero, by part; with `all` the others, too. */
const counters: Command = args => {
  const all = args.flag('all')
  return session => {
    const parts = Object.entries(session.stack.stack.counters()).map(([part, values]) => {
      const shown = Object.entries(values).filter(([, value]) => all || value !== 0)
      return [part, Object.fromEntries(shown)] as const
    })
    return { value: Object.fromEntries(parts) }
  }
}

/** What the stack had to tell since the last time it was asked. */
const events: Command = () => session => ({
  value: session.stack.events.splice(0).map(({ at, level, name, text }) => ({
    at: session.stack.sinceStart(at),
    level,
    name,
    text,
  })),
})

/** Interfaces, routes, path MTUs, connections: what people see of the stack. */
const describe: Command = () => session => ({ value: session.stack.stack.describe() })

/** The time, and how many packets wait to be asked for. */
const now: Command = () => session => ({
  value: session.now,
  sent: session.begun ? session.stack.link.sent.length : 0,
})

/** Ends the stack, and begins anew at time 0 with the same configuration, or with another seed. */
const reset: Command = args => {
  const early = readEarly(args)
  return session => {
    const leaked = session.reset()
    session.options = { ...session.options, ...early }
    if (leaked !== null) throw new Error(leaked)
    return { value: 0 }
  }
}

export const LOOK_COMMANDS: Readonly<Record<string, Command>> = {
  config,
  info,
  counters,
  events,
  describe,
  now,
  reset,
}
