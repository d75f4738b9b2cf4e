import { describe, expect, it } from 'vitest'
import { nonZero } from '../../base/counters.ts'
import { allocb, dupmsg, freemsg } from '../../streams/mblk/alloc.ts'
import { type Mblk, OFFLOAD_CSUM_NEEDED, OFFLOAD_GSO_UDP } from '../../streams/mblk/mblk.ts'
import { M_PCPROTO, M_PROTO } from '../../streams/mblk/types.ts'
import { flat } from '../../streams/testing/messages.ts'
import {
  ERROR_BROADCAST,
  ERROR_MALFORMED,
  ERROR_NET_UNREACHABLE,
  ERROR_TOO_BIG,
  errorMeaning,
} from '../icmp/errors.ts'
import { pattern } from '../testing/packets.ts'
import {
  ERROR_CODE,
  ERROR_IND,
  FAMILY,
  FLAGS,
  HOP_LIMIT,
  KIND,
  LOCAL,
  LOCAL_PORT,
  PROTOCOL,
  REJECT_REQ,
  REMOTE,
  SEGMENT_BYTES,
  TAG,
  TRAFFIC_CLASS,
  turnRound,
  UD_BROADCAST,
  UD_DONT_FRAGMENT,
  UD_NOT_UNICAST,
  UD_REFUSED_HERE,
  UNITDATA_REQ,
} from '../unitdata.ts'
import { destinationPort, sourcePort, udpChecksum, udpLength } from '../wire/udp.ts'
import {
  address,
  errorIndication,
  field,
  makeUdpTest,
  PEER,
  PEER6,
  request,
  text,
} from './testing/udp-test.ts'

const header = (mp: Mblk): number[] => {
  const data = mp.cont!
  const read = [sourcePort, destinationPort, udpLength, udpChecksum]
  return read.map(one => one(data.bytes, data.rptr))
}

