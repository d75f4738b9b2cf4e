/** What a script sees of a connection without touching it: the events of poll(2), and what waits in its queues as the ioctls of tcp(7) tell. */
import type { Listening } from '../../inet/tcp/listening.ts'
import type { TcpConnection, TcpListener } from '../../socket/tcp-endpoint.ts'
import { M_DATA, type Mblk, messageBytes } from '../../streams/index.ts'

export const POLL_EVENTS = ['POLLIN', 'POLLOUT', 'POLLRDHUP', 'POLLERR', 'POLLHUP', 'POLLPRI'] as const
export type PollEvent = (typeof POLL_EVENTS)[number]
export type QueueRequest = 'SIOCINQ' | 'SIOCOUTQ' | 'SIOCOUTQNSD' | 'SIOCATMARK'

/** Linux: a socket that was never connected hangs up, and so does one that is closed both ways. */
export const NEVER_CONNECTED: PollEvent[] = ['POLLOUT', 'POLLHUP']

export function listenerEvents({ stream }: TcpListener): PollEvent[] {
  return (stream.bottom.state as Listening).hasNext ? ['POLLIN'] : []
}

/**
 * @param state - `connected`: it was established; `ended`: nothing more comes in; `failed`: it ended with an error that the program
 * has not been told
 */
export function connectionEvents(
  { closeReason, stream, urgentAhead }: TcpConnection,
  { connected, ended, failed }: { connected: boolean; ended: boolean; failed: boolean },
): PollEvent[] {
  const over = closeReason !== null
  const events: PollEvent[] = []
  if (ended || stream.top.first?.type === M_DATA) events.push('POLLIN')
  if (over || (connected && stream.poll().writable)) events.push('POLLOUT')
  if (ended) events.push('POLLRDHUP')
  if (failed) events.push('POLLERR')
  if (over) events.push('POLLHUP')
  if (urgentAhead > 0) events.push('POLLPRI')
  return events
}

export function queueBytes(connection: TcpConnection, request: QueueRequest): number {
  const info = connection.info()
  if (info === null) return 0
  if (request === 'SIOCATMARK') return Number(connection.urgentAhead === 1)
  if (request === 'SIOCINQ') return dataBytes(connection.stream.top.first)
  // What waits on the stream in front of the core is not sent, either.
  const notSent = info.notSentBytes + connection.stream.bottom.other.count
  return request === 'SIOCOUTQ' ? info.unackedBytes + notSent : notSent
}

/** Bytes of data in the messages of a queue. */
function dataBytes(first: Mblk | null): number {
  let size = 0
  for (let mp = first; mp !== null; mp = mp.next) if (mp.type === M_DATA) size += messageBytes(mp)
  return size
}
