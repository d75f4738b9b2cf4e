/** Control connections of iperf3 3.12 with itself over the loopback, recorded by a proxy: who sent what, in order; a stream began with its cookie. */
export type Step = readonly [from: 'client' | 'server' | 'stream', bytes: string]

export const FORWARD_RECORDED: readonly Step[] = [
  ['client', '57hsbx5kzxgshnndhr7vz6xscutphqlatdco\u0000'],
  ['server', '\t'],
  [
    'client',
    '\u0000\u0000\u0000{{"tcp":true,"omit":0,"time":1,"num":0,"blockcount":0,"parallel":1,"len":131072,"pacing_timer":1000,"client_version":"3.12"}',
  ],
  ['server', '\n'],
  ['stream', '57hsbx5kzxgshnndhr7vz6xscutphqlatdco\u0000'],
  ['server', '\u0001\u0002'],
  ['client', '\u0004'],
  ['server', '\r'],
  [
    'client',
    '\u0000\u0000\u0001\u001b{"cpu_util_total":9.7398824352186768,"cpu_util_user":0.55872371322284164,"cpu_util_system":9.18106331152568,"sender_has_retransmits":1,"congestion_used":"bbr","streams":[{"id":1,"bytes":1230766080,"retransmits":0,"jitter":0,"errors":0,"packets":0,"start_time":0,"end_time":1.00011}]}',
  ],
  [
    'server',
    '\u0000\u0000\u0001C{"cpu_util_total":23.499989960252162,"cpu_util_user":2.1360758737210079,"cpu_util_system":21.363914086531153,"sender_has_retransmits":18446744073709551615,"congestion_used":"bbr","streams":[{"id":1,"bytes":1227620352,"retransmits":18446744073709551615,"jitter":0,"errors":0,"packets":0,"start_time":0,"end_time":1.045833}]}\u000e',
  ],
  ['client', '\u0010'],
]

export const REVERSE_RECORDED: readonly Step[] = [
  ['client', '574cada3tbcc5q4lxi4ru74hzockni2ihnbc\u0000'],
  ['server', '\t'],
  [
    'client',
    '\u0000\u0000\u0000{"tcp":true,"omit":0,"time":1,"num":0,"blockcount":0,"parallel":2,"reverse":true,"len":131072,"pacing_timer":1000,"client_version":"3.12"}',
  ],
  ['server', '\n'],
  ['stream', '574cada3tbcc5q4lxi4ru74hzockni2ihnbc\u0000'],
  ['stream', '574cada3tbcc5q4lxi4ru74hzockni2ihnbc\u0000'],
  ['server', '\u0001\u0002'],
  ['client', '\u0004'],
  ['server', '\r'],
  [
    'client',
    '\u0000\u0000\u0001Ã{"cpu_util_total":25.736879052299006,"cpu_util_user":1.7297429102924466,"cpu_util_system":24.0070408918463,"sender_has_retransmits":18446744073709551615,"congestion_used":"bbr","streams":[{"id":1,"bytes":382730240,"retransmits":18446744073709551615,"jitter":0,"errors":0,"packets":0,"start_time":0,"end_time":1.000091},{"id":3,"bytes":643629056,"retransmits":18446744073709551615,"jitter":0,"errors":0,"packets":0,"start_time":0,"end_time":1.000097}]}',
  ],
  [
    'server',
    '\u0000\u0000\u0001{"cpu_util_total":6.4947004006851463,"cpu_util_user":0.55358568431802557,"cpu_util_system":5.94244842822058,"sender_has_retransmits":1,"congestion_used":"bbr","streams":[{"id":1,"bytes":387973120,"retransmits":3,"jitter":0,"errors":0,"packets":0,"start_time":0,"end_time":1.04972},{"id":3,"bytes":654049280,"retransmits":3,"jitter":0,"errors":0,"packets":0,"start_time":0,"end_time":1.049727}]}\u000e',
  ],
  ['client', '\u0010'],
]