describe('inet/udp/output', () => {
  it('RFC 768: the header goes in front, in place, and its checksum is left to IP', () => {
    const t = makeUdpTest()
    const s = t.open({ bind: { port: 7 } })
    const mp = request(t, PEER, 5_000, 'hello')
    const payload = mp.cont!
    expect(s.putmsg(mp)).toBe(true)
    const [sent] = t.ip.sent
    expect(sent).toBe(mp)
    expect(sent!.cont).toBe(payload)
    expect(header(sent!)).toEqual([7, 5_000, 13, 0])
    expect(text(payload).slice(8)).toBe('hello')
    expect([payload.offload, payload.csumStart, payload.csumOffset]).toEqual([OFFLOAD_CSUM_NEEDED, 0, 6])
    expect([field(sent!, KIND), field(sent!, PROTOCOL), field(sent!, LOCAL_PORT)]).toEqual([
      UNITDATA_REQ,
      17,
      7,
    ])
    expect(nonZero(t.counters)).toEqual({ 'datagrams-out': 1 })
    expect(t.arena.copies.stack.calls).toBe(0)
    t.finish()
  })

  it('an indication turned round is the answer: same blocks, no copy', () => {
    const t = makeUdpTest()
    const s = t.open({ bind: { port: 7 } })
    for (const from of [PEER, PEER6]) {
      t.receive({ from, port: 7, data: 'ping' })
      const mp = s.getmsg()!
      const { cont } = mp
      turnRound(mp)
      s.putmsg(mp)
      const sent = t.ip.sent.pop()!
      expect([sent, sent.cont]).toEqual([mp, cont])
      expect(header(sent)).toEqual([7, 5_000, 12, 0])
      expect([...t.arena.words.subarray((sent.rptr >> 2) + REMOTE, (sent.rptr >> 2) + REMOTE + 4)]).toEqual([
        ...from.words,
      ])
      freemsg(sent)
    }
    expect(t.arena.copies.stack.calls).toBe(0)
    t.finish()
  })

  it('no data makes an empty datagram', () => {
    const t = makeUdpTest()
    const s = t.open({ bind: { port: 7 } })
    s.putmsg(request(t, PEER, 5_000, null))
    s.putmsg(request(t, PEER, 5_000, new Uint8Array(0)))
    for (const sent of t.ip.sent)
      expect([header(sent), flat(sent.cont!).length]).toEqual([[7, 5_000, 8, 0], 8])
    expect(t.ip.sent.length).toBe(2)
    t.finish()
  })

  it('RFC 6056: who sends without a port is given one', () => {
    const t = makeUdpTest()
    const s = t.open()
    s.putmsg(request(t, PEER, 5_000, 'x'))
    s.putmsg(request(t, PEER, 5_000, 'y'))
    const [one, two] = t.ip.sent
    expect(header(one!)[0]).toBeGreaterThanOrEqual(32_768)
    expect(header(one!)[0]).toBe(header(two!)[0])
    t.finish()
  })

  it('write(2) on a connected endpoint sends to the peer; a request without a destination does, too', async () => {
    const t = makeUdpTest()
    const s = t.open()
    await s.ioctl('udp.connect', { address: '10.0.0.1', port: 9 })
    expect(s.write(Uint8Array.from([1, 2, 3]))).toBe(3)
    s.putmsg(request(t, null, 0, 'hi'))
    for (const sent of t.ip.sent) {
      expect(header(sent)[1]).toBe(9)
      expect(field(sent, FAMILY)).toBe(4)
      expect(field(sent, REMOTE + 3)).toBe(PEER.words[3])
    }
    expect(t.ip.sent.length).toBe(2)
    t.finish()
  })

  it('settings of the endpoint hold unless the request says otherwise', () => {
    const t = makeUdpTest()
    const s = t.open({ ttl: 5, trafficClass: 0xb8, broadcast: true, dontFragment: true })
    s.putmsg(request(t, PEER, 9, 'x'))
    const own = request(t, PEER, 9, 'x')
    t.arena.words[(own.rptr >> 2) + HOP_LIMIT] = 1
    t.arena.words[(own.rptr >> 2) + FLAGS] = UD_NOT_UNICAST
    s.putmsg(own)
    const [one, two] = t.ip.sent
    expect([HOP_LIMIT, TRAFFIC_CLASS, FLAGS].map(word => field(one!, word))).toEqual([
      5,
      0xb8,
      UD_BROADCAST | UD_DONT_FRAGMENT,
    ])
    expect([field(two!, HOP_LIMIT), field(two!, FLAGS)]).toEqual([1, UD_BROADCAST | UD_DONT_FRAGMENT])
    t.finish()
  })

  it('an endpoint bound to an address sends from it alone', () => {
    const t = makeUdpTest()
    const s = t.open({ bind: { address: '10.0.0.2', port: 7 } })
    const forged = request(t, PEER, 9, 'x')
    t.arena.words.set(address('10.0.0.77').words, (forged.rptr >> 2) + LOCAL)
    s.putmsg(forged)
    expect(field(t.ip.sent[0]!, LOCAL + 3)).toBe(address('10.0.0.2').words[3])
    t.finish()
  })

  it('a v4-mapped destination is IPv4', () => {
    const t = makeUdpTest()
    const s = t.open()
    s.putmsg(request(t, { family: 6, words: PEER.words }, 9, 'x'))
    expect(field(t.ip.sent[0]!, FAMILY)).toBe(4)
    t.finish()
  })

  it.each([
    ['65,508 bytes over IPv4', 'request-too-long', ERROR_TOO_BIG, {}, PEER, 9, 65_508],
    ['65,528 bytes over IPv6', 'request-too-long', ERROR_TOO_BIG, {}, PEER6, 9, 65_528],
    ['port 0 (checklist 3.4-27)', 'request-port-zero', ERROR_MALFORMED, {}, PEER, 0, 1],
    ['port 65,536', 'request-port-zero', ERROR_MALFORMED, {}, PEER, 65_536, 1],
    ['port -1', 'request-port-zero', ERROR_MALFORMED, {}, PEER, -1, 1],
    ['nobody named', 'request-no-destination', ERROR_MALFORMED, {}, null, 0, 1],
    ['IPv6 from an IPv4 endpoint', 'request-family', ERROR_MALFORMED, { family: 4 }, PEER6, 9, 1],
    ['IPv4 from IPv6 alone', 'request-family', ERROR_NET_UNREACHABLE, { ipv6Only: true }, PEER, 9, 1],
    [
      'IPv6 from an IPv4 address',
      'request-family',
      ERROR_NET_UNREACHABLE,
      { bind: { address: '10.0.0.2' } },
      PEER6,
      9,
      1,
    ],
  ] as const)(
    '%s is refused as %s and comes back with its tag',
    (_, reason, code, options, to, port, size) => {
      const t = makeUdpTest()
      const s = t.open(options)
      s.putmsg(request(t, to, port, pattern(size), 4_711))
      const mp = s.getmsg()!
      expect([field(mp, KIND), field(mp, ERROR_CODE), field(mp, FLAGS)]).toEqual([
        ERROR_IND,
        code,
        UD_REFUSED_HERE,
      ])
      expect([field(mp, TAG), mp.cont]).toEqual([4_711, null])
      freemsg(mp)
      expect(t.ip.sent).toEqual([])
      expect(nonZero(t.counters)).toEqual({ [reason]: 1 })
      t.finish()
    },
  )

  it.each([
    [PEER, 65_507],
    [PEER6, 65_527],
  ])('the longest datagrams are sent: %#', (to, size) => {
    const t = makeUdpTest()
    t.open().putmsg(request(t, to, 9, pattern(size)))
    expect(header(t.ip.sent[0]!)[2]).toBe(size + 8)
    t.finish()
  })

  it('a request that is none is counted and freed: a shared or short block, another kind, data of another type', () => {
    const t = makeUdpTest()
    const s = t.open()
    const shared = request(t, PEER, 9, 'x')
    const other = dupmsg(shared)!
    s.putmsg(shared)
    freemsg(other)
    const short = allocb(t.arena, 8)!
    short.type = M_PROTO
    s.putmsg(short)
    // A program must not have IP send ICMP errors about datagrams that never came.
    const reject = request(t, PEER, 9, 'x')
    t.arena.words[(reject.rptr >> 2) + KIND] = REJECT_REQ
    s.putmsg(reject)
    const odd = request(t, PEER, 9, 'x')
    odd.cont!.type = M_PROTO
    s.putmsg(odd)
    expect(nonZero(t.counters)).toEqual({ 'request-malformed': 4 })
    const priority = request(t, PEER, 9, 'x')
    priority.type = M_PCPROTO
    s.putmsg(priority)
    expect(t.ip.sent).toEqual([])
    t.finish()
  })

  it('data whose block is shared gets its header in a block of its own, and the other view stays as it is', () => {
    const t = makeUdpTest()
    const s = t.open()
    const mp = request(t, PEER, 9, 'shared')
    const other = dupmsg(mp.cont!)!
    s.putmsg(mp)
    expect(text(other)).toBe('shared')
    expect(text(t.ip.sent[0]!.cont).slice(8)).toBe('shared')
    freemsg(other)
    t.finish()
  })

  it('with nothing linked below, requests are refused as unreachable', () => {
    const t = makeUdpTest()
    const s = t.open()
    t.control.unlink(t.link)
    s.putmsg(request(t, PEER, 9, 'x'))
    const mp = s.getmsg()!
    expect(errorMeaning(field(mp, ERROR_CODE)).error).toBe('ERR_NETWORK_UNREACHABLE')
    freemsg(mp)
    t.finish()
  })

  it('what IP says of a request goes to the endpoint that made it, connected or not', () => {
    const t = makeUdpTest()
    const s = t.open({ bind: { port: 7 } })
    t.open({ bind: { port: 8 } })
    t.ip.onMessage = mp => {
      freemsg(mp.cont!)
      mp.cont = null
      const at = mp.rptr >> 2
      t.arena.words[at + KIND] = ERROR_IND
      t.arena.words[at + ERROR_CODE] = ERROR_BROADCAST
      t.arena.words[at + FLAGS] = UD_REFUSED_HERE
      t.ip.up(mp)
    }
    s.putmsg(request(t, address('255.255.255.255'), 9, 'x', 5))
    const mp = s.getmsg()!
    expect([field(mp, ERROR_CODE), field(mp, TAG)]).toEqual([ERROR_BROADCAST, 5])
    freemsg(mp)
    // Later, from IP's own queue: by the port it was sent from.
    const late = errorIndication(t, ERROR_NET_UNREACHABLE, PEER, 9, address('10.0.0.2'), 7)
    t.arena.words[(late.rptr >> 2) + FLAGS] = UD_REFUSED_HERE
    t.ip.up(late)
    freemsg(s.getmsg()!)
    expect(t.counters['errors-unmatched']).toBe(0)
    t.finish()
  })
})

