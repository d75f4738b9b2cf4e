/**
 * Finds fixed-stride records by addresses and ports: chains in buckets, all of it int32 words. A record begins with the four
 * words of the remote address, the four of the local one, both as in a control block, and the ports; the rest is
 * the owner's, who also holds the records: they may move to a larger array at any time.
 */
import { assert } from '../../base/assert.ts'
import { LOCAL, REMOTE } from '../unitdata.ts'
import { TUPLE_HASH_BITS, TupleHash } from './tuple-hash.ts'

/** Word offsets in a record. */
export const REC_REMOTE = 0
export const REC_LOCAL = 4
export const REC_PORTS = 8
/** First word that is the owner's. */
export const REC_OWN = 9

const RECORDS_MIN = 64
/** Nobody gets so long a chain by chance; another hash is taken then. */
const CHAIN_MAX = 12

/** Records are numbered from 0; number n begins at word `n * stride`. */
export class TupleIndex {
  size = 0
  private readonly stride: number
  private readonly hash: TupleHash
  /** First record of each bucket, plus one; 0 if there is none. */
  private heads = new Int32Array(RECORDS_MIN)
  /** The next of the bucket after each record, plus one. */
  private links = new Int32Array(RECORDS_MIN)
  /** Additions until another hash may be taken, so that it cannot be had taken all the time. */
  private untilRekey = 0

  /** @param stride - words of a record; @param seed - random and secret */
  constructor(stride: number, seed: number) {
    this.stride = stride
    this.hash = new TupleHash(seed)
  }

  /** @returns where the record begins, -1 if there is none. @param at - of a control block */
  find(records: Int32Array, words: Int32Array, at: number, ports: number): number {
    if (this.size === 0) return -1
    return this.findTuple(
      records,
      words[at + REMOTE]!,
      words[at + REMOTE + 1]!,
      words[at + REMOTE + 2]!,
      words[at + REMOTE + 3]!,
      words[at + LOCAL]!,
      words[at + LOCAL + 1]!,
      words[at + LOCAL + 2]!,
      words[at + LOCAL + 3]!,
      ports,
    )
  }

  findTuple(
    records: Int32Array,
    r0: number,
    r1: number,
    r2: number,
    r3: number,
    l0: number,
    l1: number,
    l2: number,
    l3: number,
    ports: number,
  ): number {
    if (this.size === 0) return -1
    const bucket = this.hash.of(r0, r1, r2, r3, l0, l1, l2, l3, ports) & (this.heads.length - 1)
    for (let link = this.heads[bucket]!; link !== 0; link = this.links[link - 1]!) {
      const at = (link - 1) * this.stride
      if (
        records[at + REC_PORTS] === ports &&
        records[at + REC_REMOTE + 3] === r3 &&
        records[at + REC_LOCAL + 3] === l3 &&
        records[at + REC_REMOTE + 2] === r2 &&
        records[at + REC_REMOTE + 1] === r1 &&
        records[at + REC_REMOTE] === r0 &&
        records[at + REC_LOCAL + 2] === l2 &&
        records[at + REC_LOCAL + 1] === l1 &&
        records[at + REC_LOCAL] === l0
      )
        return at
    }
    return -1
  }

  /** Enters a record whose tuple is set and that no other has. */
  add(records: Int32Array, number: number): void {
    if (number >= this.links.length) {
      const larger = new Int32Array(2 * Math.max(number, this.links.length))
      larger.set(this.links)
      this.links = larger
    }
    if (this.size >= this.heads.length && this.heads.length < 1 << TUPLE_HASH_BITS)
      this.rebuild(records, 2 * this.heads.length)
    const bucket = this.bucketOf(records, number)
    let length = 0
    for (let link = this.heads[bucket]!; link !== 0; link = this.links[link - 1]!) length++
    this.links[number] = this.heads[bucket]!
    this.heads[bucket] = number + 1
    this.size++
    this.untilRekey--
    if (length < CHAIN_MAX + 4 * (this.size / this.heads.length) || this.untilRekey > 0) return
    this.untilRekey = this.size
    this.hash.rekey()
    this.rebuild(records, this.heads.length)
  }

  /** Takes a record out that is in, before its tuple changes. */
  remove(records: Int32Array, number: number): void {
    const bucket = this.bucketOf(records, number)
    const first = this.heads[bucket]!
    if (first === number + 1) this.heads[bucket] = this.links[number]!
    else {
      let before = first - 1
      while (before >= 0 && this.links[before] !== number + 1) before = this.links[before]! - 1
      assert(before >= 0, 'a record that is in no chain')
      this.links[before] = this.links[number]!
    }
    this.size--
  }

  /** Calls `fn` with where each record begins, in no order; `fn` may remove that record. */
  each(fn: (at: number) => void): void {
    for (let bucket = 0; bucket < this.heads.length; bucket++) {
      for (let link = this.heads[bucket]!; link !== 0; ) {
        const at = (link - 1) * this.stride
        link = this.links[link - 1]!
        fn(at)
      }
    }
  }

  private bucketOf(records: Int32Array, number: number): number {
    const at = number * this.stride
    const hash = this.hash.of(
      records[at]!,
      records[at + 1]!,
      records[at + 2]!,
      records[at + 3]!,
      records[at + REC_LOCAL]!,
      records[at + REC_LOCAL + 1]!,
      records[at + REC_LOCAL + 2]!,
      records[at + REC_LOCAL + 3]!,
      records[at + REC_PORTS]!,
    )
    return hash & (this.heads.length - 1)
  }

  private rebuild(records: Int32Array, count: number): void {
    const old = this.heads
    this.heads = new Int32Array(count)
    for (let i = 0; i < old.length; i++) {
      for (let link = old[i]!; link !== 0; ) {
        const number = link - 1
        link = this.links[number]!
        const bucket = this.bucketOf(records, number)
        this.links[number] = this.heads[bucket]!
        this.heads[bucket] = number + 1
      }
    }
  }
}
