import { assert } from '../../src/base/assert.ts'
import { fold, sumBytes } from '../../src/base/checksum.ts'
import type { Random } from '../../src/base/prng.ts'
import { formatAddress, fromV4Word, type IpAddress, parseAddress } from '../../src/inet/address.ts'
import { indication } from '../../src/inet/testing/fake-ip.ts'
import { pattern, udpDatagram } from '../../src/inet/testing/packets.ts'
import { field, makeUdpTest, octets, type UdpTest } from '../../src/inet/udp/testing/udp-test.ts'
import {
  allocUnitdata,
  ERROR_IND,
  KIND,
  LOCAL_PORT,
  REJECT_REQ,
  SEGMENT_BYTES,
  turnRound,
  UD_NOT_UNICAST,
  UNITDATA_REQ,
  UNITDATA_WORDS,
} from '../../src/inet/unitdata.ts'
import { freemsg } from '../../src/streams/mblk/alloc.ts'
import {
  type Mblk,
  OFFLOAD_CSUM_NEEDED,
  OFFLOAD_CSUM_VALID,
  OFFLOAD_GSO,
} from '../../src/streams/mblk/mblk.ts'
import { messageBytes } from '../../src/streams/mblk/message.ts'
import type { Stream } from '../../src/streams/stream.ts'
import { chainOf, flat } from '../../src/streams/testing/messages.ts'
import type { FuzzTarget } from './target.ts'

/** In front of the datagram: family and offload bits, flags, segment size (2 bytes). */
const PREFIX_BYTES = 4
const REMOTES = ['10.0.0.1', 'fd00::1'].map(text => parseAddress(text)!)
const LOCALS = ['10.0.0.2', 'fd00::2'].map(text => parseAddress(text)!)
const WHOLE_PORT = 7
const PARTS_PORT = 8
const CONNECTED_PORT = 9

interface Input {
  readonly remote: IpAddress
  readonly local: IpAddress
  readonly offload: number
  readonly flags: number
  readonly gsoSize: number
  readonly datagram: Uint8Array
}

function read(input: Uint8Array): Input {
  const [kind = 0, flags = 0, high = 0, low = 0] = input
  return {
    remote: REMOTES[kind & 1]!,
    local: LOCALS[kind & 1]!,
    offload: ((kind >> 1) & 3) | (kind & OFFLOAD_GSO),
    flags: flags & UD_NOT_UNICAST,
    gsoSize: (high << 8) | low,
    datagram: input.slice(PREFIX_BYTES),
  }
}

function seed(kind: number, gsoSize: number, data: Uint8Array, port: number): Uint8Array {
  const at = kind & 1
  const datagram = udpDatagram(data, octets(REMOTES[at]!), octets(LOCALS[at]!), [1_000, port])
  return Uint8Array.from([kind, 0, gsoSize >> 8, gsoSize & 0xff, ...datagram])
}

/** Why a datagram is not delivered, by the book and on flat bytes; null if it is. */
function expected({ remote, local, offload, gsoSize, datagram }: Input): string | null {
  if (datagram.length < 8) return 'header-truncated'
  const length = (datagram[4]! << 8) | datagram[5]!
  if (length < 8) return 'length-short'
  if (length > datagram.length) return 'length-beyond'
  if ((offload & (OFFLOAD_CSUM_NEEDED | OFFLOAD_CSUM_VALID)) === 0) {
    const checksum = (datagram[6]! << 8) | datagram[7]!
    if (checksum === 0 && remote.family === 6) return 'checksum-missing'
    const pseudo = [...octets(remote), ...octets(local), 0, 17, length >> 8, length & 0xff]
    const all = sumBytes(datagram, 0, length, sumBytes(pseudo, 0, pseudo.length))
    if (checksum !== 0 && fold(all) !== 0xffff) return 'checksum-wrong'
  }
  if ((offload & OFFLOAD_GSO) === 0) return null
  const payload = length - 8
  const right = (offload & OFFLOAD_GSO) === 0x40 && (offload & OFFLOAD_CSUM_NEEDED) !== 0
  return right && gsoSize > 0 && payload > 0 && payload <= 128 * gsoSize ? null : 'gso-refused'
}

/** Places to split at, few or many, some twice. */
function places(random: Random, size: number): number[] {
  const count = random.below(4) === 0 ? random.below(40) : random.below(4)
  return Array.from({ length: count }, () => random.below(size + 1)).sort((a, b) => a - b)
}