describe('inet/udp/output: super-datagrams', () => {
  const superRequest = (t: ReturnType<typeof makeUdpTest>, size: number, segment: number): Mblk => {
    const mp = request(t, PEER, 9, pattern(size))
    t.arena.words[(mp.rptr >> 2) + SEGMENT_BYTES] = segment
    return mp
  }

  it.each([
    [64 * 1_000, 1_000],
    [1_001, 1_000],
    [65_507, 1_400],
  ])('%i bytes in datagrams of %i are one request with its offload fields', (size, segment) => {
    const t = makeUdpTest()
    t.open().putmsg(superRequest(t, size, segment))
    const data = t.ip.sent[0]!.cont!
    expect([data.offload, data.gsoSize]).toEqual([OFFLOAD_CSUM_NEEDED | OFFLOAD_GSO_UDP, segment])
    expect(header(t.ip.sent[0]!)[2]).toBe(size + 8)
    t.finish()
  })

  it('what fits one datagram is one', () => {
    const t = makeUdpTest()
    t.open().putmsg(superRequest(t, 1_000, 1_000))
    const sent = t.ip.sent[0]!
    expect([sent.cont!.offload, sent.cont!.gsoSize, field(sent, SEGMENT_BYTES)]).toEqual([
      OFFLOAD_CSUM_NEEDED,
      0,
      0,
    ])
    t.finish()
  })

  it.each([
    ['65 datagrams', 'request-segments', 64_001, 1_000],
    ['thousands of one byte', 'request-segments', 10_000, 1],
    ['a negative size', 'request-segments', 100, -1],
    ['65,508 bytes', 'request-too-long', 65_508, 1_400],
  ])('%s are refused as %s', (_, reason, size, segment) => {
    const t = makeUdpTest()
    const s = t.open()
    s.putmsg(superRequest(t, size, segment))
    freemsg(s.getmsg()!)
    expect(nonZero(t.counters)).toEqual({ [reason]: 1 })
    t.finish()
  })
})
