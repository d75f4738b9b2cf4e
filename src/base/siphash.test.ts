import { describe, expect, it } from 'vitest'
import { SipHash } from './siphash.ts'

const wordsOf = (bytes: Uint8Array): Int32Array => new Int32Array(bytes.slice().buffer)
const counting = (length: number): Int32Array => wordsOf(Uint8Array.from({ length }, (_, i) => i))

/** The published results for the messages 00 01 02 … of whole words, under the key 00 01 … 0f; bytes in their order. */
const VECTORS = [
  '310e0edd47db6f72',
  'b7877127e09427cf',
  '6224939a79f5f593',
  'fbe50e86bc8f1e75',
  'db9bc2577fcc2a3f',
  '98eea21af25cd6be',
  '94af49f6c650adb8',
  'a5c91da7acaa4dde',
  'ce7cf2722f512771',
  'b4a31508beff4d31',
  'd0a704536ba93e0e',
  'f21df2e41d4535f9',
  '51a9cb9ecba312e6',
  'b274cb8ebf87870a',
  'bd838d3aafbf8db7',
  'e1915f5cb1eca46c',
]

describe('base/siphash', () => {
  it('SipHash-2-4: the published test vectors of whole words come out', () => {
    const hash = new SipHash(counting(16))
    const message = counting(64)
    for (const [count, expected] of VECTORS.entries()) {
      const out = new Int32Array([hash.hash(message, count), 0])
      out[1] = hash.high
      expect(Buffer.from(out.buffer).toString('hex')).toBe(expected)
    }
  })

  it('takes its key from anywhere in an array, and what lies behind the message does not count', () => {
    const key = new Int32Array(9).fill(-1)
    key.set(counting(16), 3)
    const message = counting(64)
    expect(new SipHash(key, 3).hash(message, 7)).toBe(new SipHash(counting(16)).hash(message, 7))
    const before = new SipHash(key).hash(message, 7)
    message[7] = 99
    expect(new SipHash(key).hash(message, 7)).toBe(before)
  })

  it('every bit of key and message changes about half of the result', () => {
    const key = counting(16)
    const message = counting(40)
    const before = new SipHash(key).hash(message, 10)
    let changed = 0
    for (const words of [key, message]) {
      for (let bit = 0; bit < 32 * words.length; bit++) {
        words[bit >> 5]! ^= 1 << (bit & 31)
        let difference = before ^ new SipHash(key).hash(message, 10)
        for (; difference !== 0; difference &= difference - 1) changed++
        words[bit >> 5]! ^= 1 << (bit & 31)
      }
    }
    const bits = 32 * 14 * 32
    expect(changed / bits).toBeGreaterThan(0.48)
    expect(changed / bits).toBeLessThan(0.52)
  })
})
