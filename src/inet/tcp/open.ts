/** Active opening (RFC 9293 §3.10.1). */
import { StackError } from '../../base/errors.ts'
import {
  formatAddress,
  type IpAddress,
  isMulticast,
  isUnspecified,
  LIMITED_BROADCAST,
  sameAddress,
} from '../address.ts'
import { emitSyn } from './emit.ts'
import { makeTcb, scaleToOffer } from './establish.ts'
import type { ConnectionUser } from './host.ts'
import { makeRoomForOne } from './orphans.ts'
import { choosePort } from './ports.ts'
import type { ConnectionSettings } from './settings.ts'
import { SYN_SENT } from './states.ts'
import { F_ECN, F_SACK, F_TIMESTAMPS, F_WINDOW_SCALE, T_RETRANSMIT, type Tcb } from './tcb.ts'
import type { Tcp } from './tcp.ts'
import { setTimer } from './timers.ts'

export interface ConnectRequest {
  readonly remote: IpAddress
  readonly remotePort: number
  /** MUST-43: the program may choose its own address. Without it IP does (MUST-44). */
  readonly local?: IpAddress | undefined
  /** Without it, or 0: a free one (RFC 6056). */
  readonly localPort?: number | undefined
  readonly settings?: ConnectionSettings | undefined
  readonly user?: ConnectionUser | null | undefined
}

/**
 * Sends a SYN. `host.connected` or `host.closed` follows; `closed` possibly before this returns, if IP
 * refuses the segment at once.
 * @throws StackError `ERR_BAD_ADDRESS` (MUST-46), `ERR_BAD_ARGUMENT`, `ERR_ADDR_NOT_AVAILABLE` (not ours, or no port is free),
 * `ERR_NETWORK_UNREACHABLE`, `ERR_ADDR_IN_USE` (the tuple exists), `ERR_NO_BUFFERS` (too many connections)
 */
export function connect(tcp: Tcp, request: ConnectRequest): Tcb {
  checkRemote(request)
  const local = chooseLocal(tcp, request)
  if (!makeRoomForOne(tcp))
    throw new StackError('ERR_NO_BUFFERS', `connect: ${tcp.settings.connectionsMax} connections are open`)
  const tcb = makeTcb(tcp, request.settings ?? tcp.connectionDefaults, request.remote.family)
  tcb.user = request.user ?? null
  setTuple(tcp, tcb, request, local)
  tcb.pathMtu = tcp.host.pathMtu(tcb.family, tcb.remote0, tcb.remote1, tcb.remote2, tcb.remote3)
  const { remote0, remote1, remote2, remote3, local0, local1, local2, local3, ports } = tcb
  const { keys } = tcp
  tcb.tsOffset = keys.tsOffset(remote0, remote1, remote2, remote3, local0, local1, local2, local3)
  // MUST-8, MUST-9 (RFC 6528).
  tcb.sndUna = keys.isn(
    tcp.isnClock,
    remote0,
    remote1,
    remote2,
    remote3,
    local0,
    local1,
    local2,
    local3,
    ports,
  )
  tcb.sndNxt = (tcb.sndUna + 1) | 0
  offer(tcp, tcb)
  // Until the peer's window is known, the time at which the SYN left is kept here, for the first sample of the round trip.
  tcb.sndWl2 = tcp.nowUs
  if (!tcp.connections.add(tcb)) inUse(request, tcb.localPort)
  tcb.state = SYN_SENT
  tcp.counters['active-opens']++
  setTimer(tcp, tcb, T_RETRANSMIT, (tcp.nowMs + tcb.rtoMs) | 0)
  tcb.troubleAt = tcp.nowMs
  emitSyn(tcp, tcb)
  return tcb
}

/** Until the peer's SYN says what holds, the flags say what ours offers. */
function offer({ settings }: Tcp, tcb: Tcb): void {
  if (settings.timestamps !== 0) tcb.flags |= F_TIMESTAMPS
  if (settings.sack !== 0) tcb.flags |= F_SACK
  if (settings.ecn === 2) tcb.flags |= F_ECN
  if (settings.windowScaling === 0) return
  tcb.flags |= F_WINDOW_SCALE
  tcb.scales = scaleToOffer(settings, tcb.settings) << 8
}

/** MUST-46: no opening to what is no address of one host; a group cannot be reached so, as Linux puts it. */
function checkRemote({ remote, remotePort, localPort }: ConnectRequest): void {
  for (const port of [remotePort, localPort ?? 0]) {
    if (!Number.isInteger(port) || port < 0 || port > 0xffff)
      throw new StackError('ERR_BAD_ARGUMENT', `connect: ${port} is no port`)
  }
  if (remotePort === 0) throw new StackError('ERR_BAD_ARGUMENT', 'connect: port 0 is nobody')
  const broadcast = remote.family === 4 && remote.words[3] === LIMITED_BROADCAST
  if (isMulticast(remote) || broadcast)
    throw new StackError(
      'ERR_NETWORK_UNREACHABLE',
      `connect: ${formatAddress(remote)} is no address of one host`,
    )
  if (isUnspecified(remote))
    throw new StackError('ERR_BAD_ADDRESS', `connect: ${formatAddress(remote)} is nobody`)
}

/** MUST-43 to 45: the program's, or IP's choice, and the same for every segment. */
function chooseLocal(tcp: Tcp, { remote, local }: ConnectRequest): IpAddress {
  if (local === undefined || isUnspecified(local)) {
    const chosen = tcp.host.sourceFor(remote)
    if (chosen !== null) return chosen
    throw new StackError('ERR_NETWORK_UNREACHABLE', `connect: no route to ${formatAddress(remote)}`)
  }
  if (local.family !== remote.family)
    throw new StackError(
      'ERR_BAD_ADDRESS',
      `connect: from ${formatAddress(local)} to ${formatAddress(remote)}`,
    )
  if (!tcp.host.isLocal(local))
    throw new StackError('ERR_ADDR_NOT_AVAILABLE', `connect: ${formatAddress(local)} is not this stack's`)
  return local
}

function setTuple(tcp: Tcp, tcb: Tcb, request: ConnectRequest, local: IpAddress): void {
  const [r0, r1, r2, r3] = request.remote.words
  const [l0, l1, l2, l3] = local.words
  tcb.remote0 = r0
  tcb.remote1 = r1
  tcb.remote2 = r2
  tcb.remote3 = r3
  tcb.local0 = l0
  tcb.local1 = l1
  tcb.local2 = l2
  tcb.local3 = l3
  const { remotePort } = request
  const given = request.localPort ?? 0
  const port = given !== 0 ? given : choosePort(tcp, r0, r1, r2, r3, l0, l1, l2, l3, remotePort)
  if (port === 0) throw new StackError('ERR_ADDR_NOT_AVAILABLE', 'connect: every ephemeral port is in use')
  tcb.ports = (port << 16) | remotePort
  // Its segments would be taken for the attack of that name (checklist 3.5-37).
  if (port === remotePort && sameAddress(request.remote, local)) inUse(request, port)
  if (given === 0) return
  if (
    tcp.halfOpen.findTuple(r0, r1, r2, r3, l0, l1, l2, l3, tcb.ports) >= 0 ||
    tcp.timeWait.findTuple(r0, r1, r2, r3, l0, l1, l2, l3, tcb.ports) >= 0
  )
    inUse(request, port)
}

function inUse({ remote, remotePort }: ConnectRequest, port: number): never {
  const to = `${formatAddress(remote)} port ${remotePort}`
  throw new StackError('ERR_ADDR_IN_USE', `connect: there is a connection from port ${port} to ${to} already`)
}
