/** Between addresses as Node tells them, in text, and the words of control blocks. Most datagrams come from where the one before came from. */
import {
  formatV4Word,
  formatV6Words,
  fromV4Word,
  type IpAddress,
  isMapped,
  parseAddress,
  UNSPECIFIED_V6,
} from '../inet/address.ts'
import { REMOTE } from '../inet/unitdata.ts'

export class AddressCache {
  private readonly family: 4 | 6
  private inText = ''
  private inAddress: IpAddress = UNSPECIFIED_V6
  private readonly outWords = new Int32Array(4)
  private outText = ''

  constructor(family: 4 | 6) {
    this.family = family
  }

  /** The address that Node names; v4-mapped ones are IPv4. */
  wordsOf(text: string): IpAddress {
    if (text !== this.inText) {
      this.inAddress = this.parse(text)
      this.inText = text
    }
    return this.inAddress
  }

  parse(text: string): IpAddress {
    // Node shows the interface of a link-local address.
    const end = text.indexOf('%')
    const address = parseAddress(end < 0 ? text : text.slice(0, end)) ?? UNSPECIFIED_V6
    const [w0, w1, w2, w3] = address.words
    return address.family === 6 && isMapped(w0, w1, w2) ? fromV4Word(w3) : address
  }

  /** The remote address of a control block, as a socket of this family takes it. @param at - the block's first word */
  textAt(words: Int32Array, at: number): string {
    const { outWords } = this
    let same = this.outText !== ''
    for (let i = 0; i < 4; i++) {
      const word = words[at + REMOTE + i]!
      if (outWords[i] !== word) same = false
      outWords[i] = word
    }
    if (same) return this.outText
    const [w0, w1, w2, w3] = outWords as unknown as readonly [number, number, number, number]
    const v4 = isMapped(w0, w1, w2)
    if (v4) this.outText = this.family === 4 ? formatV4Word(w3) : `::ffff:${formatV4Word(w3)}`
    else this.outText = formatV6Words(w0, w1, w2, w3)
    return this.outText
  }
}
