/** The stream of a channel: its place on the run queue, and what people see of it (`putnext plumb --all`). */
import type { Counters } from '../base/counters.ts'
import { StackError } from '../base/errors.ts'
import { driverFlush } from '../streams/flush.ts'
import { nakIoctl } from '../streams/ioctl.ts'
import { freemsg } from '../streams/mblk/alloc.ts'
import { M_FLUSH, M_IOCTL } from '../streams/mblk/types.ts'
import type { AnyQueue, DriverInfo } from '../streams/module.ts'
import { putnext } from '../streams/putnext.ts'
import type { Runtime } from '../streams/runtime.ts'
import { Stream } from '../streams/stream.ts'

/** Who works when the stream is served. */
export interface Served {
  serve(): void
  readonly counters: Readonly<Counters>
  describe(): unknown
}

interface Seat {
  served: Served | null
}

const driver: DriverInfo<Seat> = {
  name: 'ipc',
  driver: true,
  hiwat: 1,
  lowat: 1,
  open: () => ({ served: null }),
  close: () => {},
  read: { put: putnext },
  write: {
    put: (q, mp) => {
      if (mp.type === M_FLUSH) driverFlush(q, mp)
      else if (mp.type === M_IOCTL) nakIoctl(q, mp, new StackError('ERR_IOCTL', 'ipc answers no requests'))
      else freemsg(mp)
    },
    service: q => q.state.served?.serve(),
  },
  counters: ({ served }) => served?.counters ?? {},
  describe: ({ served }) => served?.describe() ?? null,
}

/** @returns the stream, and the queue to be enabled when there is work */
export function openChannelStream(runtime: Runtime, name: string): { stream: Stream; q: AnyQueue } {
  const stream = Stream.open(runtime, driver, { name })
  return { stream, q: stream.bottom.other }
}

/** From now on `served` is called. */
export function seat(stream: Stream, served: Served): void {
  ;(stream.bottom.state as Seat).served = served
}
