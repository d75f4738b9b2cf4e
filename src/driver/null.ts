/** The least that a module and a driver can do: to measure the plumbing itself, and to stand in where nothing is needed. */
import { type Counters, makeCounters } from '../base/counters.ts'
import {
  type DriverInfo,
  freemsg,
  LINK_CSUM,
  LINK_TRUSTED,
  LINK_TSO4,
  LINK_TSO6,
  LINK_USO,
  M_DATA,
  type Mblk,
  type ModuleInfo,
  messageBytes,
  putnext,
  type Queue,
} from '../streams/index.ts'
import { driverControl } from './driver-control.ts'

/** Module "null": passes everything on. Its cost is the price of a module (`putnext bench modules`). */
export const nullModule: ModuleInfo<null> = {
  name: 'null',
  hiwat: 65_536,
  lowat: 16_384,
  open: () => null,
  close: () => {},
  read: { put: putnext },
  write: { put: putnext },
}

const COUNTERS = ['messages', 'bytes'] as const

/** What a `discard` driver has taken. */
export interface Discard {
  readonly counters: Counters<(typeof COUNTERS)[number]>
}

const DISCARD_LINK = {
  mtu: 65_535,
  capabilities: LINK_CSUM | LINK_TSO4 | LINK_TSO6 | LINK_USO | LINK_TRUSTED,
  up: true,
}

/** Driver "discard": counts and frees every packet, and never sends one. */
export const discardDriver: DriverInfo<Discard> = {
  driver: true,
  name: 'discard',
  hiwat: 65_536,
  lowat: 16_384,
  open: () => ({ counters: makeCounters(COUNTERS) }),
  close: () => {},
  read: { put: putnext },
  write: { put: discardPut },
  counters: ({ counters }) => counters,
}

function discardPut(q: Queue<Discard>, mp: Mblk): void {
  if (mp.type !== M_DATA) return driverControl(q, mp, DISCARD_LINK)
  const { counters } = q.state
  counters.messages++
  counters.bytes += messageBytes(mp)
  freemsg(mp)
}