class InputTarget {
  private readonly test: UdpTest = makeUdpTest({
    arenaOptions: { sizeBytes: 4 * 1024 * 1024, poison: false },
  })
  private readonly streams: readonly Stream[]

  constructor() {
    const { test } = this
    this.streams = [
      test.open({ bind: { port: WHOLE_PORT }, superDatagrams: true }),
      test.open({ bind: { port: PARTS_PORT } }),
      test.open({
        bind: { port: CONNECTED_PORT },
        connect: { address: formatAddress(REMOTES[1]!), port: 1_000 },
      }),
    ]
  }

  run(bytes: Uint8Array, random: Random): string {
    const input = read(bytes)
    const { test } = this
    const before = { ...test.counters }
    const data = chainOf(
      test.arena,
      input.datagram,
      places(random, input.datagram.length),
      random.below(2) * 40,
    )
    data.offload = input.offload
    data.gsoSize = input.gsoSize
    const { remote, local, flags } = input
    test.ip.up(indication(test.arena, { remote, local, flags }, data))
    const reason = expected(input)
    if (reason !== null) {
      assert(
        test.counters[reason as 'gso-refused'] === before[reason as 'gso-refused'] + 1,
        `not counted: ${reason}`,
      )
    }
    const got = this.streams.map(stream => this.take(stream, input, reason))
    const answered = test.ip.sent.length
    if (flags !== 0)
      assert(answered <= got.reduce((sum, count) => sum + count, 0), 'an answer to what came for many')
    for (const mp of test.ip.sent.splice(0)) {
      const kind = field(mp, KIND)
      if (kind === REJECT_REQ) {
        assert(reason === null && flags === 0, `refused although ${reason}`)
        const length = (input.datagram[4]! << 8) | input.datagram[5]!
        assert(same(flat(mp.cont!), input.datagram.subarray(0, length)), 'a refused datagram was changed')
      } else {
        checkSent(mp)
      }
      freemsg(mp)
    }
    const state = test.arena.state()
    assert(state.blocksInUse + state.viewsInUse === 0, `leaked: ${JSON.stringify(state)}`)
    return `${reason ?? 'in'} ${got.join('/')} ${answered}`
  }

  /** Everything that arrived, in order, is the data; each is sent back. */
  private take(stream: Stream, input: Input, reason: string | null): number {
    let at = 8
    let count = 0
    for (let mp = stream.getmsg(); mp !== null; mp = stream.getmsg()) {
      if (field(mp, KIND) === ERROR_IND) {
        // An answer of ours to port 0.
        freemsg(mp)
        continue
      }
      count++
      assert(reason === null, `delivered although ${reason}`)
      const bytes = flat(mp.cont!)
      assert(same(bytes, input.datagram.subarray(at, at + bytes.length)), 'the data was changed')
      at += bytes.length
      assert(mp.cont!.offload === 0 && mp.cont!.gsoSize === 0, 'offload fields went up')
      turnRound(mp)
      stream.putmsg(mp)
    }
    if (count > 0) assert(at === ((input.datagram[4]! << 8) | input.datagram[5]!), 'some data is missing')
    return count
  }
}

function same(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i])
}

/** What goes to IP is a datagram with all its fields right. */
function checkSent(mp: Mblk): void {
  assert(field(mp, KIND) === UNITDATA_REQ, 'something else than a request went down')
  const data = mp.cont!
  assert(data.wptr - data.rptr >= 8, 'the header is not contiguous')
  const bytes = flat(data)
  assert(((bytes[4]! << 8) | bytes[5]!) === bytes.length, 'the length field is wrong')
  assert(((bytes[0]! << 8) | bytes[1]!) === field(mp, LOCAL_PORT), 'the source port is wrong')
  assert((bytes[2]! | bytes[3]!) !== 0, 'a datagram to port 0')
  assert(
    (data.offload & OFFLOAD_CSUM_NEEDED) !== 0 && data.csumStart === 0 && data.csumOffset === 6,
    'no checksum',
  )
  const segment = field(mp, SEGMENT_BYTES)
  assert((data.offload & OFFLOAD_GSO) === (segment === 0 ? 0 : 0x40), 'the wrong offload')
  assert(
    data.gsoSize === segment && (segment === 0 || bytes.length - 8 <= 64 * segment),
    'the wrong segment size',
  )
}

