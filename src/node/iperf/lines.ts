/** What a test tells while it goes: lines of JSON on the control port. */
import type { EndName, SenderFigures } from './bulk.ts'
import type { DatagramFigures } from './datagram-header.ts'
import type { TestParameters } from './parameters.ts'

export interface LineStream {
  /** As both sides number it: 1, 3, 4, … */
  readonly number: number
  /** Whether the node that tells it sends. */
  readonly sending: boolean
}

export interface IntervalStream extends LineStream {
  readonly bytes: number
  /** Of the interval; null for a receiver. */
  readonly retransmits: number | null
  readonly figures: SenderFigures | null
  /** UDP: of the interval; jitter as it is now. */
  readonly datagrams: DatagramFigures | null
}

export interface IntervalLine {
  readonly kind: 'interval'
  /** Seconds since what is counted began; those before are `omitted` and count from the first byte. */
  readonly start: number
  readonly end: number
  readonly omitted: boolean
  readonly streams: readonly IntervalStream[]
}

export interface EndStream extends LineStream {
  readonly sent: number
  readonly sentSeconds: number
  readonly received: number
  readonly receivedSeconds: number
  /** null where the sender cannot tell. */
  readonly retransmits: number | null
  /** UDP, as the receiver saw it. */
  readonly datagrams: DatagramFigures | null
}

/** Percent of one processor. */
export interface CpuUse {
  readonly total: number
  readonly user: number
  readonly system: number
}

export interface EndLine {
  readonly kind: 'end'
  readonly streams: readonly EndStream[]
  readonly cpu: { readonly own: CpuUse; readonly remote: CpuUse }
  readonly congestion: { readonly own: string; readonly remote: string }
}

export interface StartLine {
  readonly kind: 'start'
  readonly role: 'client' | 'server'
  readonly parameters: TestParameters
  readonly streams: readonly (LineStream & { readonly local: EndName; readonly remote: EndName })[]
}

export type IperfLine =
  | ({ readonly kind: 'listening' } & EndName)
  /** A server took a control connection. */
  | ({ readonly kind: 'accepted' } & EndName)
  | StartLine
  | IntervalLine
  | EndLine
  /** A test that came to nothing; a server goes on. */
  | { readonly kind: 'failed'; readonly reason: string }

export type TellLine = (line: IperfLine) => void
