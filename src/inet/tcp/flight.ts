/**
 * What a connection holds only while it has something to send or in flight: queue, scoreboard, recovery and congestion
 * state. Pooled; what outlives an idle time (windows, round trip, W_max) is in the {@link Tcb}.
 */
import { Scoreboard } from './scoreboard.ts'
import { SendQueue } from './send-queue.ts'
import { T_CORK, T_IDLE, T_LOSS, T_PACE, T_PERSIST, T_RETRANSMIT, type Tcb } from './tcb.ts'
import type { Tcp } from './tcp.ts'

/** What the sender thinks of the path; the names are Linux's. */
export const CA_OPEN = 0
/** Something is SACKed or acknowledged twice, nothing taken for lost. */
export const CA_DISORDER = 1
/** The window shrinks after an ECN echo or a loss that a probe repaired. */
export const CA_CWR = 2
export const CA_RECOVERY = 3
/** After a retransmission timeout. */
export const CA_LOSS = 4

/** Numbers of `Flight.cc` that need not be whole: the congestion control's. */
export const CC_WORDS = 8

/** Records in the pool; more are left to the garbage collector. */
const POOL_MAX = 1_024

export class Flight {
  /** Next in the pool. */
  next: Flight | null = null
  readonly queue = new SendQueue()
  readonly board = new Scoreboard()

  caState = CA_OPEN
  /** End of the window in which the trouble was noticed: recovery ends when it is acknowledged (RFC 6582 "recover"). */
  recoveryPoint = 0
  /** Duplicate ACKs without SACK, each standing for a segment that left (RFC 5681 §3.2, RFC 6582). */
  duplicateAcks = 0
  /** Expiries of the retransmission timer since the last progress. */
  timeouts = 0
  /** Segments sent again since this flight began. */
  retransmits = 0

  // ---- proportional rate reduction (RFC 9937)
  prrDelivered = 0
  prrOut = 0
  recoverBytes = 0

  // ---- undo (RFC 3708, 4015, 5682)
  /** `sndUna` when the window was reduced. */
  undoMarker = 0
  mayUndo = false
  /** Segments sent again since the marker, less those that a D-SACK proved needless. -1: none was sent. */
  undoRetransmits = -1
  undoCwnd = 0
  undoSsthresh = 0
  undoWMax = 0
  /** Our timestamp of the first retransmission since the window was reduced; valid with `hasRetransmitStamp`. */
  retransmitStamp = 0
  hasRetransmitStamp = false
  /** RFC 5682: the timeout may have been spurious. */
  frto = false
  /** RFC 5682 §3.1 step 2b: the next output sends new data before what is lost. */
  newDataFirst = false

  // ---- RACK (RFC 8985)
  rackXmitUs = 0
  rackEnd = 0
  rackRttUs = 0
  /** `rackXmitUs` is valid. */
  rackKnown = false
  /** Highest sequence number delivered so far (§6.2 step 4). */
  fack = 0
  reorderMultiplier = 1
  /** Recoveries until the multiplier falls back. */
  reorderPersist = 0
  /** A D-SACK widened the window in this round trip, which ends here. */
  dsackRoundEnd = 0
  dsackRound = false

  // ---- tail loss probe (RFC 8985 §7)
  /** The timer T_LOSS is for RACK's reordering window; otherwise for a probe. */
  reorderTimer = false
  probeOut = false
  probeEnd = 0
  probeRetransmits = false

  // ---- what limits the sender (RFC 7661)
  cwndLimited = false
  /** Most bytes in flight, in the window that ends at `usageEnd`. */
  maxFlight = 0
  usageEnd = 0
  /** End of the last segment shorter than the MSS (Minshall's rule). */
  smallEnd = 0
  hasSmall = false

  /** One past our urgent data, while the connection has `F_URGENT_OUT`. */
  sndUp = 0
  /** When `Tcb.minRtt` was last seen. */
  minRttAtMs = 0
  /** The byte in flight lies beyond a window of zero (RFC 9293 §3.8.6.1). */
  probing = false
  /** When it began to wait for a window that is zero or tiny; valid with `F_ZERO_WINDOW`. */
  heldSinceMs = 0
  /** The window opened: output sends that byte again first. */
  sendFirst = false

