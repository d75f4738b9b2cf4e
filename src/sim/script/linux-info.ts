/** A connection's snapshot under the names that programs know: those of Linux's struct tcp_info (tcp(7), linux/tcp.h). */
import type { CaState, TcpInfo } from '../../inet/tcp/info.ts'
import type { StateName } from '../../inet/tcp/states.ts'

/** TCP_ESTABLISHED and its like, of net/tcp_states.h. */
const STATES: Readonly<Record<StateName, number>> = {
  ESTABLISHED: 1,
  'SYN-SENT': 2,
  'SYN-RECEIVED': 3,
  'FIN-WAIT-1': 4,
  'FIN-WAIT-2': 5,
  'TIME-WAIT': 6,
  CLOSED: 7,
  'CLOSE-WAIT': 8,
  'LAST-ACK': 9,
  LISTEN: 10,
  CLOSING: 11,
}

const CA_STATES: Readonly<Record<CaState, number>> = { open: 0, disorder: 1, cwr: 2, recovery: 3, loss: 4 }

/** TCPI_OPT_*: bits of what was agreed on. */
const OPTION_TIMESTAMPS = 1
const OPTION_SACK = 2
const OPTION_WSCALE = 4
const OPTION_ECN = 8

/** What `info` tells beside {@link TcpInfo}: the short names, times in microseconds. */
export function shortNames(info: TcpInfo): Record<string, unknown> {
  return {
    ca_state: info.caState,
    srtt: info.srttUs,
    rttvar: info.rttvarUs,
    rto: info.rtoMs * 1_000,
    snd_mss: info.sndMss,
    rcv_mss: info.rcvMss,
  }
}

/** struct tcp_info as far as there is anything to say; times in microseconds, `last` ones in milliseconds, as there. */
export function linuxInfo(info: Partial<TcpInfo>): Record<string, number> {
  const state = { tcpi_state: STATES[info.state ?? 'CLOSED'] }
  if (info.caState === undefined) return state
  const i = info as TcpInfo
  const scaled = i.sndScale > 0 || i.rcvScale > 0
  return {
    ...state,
    tcpi_ca_state: CA_STATES[i.caState],
    tcpi_retransmits: i.backoff,
    tcpi_probes: i.probes,
    tcpi_backoff: i.backoff,
    tcpi_options:
      (i.timestamps ? OPTION_TIMESTAMPS : 0) |
      (i.sack ? OPTION_SACK : 0) |
      (scaled ? OPTION_WSCALE : 0) |
      (i.ecn ? OPTION_ECN : 0),
    tcpi_snd_wscale: i.sndScale,
    tcpi_rcv_wscale: i.rcvScale,
    tcpi_delivery_rate_app_limited: Number(i.appLimited),
    tcpi_rto: i.rtoMs * 1_000,
    tcpi_snd_mss: i.sndMss,
    tcpi_rcv_mss: i.rcvMss,
    tcpi_unacked: i.unacked,
    tcpi_sacked: i.sacked,
    tcpi_lost: i.lost,
    tcpi_retrans: i.retrans,
    tcpi_last_data_sent: i.lastDataSentMs,
    tcpi_last_data_recv: i.lastReceivedMs,
    tcpi_pmtu: i.pathMtu,
    tcpi_rcv_ssthresh: i.rcvWnd,
    tcpi_rtt: i.srttUs,
    tcpi_rttvar: i.rttvarUs,
    tcpi_snd_ssthresh: i.ssthresh,
    tcpi_snd_cwnd: i.cwnd,
    tcpi_reordering: i.reordering,
    tcpi_min_rtt: i.minRttUs,
    tcpi_notsent_bytes: i.notSentBytes,
    tcpi_snd_wnd: i.sndWnd,
    tcpi_rcv_wnd: i.rcvWnd,
  }
}
