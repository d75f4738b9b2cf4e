import { describe, expect, it } from 'vitest'
import { readConnectionSettings, readTcpSettings, TCP_SETTING_RANGES } from './setting-ranges.ts'
import { CONNECTION_SETTINGS, TCP_SETTINGS } from './settings.ts'

describe('inet/tcp/setting-ranges', () => {
  it('every setting has a range, and what it is by default lies within', () => {
    expect(Object.keys(TCP_SETTING_RANGES).sort()).toEqual(Object.keys(TCP_SETTINGS).sort())
    expect(readTcpSettings(TCP_SETTINGS)).toEqual(TCP_SETTINGS)
    expect(readConnectionSettings(CONNECTION_SETTINGS, CONNECTION_SETTINGS)).toEqual(CONNECTION_SETTINGS)
  })

  it('numbers, sizes, durations and switches are read as people write them', () => {
    const read = readTcpSettings({
      receiveBytes: '64KiB',
      sendBytesMax: '16MiB',
      sendBytes: 4_096,
      timeWaitMs: '1.5s',
      r2Ms: '2m',
      sack: false,
      ecn: 2,
    })
    expect(read).toEqual({
      receiveBytes: 65_536,
      sendBytesMax: 16_777_216,
      sendBytes: 4_096,
      timeWaitMs: 1_500,
      r2Ms: 120_000,
      sack: 0,
      ecn: 2,
    })
  })

  it.each([
    [{ receiveByte: 1 }, /there is no setting "receiveByte"/],
    [{ receiveBytes: 'lots' }, /receiveBytes has to be 2048 to 1073741824 bytes/],
    [{ receiveBytes: 1 }, /receiveBytes has to be 2048/],
    [{ receiveBytes: '1ms' }, /receiveBytes has to be/],
    [{ delayedAckMs: 501 }, /delayedAckMs has to be 0 to 500 milliseconds/],
    [{ ecn: 3 }, /ecn has to be 0 to 2 \(0 never, 1 if the peer asks for it, 2 asks for it\)$/],
    [{ sack: 'yes' }, /sack has to be 0 to 1/],
    [{ keepProbes: 1.5 }, /keepProbes has to be/],
    [{ receiveBytes: '16MiB' }, /receiveBytes \(16777216\) must not be more than receiveBytesMax/],
    [{ portFirst: 60_000, portLast: 50_000 }, /portFirst \(60000\) must not be more than portLast/],
    ['receiveBytes=1', /given by name/],
    [null, /given by name/],
    [[], /given by name/],
  ])('%j is refused: %s', (given, message) => {
    expect(() => readTcpSettings(given)).toThrow(expect.objectContaining({ code: 'ERR_BAD_CONFIG' }))
    expect(() => readTcpSettings(given)).toThrow(message)
  })

  it('what only makes sense together is held against what holds now', () => {
    const now = { ...TCP_SETTINGS, receiveBytesMax: 4_096, receiveBytes: 4_096 }
    expect(() => readTcpSettings({ receiveBytes: 8_192 }, now)).toThrow(/receiveBytesMax \(4096\)/)
    expect(readTcpSettings({ receiveBytes: 8_192, receiveBytesMax: 8_192 }, now)).toMatchObject({
      receiveBytes: 8_192,
    })
  })

  it('settings of a connection go on top of others; 0 stands for the stack', () => {
    expect(readConnectionSettings({ congestion: 'reno' }, CONNECTION_SETTINGS).congestion).toBe('newreno')
    const read = readConnectionSettings({ noDelay: true, keepIdleMs: '30s', ttl: 0 }, CONNECTION_SETTINGS)
    expect(read).toEqual({ ...CONNECTION_SETTINGS, noDelay: true, keepIdleMs: 30_000 })
    const code = { code: 'ERR_BAD_ARGUMENT' }
    for (const wrong of [
      { noDelay: 1 },
      { ttl: 256 },
      { congestion: 'bbr' },
      { receiveBytes: 100 },
      { x: 1 },
    ])
      expect(() => readConnectionSettings(wrong, CONNECTION_SETTINGS)).toThrow(expect.objectContaining(code))
  })
})
