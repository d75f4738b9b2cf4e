/** RFC 9293 §3.9.2.2, RFC 5461, RFC 5927. */
import { describe, expect, it } from 'vitest'
import {
  ERROR_HOST_UNREACHABLE,
  ERROR_NET_UNREACHABLE,
  ERROR_PORT_UNREACHABLE,
  ERROR_PROHIBITED,
  ERROR_PROTOCOL_UNREACHABLE,
  ERROR_TOO_BIG,
  errorOfIcmp4,
} from '../icmp/errors.ts'
import { indication } from '../testing/fake-ip.ts'
import {
  ERROR_CODE,
  ERROR_IND,
  ERROR_MTU,
  FLAGS,
  LOCAL_PORT,
  QUOTED_SEQ,
  REMOTE_PORT,
  UD_REFUSED_HERE,
} from '../unitdata.ts'
import { errorIn } from './errors-in.ts'
import { stateName } from './states.ts'
import { established, type Peer } from './testing/peer.ts'
import { makeTcpTest, type TcpTest } from './testing/tcp-test.ts'

/** An error that quotes a segment of ours to this peer. */
function error(
  t: TcpTest,
  peer: Peer,
  code: number,
  seq: number,
  more: { mtu?: number; own?: boolean } = {},
): void {
  const mp = indication(
    t.arena,
    { remote: peer.address, local: peer.here, kind: ERROR_IND, protocol: 6 },
    null,
  )
  const at = mp.rptr >> 2
  const { words } = t.arena
  words[at + REMOTE_PORT] = peer.port
  words[at + LOCAL_PORT] = peer.ourPort
  words[at + ERROR_CODE] = code
  words[at + ERROR_MTU] = more.mtu ?? 0
  words[at + QUOTED_SEQ] = seq
  words[at + FLAGS] = more.own === true ? UD_REFUSED_HERE : 0
  errorIn(t.tcp, mp)
  t.flush()
}

const SOFT = [ERROR_NET_UNREACHABLE, ERROR_HOST_UNREACHABLE, ERROR_PROHIBITED]
const HARD = [ERROR_PROTOCOL_UNREACHABLE, ERROR_PORT_UNREACHABLE]