/** A program that puts anything: the words of its control block are the input, what is behind them is the data. */
class OutputTarget {
  private readonly test: UdpTest = makeUdpTest({
    arenaOptions: { sizeBytes: 4 * 1024 * 1024, poison: false },
  })
  private readonly streams: readonly Stream[]

  constructor() {
    const { test } = this
    this.streams = [
      test.open(),
      test.open({ family: 4, bind: { address: '10.0.0.2', port: 7 } }),
      test.open({ ipv6Only: true, bind: { port: 8 }, connect: { address: 'fd00::1', port: 9 } }),
    ]
  }

  run(bytes: Uint8Array, random: Random): string {
    const { test } = this
    const stream = this.streams[random.below(this.streams.length)]!
    const mp = allocUnitdata(test.arena, UNITDATA_REQ)!
    const words = new Uint8Array(4 * UNITDATA_WORDS)
    words.set(bytes.subarray(0, words.length))
    mp.dblk.bytes.set(words, mp.rptr)
    const data = bytes.subarray(Math.min(bytes.length, words.length))
    if (data.length > 0 || random.below(2) === 0)
      mp.cont = chainOf(test.arena, data, places(random, data.length), random.below(2) * 128)
    if (random.below(16) === 0) mp.wptr -= random.below(4 * UNITDATA_WORDS)
    stream.putmsg(mp)
    let outcome = 'nothing'
    for (const sent of test.ip.sent.splice(0)) {
      checkSent(sent)
      assert(messageBytes(sent.cont!) === data.length + 8, 'the data was changed')
      outcome = `sent ${field(sent, 1)} ${field(sent, SEGMENT_BYTES) === 0}`
      freemsg(sent)
    }
    for (let back = stream.getmsg(); back !== null; back = stream.getmsg()) {
      assert(field(back, KIND) === ERROR_IND && back.cont === null, 'an answer that is no error')
      outcome = `error ${field(back, 18)}`
      freemsg(back)
    }
    const state = test.arena.state()
    assert(state.blocksInUse + state.viewsInUse === 0, `leaked: ${JSON.stringify(state)}`)
    return outcome
  }
}

function requestSeed(fields: Readonly<Record<number, number>>, data: Uint8Array): Uint8Array {
  const words = new Int32Array(UNITDATA_WORDS)
  words[KIND] = UNITDATA_REQ
  for (const [index, value] of Object.entries(fields)) words[Number(index)] = value
  return Uint8Array.from([...new Uint8Array(words.buffer), ...data])
}

const mapped = fromV4Word(0x0a000001).words
const REMOTE_FIELDS = { 5: mapped[0], 6: mapped[1], 7: mapped[2], 8: mapped[3] }

let input: InputTarget | null = null
let output: OutputTarget | null = null

export const targets: readonly FuzzTarget[] = [
  {
    name: 'udp-input',
    seeds: [
      seed(0, 0, pattern(20), WHOLE_PORT),
      seed(1, 0, pattern(21), PARTS_PORT),
      seed(1, 0, pattern(9), CONNECTED_PORT),
      seed(0, 0, pattern(0), 4_711),
      seed(0x42, 10, pattern(95), WHOLE_PORT),
      seed(0x43, 10, pattern(95), PARTS_PORT),
      seed(0x42, 1, pattern(127), PARTS_PORT),
      seed(0x42, 4, pattern(400), WHOLE_PORT),
      seed(0x04, 0, pattern(5), PARTS_PORT),
    ],
    run: (bytes, random) => {
      input ??= new InputTarget()
      return input.run(bytes, random)
    },
  },
  {
    name: 'udp-request',
    seeds: [
      requestSeed({ 1: 4, 3: 9, ...REMOTE_FIELDS }, pattern(20)),
      requestSeed({ 1: 6, 3: 9, 5: -0x3000000, 8: 1 }, pattern(20)),
      requestSeed({}, pattern(3)),
      requestSeed({ 1: 4, 3: 9, ...REMOTE_FIELDS, 16: 10 }, pattern(95)),
      requestSeed({ 1: 4, 3: 9, ...REMOTE_FIELDS, 16: 1 }, pattern(65)),
    ],
    run: (bytes, random) => {
      output ??= new OutputTarget()
      return output.run(bytes, random)
    },
  },
]