  // ---- congestion control
  readonly cc = new Float64Array(CC_WORDS)
  epochUs = 0
  inEpoch = false
  /** HyStart++ (RFC 9406): the round ends here. */
  roundEnd = 0
  roundMinUs = 0
  lastRoundMinUs = 0
  roundSamples = 0
  /** Rounds of conservative slow start so far; 0: ordinary slow start. */
  cssRounds = 0
  cssBaselineUs = 0

  // ---- pacing, path MTU
  /** When the next segment may leave, microseconds. */
  paceAtUs = 0
  paceAtMs = 0
  /** A short segment is held back by its program, until then. */
  corkWaits = false
  corkAtMs = 0
  /** A probe of the path's MTU is in flight: its sequence numbers and the packet size tried. */
  mtuProbeSeq = 0
  mtuProbeEnd = 0
  mtuProbeSize = 0
  /** Packet sizes: known not to pass; 0: none. */
  mtuCeiling = 0
  mtuProbeAtMs = 0

  /** As a connection with nothing in flight begins. @param seq - of the next byte to be queued */
  begin(seq: number): void {
    this.queue.begin(seq)
    this.caState = CA_OPEN
    this.recoveryPoint = seq
    this.duplicateAcks = 0
    this.timeouts = 0
    this.retransmits = 0
    this.mayUndo = false
    this.undoRetransmits = -1
    this.hasRetransmitStamp = false
    this.frto = false
    this.newDataFirst = false
    this.rackKnown = false
    this.rackRttUs = 0
    this.fack = seq
    this.reorderMultiplier = 1
    this.reorderPersist = 0
    this.dsackRound = false
    this.reorderTimer = false
    this.probeOut = false
    this.cwndLimited = false
    this.maxFlight = 0
    this.usageEnd = seq
    this.hasSmall = false
    this.probing = false
    this.sendFirst = false
    this.inEpoch = false
    this.cc.fill(0)
    this.roundEnd = seq
    this.roundMinUs = 0
    this.lastRoundMinUs = 0
    this.roundSamples = 0
    this.cssRounds = 0
    this.paceAtUs = 0
    this.corkWaits = false
    this.mtuProbeSize = 0
    this.mtuCeiling = 0
    this.mtuProbeAtMs = 0
  }
}

/** The connection's flight record, taken from the pool if it has none. */
export function takeFlight(tcp: Tcp, tcb: Tcb): Flight {
  let flight = tcb.flight
  if (flight !== null) return flight
  flight = tcp.freeFlight
  if (flight === null) flight = new Flight()
  else {
    tcp.freeFlight = flight.next
    tcp.freeFlights--
  }
  flight.next = null
  flight.begin(tcb.sndNxt)
  flight.paceAtUs = tcp.nowUs
  flight.minRttAtMs = tcp.nowMs
  flight.mtuProbeAtMs = tcp.nowMs
  tcb.flight = flight
  return flight
}

/** Frees what is queued and gives the record back; timers of sending are cleared. For `finish`, and for connections that fell idle. */
export function releaseFlight(tcp: Tcp, tcb: Tcb): void {
  tcb.timers &= ~(T_RETRANSMIT | T_LOSS | T_PERSIST | T_PACE | T_IDLE | T_CORK)
  const flight = tcb.flight
  if (flight === null) return
  tcb.flight = null
  flight.board.clear()
  tcp.memoryUsed -= flight.queue.weight
  flight.queue.clear()
  if (tcp.freeFlights >= POOL_MAX) return
  tcp.freeFlights++
  flight.next = tcp.freeFlight
  tcp.freeFlight = flight
}

/** Bytes that are taken to be in the network (RFC 6675 §4 "pipe"; without SACK each duplicate ACK stands for a segment). */
export function pipe(tcb: Tcb, flight: Flight): number {
  const { board } = flight
  const out = ((tcb.sndNxt - tcb.sndUna) | 0) - board.sackedBytes - board.lostBytes + board.retransmittedBytes
  if (flight.duplicateAcks === 0) return out
  return Math.max(0, out - flight.duplicateAcks * tcb.sndMss)
}
