import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { nonZero } from '../../base/counters.ts'
import { freemsg } from '../../streams/mblk/alloc.ts'
import { OFFLOAD_CSUM_NEEDED, OFFLOAD_CSUM_VALID } from '../../streams/mblk/mblk.ts'
import { M_CTL } from '../../streams/mblk/types.ts'
import { WR } from '../../streams/queue.ts'
import { chainOf, flat } from '../../streams/testing/messages.ts'
import { ERROR_HOST_UNREACHABLE, ERROR_PORT_UNREACHABLE } from '../icmp/errors.ts'
import { pattern } from '../testing/packets.ts'
import {
  ERROR_CODE,
  HEADER_BYTES,
  KIND,
  LOCAL_PORT,
  REJECT_REQ,
  REMOTE_PORT,
  SEGMENT_BYTES,
  UD_NOT_UNICAST,
  UNITDATA_IND,
} from '../unitdata.ts'
import {
  address,
  errorIndication,
  field,
  HERE,
  HERE6,
  makeUdpTest,
  PEER,
  PEER6,
  text,
} from './testing/udp-test.ts'

describe('inet/udp/input', () => {
  it('RFC 768: data goes to the endpoint of the port, without the header, with both ports in the control block', () => {
    const t = makeUdpTest()
    const s = t.open({ bind: { port: 7 } })
    t.receive({ port: 7, data: 'hello' })
    const mp = s.getmsg()!
    expect(field(mp, KIND)).toBe(UNITDATA_IND)
    expect([field(mp, REMOTE_PORT), field(mp, LOCAL_PORT)]).toEqual([5_000, 7])
    expect([field(mp, SEGMENT_BYTES), field(mp, HEADER_BYTES)]).toEqual([0, 0])
    expect(text(mp.cont)).toBe('hello')
    expect([mp.cont!.offload, mp.cont!.csumStart, mp.cont!.csumOffset]).toEqual([0, 0, 0])
    freemsg(mp)
    expect(nonZero(t.counters)).toEqual({ 'datagrams-in': 1 })
    expect(t.arena.copies.stack.calls).toBe(0)
    t.finish()
  })

  it('a datagram without data is one all the same', () => {
    const t = makeUdpTest()
    const s = t.open({ bind: { port: 7 } })
    t.receive({ port: 7 })
    const mp = s.getmsg()!
    expect(flat(mp.cont!).length).toBe(0)
    freemsg(mp)
    t.finish()
  })

  it.each([
    ['cut within the header', 'header-truncated', (b: Uint8Array) => b.slice(0, 7)],
    ['no byte at all', 'header-truncated', (b: Uint8Array) => b.slice(0, 0)],
    ['length 7', 'length-short', (b: Uint8Array) => b.fill(0, 4, 5).fill(7, 5, 6)],
    ['length 0, a jumbogram', 'length-short', (b: Uint8Array) => b.fill(0, 4, 6)],
    ['a byte fewer than the length says', 'length-beyond', (b: Uint8Array) => b.slice(0, -1)],
    ['a byte of data changed', 'checksum-wrong', (b: Uint8Array) => b.fill(0x55, 12, 13)],
    ['a port changed', 'checksum-wrong', (b: Uint8Array) => b.fill(0x55, 0, 1)],
  ] as const)('checklist 3.4-24: %s is dropped as %s, without an answer', (_, reason, spoil) => {
    for (const from of [PEER, PEER6]) {
      const t = makeUdpTest()
      const s = t.open({ bind: { port: 7 } })
      t.receive({ from, port: 7, data: 'hello', spoil })
      expect(s.getmsg()).toBeNull()
      expect(nonZero(t.counters)).toEqual({ [reason]: 1 })
      expect(t.ip.sent).toEqual([])
      t.finish()
    }
  })

  it('checklist 3.4-24: an indication without any data is dropped', () => {
    const t = makeUdpTest()
    t.receive({ port: 7, mark: data => (data.wptr = data.rptr) })
    expect(nonZero(t.counters)).toEqual({ 'header-truncated': 1 })
    t.finish()
  })

  it('checklist 3.4-24: an IP payload longer than the datagram is trimmed (RFC 768)', () => {
    const t = makeUdpTest()
    const s = t.open({ bind: { port: 7 } })
    t.receive({ port: 7, data: 'hello', spoil: b => Uint8Array.from([...b, 9, 9, 9]) })
    const mp = s.getmsg()!
    expect(text(mp.cont)).toBe('hello')
    freemsg(mp)
    expect(nonZero(t.counters)).toEqual({ 'datagrams-in': 1, 'padding-trimmed': 1 })
    t.finish()
  })

  it('checklist 3.4-24, 3.3-20: checksum 0 is none over IPv4 and refused over IPv6', () => {
    const t = makeUdpTest()
    const s = t.open({ bind: { port: 7 } })
    const none = (b: Uint8Array): Uint8Array => b.fill(0, 6, 8)
    t.receive({ from: PEER, port: 7, data: 'four', spoil: none })
    t.receive({ from: PEER6, port: 7, data: 'six', spoil: none })
    const mp = s.getmsg()!
    expect(text(mp.cont)).toBe('four')
    freemsg(mp)
    expect(s.getmsg()).toBeNull()
    expect(nonZero(t.counters)).toEqual({ 'datagrams-in': 1, 'checksum-missing': 1 })
    t.finish()
  })

  it.each([OFFLOAD_CSUM_NEEDED, OFFLOAD_CSUM_VALID])(
    'checklist 3.7-67: with offload 0x0%i there is nothing to verify',
    offload => {
      const t = makeUdpTest()
      const s = t.open({ bind: { port: 7 } })
      t.receive({
        port: 7,
        data: 'hello',
        spoil: b => b.fill(0x77, 6, 8),
        mark: data => (data.offload = offload),
      })
      const mp = s.getmsg()!
      // What was said of the packet says nothing of the data: a program may send it on.
      expect([mp.cont!.offload, mp.cont!.csumStart, mp.cont!.csumOffset]).toEqual([0, 0, 0])
      freemsg(mp)
      t.finish()
    },
  )

  it('checklist 3.6-59, 3.6-61: split at every byte boundary, with empty and one-byte blocks, it is the same datagram', () => {
    const t = makeUdpTest()
    const s = t.open({ bind: { port: 7 } })
    const data = pattern(23)
    for (let place = 0; place <= 31; place++) {
      for (const places of [[place], [place, place], [place, Math.min(31, place + 1)]]) {
        t.receive({ port: 7, data, shape: bytes => chainOf(t.arena, bytes, places, 40) })
        const mp = s.getmsg()!
        expect(flat(mp.cont!), `split at ${places}`).toEqual(data)
        freemsg(mp)
      }
    }
    t.finish()
  })

  it('checklist 3.6-61: a wrong byte is found wherever it is and however the blocks are', () => {
    const t = makeUdpTest()
    const s = t.open({ bind: { port: 7 } })
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 1, maxLength: 300 }),
        fc.array(fc.nat(300), { maxLength: 4 }),
        fc.nat(299),
        fc.integer({ min: 1, max: 255 }),
        (data, places, at, change) => {
          const before = t.counters['checksum-wrong']
          const fits = places.map(place => Math.min(place, data.length + 8)).sort((a, b) => a - b)
          t.receive({
            port: 7,
            data,
            shape: bytes => chainOf(t.arena, bytes, fits),
            spoil: bytes => {
              bytes[8 + (at % data.length)]! ^= change
              return bytes
            },
          })
          expect(s.getmsg()).toBeNull()
          expect(t.counters['checksum-wrong']).toBe(before + 1)
        },
      ),
      { numRuns: 300 },
    )
    t.finish()
  })

  it('RFC 1122 §4.1.3.1, checklist 3.4-25: nobody on the port: IP is asked for a port unreachable, with the datagram as it came', () => {
    for (const from of [PEER, PEER6]) {
      const t = makeUdpTest()
      let whole = new Uint8Array(0)
      t.receive({ from, port: 9_999, data: 'anybody?', spoil: bytes => (whole = bytes.slice()) })
      const [mp] = t.ip.sent
      expect(field(mp!, KIND)).toBe(REJECT_REQ)
      expect(field(mp!, ERROR_CODE)).toBe(ERROR_PORT_UNREACHABLE)
      expect(field(mp!, HEADER_BYTES)).toBe(from.family === 4 ? 20 : 40)
      expect(flat(mp!.cont!)).toEqual(whole)
      expect(nonZero(t.counters)).toEqual({ 'no-listener': 1, 'rejects-out': 1 })
      t.finish()
    }
  })

  it('checklist 3.4-25: with IP full nobody is told; refusals do not pile up', () => {
    const t = makeUdpTest({ ipHiwat: 1_000 })
    t.ip.setOpen(false)
    for (let i = 0; i < 100; i++) t.receive({ port: 9_999, data: 'anybody?' })
    expect(t.counters['no-listener']).toBe(100)
    expect(t.counters['rejects-out']).toBeLessThan(20)
    expect(WR(t.ip.stream.bottom).zero.messages).toBe(t.counters['rejects-out'])
    t.finish()
  })

  it('checklist 3.4-25: a datagram to many that nobody wants gets no answer', () => {
    const t = makeUdpTest()
    t.receive({ port: 9_999, data: 'x', flags: UD_NOT_UNICAST })
    expect(t.ip.sent).toEqual([])
    expect(nonZero(t.counters)).toEqual({ 'no-listener-not-unicast': 1 })
    t.finish()
  })

  it('checklist 3.4-27: port 0 is a port that nobody has; from port 0 a datagram comes in like any other', () => {
    const t = makeUdpTest()
    const s = t.open({ bind: { port: 7 } })
    t.receive({ port: 0, data: 'x' })
    expect(field(t.ip.sent[0]!, KIND)).toBe(REJECT_REQ)
    t.receive({ port: 7, fromPort: 0, data: 'x' })
    const mp = s.getmsg()!
    expect(field(mp, REMOTE_PORT)).toBe(0)
    freemsg(mp)
    t.finish()
  })

  it('a datagram to many reaches every endpoint that takes it, as messages of their own', () => {
    const t = makeUdpTest()
    const everyone = address('255.255.255.255')
    const a = t.open({ bind: { port: 7 }, reuseAddress: true })
    const b = t.open({ bind: { port: 7 }, reuseAddress: true })
    const c = t.open({ family: 4, bind: { port: 7, address: '10.0.0.2' }, reuseAddress: true })
    t.receive({ to: everyone, port: 7, data: 'all', flags: UD_NOT_UNICAST })
    const [one, two] = [a.getmsg()!, b.getmsg()!]
    expect([text(one.cont), text(two.cont), c.getmsg()]).toEqual(['all', 'all', null])
    expect(one.dblk).not.toBe(two.dblk)
    freemsg(one)
    freemsg(two)
    t.finish()
  })

  it('checklist 3.4-26: a program that does not read loses its own datagrams, counted, and nobody else does', () => {
    const t = makeUdpTest()
    const slow = t.open({ bind: { port: 1 }, receiveBytes: 4_096 })
    const other = t.open({ bind: { port: 2 } })
    for (let i = 0; i < 50; i++) t.receive({ port: 1, data: pattern(1_000) })
    t.receive({ port: 2, data: 'still here' })
    const waiting = slow.top.zero
    expect(waiting.count).toBeGreaterThanOrEqual(4_096)
    // Not above its mark by more than one message (checklist 3.6-63).
    expect(waiting.count).toBeLessThan(4_096 + 1_200)
    expect(t.counters['receive-full']).toBe(50 - waiting.messages)
    const endpoint = slow.bottom.info.counters!(slow.bottom.state)
    expect(endpoint['receive-full']).toBe(50 - waiting.messages)
    const mp = other.getmsg()!
    expect(text(mp.cont)).toBe('still here')
    freemsg(mp)
    t.finish()
  })

  it('checklist 3.4-26: it is bounded in messages too: empty datagrams do not pile up for ever', () => {
    const t = makeUdpTest({ arenaOptions: { sizeBytes: 64 * 1024 * 1024, poison: false } })
    const s = t.open({ bind: { port: 1 }, receiveBytes: 64 * 1024 * 1024 })
    for (let i = 0; i < 5_000; i++) t.receive({ port: 1 })
    expect(s.top.zero.messages).toBe(4_096)
    expect(t.counters['receive-full']).toBe(5_000 - 4_096)
    t.finish()
  })

  it('checklist 3.4-26: what waits long is kept in small blocks, so that small datagrams do not hold large ones', () => {
    const t = makeUdpTest({ arenaOptions: { sizeBytes: 64 * 1024 * 1024, poison: false } })
    const s = t.open({ bind: { port: 1 } })
    const frames = t.arena.classes[1]!
    for (let i = 0; i < 600; i++)
      t.receive({ port: 1, data: pattern(20), shape: bytes => chainOf(t.arena, bytes, [], 1_000) })
    expect(s.top.zero.messages).toBe(600)
    expect(frames.inUse).toBe(256)
    expect(t.counters['condensed']).toBe(600 - 256)
    for (let i = 0; i < 600; i++) {
      const mp = s.getmsg()!
      expect(flat(mp.cont!)).toEqual(pattern(20))
      freemsg(mp)
    }
    t.finish()
  })

  it('checklist 3.4-26: when the arena runs low, those who are behind lose, and one who keeps up does not', () => {
    const t = makeUdpTest({ arenaOptions: { sizeBytes: 2 * 1024 * 1024, poison: true } })
    const behind = [1, 2, 3, 4].map(port => t.open({ bind: { port }, receiveBytes: 1024 * 1024 }))
    const keeping = t.open({ bind: { port: 9 } })
    for (let i = 0; i < 400; i++) {
      for (let port = 1; port <= 4; port++) t.receive({ port, data: 'x' })
      t.receive({ port: 9, data: 'y' })
      freemsg(keeping.getmsg()!)
    }
    expect(t.counters['arena-pressure']).toBeGreaterThan(0)
    for (const s of behind) expect(s.top.zero.messages).toBeGreaterThanOrEqual(32)
    t.finish()
  })

  it('what is no indication is counted and freed', () => {
    const t = makeUdpTest()
    const odd = errorIndication(t, 0, PEER, 1, HERE, 2)
    t.arena.words[odd.rptr >> 2] = 99
    t.ip.up(odd)
    const short = errorIndication(t, 0, PEER, 1, HERE, 2)
    short.wptr -= 4
    t.ip.up(short)
    const control = errorIndication(t, 0, PEER, 1, HERE, 2)
    control.type = M_CTL
    t.ip.up(control)
    expect(t.counters['indication-malformed']).toBe(2)
    t.finish()
  })
})

