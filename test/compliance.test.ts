/** Every module and driver, under the same rules. A new one is a line in one of the two lists. */
import { describe, it } from 'vitest'
import { discardDriver, nullModule } from '../src/driver/null.ts'
import { makeWire } from '../src/driver/wire.ts'
import { freemsg } from '../src/streams/index.ts'
import type { AnyModule } from '../src/streams/module.ts'
import { Stream } from '../src/streams/stream.ts'
import {
  type ComplianceOptions,
  type DriverComplianceOptions,
  type DriverUnderTest,
  driverCompliance,
  moduleCompliance,
  type TestRuntime,
} from '../src/streams/testing/index.ts'

interface ModuleEntry {
  readonly what: string
  readonly info: AnyModule
  readonly options?: ComplianceOptions
}

interface DriverEntry {
  readonly what: string
  make(test: TestRuntime): DriverUnderTest
  readonly options?: DriverComplianceOptions
}

const MODULES: readonly ModuleEntry[] = [{ what: 'null', info: nullModule }]

const DRIVERS: readonly DriverEntry[] = [
  { what: 'discard', make: () => ({ info: discardDriver }) },
  { what: 'wire, other end not open', make: () => ({ info: makeWire()[0] }) },
  { what: 'wire, other end read', make: wireThatIsRead },
]

function wireThatIsRead(test: TestRuntime): DriverUnderTest {
  const [info, far] = makeWire()
  const reader = Stream.open(test.runtime, far)
  const drain = (): void => {
    if (reader.isClosed) return
    for (let mp = reader.getmsg(); mp !== null; mp = reader.getmsg()) freemsg(mp)
  }
  return { info, drain }
}

for (const { what, info, options } of MODULES) {
  describe(`compliance: module ${what}`, () => {
    for (const { name, run } of moduleCompliance(() => info, options)) it(name, run)
  })
}

for (const { what, make, options } of DRIVERS) {
  describe(`compliance: driver ${what}`, () => {
    for (const { name, run } of driverCompliance(make, options)) it(name, run)
  })
}