export const BOTH_RECORDED: readonly Step[] = [
  ['client', '5or6zwkcgogkjua3rey3n54le6zmnod7vdxo\u0000'],
  ['server', '\t'],
  [
    'client',
    '\u0000\u0000\u0000{"tcp":true,"omit":1,"time":1,"num":0,"blockcount":0,"parallel":2,"bidirectional":true,"len":131072,"pacing_timer":1000,"client_version":"3.12"}',
  ],
  ['server', '\n'],
  ['stream', '5or6zwkcgogkjua3rey3n54le6zmnod7vdxo\u0000'],
  ['stream', '5or6zwkcgogkjua3rey3n54le6zmnod7vdxo\u0000'],
  ['stream', '5or6zwkcgogkjua3rey3n54le6zmnod7vdxo\u0000'],
  ['stream', '5or6zwkcgogkjua3rey3n54le6zmnod7vdxo\u0000'],
  ['server', '\u0001'],
  ['server', '\u0002'],
  ['client', '\u0004'],
  ['server', '\r'],
  [
    'client',
    '\u0000\u0000\u0002{"cpu_util_total":14.251296547948655,"cpu_util_user":0.685274945679425,"cpu_util_system":13.565730923607225,"sender_has_retransmits":1,"congestion_used":"bbr","streams":[{"id":1,"bytes":305397760,"retransmits":13,"jitter":0,"errors":0,"packets":0,"start_time":0,"end_time":1.003744},{"id":3,"bytes":308019200,"retransmits":6,"jitter":0,"errors":0,"packets":0,"start_time":0,"end_time":1.003751},{"id":4,"bytes":222228654,"retransmits":18446744073709551615,"jitter":0,"errors":0,"packets":0,"start_time":0,"end_time":1.003752},{"id":5,"bytes":220984053,"retransmits":18446744073709551615,"jitter":0,"errors":0,"packets":0,"start_time":0,"end_time":1.003753}]}',
  ],
  [
    'server',
    '\u0000\u0000\u0002{"cpu_util_total":14.904576814692449,"cpu_util_user":0.34301817121756872,"cpu_util_system":14.561558643474882,"sender_has_retransmits":1,"congestion_used":"bbr","streams":[{"id":1,"bytes":323354624,"retransmits":18446744073709551615,"jitter":0,"errors":0,"packets":0,"start_time":0,"end_time":1.056436},{"id":3,"bytes":325320704,"retransmits":18446744073709551615,"jitter":0,"errors":0,"packets":0,"start_time":0,"end_time":1.056443},{"id":4,"bytes":247726080,"retransmits":14,"jitter":0,"errors":0,"packets":0,"start_time":0,"end_time":1.056444},{"id":5,"bytes":247726080,"retransmits":11,"jitter":0,"errors":0,"packets":0,"start_time":0,"end_time":1.056445}]}',
  ],
  ['server', '\u000e'],
  ['client', '\u0010'],
]

export const BYTES_RECORDED: readonly Step[] = [
  ['client', 'l5lwpxeuz7swhxawisdlsshuxeun5qcx2ipi\u0000'],
  ['server', '\t'],
  [
    'client',
    '\u0000\u0000\u0000{"tcp":true,"omit":0,"time":0,"num":1048576,"blockcount":0,"parallel":1,"len":16384,"pacing_timer":1000,"client_version":"3.12"}',
  ],
  ['server', '\n'],
  ['stream', 'l5lwpxeuz7swhxawisdlsshuxeun5qcx2ipi\u0000'],
  ['server', '\u0001\u0002'],
  ['client', '\u0004'],
  ['server', '\r'],
  [
    'client',
    '\u0000\u0000\u0001\u0016{"cpu_util_total":89.5478176762181,"cpu_util_user":11.395236368032887,"cpu_util_system":78.1505662354411,"sender_has_retransmits":1,"congestion_used":"bbr","streams":[{"id":1,"bytes":1048576,"retransmits":0,"jitter":0,"errors":0,"packets":0,"start_time":0,"end_time":0.001639}]}',
  ],
  [
    'server',
    '\u0000\u0000\u00011{"cpu_util_total":0.76498564249820533,"cpu_util_user":0.76274228284278534,"cpu_util_system":0,"sender_has_retransmits":18446744073709551615,"congestion_used":"bbr","streams":[{"id":1,"bytes":1048576,"retransmits":18446744073709551615,"jitter":0,"errors":0,"packets":0,"start_time":0,"end_time":0.044563}]}\u000e',
  ],
  ['client', '\u0010'],
]

export const INTERRUPTED_RECORDED: readonly Step[] = [
  ['client', 'pnex7npxf73l2zyzzqyhpn3qkd2wtsbu7woq\u0000'],
  ['server', '\t'],
  [
    'client',
    '\u0000\u0000\u0000{{"tcp":true,"omit":0,"time":5,"num":0,"blockcount":0,"parallel":1,"len":131072,"pacing_timer":1000,"client_version":"3.12"}',
  ],
  ['server', '\n'],
  ['stream', 'pnex7npxf73l2zyzzqyhpn3qkd2wtsbu7woq\u0000'],
  ['server', '\u0001\u0002'],
  ['client', '\f'],
]
