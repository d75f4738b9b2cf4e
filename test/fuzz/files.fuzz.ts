import { StackError } from '../../src/base/errors.ts'
import { parseCaptureFilter } from '../../src/driver/capture-filter.ts'
import { FLAG_INBOUND, interfaceBlock, putPacketBlock, sectionBlock } from '../../src/driver/pcapng.ts'
import { readPcapng } from '../../src/driver/pcapng-reader.ts'
import { parseAcknowledgement, parseMessages } from '../../src/host/netlink.ts'
import { encodeLinkChange, encodeLinkQuery, parseAddress, parseLink } from '../../src/host/rtnetlink.ts'
import type { FuzzTarget } from './target.ts'

/** Runs a parser that may refuse its input with a StackError, and in no other way. */
function verdict(parse: () => string): string {
  try {
    return parse()
  } catch (error) {
    if (error instanceof StackError) return error.code
    throw error
  }
}

/** A whole capture: section, interface, one packet. */
function capture(): Uint8Array {
  const head = [sectionBlock('a comment'), interfaceBlock('tun0', 256)]
  const bytes = new Uint8Array(512)
  let size = 0
  for (const block of head) {
    bytes.set(block, size)
    size += block.length
  }
  const fields = { interfaceId: 0, timeUs: 1, captured: 40, original: 40, flags: FLAG_INBOUND, comment: null }
  return bytes.slice(0, size + putPacketBlock(bytes, size, fields))
}

const text = new TextDecoder()
const bytes = (line: string): Uint8Array => new TextEncoder().encode(line)

/** What comes from the host or from a person's files: no peer sends it, and it must not break us all the same. */
export const targets: readonly FuzzTarget[] = [
  {
    name: 'netlink',
    seeds: [encodeLinkQuery(1, 'tun0'), encodeLinkChange(2, 3, { mtu: 1_500, up: true })],
    run: input =>
      verdict(() => {
        const messages = parseMessages(input)
        for (const message of messages) {
          parseLink(message)
          parseAddress(message)
          parseAcknowledgement(message)
        }
        return `${messages.length} messages`
      }),
  },
  {
    name: 'pcapng',
    seeds: [sectionBlock('a comment'), capture()],
    run: input => verdict(() => `${readPcapng(input).packets.length} packets`),
  },
  {
    name: 'capture-filter',
    seeds: [bytes('udp and port 7'), bytes('not (host 10.0.0.1 or icmp)'), bytes('host fd77:1::/64 and tcp')],
    run: input => verdict(() => typeof parseCaptureFilter(text.decode(input))),
  },
]