describe('inet/tcp/errors-in', () => {
  it('MUST-54: an error reaches the connection that it quotes, and no other', () => {
    const t = makeTcpTest()
    const [one, two] = [t.peer({ port: 1 }), t.peer({ port: 2 })]
    one.connectFrom()
    two.connectFrom()
    error(t, two, ERROR_HOST_UNREACHABLE, two.irs)
    expect([one.tcb.softError, two.tcb.softError]).toEqual([0, ERROR_HOST_UNREACHABLE])
    error(t, t.peer({ port: 3 }), ERROR_HOST_UNREACHABLE, 0)
    expect(t.counters['errors-unmatched']).toBe(1)
    t.finish()
  })

  it('MUST-56: soft errors never end a connection, also one that is opening', () => {
    for (const code of SOFT) {
      const t = makeTcpTest()
      const opening = t.peer({ port: 1 })
      opening.connectFrom()
      error(t, opening, code, opening.irs)
      expect([stateName(opening.tcb.state), opening.tcb.softError]).toEqual(['SYN-SENT', code])
      const open = established(t)
      t.write(open.tcb, 'x')
      error(t, open, code, open.ack)
      expect([stateName(open.tcb.state), open.tcb.softError]).toEqual(['ESTABLISHED', code])
      expect(t.counters['errors-soft']).toBe(2)
      expect(t.events.filter(e => e.startsWith('closed'))).toEqual([])
      t.finish()
    }
  })

  it('SHLD-26: hard errors end an opening', () => {
    for (const code of HARD) {
      const t = makeTcpTest()
      const peer = t.peer()
      peer.connectFrom()
      error(t, peer, code, peer.irs)
      expect(t.events).toEqual([code === ERROR_PORT_UNREACHABLE ? 'closed refused' : 'closed unreachable'])
      expect(peer.tcb.softError).toBe(code)
      t.finish()
    }
  })

  it('checklist 3.5-42, RFC 5927 §5.2: hard errors are soft once a connection is established', () => {
    for (const code of HARD) {
      const t = makeTcpTest()
      const peer = established(t)
      t.write(peer.tcb, 'x')
      error(t, peer, code, peer.ack)
      expect([stateName(peer.tcb.state), peer.tcb.softError]).toEqual(['ESTABLISHED', code])
      t.finish()
    }
  })

  it('checklist 3.5-42, RFC 5927 §4.1: the quoted number must be in flight', () => {
    const t = makeTcpTest()
    const opening = t.peer({ port: 1 })
    opening.connectFrom()
    for (const off of [1, -1, 1_000_000]) error(t, opening, ERROR_PORT_UNREACHABLE, (opening.irs + off) | 0)
    expect(stateName(opening.tcb.state)).toBe('SYN-SENT')
    const open = established(t)
    const mtu = open.tcb.pathMtu
    error(t, open, ERROR_TOO_BIG, open.ack, { mtu: 576 })
    t.write(open.tcb, 'abc')
    for (const off of [-1, 3, 70_000]) error(t, open, ERROR_TOO_BIG, (open.ack + off) | 0, { mtu: 576 })
    expect([open.tcb.pathMtu, t.counters['errors-out-of-flight']]).toEqual([mtu, 7])
    // RFC 5927 §7.2: IP hears of it neither, or it would cut the segments of everybody.
    expect(t.events.filter(e => e.startsWith('path MTU'))).toEqual([])
    t.finish()
  })

  it('checklist 3.5-42: what is too big lowers the path MTU', () => {
    const t = makeTcpTest()
    const peer = established(t)
    t.write(peer.tcb, new Uint8Array(1_400))
    t.mtu = 1_000
    error(t, peer, ERROR_TOO_BIG, peer.ack, { mtu: 1_000 })
    expect([peer.tcb.pathMtu, peer.tcb.sndMss]).toEqual([1_000, 960])
    expect(t.events).toContain('path MTU 1000')
    t.finish()
  })

  it('MUST-47, SHLD-25: a soft error is told at once, and is there when the connection fails in the end', () => {
    const t = makeTcpTest({ settings: { r2Ms: 10_000 } })
    const peer = established(t)
    t.write(peer.tcb, 'x')
    error(t, peer, ERROR_HOST_UNREACHABLE, peer.ack)
    expect(peer.tcb.softError).toBe(ERROR_HOST_UNREACHABLE)
    expect(t.troubles).toEqual([ERROR_HOST_UNREACHABLE])
    t.advance(60_000)
    expect(t.events).toEqual(['closed timed-out'])
    expect(peer.tcb.softError).toBe(ERROR_HOST_UNREACHABLE)
    t.finish()
  })

  it('MUST-55: a source quench is no error that a transport hears of', () => {
    const sourceQuench = 4
    for (let code = 0; code < 256; code++) expect(errorOfIcmp4(sourceQuench, code)).toBe(0)
  })

  it('half-open connections: hard with the right number only', () => {
    const t = makeTcpTest()
    t.listen()
    const peer = t.peer()
    peer.halfOpen()
    error(t, peer, ERROR_PORT_UNREACHABLE, (peer.irs + 1) | 0)
    error(t, peer, ERROR_HOST_UNREACHABLE, peer.irs)
    expect([t.tcp.halfOpen.size, t.counters['opens-failed']]).toEqual([1, 0])
    error(t, peer, ERROR_PORT_UNREACHABLE, peer.irs)
    expect([t.tcp.halfOpen.size, t.counters['opens-failed']]).toEqual([0, 1])
    t.finish()
  })

  it('what IP here says at once ends an opening at once; later it is soft', () => {
    const t = makeTcpTest()
    const peer = t.peer()
    peer.connectFrom()
    error(t, peer, ERROR_NET_UNREACHABLE, 0, { own: true })
    expect(t.events).toEqual(['closed unreachable'])
    const later = t.peer({ port: 2 })
    later.connectFrom()
    t.advance(1_500)
    error(t, later, ERROR_NET_UNREACHABLE, 0, { own: true })
    expect(stateName(later.tcb.state)).toBe('SYN-SENT')
    t.finish()
  })
})