describe('inet/udp/input: errors', () => {
  it('checklist 3.4-25: an ICMP error reaches the connected endpoint that matches the whole tuple, nobody else', () => {
    const t = makeUdpTest()
    const s = t.open({ family: 4, bind: { port: 4_000 }, connect: { address: '10.0.0.1', port: 7 } })
    const open = t.open({ family: 4, bind: { port: 4_001 } })
    const stranger = address('10.0.0.9')
    t.ip.up(errorIndication(t, ERROR_PORT_UNREACHABLE, stranger, 7, HERE, 4_000))
    t.ip.up(errorIndication(t, ERROR_PORT_UNREACHABLE, PEER, 8, HERE, 4_000))
    t.ip.up(errorIndication(t, ERROR_PORT_UNREACHABLE, PEER, 7, HERE, 4_001))
    expect([s.getmsg(), open.getmsg()]).toEqual([null, null])
    expect(t.counters['errors-unmatched']).toBe(3)
    t.ip.up(errorIndication(t, ERROR_PORT_UNREACHABLE, PEER, 7, HERE, 4_000))
    const mp = s.getmsg()!
    expect(field(mp, ERROR_CODE)).toBe(ERROR_PORT_UNREACHABLE)
    freemsg(mp)
    t.finish()
  })

  it('RFC 1122 §4.1.3.3: soft errors are passed on as well', () => {
    const t = makeUdpTest()
    const s = t.open({ bind: { port: 4_000 }, connect: { address: 'fd00::1', port: 7 } })
    t.ip.up(errorIndication(t, ERROR_HOST_UNREACHABLE, PEER6, 7, HERE6, 4_000))
    const mp = s.getmsg()!
    expect(field(mp, ERROR_CODE)).toBe(ERROR_HOST_UNREACHABLE)
    freemsg(mp)
    t.finish()
  })
})
