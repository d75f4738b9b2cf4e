/** What tshark finds in a capture of our link, recorded by our module: nothing malformed, nothing that a stack should not do. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { titled } from '../../../src/host/testing/requirements.ts'
import { fromKernel, toKernel } from './connection.ts'
import { KERNEL6, lacking, ON_KERNEL, type SiteOptions, STACK4, TcpSite } from './site.ts'
import { drain, pour } from './traffic.ts'

const reason = [lacking('python3', 'tshark'), ON_KERNEL ? 'the capture is of our stack' : '']
  .filter(Boolean)
  .join(', ')
const BYTES = 2 * 1024 * 1024

let site: TcpSite
let directory: string
let file: string

/** Traffic of both families, opened by both ends, and its capture. */
async function record(options: SiteOptions): Promise<void> {
  site = await TcpSite.open({ ...options, capture: file })
  const all = [
    fromKernel(site, [{ do: 'exchange', bytes: BYTES }]),
    toKernel(site, [{ do: 'exchange', bytes: BYTES }], { address: KERNEL6 }),
  ]
  await Promise.all(
    all.map(async opening => {
      const { socket, peer } = await opening
      await Promise.all([pour(socket, BYTES), drain(socket)])
      await peer.end()
    }),
  )
  await site.side.stopCapture()
}

/** Packets of the capture that a display filter shows, one line each. */
async function show(filter: string): Promise<string[]> {
  // Random bytes look like some protocol or other now and then.
  const checks = [
    '-o',
    'tcp.check_checksum:TRUE',
    '-o',
    'ip.check_checksum:TRUE',
    '-d',
    'tcp.port==1-65535,data',
  ]
  const { stdout } = await site.run('tshark', ['-n', '-r', file, ...checks, '-Y', filter]).succeeds()
  return stdout.split('\n').filter(line => line !== '')
}

describe.skipIf(reason !== '')(titled('a capture, as tshark sees it', reason), () => {
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'putnext-interop-'))
    file = join(directory, 'link.pcapng')
  })
  afterEach(async () => {
    await site?.close()
    rmSync(directory, { recursive: true, force: true })
  })

  const ours = `(ip.src == ${STACK4} || ipv6.src == fd77:1::2)`
  const faults = [
    '_ws.malformed',
    '_ws.expert.severity == error',
    'tcp.checksum.status == "Bad"',
    'ip.checksum.status == "Bad"',
    'tcp.analysis.ack_lost_segment',
  ]

  it('nothing is malformed on a clean link, and nothing is lost', async () => {
    await record({ offload: 'off' })
    expect((await show('tcp')).length).toBeGreaterThan(1_000)
    expect(await show(faults.map(each => `(${each})`).join(' || '))).toEqual([])
    // A tail loss probe may leave where the kernel takes its time; nothing else is sent again.
    const again = await show(`${ours} && (tcp.analysis.retransmission || tcp.analysis.out_of_order)`)
    const { 'retransmitted-segments': resent = 0, 'tail-loss-probes': probes = 0 } = site.counters()
    expect({ again: again.slice(probes), resent: Math.max(0, resent - probes) }).toEqual({
      again: [],
      resent: 0,
    })
    expect(await show(`${ours} && ip && (ip.len > 1500 || ip.flags.df == 0)`)).toEqual([])
  })

  it('nothing is malformed on a bad link, where much is sent twice', async () => {
    // What the capture sees is above the impairment: everything that we send, and what is left of what the kernel sends.
    await record({
      offload: 'off',
      modules: [{ impair: { seed: 3, delay: '2ms', loss: '2%', reorder: '2%' } }],
    })
    expect(
      await show('_ws.malformed || _ws.expert.severity == error || tcp.checksum.status == "Bad"'),
    ).toEqual([])
    expect((await show(`${ours} && tcp.analysis.retransmission`)).length).toBeGreaterThan(0)
    expect((await show(`${ours} && tcp.options.sack`)).length).toBeGreaterThan(0)
  })

  it('super-segments are whole packets, too', async () => {
    await record({})
    expect(await show('_ws.malformed || _ws.expert.severity == error')).toEqual([])
    expect((await show(`${ours} && tcp.len > 3000`)).length).toBeGreaterThan(0)
  })
})
