/** A stack's IP with one link and streams above, for tests. */

import { allocb, freemsg } from '../../streams/mblk/alloc.ts'
import { HEADROOM_BYTES } from '../../streams/mblk/arena.ts'
import { type Mblk, OFFLOAD_CSUM_NEEDED } from '../../streams/mblk/mblk.ts'
import { Stream } from '../../streams/stream.ts'
import { flat } from '../../streams/testing/messages.ts'
import { makeTestRuntime, type TestRuntime } from '../../streams/testing/runtime.ts'
import { parseAddress } from '../address.ts'
import type { IpCounter } from '../ip/counters.ts'
import type { Ip, IpOptions } from '../ip/ip.ts'
import { plumbIp } from '../ip/plumb.ts'
import {
  allocUnitdata,
  FAMILY,
  FLAGS,
  HOP_LIMIT,
  INTERFACE,
  LOCAL,
  PROTOCOL,
  REMOTE,
  TRAFFIC_CLASS,
  UNITDATA_REQ,
  unitdataAt,
} from '../unitdata.ts'
import { TestLink, type TestLinkOptions } from './test-link.ts'

export interface FixtureOptions {
  readonly link?: TestLinkOptions
  readonly addresses?: readonly string[]
  readonly ip?: IpOptions
  readonly seed?: number
}

/** What came up a stream: the control block's words and the data behind it. */
export interface Received {
  readonly words: Int32Array
  readonly data: Uint8Array
  readonly offload: number
  readonly csumStart: number
  readonly gsoSize: number
}

export interface RequestFields {
  readonly remote: string
  readonly local?: string
  readonly protocol?: number
  readonly flags?: number
  readonly hopLimit?: number
  readonly trafficClass?: number
  readonly interface?: number
  /** Where the checksum field is; the sum is then left to IP. */
  readonly csumOffset?: number
  /** Kind of super-packet and size of its segments. */
  readonly gso?: readonly [kind: number, size: number]
}

/** Addresses of the stack: those of `testing/packets.ts`, with room for their peers on the same subnets. */
export const OUR_ADDRESSES = ['10.0.0.2/24', 'fd00:0:0:2::2/32'] as const

export class IpFixture {
  readonly test: TestRuntime
  readonly ip: Ip
  readonly control: Stream
  readonly link: TestLink

  constructor(options: FixtureOptions = {}) {
    this.test = makeTestRuntime(options.seed === undefined ? {} : { seed: options.seed })
    const { ip, control } = plumbIp(this.test.runtime, options.ip)
    this.ip = ip
    this.control = control
    this.link = this.addLink('tun0', options.addresses ?? OUR_ADDRESSES, options.link)
  }

  addLink(name: string, addresses: readonly string[], options?: TestLinkOptions): TestLink {
    const link = new TestLink(this.test.runtime, options)
    this.control.link(link.stream, { name, addresses })
    return link
  }

  /** A stream that takes these protocols. */
  upper(...protocols: number[]): Stream {
    return Stream.open(this.test.runtime, 'ip', { options: { protocols } })
  }

  /** Everything that waits at the head of a stream. */
  receive(stream: Stream): Received[] {
    this.test.settle()
    const all: Received[] = []
    for (let mp = stream.getmsg(); mp !== null; mp = stream.getmsg()) {
      const at = unitdataAt(mp)
      const data = mp.cont
      all.push({
        words: this.test.arena.words.slice(at, at + 24),
        data: data === null ? new Uint8Array() : flat(data),
        offload: data?.offload ?? 0,
        csumStart: data?.csumStart ?? 0,
        gsoSize: data?.gsoSize ?? 0,
      })
      freemsg(mp)
    }
    return all
  }

  /** An UNITDATA_REQ. @returns an owned message */
  request(payload: Uint8Array, fields: RequestFields): Mblk {
    const remote = parseAddress(fields.remote)!
    const control = allocUnitdata(this.test.arena, UNITDATA_REQ)!
    const words = this.test.arena.words
    const at = unitdataAt(control)
    words[at + FAMILY] = remote.family
    words[at + PROTOCOL] = fields.protocol ?? 17
    words.set(remote.words, at + REMOTE)
    if (fields.local !== undefined) words.set(parseAddress(fields.local)!.words, at + LOCAL)
    words[at + FLAGS] = fields.flags ?? 0
    words[at + HOP_LIMIT] = fields.hopLimit ?? 0
    words[at + TRAFFIC_CLASS] = fields.trafficClass ?? 0
    words[at + INTERFACE] = fields.interface ?? 0
    const data = allocb(this.test.arena, payload.length, HEADROOM_BYTES)!
    for (const byte of payload) data.dblk.bytes[data.wptr++] = byte
    if (fields.csumOffset !== undefined) {
      data.offload |= OFFLOAD_CSUM_NEEDED
      data.csumOffset = fields.csumOffset
    }
    if (fields.gso !== undefined) {
      data.offload |= fields.gso[0]
      data.gsoSize = fields.gso[1]
    }
    control.cont = data
    return control
  }

  send(stream: Stream, payload: Uint8Array, fields: RequestFields): boolean {
    const mp = this.request(payload, fields)
    const taken = stream.putmsg(mp)
    if (!taken) freemsg(mp)
    this.test.settle()
    return taken
  }

  count(name: IpCounter): number {
    return this.ip.counters[name]
  }

  finish(): void {
    this.ip.reassembly.clear()
    this.test.finish()
  }
}
