/**
 * The link from us to us: what is sent waits on its queue and comes back from the run queue, so that a stack that
 * answers itself does not recurse.
 */
import { StackError } from '../../base/errors.ts'
import { driverFlush } from '../../streams/flush.ts'
import { nakIoctl } from '../../streams/ioctl.ts'
import {
  CTL_LINK_QUERY,
  controlCode,
  LINK_CSUM,
  LINK_TRUSTED,
  LINK_TSO4,
  LINK_TSO6,
  LINK_USO,
  makeLinkInfo,
} from '../../streams/link-info.ts'
import { freemsg } from '../../streams/mblk/alloc.ts'
import type { Mblk } from '../../streams/mblk/mblk.ts'
import { M_CTL, M_DATA, M_FLUSH, M_IOCTL } from '../../streams/mblk/types.ts'
import type { DriverInfo } from '../../streams/module.ts'
import { putnext, qreply } from '../../streams/putnext.ts'
import { canputnext, getq, putbq, putq, type Queue } from '../../streams/queue.ts'

const MTU = 65_535
/** Packets turned round in one run, as many as a device's driver moves: nobody else waits for long. */
const BURST_PACKETS = 64
/** Nothing is summed, cut or put together between us and us. */
const CAPABILITIES = LINK_CSUM | LINK_TSO4 | LINK_TSO6 | LINK_USO | LINK_TRUSTED

export const loopbackDriver: DriverInfo<null> = {
  name: 'loop',
  driver: true,
  hiwat: 4 * 1024 * 1024,
  lowat: 1024 * 1024,
  open: () => null,
  close: () => {},
  read: { put: putnext, service: readService },
  write: { put: writePut, service: writeService },
}

function writePut(q: Queue<null>, mp: Mblk): void {
  if (mp.type === M_DATA) return putq(q, mp)
  if (mp.type === M_FLUSH) return driverFlush(q, mp)
  if (mp.type === M_IOCTL) return nakIoctl(q, mp, new StackError('ERR_IOCTL', 'loop knows no request'))
  if (mp.type === M_CTL && controlCode(mp) === CTL_LINK_QUERY) {
    freemsg(mp)
    const info = makeLinkInfo(q.stream.runtime.arena, { mtu: MTU, capabilities: CAPABILITIES, up: true })
    if (info !== null) qreply(q, info)
    return
  }
  freemsg(mp)
}

/** What waits now is turned round; what that causes to be sent waits for the next run. */
function writeService(q: Queue<null>): void {
  for (let left = Math.min(q.zero.messages, BURST_PACKETS); left > 0; left--) {
    if (!canputnext(q.other)) return
    const mp = getq(q)
    if (mp === null) return
    qreply(q, mp)
  }
  const mp = getq(q)
  if (mp === null) return
  putbq(q, mp)
  q.scheduler.enable(q)
}

/** There is room above again. */
function readService(q: Queue<null>): void {
  q.scheduler.enable(q.other)
}
