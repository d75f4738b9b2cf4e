/** What every driver owes the stream that it ends, as cases like those of {@link moduleCompliance}. */
import { assert } from '../../base/assert.ts'
import { StackError } from '../../base/errors.ts'
import { type Duration, seconds } from '../../base/time.ts'
import { makeFlush } from '../flush.ts'
import { makeIoctl, readIoctl } from '../ioctl.ts'
import { CTL_LINK_INFO, controlCode, makeLinkQuery, readLinkInfo } from '../link-info.ts'
import { allocb, freemsg } from '../mblk/alloc.ts'
import { HEADER_BLOCK_BYTES, SUPER_BLOCK_BYTES } from '../mblk/arena.ts'
import type { Mblk } from '../mblk/mblk.ts'
import { messageBytes } from '../mblk/message.ts'
import {
  FLUSHR,
  FLUSHRW,
  FLUSHW,
  M_CTL,
  M_DATA,
  M_FLUSH,
  M_IOCACK,
  M_IOCNAK,
  M_PCPROTO,
  M_PROTO,
} from '../mblk/types.ts'
import type { AnyDriver, AnyQueue } from '../module.ts'
import { Stream } from '../stream.ts'
import type { ComplianceCase } from './compliance.ts'
import { numberedPacket } from './packets.ts'
import { type Probe, pushProbe } from './probe.ts'
import { makeTestRuntime, type TestRuntime } from './runtime.ts'

/** A driver to test and what surrounds it. */
export interface DriverUnderTest {
  readonly info: AnyDriver
  /** Takes what the driver has sent, so that it can go on sending; called while a case waits for room. */
  drain?(): void
  /** Undoes what was set up, after the stream was closed. */
  dispose?(): void
}

export interface DriverComplianceOptions {
  readonly open?: unknown
  /** Options that `open` must refuse with `ERR_BAD_CONFIG`. */
  readonly bad?: readonly unknown[]
  /** False for a driver that is no link and answers no link query. */
  readonly link?: boolean
  readonly patience?: Duration
}

interface DriverBench {
  readonly test: TestRuntime
  readonly stream: Stream
  readonly probe: Probe
  readonly under: DriverUnderTest
  /** Write queue of the driver. */
  readonly write: AnyQueue
  settle(): void
}

const FLOOD_MESSAGES = 30_000
const STRANGE = [0x3e, 0xbe, M_CTL, M_PROTO, M_PCPROTO, M_IOCACK, M_IOCNAK] as const

/**
 * The cases that a driver must pass.
 * @param make - makes a fresh driver in a runtime; called for each case
 */
export function driverCompliance(
  make: (test: TestRuntime) => DriverUnderTest,
  options: DriverComplianceOptions = {},
): ComplianceCase[] {
  const checks = options.link === false ? cases : { ...cases, ...linkCases }
  const found = Object.entries(checks).map(([name, check]) => ({
    name,
    run: () => runCheck(make, options, check),
  }))
  for (const bad of options.bad ?? [])
    found.push({
      name: `options ${JSON.stringify(bad)} are refused with ERR_BAD_CONFIG`,
      run: () => refuses(make, bad),
    })
  return found
}

function runCheck(
  make: (test: TestRuntime) => DriverUnderTest,
  options: DriverComplianceOptions,
  check: (bench: DriverBench) => void,
): void {
  const test = makeTestRuntime({ arenaOptions: { sizeBytes: 32 * 1024 * 1024 } })
  const under = make(test)
  const stream = Stream.open(test.runtime, under.info, { options: options.open })
  const probe = pushProbe(stream)
  const settle = (): void => test.advance(options.patience ?? (0 as Duration))
  check({ test, stream, probe, under, write: stream.bottom.other, settle })
  stream.close()
  under.dispose?.()
  const faults = test.events.filter(({ level }) => level === 'error').map(({ text }) => text)
  assert(faults.length === 0, `the driver failed: ${faults.join('; ')}`)
  test.finish()
  assert(test.runtime.timers.pollAt() === null, 'a timer is still armed after the stream was closed')
  test.advance(seconds(60))
  test.arena.assertWhole()
}

function refuses(make: (test: TestRuntime) => DriverUnderTest, bad: unknown): void {
  const test = makeTestRuntime()
  const under = make(test)
  let code = 'nothing'
  try {
    Stream.open(test.runtime, under.info, { options: bad })
  } catch (error) {
    if (!(error instanceof StackError)) throw error
    code = error.code
  }
  under.dispose?.()
  assert(code === 'ERR_BAD_CONFIG', `bad options were answered with ${code}`)
  assert(test.runtime.streams.size === 0, 'the stream stayed open')
  test.finish()
}

