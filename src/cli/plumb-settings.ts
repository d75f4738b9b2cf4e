/** The settings of a node's TCP, read: each with its value, its range and what it is. And the same as a page of the manual. */
import { type SettingRange, TCP_SETTING_RANGES } from '../inet/tcp/setting-ranges.ts'
import { TCP_SETTINGS, type TcpSettings } from '../inet/tcp/settings.ts'
import type { ControlClient } from '../node/control-client.ts'
import type { Output } from './output.ts'

/** The stream that has them. */
export const TCP_STREAM = 'tcp'

type Name = keyof TcpSettings
const NAMES = Object.keys(TCP_SETTING_RANGES) as Name[]
const UNITS = { bytes: ' B', ms: ' ms', count: '' } as const
const BYTE_UNITS: readonly (readonly [number, string])[] = [
  [1024 ** 3, 'GiB'],
  [1024 ** 2, 'MiB'],
  [1024, 'KiB'],
]

/** `plumb NODE set tcp`, with nothing to set: prints what holds. */
export async function showTcpSettings(client: ControlClient, out: Output): Promise<void> {
  const { answer } = await client.change({ op: 'ioctl', stream: TCP_STREAM, command: 'tcp.settings' })
  const values = answer as Readonly<Record<string, number>>
  const settings = NAMES.map(name => {
    const { min, max, unit, text } = TCP_SETTING_RANGES[name]
    return [name, { value: values[name], default: TCP_SETTINGS[name], min, max, unit, text }] as const
  })
  out.report({ settings: Object.fromEntries(settings) }, () => {
    const rows = NAMES.map(name => [
      name,
      amountText(values[name]!, TCP_SETTING_RANGES[name]),
      rangeText(TCP_SETTING_RANGES[name]),
    ])
    const widths = [0, 1, 2].map(column => Math.max(...rows.map(row => row[column]!.length)))
    const lines = rows.map((row, i) => {
      const cells = row.map((cell, column) => cell.padEnd(widths[column]!))
      return `${cells.join('  ')}  ${out.style('dim', TCP_SETTING_RANGES[NAMES[i]!].text)}`
    })
    return lines.join('\n')
  })
}

/** `64 KiB`, `200 ms`, `3`: in the greatest unit that leaves a whole number. */
function amountText(value: number, { unit }: SettingRange): string {
  const [size, name] = (unit === 'bytes' &&
    BYTE_UNITS.find(([bytes]) => value >= bytes && value % bytes === 0)) || [1, UNITS[unit].trim()]
  return `${value / size} ${name}`.trim()
}

const rangeText = (range: SettingRange): string =>
  `${amountText(range.min, range)} to ${amountText(range.max, range)}`

/** docs/reference/tcp-settings.md. */
export function tcpSettingsReference(): string {
  const rows = NAMES.map(name => {
    const range = TCP_SETTING_RANGES[name]
    return `| \`${name}\` | ${amountText(TCP_SETTINGS[name], range)} | ${rangeText(range)} | ${range.text} |`
  })
  return `${[
    '# Settings of TCP',
    `Made from \`src/inet/tcp/setting-ranges.ts\` by \`npx vitest run src/cli -u\`; a test compares. They are a node's, for all its connections, and hold from the
next segment on where that makes sense: \`tcp: {NAME: VALUE}\` in the [node file](node-config.md), \`putnext plumb NODE set tcp NAME=VALUE\` while it runs,
\`putnext plumb NODE set tcp\` to read them all, \`{"cmd":"config","tcp":{"NAME":VALUE}}\` in a [script](../guides/scripting-tcp.md). Bytes may be written
as \`64KiB\` or \`1MiB\`, times as \`200ms\`, \`30s\`, \`5m\`, \`2h\`; a number alone is bytes, or milliseconds.`,
    `| setting | default | range | what it is |\n| --- | --- | --- | --- |\n${rows.join('\n')}`,
  ].join('\n\n')}\n`
}
