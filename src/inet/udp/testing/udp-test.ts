/** A stack of UDP over a fake IP, for the tests of this folder. */
import { allocb } from '../../../streams/mblk/alloc.ts'
import type { Mblk } from '../../../streams/mblk/mblk.ts'
import { Stream } from '../../../streams/stream.ts'
import { flat } from '../../../streams/testing/messages.ts'
import {
  makeTestRuntime,
  type TestRuntime,
  type TestRuntimeOptions,
} from '../../../streams/testing/runtime.ts'
import { type IpAddress, parseAddress } from '../../address.ts'
import { type FakeIp, indication, openFakeIp } from '../../testing/fake-ip.ts'
import { udpDatagram } from '../../testing/packets.ts'
import {
  allocUnitdata,
  ERROR_CODE,
  ERROR_IND,
  FAMILY,
  LOCAL,
  LOCAL_PORT,
  REMOTE,
  REMOTE_PORT,
  TAG,
  UNITDATA_REQ,
} from '../../unitdata.ts'
import type { EndpointOptions } from '../control.ts'
import type { UdpCounters } from '../counters.ts'
import { type UdpLinkOptions, udpDriver } from '../module.ts'

export const address = (text: string): IpAddress => parseAddress(text)!

export const PEER = address('10.0.0.1')
export const HERE = address('10.0.0.2')
export const PEER6 = address('fd00::1')
export const HERE6 = address('fd00::2')

export interface UdpTest extends TestRuntime {
  readonly ip: FakeIp
  readonly control: Stream
  readonly link: number
  readonly counters: UdpCounters
  open(options?: EndpointOptions): Stream
  /** A whole datagram as IP would bring it. */
  receive(datagram: Datagram): void
}

export interface Datagram {
  readonly from?: IpAddress
  readonly fromPort?: number
  readonly to?: IpAddress
  readonly port: number
  readonly data?: Uint8Array | string
  readonly flags?: number
  /** Changes the bytes of header and data before they come in. */
  readonly spoil?: (bytes: Uint8Array) => Uint8Array
  /** Makes the message of them; one block by default. */
  readonly shape?: (bytes: Uint8Array) => Mblk
  /** Changes the message, offload fields for instance. */
  readonly mark?: (data: Mblk) => void
}

export interface UdpTestOptions extends TestRuntimeOptions, UdpLinkOptions {
  readonly ipHiwat?: number
}

export function makeUdpTest(options: UdpTestOptions = {}): UdpTest {
  const test = makeTestRuntime(options)
  const { runtime, arena } = test
  runtime.registry.register(udpDriver())
  const control = Stream.open(runtime, 'udp', { name: 'udp-control' })
  const ip = openFakeIp(runtime, options.ipHiwat)
  const link = control.link(ip.stream, options.sources === undefined ? {} : { sources: options.sources })
  return {
    ...test,
    ip,
    control,
    link,
    counters: control.bottom.info.counters!(control.bottom.state) as UdpCounters,
    open: (given = {}) => Stream.open(runtime, 'udp', { options: given }),
    receive(datagram) {
      const from = datagram.from ?? (datagram.to?.family === 6 ? PEER6 : PEER)
      const to = datagram.to ?? (from.family === 6 ? HERE6 : HERE)
      const data = typeof datagram.data === 'string' ? new TextEncoder().encode(datagram.data) : datagram.data
      const whole = udpDatagram(data ?? new Uint8Array(0), octets(from), octets(to), [
        datagram.fromPort ?? 5_000,
        datagram.port,
      ])
      const bytes = datagram.spoil?.(whole) ?? whole
      const payload = datagram.shape?.(bytes) ?? oneBlock(test, bytes)
      datagram.mark?.(payload)
      ip.up(indication(arena, { remote: from, local: to, flags: datagram.flags ?? 0 }, payload))
      test.settle()
    },
    finish() {
      ip.clear()
      test.finish()
    },
  }
}

/** A block with room for both headers in front, as a device leaves it. */
function oneBlock(test: TestRuntime, bytes: Uint8Array): Mblk {
  const mp = allocb(test.arena, bytes.length, 40)
  if (mp === null) throw new Error('the test ran out of blocks')
  mp.dblk.bytes.set(bytes, mp.wptr)
  mp.wptr += bytes.length
  return mp
}

/** The bytes of an address, as they stand in a packet. */
export function octets({ family, words }: IpAddress): number[] {
  const all = words.flatMap(word => [24, 16, 8, 0].map(shift => (word >>> shift) & 0xff))
  return family === 4 ? all.slice(12) : all
}

/** One field of a control block. */
export function field(mp: Mblk, index: number): number {
  return mp.dblk.arena.words[(mp.rptr >> 2) + index]!
}

/** A request to send `data`; no `to` means the peer. */
export function request(
  test: TestRuntime,
  to: IpAddress | null,
  port: number,
  data: Uint8Array | string | Mblk | null,
  tag = 0,
): Mblk {
  const mp = allocUnitdata(test.arena, UNITDATA_REQ)!
  const at = mp.rptr >> 2
  const { words } = test.arena
  if (to !== null) {
    words[at + FAMILY] = to.family
    words.set(to.words, at + REMOTE)
  }
  words[at + REMOTE_PORT] = port
  words[at + TAG] = tag
  if (typeof data === 'string') mp.cont = oneBlock(test, new TextEncoder().encode(data))
  else if (data instanceof Uint8Array) mp.cont = oneBlock(test, data)
  else mp.cont = data
  return mp
}

/** An error as IP indicates it: `from` is the peer, `to` this host. */
export function errorIndication(
  test: TestRuntime,
  code: number,
  from: IpAddress,
  fromPort: number,
  to: IpAddress,
  port: number,
): Mblk {
  const mp = indication(test.arena, { remote: from, local: to, kind: ERROR_IND }, null)
  const at = mp.rptr >> 2
  test.arena.words[at + REMOTE_PORT] = fromPort
  test.arena.words[at + LOCAL_PORT] = port
  test.arena.words[at + LOCAL + 3] = to.words[3]
  test.arena.words[at + ERROR_CODE] = code
  return mp
}

export const text = (mp: Mblk | null): string => (mp === null ? '' : new TextDecoder().decode(flat(mp)))