const cases: Readonly<Record<string, (bench: DriverBench) => void>> = {
  'messages of types that it does not send are answered or freed': ({ test, probe, settle }) => {
    for (const type of STRANGE) {
      const mp = allocb(test.arena, 16)!
      mp.type = type
      for (let i = 0; i < 16; i++) mp.dblk.bytes[mp.wptr++] = 0xf0 + i
      probe.send(mp)
      settle()
      probe.discard()
    }
  },

  'an empty message and a one-byte message do no harm': ({ test, probe, settle }) => {
    for (const size of [0, 1]) {
      const mp = allocb(test.arena, 1)!
      mp.wptr += size
      probe.send(mp)
      settle()
    }
  },

  'a request that it does not know is refused': ({ test, probe, settle }) => {
    probe.send(makeIoctl(test.arena, 99, 'no-such-request', { a: 1 }))
    settle()
    const [answer] = probe.take()
    assert(answer?.type === M_IOCNAK, 'no M_IOCNAK came up')
    assert(readIoctl(answer).id === 99, 'the refusal carries another number')
    freemsg(answer)
  },

  'M_FLUSH empties the queues that it names and comes up without FLUSHW': ({
    test,
    probe,
    write,
    settle,
  }) => {
    for (let i = 0; i < 200 && probe.canSend(); i++) probe.send(numberedPacket(test.arena, i))
    probe.send(makeFlush(test.arena, FLUSHRW)!)
    for (let mp = write.first; mp !== null; mp = mp.next)
      assert(mp.type !== M_DATA, 'data is left on the write queue')
    const [flush, ...more] = probe.take().filter(mp => mp.type === M_FLUSH || !drop(mp))
    assert(flush?.type === M_FLUSH && more.length === 0, 'the M_FLUSH did not come up once')
    assert((flush.bytes[flush.rptr]! & FLUSHRW) === FLUSHR, 'the M_FLUSH still says FLUSHW')
    freemsg(flush)
    probe.send(makeFlush(test.arena, FLUSHW)!)
    settle()
    assert(!probe.take().some(mp => drop(mp) && mp.type === M_FLUSH), 'a flush of the write side came up')
  },

  'its queue stays bounded, and the writer is back-enabled when there is room': bench => {
    const { test, probe, write, under, settle } = bench
    let count = 0
    while (count < FLOOD_MESSAGES && probe.canSend()) probe.send(numberedPacket(test.arena, count++))
    const mp = numberedPacket(test.arena, 0)
    const size = messageBytes(mp)
    freemsg(mp)
    assert(write.zero.count < write.zero.hiwat + size, `${write.zero.count} bytes wait at the driver`)
    const refused = !probe.canSend()
    const before = probe.backEnabled
    for (let i = 0; i < 200; i++) {
      settle()
      under.drain?.()
    }
    settle()
    assert(probe.canSend(), 'the driver never makes room')
    if (refused) assert(probe.backEnabled > before, 'the writer was never enabled again')
    probe.discard()
  },

  'closed with messages in flight, and opened again': ({ test, probe, stream, under }) => {
    for (let i = 0; i < 100; i++) probe.send(numberedPacket(test.arena, i))
    stream.close()
    test.settle()
    under.drain?.()
    assert(!probe.got.some(({ live }) => !live), 'a message was freed that had been handed up')
  },

  'an arena without a free block costs messages, not the driver': ({ test, probe, settle }) => {
    const messages: Mblk[] = []
    for (let i = 0; i < 20; i++) messages.push(numberedPacket(test.arena, i))
    messages.push(makeLinkQuery(test.arena)!, makeFlush(test.arena, FLUSHRW)!)
    const hoard: Mblk[] = []
    for (const size of [SUPER_BLOCK_BYTES, HEADER_BLOCK_BYTES]) {
      for (let mp = allocb(test.arena, size); mp !== null; mp = allocb(test.arena, size)) hoard.push(mp)
    }
    for (const mp of messages) probe.send(mp)
    settle()
    for (const mp of hoard) freemsg(mp)
    settle()
    probe.discard()
  },

  'counters are numbers and the description is a JSON value': ({ stream, under }) => {
    const state: unknown = stream.bottom.state
    for (const [name, value] of Object.entries(under.info.counters?.(state) ?? {}))
      assert(Number.isFinite(value) && value >= 0, `counter ${name} is ${value}`)
    if (under.info.describe !== undefined)
      assert(typeof JSON.stringify(under.info.describe(state)) === 'string', 'describe returns no JSON value')
  },
}

const linkCases: Readonly<Record<string, (bench: DriverBench) => void>> = {
  'a link query is answered with MTU and capabilities': ({ test, probe, settle }) => {
    probe.discard()
    probe.send(makeLinkQuery(test.arena)!)
    settle()
    const answer = probe.got.find(mp => controlCode(mp) === CTL_LINK_INFO)
    const info = answer === undefined ? null : readLinkInfo(answer)
    assert(info !== null && info.mtu >= 68, `the link says ${JSON.stringify(info)}`)
    probe.discard()
  },
}

function drop(mp: Mblk): true {
  freemsg(mp)
  return true
}
