/**
 * Which packets a capture records: `udp and port 7`, `host 10.77.1.2 or net fd77::/16`, `not (icmp or icmp6)`. A small part
 * of what pcap-filter(7) knows, with its words and meaning.
 */
import { StackError } from '../base/errors.ts'
import { type IpPrefix, parsePrefix } from '../host/ip-address.ts'
import type { BorrowedMblk } from '../streams/index.ts'
import { hasPrefix } from './impair-packet.ts'
import {
  makeFields,
  type PacketFields,
  readFields,
  V4_DESTINATION,
  V4_SOURCE,
  V6_DESTINATION,
  V6_SOURCE,
} from './packet-fields.ts'

/** Whether a packet is wanted. @param mp - borrowed */
export type PacketFilter = (mp: BorrowedMblk) => boolean

type Test = (mp: BorrowedMblk, fields: PacketFields) => boolean
type Side = 'src' | 'dst' | 'either'

const TEXT_MAX = 1_000
const WORDS_MAX = 200
const PROTOCOLS: Readonly<Record<string, number>> = { icmp: 1, tcp: 6, udp: 17, icmp6: 58 }

/** @throws StackError `ERR_BAD_CONFIG`, saying at which word */
export function parseCaptureFilter(text: string): PacketFilter {
  const words = text.match(/[()]|[^\s()]+/g) ?? []
  if (text.length > TEXT_MAX || words.length > WORDS_MAX)
    throw new StackError('ERR_BAD_CONFIG', `capture: the filter is longer than ${TEXT_MAX} characters`)
  if (words.length === 0) return () => true
  const parser = new FilterParser(words)
  const test = parser.any()
  parser.expectEnd()
  const fields = makeFields()
  return mp => {
    readFields(mp, fields)
    return test(mp, fields)
  }
}

class FilterParser {
  private readonly words: readonly string[]
  private at = 0

  constructor(words: readonly string[]) {
    this.words = words
  }

  any(): Test {
    let left = this.all()
    while (this.accept('or')) {
      const [a, b] = [left, this.all()]
      left = (mp, fields) => a(mp, fields) || b(mp, fields)
    }
    return left
  }

  expectEnd(): void {
    if (this.at < this.words.length) this.fail('"and", "or" or the end')
  }

  private all(): Test {
    let left = this.one()
    while (this.accept('and')) {
      const [a, b] = [left, this.one()]
      left = (mp, fields) => a(mp, fields) && b(mp, fields)
    }
    return left
  }

  private one(): Test {
    if (this.accept('not')) {
      const test = this.one()
      return (mp, fields) => !test(mp, fields)
    }
    if (this.accept('(')) {
      const test = this.any()
      if (!this.accept(')')) this.fail('")"')
      return test
    }
    return this.primitive()
  }

  private primitive(): Test {
    if (this.accept('ip')) return (_mp, { version }) => version === 4
    if (this.accept('ip6')) return (_mp, { version }) => version === 6
    if (this.accept('proto')) return isProtocol(this.number(255))
    const named = PROTOCOLS[this.words[this.at] ?? '']
    if (named !== undefined) {
      this.at++
      return isProtocol(named)
    }
    const side: Side = this.accept('src') ? 'src' : this.accept('dst') ? 'dst' : 'either'
    if (this.accept('port')) return hasPort(this.number(65_535), side)
    if (this.accept('host') || this.accept('net')) return hasAddress(this.prefix(), side)
    return this.fail(
      side === 'either' ? 'ip, ip6, tcp, udp, icmp, icmp6, proto, port, host or net' : 'port, host or net',
    )
  }

  private accept(word: string): boolean {
    if (this.words[this.at] !== word) return false
    this.at++
    return true
  }

  private number(most: number): number {
    const word = this.words[this.at] ?? ''
    const value = /^\d{1,5}$/.test(word) ? Number(word) : -1
    if (value < 0 || value > most) this.fail(`a number up to ${most}`)
    this.at++
    return value
  }

  private prefix(): IpPrefix {
    try {
      const prefix = parsePrefix(this.words[this.at] ?? '')
      this.at++
      return prefix
    } catch {
      return this.fail('an address, or a prefix such as 10.0.0.0/8')
    }
  }

  private fail(expected: string): never {
    const word = this.words[this.at]
    const found = word === undefined ? 'at its end' : `at "${word}" (word ${this.at + 1})`
    throw new StackError('ERR_BAD_CONFIG', `capture: filter: ${expected} expected ${found}`)
  }
}

const isProtocol =
  (wanted: number): Test =>
  (_mp, { protocol }) =>
    protocol === wanted

const hasPort =
  (port: number, side: Side): Test =>
  (_mp, { sourcePort, destinationPort }) =>
    (side !== 'dst' && sourcePort === port) || (side !== 'src' && destinationPort === port)

function hasAddress(prefix: IpPrefix, side: Side): Test {
  const version = prefix.address.length === 4 ? 4 : 6
  const source = version === 4 ? V4_SOURCE : V6_SOURCE
  const destination = version === 4 ? V4_DESTINATION : V6_DESTINATION
  return (mp, fields) =>
    fields.version === version &&
    ((side !== 'dst' && hasPrefix(mp, source, prefix)) ||
      (side !== 'src' && hasPrefix(mp, destination, prefix)))
}
