import {
  type ExtensionHeader,
  fragmentHeader,
  icmpMessage,
  ipv4Packet,
  ipv6Packet,
  paddingHeader,
  pattern,
  udpDatagram,
} from '../../src/inet/testing/packets.ts'

/** The node under attack, and the one who attacks. */
export const NODE4 = [10, 77, 1, 2] as const
export const PEER4 = [10, 77, 1, 1] as const
export const NODE6 = [0xfd, 0x77, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2] as const
export const PEER6 = [0xfd, 0x77, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1] as const
export const ECHO_PORT = 7
export const DISCARD_PORT = 9
/** The port to which the node's own socket is connected, so that errors about it find somebody. */
export const CONNECTED_PORT = 4_000
const CLOSED_PORT = 4_999

/** Addresses that a packet must not come from, or not be for. */
export const ADDRESSES4: readonly (readonly number[])[] = [
  NODE4,
  PEER4,
  [10, 77, 1, 255],
  [10, 77, 1, 0],
  [255, 255, 255, 255],
  [0, 0, 0, 0],
  [127, 0, 0, 1],
  [224, 0, 0, 1],
  [239, 255, 255, 250],
  [240, 0, 0, 1],
  [169, 254, 7, 7],
  [8, 8, 8, 8],
]
const v6 = (head: readonly number[], tail: readonly number[]): number[] => [
  ...head,
  ...new Array<number>(16 - head.length - tail.length).fill(0),
  ...tail,
]
export const ADDRESSES6: readonly (readonly number[])[] = [
  NODE6,
  PEER6,
  v6([], []),
  v6([], [1]),
  v6([0xfe, 0x80], [1]),
  v6([0xff, 0x02], [1]),
  v6([0xff, 0x02], [0, 1, 0xff, 0, 0, 2]),
  v6([0xff, 0x0e], [9]),
  v6([], [0xff, 0xff, 10, 77, 1, 2]),
  v6([0x20, 0x01, 0x0d, 0xb8], [5]),
]

const TCP_SYN = Uint8Array.from([
  0x10, 0x00, 0x00, 0x50, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 2, 0xff, 0xff, 0, 0, 0, 0,
])

function udp(family: 4 | 6, size: number, port: number, from = 5_000): Uint8Array {
  const [source, destination] = family === 4 ? [PEER4, NODE4] : [PEER6, NODE6]
  return udpDatagram(pattern(size), source, destination, [from, port])
}

const four = (protocol: number, payload: Uint8Array): Uint8Array =>
  ipv4Packet(payload, { source: PEER4, destination: NODE4, protocol })

const six = (nextHeader: number, payload: Uint8Array, headers: readonly ExtensionHeader[] = []): Uint8Array =>
  ipv6Packet(payload, { source: PEER6, destination: NODE6, nextHeader, headers })

/** The body of an ICMP error: a word of its own, and the start of a packet that the node has sent. */
function quote(word: number, packet: Uint8Array, size: number): Uint8Array {
  const body = new Uint8Array(4 + Math.min(size, packet.length))
  new DataView(body.buffer).setUint32(0, word)
  body.set(packet.subarray(0, size), 4)
  return body
}

function sentByNode(family: 4 | 6): Uint8Array {
  const [node, peer] = family === 4 ? [NODE4, PEER4] : [NODE6, PEER6]
  const datagram = udpDatagram(pattern(100), node, peer, [CONNECTED_PORT, CONNECTED_PORT])
  return family === 4
    ? ipv4Packet(datagram, { source: node, destination: peer, protocol: 17 })
    : ipv6Packet(datagram, { source: node, destination: peer, nextHeader: 17 })
}

function icmp4(type: number, code: number, body: Uint8Array): Uint8Array {
  return four(1, icmpMessage(4, type, code, body, PEER4, NODE4))
}

function icmp6(type: number, code: number, body: Uint8Array): Uint8Array {
  return six(58, icmpMessage(6, type, code, body, PEER6, NODE6))
}

const ROUTING: ExtensionHeader = { type: 43, body: [0, 0, 1, 0, 0, 0, 0] }

/** Packets that are right, or nearly: mutation starts from them. */
export function makeTemplates(): Uint8Array[] {
  const packets: Uint8Array[] = []
  for (const size of [0, 1, 64, 600, 1_400]) {
    for (const port of [ECHO_PORT, DISCARD_PORT])
      packets.push(four(17, udp(4, size, port)), six(17, udp(6, size, port)))
  }
  packets.push(four(17, udp(4, 10, CLOSED_PORT)), six(17, udp(6, 10, CLOSED_PORT)))
  packets.push(four(17, udp(4, 10, CONNECTED_PORT, CONNECTED_PORT)))
  packets.push(six(17, udp(6, 10, CONNECTED_PORT, CONNECTED_PORT)))
  packets.push(
    four(17, udp(4, 10, ECHO_PORT, 0)),
    four(17, udp(4, 10, 0)),
    four(17, udp(4, 10, ECHO_PORT, ECHO_PORT)),
  )
  packets.push(
    four(6, TCP_SYN),
    six(6, TCP_SYN),
    four(253, pattern(40)),
    six(253, pattern(40)),
    six(59, pattern(9)),
  )
  for (const type of [0, 3, 4, 5, 8, 9, 10, 11, 12, 13, 15, 17, 18])
    packets.push(icmp4(type, type === 3 ? 4 : 0, type === 8 ? pattern(60) : quote(576, sentByNode(4), 128)))
  for (const type of [1, 2, 3, 4, 128, 129, 130, 131, 132, 133, 134, 135, 136, 137, 143])
    packets.push(icmp6(type, 0, type >= 128 ? pattern(60) : quote(1_280, sentByNode(6), 200)))
  for (const code of [0, 1, 2, 3, 9, 13]) packets.push(icmp4(3, code, quote(0, sentByNode(4), 28)))
  const datagram6 = udp(6, 64, ECHO_PORT)
  packets.push(six(17, datagram6, [paddingHeader(0)]), six(17, datagram6, [paddingHeader(60, 2)]))
  packets.push(six(17, datagram6, [paddingHeader(0), ROUTING, paddingHeader(60)]))
  packets.push(six(17, datagram6, [fragmentHeader(0, false, 9)]), six(17, datagram6, [ROUTING]))
  return packets
}
