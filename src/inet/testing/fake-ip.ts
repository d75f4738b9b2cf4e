/** For tests of transports: a driver in the place of IP, that keeps what comes down and says what it is told to say. */
import { freemsg } from '../../streams/mblk/alloc.ts'
import type { Arena } from '../../streams/mblk/arena.ts'
import type { Mblk } from '../../streams/mblk/mblk.ts'
import { M_PROTO } from '../../streams/mblk/types.ts'
import type { DriverInfo } from '../../streams/module.ts'
import { put, putnext } from '../../streams/putnext.ts'
import { getq, putq, qenable, WR } from '../../streams/queue.ts'
import type { Runtime } from '../../streams/runtime.ts'
import { Stream } from '../../streams/stream.ts'
import type { IpAddress } from '../address.ts'
import {
  allocUnitdata,
  FAMILY,
  FLAGS,
  HEADER_BYTES,
  HOP_LIMIT,
  INTERFACE,
  LOCAL,
  PROTOCOL,
  REMOTE,
  UNITDATA_IND,
} from '../unitdata.ts'

export interface FakeIp {
  readonly stream: Stream
  /** What came down and was not answered, oldest first; the test owns it. */
  readonly sent: Mblk[]
  /** Takes every message instead of `sent`, if set; consumes it. */
  onMessage: ((mp: Mblk) => void) | null
  /** Says whether messages are taken at all, or wait on the queue. */
  setOpen(open: boolean): void
  /** Sends a message up. @param mp - consumed */
  up(mp: Mblk): void
  /** Frees what is in `sent`. */
  clear(): void
}

/** Opens the fake; link `stream` below a transport. @param hiwat - bytes that wait while it is not open */
export function openFakeIp(runtime: Runtime, hiwat = 4_096): FakeIp {
  const sent: Mblk[] = []
  let open = true
  const take = (mp: Mblk): void => {
    if (mp.type !== M_PROTO) freemsg(mp)
    else if (fake.onMessage !== null) fake.onMessage(mp)
    else sent.push(mp)
  }
  const info: DriverInfo<null> = {
    name: 'fake-ip',
    driver: true,
    hiwat,
    lowat: hiwat >> 1,
    open: () => null,
    close: () => fake.clear(),
    read: { put: putnext },
    write: {
      put: (q, mp) => {
        if (open && q.first === null) take(mp)
        else putq(q, mp)
      },
      service: q => {
        if (!open) return
        for (let mp = getq(q); mp !== null; mp = getq(q)) take(mp)
      },
    },
  }
  const stream = Stream.open(runtime, info)
  const fake: FakeIp = {
    stream,
    sent,
    onMessage: null,
    setOpen(value) {
      open = value
      if (open) qenable(WR(stream.bottom))
    },
    up: mp => put(stream.bottom.next!, mp),
    clear() {
      for (const mp of sent.splice(0)) freemsg(mp)
    },
  }
  return fake
}

export interface IndicationFields {
  readonly remote: IpAddress
  readonly local: IpAddress
  readonly protocol?: number
  readonly flags?: number
  readonly kind?: number
}

/** The control block that IP puts in front of a payload. */
export function indication(arena: Arena, fields: IndicationFields, payload: Mblk | null): Mblk {
  const mp = allocUnitdata(arena, fields.kind ?? UNITDATA_IND)
  if (mp === null) throw new Error('the test ran out of blocks')
  const at = mp.rptr >> 2
  const { words } = arena
  words[at + FAMILY] = fields.remote.family
  words[at + PROTOCOL] = fields.protocol ?? 17
  words.set(fields.remote.words, at + REMOTE)
  words.set(fields.local.words, at + LOCAL)
  words[at + INTERFACE] = 1
  words[at + HOP_LIMIT] = 64
  words[at + HEADER_BYTES] = fields.remote.family === 4 ? 20 : 40
  words[at + FLAGS] = fields.flags ?? 0
  mp.cont = payload
  return mp
}
