/** Names of sockets: what bind(2) and connect(2) refuse. */
import { type IpAddress, isUnspecified, parseAddress } from '../../inet/address.ts'
import { Errno, Misuse } from './errno.ts'
import type { ScriptSocket } from './script-socket.ts'
import type { Session } from './session.ts'

const PORT_FIRST = 32_768
const PORT_LAST = 60_999

/** @throws Misuse if it is no address, Errno EAFNOSUPPORT if it is not of the socket's family */
export function checkName(socket: ScriptSocket, text: string): string {
  const address = parseAddress(text)
  if (address === null) throw new Misuse('bad-argument', `"${text}" is no address`)
  // A v4-mapped address is an IPv4 one to us, and IPv6 to the socket.
  if (address.family !== socket.family && !(socket.family === 6 && text.includes(':')))
    throw new Errno('EAFNOSUPPORT', `${text} is not of the socket's family`)
  return text
}

/** @throws Errno EADDRNOTAVAIL, EADDRINUSE */
export function checkBind(session: Session, socket: ScriptSocket, text: string, port: number): void {
  const address = parseAddress(text)!
  if (!isUnspecified(address) && !session.stack.stack.isLocal(address))
    throw new Errno('EADDRNOTAVAIL', `${text} is no address of this stack`)
  if (port !== 0 && isTaken(session, socket, address, port))
    throw new Errno('EADDRINUSE', `port ${port} is taken`)
}

/** A port that nobody has, from a place that the seed chooses. @throws Errno EADDRINUSE */
export function choosePort(session: Session, socket: ScriptSocket, text: string): number {
  const address = parseAddress(text)!
  const count = PORT_LAST - PORT_FIRST + 1
  const from = session.stack.runtime.random.below(count)
  for (let i = 0; i < count; i++) {
    const port = PORT_FIRST + ((from + i) % count)
    if (!isTaken(session, socket, address, port)) return port
  }
  throw new Errno('EADDRINUSE', 'every port is taken')
}

/**
 * Linux's rule: two sockets share a port if their addresses differ, if both have SO_REUSEPORT, or if both have SO_REUSEADDR and
 * none of them listens.
 */
function isTaken(session: Session, socket: ScriptSocket, address: IpAddress, port: number): boolean {
  for (const other of session.sockets.values()) {
    if (other === socket || other.localName().port !== port || !overlaps(other, socket, address)) continue
    if (other.reusePort && socket.reusePort) continue
    if (other.reuseAddress && socket.reuseAddress && !other.isListening) continue
    return true
  }
  return false
}

function overlaps(other: ScriptSocket, socket: ScriptSocket, address: IpAddress): boolean {
  const taken = parseAddress(other.localName().address)!
  if (isUnspecified(taken) || isUnspecified(address)) {
    if (other.family === socket.family) return true
    // "Any" of IPv6 is any of IPv4 too, unless it says otherwise.
    const six = other.family === 6 ? other : socket
    return !six.ipv6Only
  }
  return taken.family === address.family && taken.words.every((word, i) => word === address.words[i])
}
