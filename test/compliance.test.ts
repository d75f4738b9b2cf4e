/** Every module and driver, under the same rules. A new one is a line in one of the two lists. */
import { Duplex } from 'node:stream'
import { describe, it } from 'vitest'
import { milliseconds } from '../src/base/time.ts'
import { captureModule } from '../src/driver/capture-file.ts'
import { makeDuplexDriver } from '../src/driver/duplex.ts'
import { impairModule } from '../src/driver/impair.ts'
import { discardDriver, nullModule } from '../src/driver/null.ts'
import { FakeTun } from '../src/driver/testing/fake-tun.ts'
import { tunDriver } from '../src/driver/tun.ts'
import { makeWire } from '../src/driver/wire.ts'
import { InetStack } from '../src/inet/stack.ts'
import { freemsg } from '../src/streams/index.ts'
import type { AnyDriver, AnyModule } from '../src/streams/module.ts'
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

const BAD_IMPAIRMENTS = [{ dely: '1ms' }, { delay: '10' }, { loss: '101%' }, { out: { rate: 'fast' } }, 7, []]
const IMPAIRED_BADLY = {
  loss: '10%',
  duplicate: '10%',
  reorder: '20%',
  corrupt: '5%',
  jitter: '3ms',
  rate: '50mbit',
}

/** A capture that records everything; what it writes is of no interest here. */
const RECORDING = { sink: { startedAtUs: 0, write: () => {} }, comments: true }
const BAD_CAPTURES = [{ snapln: 1 }, { snaplen: 'all' }, { filter: 'and' }, 'x']

const MODULES: readonly ModuleEntry[] = [
  { what: 'null', info: nullModule },
  { what: 'impair, harmless', info: impairModule, options: { bad: BAD_IMPAIRMENTS } },
  { what: 'capture, off', info: captureModule, options: { bad: BAD_CAPTURES } },
  { what: 'capture, recording', info: captureModule, options: { open: RECORDING, bad: BAD_CAPTURES } },
  {
    what: 'impair, delay and rate',
    info: impairModule,
    options: {
      open: { delay: '5ms', rate: '100mbit', limit: 100_000 },
      patience: milliseconds(1_000),
      bad: BAD_IMPAIRMENTS,
    },
  },
  {
    what: 'impair, everything',
    info: impairModule,
    options: { open: IMPAIRED_BADLY, patience: milliseconds(100), transparent: false },
  },
  {
    what: 'impair, partition',
    info: impairModule,
    options: { open: { partition: true }, transparent: false },
  },
]

const DRIVERS: readonly DriverEntry[] = [
  { what: 'discard', make: () => ({ info: discardDriver }) },
  { what: 'duplex', make: () => ({ info: makeDuplexDriver(hole()) }) },
  { what: 'wire, other end not open', make: () => ({ info: makeWire()[0] }) },
  { what: 'wire, other end read', make: wireThatIsRead },
  {
    what: 'tun, on a device of memory',
    make: test => ({ info: tunDriver(new FakeTun(test.arena).host) }),
    options: { open: { name: 'tun0' }, bad: [{}, 7, { name: 'tun0', mtu: 1 }, { name: 'tun0', speed: 1 }] },
  },
  { what: 'loop', make: test => ofStack(test, 'loop'), options: { link: false } },
  {
    what: 'ip',
    make: test => ofStack(test, 'ip'),
    options: { open: { protocols: [200] }, bad: [{ protocols: [256] }, { protocols: 17 }], link: false },
  },
  {
    what: 'udp',
    make: test => ofStack(test, 'udp'),
    options: { open: { family: 4 }, link: false },
  },
  { what: 'icmp', make: test => ofStack(test, 'icmp'), options: { link: false } },
]

/** A driver of a whole stack of Internet protocols, as one more stream of it. */
function ofStack(test: TestRuntime, name: string): DriverUnderTest {
  const stack = new InetStack(test.runtime)
  return { info: test.runtime.registry.find(name) as AnyDriver, dispose: () => stack.close() }
}

/** A duplex that takes everything at once: its `drain` would come from Node's loop, which these cases do not run. */
const hole = (): Duplex =>
  new Duplex({ read() {}, write: (_chunk, _encoding, done) => done(), writableHighWaterMark: 2 ** 30 })

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
