/** What every driver of this folder does with the messages that are no packets. */
import { StackError } from '../base/errors.ts'
import {
  type AnyQueue,
  CTL_LINK_QUERY,
  controlCode,
  driverFlush,
  freemsg,
  type LinkInfo,
  M_CTL,
  M_FLUSH,
  M_IOCTL,
  type Mblk,
  makeLinkInfo,
  nakIoctl,
  qreply,
  readIoctl,
} from '../streams/index.ts'

/**
 * Handles a message that came down and that this driver does not send: M_FLUSH is obeyed and turned round, a link
 * query is answered, an unknown request is refused, everything else is freed.
 * @param q - the driver's write queue
 * @param mp - consumed
 * @param info - what the link tells of itself
 * @see open(9E) and the driver rules of the flush handling chapter of STREAMS
 */
export function driverControl(q: AnyQueue, mp: Mblk, info: LinkInfo): void {
  switch (mp.type) {
    case M_FLUSH:
      return driverFlush(q, mp)
    case M_IOCTL: {
      const { command } = readIoctl(mp)
      return nakIoctl(q, mp, new StackError('ERR_IOCTL', `${q.info.name} knows no request "${command}"`))
    }
    case M_CTL:
      if (controlCode(mp) === CTL_LINK_QUERY) return answerQuery(q, mp, info)
      return freemsg(mp)
    default:
      return freemsg(mp)
  }
}

function answerQuery(q: AnyQueue, query: Mblk, info: LinkInfo): void {
  freemsg(query)
  const mp = makeLinkInfo(q.stream.runtime.arena, info)
  if (mp !== null) qreply(q, mp)
}
