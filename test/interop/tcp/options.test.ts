/** What the kernel is told to agree on, or not to: bulk data over a bad link with each combination, and what came of it. */
import { afterEach, describe, expect, it } from 'vitest'
import { titled } from '../../../src/host/testing/requirements.ts'
import { fromKernel, toKernel } from './connection.ts'
import { lacking, ON_KERNEL, type SiteOptions, TcpSite } from './site.ts'
import { drain, pour } from './traffic.ts'

const reason = lacking('python3')
const BYTES = 1_000_000
/** Both directions: 1 % lost, 1 % late, some of it twice. */
const BAD = [{ impair: { seed: 7, delay: '3ms', loss: '1%', reorder: '1%', duplicate: '0.5%' } }]

// `tcpi_options` of tcp(7).
const TIMESTAMPS = 1
const SACK = 2
const SCALING = 4
const ECN = 8
const AGREED = TIMESTAMPS | SACK | SCALING | ECN

interface Case {
  readonly title: string
  readonly sysctls?: SiteOptions['sysctls']
  readonly tcp?: SiteOptions['tcp']
  /** Options of a connection that the kernel opens, and that we open. */
  readonly theirs: number
  readonly ours?: number
}

const all = TIMESTAMPS | SACK | SCALING
const cases: readonly Case[] = [
  { title: 'everything', theirs: all },
  { title: 'no SACK', sysctls: { tcp_sack: 0 }, theirs: all & ~SACK },
  { title: 'no D-SACK', sysctls: { tcp_dsack: 0 }, theirs: all },
  { title: 'no timestamps', sysctls: { tcp_timestamps: 0 }, theirs: all & ~TIMESTAMPS },
  { title: 'timestamps without an offset', sysctls: { tcp_timestamps: 2 }, theirs: all },
  { title: 'no window scaling', sysctls: { tcp_window_scaling: 0 }, theirs: all & ~SCALING },
  {
    title: 'nothing at all',
    sysctls: { tcp_sack: 0, tcp_timestamps: 0, tcp_window_scaling: 0 },
    theirs: 0,
  },
  { title: 'ECN asked for by the kernel', sysctls: { tcp_ecn: 1 }, theirs: all | ECN, ours: all },
  { title: 'ECN asked for by us', tcp: { ecn: 2 }, theirs: all, ours: all | ECN },
  { title: 'no ECN at all, though we ask', sysctls: { tcp_ecn: 0 }, tcp: { ecn: 2 }, theirs: all },
  { title: 'BBR at the kernel', sysctls: { tcp_congestion_control: 'bbr' }, theirs: all },
  { title: 'we offer no SACK', tcp: { sack: 0 }, theirs: all & ~SACK },
  { title: 'we offer no timestamps', tcp: { timestamps: 0 }, theirs: all & ~TIMESTAMPS },
  { title: 'we offer no window scaling', tcp: { windowScaling: 0 }, theirs: all & ~SCALING },
  { title: 'pacing at our end', tcp: { pacing: 1 }, theirs: all },
]

let site: TcpSite

/** @returns what the kernel says that both agreed on */
async function exchange(start: typeof fromKernel): Promise<number> {
  const { socket, peer } = await start(site, [
    { do: 'info' },
    { do: 'exchange', bytes: BYTES },
    { do: 'info' },
  ])
  const [sent, got] = await Promise.all([pour(socket, BYTES), drain(socket)])
  const events = await peer.end()
  expect(events.find(({ event }) => event === 'received')).toMatchObject(sent)
  expect(events.find(({ event }) => event === 'sent')).toMatchObject(got)
  return (events.find(({ event }) => event === 'info')!['options'] as number) & AGREED
}

describe.skipIf(reason !== '')(titled('options agreed on with the kernel', reason), () => {
  afterEach(() => site?.close())

  const possible = cases.filter(each => !ON_KERNEL || each.tcp === undefined)
  it.each(possible)('$title', async ({ sysctls = {}, tcp = {}, theirs, ours = theirs }) => {
    site = await TcpSite.open({ sysctls, tcp, modules: BAD })
    const [opened, accepted] = await Promise.all([exchange(fromKernel), exchange(toKernel)])
    expect({ opened, accepted }).toEqual({ opened: theirs, accepted: ours })
  })
})
