/**
 * Choosing the local port of an active opening: the double hash of RFC 6056 §3.3.4. Whoever does not know the keys learns
 * nothing from ports to one destination about those to another, and a port comes back late.
 */
import type { Tcp } from './tcp.ts'

/** Counters of destinations, shared where their hashes meet; `Tcp.portCounters`. */
export const PORT_COUNTERS = 1_024
/** A counter moves on by 1 to this at random, so that a peer cannot count our connections to others that share it. */
const STEP_MAX = 8

const FOR_PORT_OFFSET = 18
const FOR_PORT_COUNTER = 19

/**
 * A local port with which the tuple is free, and at which nobody listens: remote words, local words, remote port.
 * @returns 0 if there is none
 */
export function choosePort(
  tcp: Tcp,
  r0: number,
  r1: number,
  r2: number,
  r3: number,
  l0: number,
  l1: number,
  l2: number,
  l3: number,
  remotePort: number,
): number {
  const { keys, portCounters, settings } = tcp
  const count = settings.portLast - settings.portFirst + 1
  const offset = keys.hash3(FOR_PORT_OFFSET, r0, r1, r2, r3, l0, l1, l2, l3, remotePort, 0, 0) >>> 0
  const cell =
    keys.hash3(FOR_PORT_COUNTER, r0, r1, r2, r3, l0, l1, l2, l3, remotePort, 0, 0) & (PORT_COUNTERS - 1)
  portCounters[cell]! += 1 + tcp.random.below(STEP_MAX)
  const start = (offset + (portCounters[cell]! >>> 0)) % count
  for (let i = 0; i < count; i++) {
    const port = settings.portFirst + ((start + i) % count)
    if (isFree(tcp, r0, r1, r2, r3, l0, l1, l2, l3, (port << 16) | remotePort, port)) {
      portCounters[cell]! += i
      return port
    }
  }
  return 0
}

function isFree(
  tcp: Tcp,
  r0: number,
  r1: number,
  r2: number,
  r3: number,
  l0: number,
  l1: number,
  l2: number,
  l3: number,
  ports: number,
  port: number,
): boolean {
  return (
    tcp.connections.findTuple(r0, r1, r2, r3, l0, l1, l2, l3, ports) === null &&
    !tcp.listeners.has(port) &&
    tcp.timeWait.findTuple(r0, r1, r2, r3, l0, l1, l2, l3, ports) < 0 &&
    tcp.halfOpen.findTuple(r0, r1, r2, r3, l0, l1, l2, l3, ports) < 0
  )
}
