import { describe, expect, it } from 'vitest'
import { missing, titled } from '../host/testing/requirements.ts'
import { requirementsText, udpReportText } from './report-text.ts'
import { once, overRounds } from './requirements.ts'
import { run } from './udp.ts'

describe('bench/udp', () => {
  it('in one process: echoes without a copy, and says that it is no device', async () => {
    const report = await run({ inproc: true, rounds: 1, seconds: 0.1 })
    expect(report).toMatchObject({ kind: 'udp', mode: 'inproc', rounds: 1, bytes: 64, window: 64, family: 4 })
    if (report.mode !== 'inproc') throw new Error('not in one process')
    expect(report.windowPerSecond.median).toBeGreaterThan(1_000)
    expect(report.copies[0]!.datagrams).toBeGreaterThan(100)
    expect(report.copies[0]!.userSpaceCalls).toBe(0)
    expect(report.warnings[0]).toMatch(/no kernel, no device/)
    expect(udpReportText(report)).toMatch(/in a window, datagrams\/s +[0-9,]+ /)
  })

  it('over IPv6, too', async () => {
    const report = await run({ inproc: true, rounds: 1, seconds: 0.1, family: 6, bytes: 512, window: 8 })
    if (report.mode !== 'inproc') throw new Error('not in one process')
    expect(report.windowPerSecond.median).toBeGreaterThan(1_000)
  })

  it('refuses what it cannot measure before it makes anything', async () => {
    for (const wrong of [{ rounds: 0 }, { seconds: 0 }, { bytes: 4 }, { bytes: 9_000 }, { window: 5_000 }])
      await expect(run(wrong)).rejects.toMatchObject({ code: 'ERR_BAD_ARGUMENT' })
  })

  it('ends when it is aborted', async () => {
    const reason = new Error('enough')
    await expect(run({ inproc: true, signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
  })

  it('tells for each requirement what was measured, the limit and whether it holds', () => {
    const text = requirementsText([
      overRounds('rate', { atLeast: 0.6 }, 'times', [0.7, 0.71, 0.72, 0.69, 0.75], 0.71),
      overRounds('time', { atMost: 1.3 }, 'times', [1.2, 1.31, 1.2, 1.2, 1.2], 1.2),
      once('lost', { atMost: 0 }, 'packets', 3),
    ])
    const rows = text.split('\n').map(row => row.split(/ {2,}/))
    expect(rows[1]).toEqual(['rate', '0.71 times', '0.69 to 0.75', 'at least 0.6', 'held'])
    expect(rows[2]).toEqual(['time', '1.2 times', '1.2 to 1.31', 'at most 1.3', 'cannot tell'])
    expect(rows[3]).toEqual(['lost', '3 packets', 'at most 0', 'MISSED'])
  })
})

const here = missing('namespaces', 'tun') === '' ? 'this is root on a machine with TUN' : ''

describe.skipIf(here !== '')(titled('bench/udp without privileges', here), () => {
  it('says what is missing, and what to do instead', async () => {
    await expect(run({ rounds: 1 })).rejects.toMatchObject({
      code: 'ERR_PERMISSION',
      hint: expect.stringContaining('--inproc'),
    })
  })
})
