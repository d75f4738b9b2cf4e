/** TCP for people, as JSON: what `ss -ti` shows of a kernel. */
import { formatV4Word, formatV6Words } from '../address.ts'
import type { SocketName } from '../udp/endpoint.ts'
import { Connection } from './connection.ts'
import { tcpInfo } from './info.ts'
import { ACCEPT_ANY, ACCEPT_NONE, type Listener } from './listener.ts'
import type { Listening } from './listening.ts'
import { stateName } from './states.ts'
import type { Tcb } from './tcb.ts'
import type { Transport } from './transport.ts'

/** Connections that are shown one by one; all are counted. */
const SHOWN_MAX = 256

export function nameOf(
  family: 4 | 6,
  w0: number,
  w1: number,
  w2: number,
  w3: number,
  port: number,
): SocketName {
  return { address: family === 4 ? formatV4Word(w3) : formatV6Words(w0, w1, w2, w3), family, port }
}

export function localName(tcb: Tcb): SocketName {
  return nameOf(tcb.family, tcb.local0, tcb.local1, tcb.local2, tcb.local3, tcb.localPort)
}

export function remoteName(tcb: Tcb): SocketName {
  return nameOf(tcb.family, tcb.remote0, tcb.remote1, tcb.remote2, tcb.remote3, tcb.remotePort)
}

/** Any address of IPv6 where both families are taken. */
export function listenerName(l: Listener): SocketName {
  const exact = l.accept4 !== ACCEPT_ANY && l.accept6 !== ACCEPT_ANY
  const family = exact ? (l.accept4 === ACCEPT_NONE ? 6 : 4) : l.accept6 === ACCEPT_ANY ? 6 : 4
  return nameOf(family, l.local0, l.local1, l.local2, l.local3, l.port)
}

/** `10.77.1.2:80`, `[fd77::2]:80`. */
export function nameText({ address, family, port }: SocketName): string {
  return family === 4 ? `${address}:${port}` : `[${address}]:${port}`
}

/** The name of a connection's stream, or a listener's. */
export function streamName(state: Connection | Listening): string {
  if (!(state instanceof Connection)) return `tcp:${nameText(listenerName(state.listener))}`
  const { tcb } = state
  return tcb === null ? 'tcp:closed' : `tcp:${nameText(localName(tcb))}-${nameText(remoteName(tcb))}`
}

export function describeConnection(c: Connection): object {
  const { tcb, transport, q } = c
  if (tcb === null) return { state: 'CLOSED' }
  return {
    local: nameText(localName(tcb)),
    remote: nameText(remoteName(tcb)),
    over: c.reason,
    unreadBytes: q.next?.forward.count ?? 0,
    waitingToSendBytes: q.other.count,
    ...(c.isOver ? { state: 'CLOSED' } : tcpInfo(transport.tcp, tcb)),
    settings: tcb.settings,
  }
}

export function describeListening({ listener: l }: Listening): object {
  return {
    local: nameText(listenerName(l)),
    ipv6Only: l.ipv6Only,
    backlog: l.backlog,
    waiting: l.waiting,
    accepted: l.accepted,
    overflowed: l.overflowed,
    settings: l.settings,
  }
}

export function describeTcp(transport: Transport): object {
  const { tcp } = transport
  const states: Record<string, number> = {}
  const connections: object[] = []
  tcp.connections.each(tcb => {
    const state = stateName(tcb.state)
    states[state] = (states[state] ?? 0) + 1
    if (connections.length < SHOWN_MAX) connections.push(describeTcb(transport, tcb))
  })
  if (tcp.halfOpen.size > 0) states['SYN-RECEIVED'] = (states['SYN-RECEIVED'] ?? 0) + tcp.halfOpen.size
  if (tcp.timeWait.size > 0) states['TIME-WAIT'] = tcp.timeWait.size
  return {
    linked: transport.lower !== null,
    memoryUsed: tcp.memoryUsed,
    states,
    listeners: [...transport.listening].map(describeListening),
    connections,
    connectionsNotShown: Math.max(0, tcp.connections.size - SHOWN_MAX),
    settings: tcp.settings,
  }
}

function describeTcb(transport: Transport, tcb: Tcb): object {
  if (tcb.user instanceof Connection) return describeConnection(tcb.user)
  return {
    local: nameText(localName(tcb)),
    remote: nameText(remoteName(tcb)),
    // Not accepted yet, or closed by its program.
    program: false,
    ...tcpInfo(transport.tcp, tcb),
  }
}
