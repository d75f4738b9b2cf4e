/** What can be set: for the whole stack, live, by `putnext plumb NODE set tcp …`; and for one connection. Units are in the names. */

/** Settings of the stack. All numbers; a switch is 0 or 1. */
export interface TcpSettings {
  /** Of all connections together: what may wait to be sent, to be read, to be put in order; in bytes of blocks. */
  memoryBytes: number
  /** Bounds of a connection's window: at first, and what auto-tuning may reach. */
  receiveBytes: number
  receiveBytesMax: number
  sendBytes: number
  sendBytesMax: number
  /** 0 keeps windows at their first size. */
  autoTuning: 0 | 1
  timestamps: 0 | 1
  sack: 0 | 1
  windowScaling: 0 | 1
  /** 0 never, 1 when asked for by the peer, 2 asks too (RFC 3168). */
  ecn: 0 | 1 | 2
  /** 0 off, 1 when the backlog overflows, 2 always (RFC 4987). */
  synCookies: 0 | 1 | 2
  /** Half-open connections of all listeners together. */
  synBacklog: number
  synRetries: number
  synAckRetries: number
  /** R1 and R2 of RFC 9293 §3.8.3: timeouts before the path is doubted and the program told, milliseconds before the connection ends. */
  r1Retries: number
  r2Ms: number
  /** RFC 6298: initial, least and greatest retransmission timeout. The least is Linux's, not the RFC's (docs/divergence.md). */
  rtoInitialMs: number
  rtoMinMs: number
  rtoMaxMs: number
  delayedAckMs: number
  /** Keep-alive where a connection asks for it and names no times (MUST-24 to 29). */
  keepIdleMs: number
  keepIntervalMs: number
  keepProbes: number
  /** Twice the maximum segment lifetime (MUST-13: Linux's 60 s). */
  timeWaitMs: number
  timeWaitMax: number
  /** How long FIN-WAIT-2 of a connection that nobody holds any more lasts. */
  finWait2Ms: number
  connectionsMax: number
  /** Connections of one peer address with nothing but zero windows (Sockstress). */
  zeroWindowPerSource: number
  challengeAcksPerSecond: number
  /** Resets that answer strays, of the whole stack. */
  resetsPerSecond: number
  /** Segments out of order that one connection may hold. */
  reassemblySegments: number
  initialWindowSegments: number
  mssMin: number
  /** RFC 4821/8899: 0 off, 1 when a black hole is suspected, 2 always. */
  mtuProbing: 0 | 1 | 2
  /** 0 as the windows let it, 1 over the round trip: at 1.2 times `cwnd / srtt`, in slow start at twice (`pacing.ts`). */
  pacing: 0 | 1
  portFirst: number
  portLast: number
}

export const TCP_SETTINGS: Readonly<TcpSettings> = {
  memoryBytes: 48 * 1024 * 1024,
  receiveBytes: 256 * 1024,
  receiveBytesMax: 8 * 1024 * 1024,
  sendBytes: 256 * 1024,
  sendBytesMax: 8 * 1024 * 1024,
  autoTuning: 1,
  timestamps: 1,
  sack: 1,
  windowScaling: 1,
  ecn: 1,
  synCookies: 1,
  synBacklog: 4_096,
  synRetries: 6,
  synAckRetries: 5,
  r1Retries: 3,
  r2Ms: 924_600,
  rtoInitialMs: 1_000,
  rtoMinMs: 200,
  rtoMaxMs: 120_000,
  delayedAckMs: 40,
  keepIdleMs: 7_200_000,
  keepIntervalMs: 75_000,
  keepProbes: 9,
  timeWaitMs: 60_000,
  timeWaitMax: 65_536,
  finWait2Ms: 60_000,
  connectionsMax: 262_144,
  zeroWindowPerSource: 256,
  challengeAcksPerSecond: 10,
  resetsPerSecond: 10_000,
  reassemblySegments: 8_192,
  initialWindowSegments: 10,
  mssMin: 48,
  mtuProbing: 1,
  pacing: 0,
  portFirst: 32_768,
  portLast: 60_999,
}

/** Of one connection. Immutable: changing one makes another, so that connections with the same share one. */
export interface ConnectionSettings {
  readonly noDelay: boolean
  /** Partial segments wait until it is off again, or for 200 ms: for a program that writes a message in pieces. */
  readonly cork: boolean
  readonly keepAlive: boolean
  /** 0: the stack's. */
  readonly keepIdleMs: number
  readonly keepIntervalMs: number
  readonly keepProbes: number
  /** RFC 5482: how long data may stay unacknowledged; 0: R2. */
  readonly userTimeoutMs: number
  /** TTL or hop limit; 0: IP's. */
  readonly ttl: number
  readonly trafficClass: number
  /** Upper bound of what we announce and send; 0: the path's. */
  readonly maxSegment: number
  /** Fixes the buffer; 0: auto-tuned. */
  readonly receiveBytes: number
  /** Bytes that wait to be sent or acknowledged: the message that reaches the bound is taken whole, and none after it. */
  readonly sendBytes: number
  readonly congestion: 'cubic' | 'newreno'
  /** Urgent data stays in the stream (RFC 6093's advice); otherwise the user hears of it. */
  readonly urgentInline: boolean
  /** Quick acknowledgments always: none is delayed. */
  readonly quickAck: boolean
  /** Whether the user hears of trouble that does not end the connection (RFC 9293 §3.9.1.8). */
  readonly troubleReports: boolean
}

export const CONNECTION_SETTINGS: ConnectionSettings = {
  noDelay: false,
  cork: false,
  keepAlive: false,
  keepIdleMs: 0,
  keepIntervalMs: 0,
  keepProbes: 0,
  userTimeoutMs: 0,
  ttl: 0,
  trafficClass: 0,
  maxSegment: 0,
  receiveBytes: 0,
  sendBytes: 0,
  congestion: 'cubic',
  urgentInline: true,
  quickAck: false,
  troubleReports: true,
}
