/** The part of a node's configuration that sets TCP: the same names and ranges as `putnext plumb NODE set tcp`. */
import * as v from 'valibot'
import { StackError } from '../base/errors.ts'
import {
  problemWith,
  readTcpSettings,
  type SettingRange,
  TCP_SETTING_RANGES,
} from '../inet/tcp/setting-ranges.ts'
import { TCP_SETTINGS, type TcpSettings } from '../inet/tcp/settings.ts'

type Written = number | string | boolean

const WRITTEN = {
  bytes: v.union([v.number(), v.string()], 'must be a size as 64KiB, or a number of bytes'),
  ms: v.union([v.number(), v.string()], 'must be a duration as 30s, or a number of milliseconds'),
  count: v.union([v.number(), v.boolean()], 'must be a number'),
} as const

function setting(name: keyof TcpSettings, range: SettingRange): v.GenericSchema<Written | undefined> {
  const unit = range.unit === 'count' ? '' : range.unit === 'ms' ? ' ms' : ' bytes'
  return v.optional(
    v.pipe(
      WRITTEN[range.unit] as v.GenericSchema<Written>,
      v.check(
        value => problemWith(value, range) === null,
        ({ input }) => problemWith(input, range) ?? '',
      ),
      v.description(`${range.text}: ${range.min} to ${range.max}${unit} (${TCP_SETTINGS[name]})`),
    ),
  ) as v.GenericSchema<Written | undefined>
}

const names = Object.keys(TCP_SETTING_RANGES) as (keyof TcpSettings)[]
const entries = Object.fromEntries(
  names.map(name => [name, setting(name, TCP_SETTING_RANGES[name])]),
) as Record<keyof TcpSettings, v.GenericSchema<Written | undefined>>

type TcpInput = Partial<Record<keyof TcpSettings, Written>>

/** `tcp:` of a node. Sizes may be written as 64KiB, durations as 30s, switches as true and false. */
export const tcpSchema = v.pipe(
  v.strictObject(entries) as unknown as v.GenericSchema<TcpInput>,
  v.rawTransform(({ dataset, addIssue, NEVER }): Partial<TcpSettings> => {
    try {
      return readTcpSettings(dataset.value)
    } catch (error) {
      if (!(error instanceof StackError)) throw error
      addIssue({ message: error.message.replace('tcp: ', '') })
      return NEVER
    }
  }),
  v.description('Settings of TCP; those not named are as they come'),
)
