import { describe, expect, it } from 'vitest'
import { Arena, freemsg } from '../streams/index.ts'
import { chainOf } from '../streams/testing/index.ts'
import { parseCaptureFilter } from './capture-filter.ts'

const arena = new Arena({ sizeBytes: 1024 * 1024 })

function v4(
  protocol: number,
  source: string,
  destination: string,
  ports: [number, number],
  fragment = 0,
): Uint8Array {
  const bytes = new Uint8Array(28)
  const view = new DataView(bytes.buffer)
  bytes[0] = 0x45
  view.setUint16(6, fragment)
  bytes[9] = protocol
  bytes.set(source.split('.').map(Number), 12)
  bytes.set(destination.split('.').map(Number), 16)
  view.setUint16(20, ports[0])
  view.setUint16(22, ports[1])
  return bytes
}

/** From fd77::1 to fd77::2, UDP behind a hop-by-hop header. */
function v6(ports: [number, number]): Uint8Array {
  const bytes = new Uint8Array(56)
  const view = new DataView(bytes.buffer)
  bytes[0] = 0x60
  bytes[6] = 0
  bytes.set([0xfd, 0x77], 8)
  bytes[23] = 1
  bytes.set([0xfd, 0x77], 24)
  bytes[39] = 2
  bytes[40] = 17
  view.setUint16(48, ports[0])
  view.setUint16(50, ports[1])
  return bytes
}

const UDP = v4(17, '10.77.1.1', '10.77.1.2', [7_000, 7])
const ICMP = v4(1, '10.77.1.2', '192.0.2.9', [0, 0])
const LATER = v4(17, '10.77.1.1', '10.77.1.2', [7_000, 7], 0x20)
const V6 = v6([7, 7_001])

/** Which of the four packets pass, as letters; every way to cut them into blocks must agree. */
function passing(text: string): string {
  const filter = parseCaptureFilter(text)
  return Object.entries({ u: UDP, i: ICMP, l: LATER, s: V6 })
    .filter(([, bytes]) => {
      const answers = [[], [1], [9, 10], [13, 21], [20, 23], [41, 49]].map(places => {
        const mp = chainOf(
          arena,
          bytes,
          places.filter(place => place < bytes.length),
        )
        const answer = filter(mp)
        freemsg(mp)
        return answer
      })
      expect(new Set(answers).size).toBe(1)
      return answers[0]
    })
    .map(([letter]) => letter)
    .join('')
}

describe('driver/capture filter, after pcap-filter(7)', () => {
  it.each([
    ['', 'uils'],
    ['ip', 'uil'],
    ['ip6', 's'],
    ['udp', 'uls'],
    ['icmp', 'i'],
    ['proto 17', 'uls'],
    ['port 7', 'us'],
    ['dst port 7', 'u'],
    ['src port 7', 's'],
    ['host 10.77.1.2', 'uil'],
    ['src host 10.77.1.2', 'i'],
    ['net 10.77.0.0/16', 'uil'],
    ['dst net 192.0.2.0/28', 'i'],
    ['net fd77::/16', 's'],
    ['host fd77::2 and udp', 's'],
    ['not udp', 'i'],
    ['icmp or port 7', 'uis'],
    ['icmp or udp and ip6', 'is'],
    ['(icmp or udp) and not (ip6 or port 7)', 'il'],
  ])('%j', (text, letters) => {
    expect(passing(text)).toBe(letters)
  })

  it.each([
    'udp and',
    'port',
    'port 70000',
    'host nowhere',
    'src udp',
    '(udp',
    'udp)',
    'udp tcp',
    'x'.repeat(1_001),
  ])('refuses %j', text => {
    expect(() => parseCaptureFilter(text)).toThrow(expect.objectContaining({ code: 'ERR_BAD_CONFIG' }))
  })

  it('takes what is no packet for none', () => {
    for (const bytes of [
      new Uint8Array(0),
      new Uint8Array(1),
      Uint8Array.of(0x45, 0, 0),
      Uint8Array.of(0x60),
    ]) {
      const mp = chainOf(arena, bytes)
      expect(parseCaptureFilter('port 7 or host 0.0.0.0 or host ::')(mp)).toBe(false)
      freemsg(mp)
    }
  })
})
