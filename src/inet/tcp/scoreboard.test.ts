import { describe, expect, it } from 'vitest'
import { Prng } from '../../base/prng.ts'
import { EVER_RETRANSMITTED, HAS_FIN, LOST, RETRANSMITTED, SACKED, Scoreboard } from './scoreboard.ts'

const MSS = 10
const MARKS = SACKED | LOST | RETRANSMITTED

/** One segment, as a book-keeper without any cleverness has it. */
interface Unit {
  seq: number
  length: number
  sacked: boolean
  lost: boolean
  again: boolean
  ever: boolean
  xmitUs: number
}

/** A board beside a list of segments; every step is done to both. */
class Twin {
  readonly board = new Scoreboard()
  units: Unit[] = []
  end: number
  nowUs: number
  /** ACKs lie where segments end, so that segments can be counted. */
  readonly exact: boolean

  constructor(seq: number, nowUs: number, exact: boolean) {
    this.end = seq
    this.nowUs = nowUs
    this.exact = exact
  }

  append(segments: number, rest: number): void {
    const start = this.end
    const length = segments * MSS + rest
    this.end = (start + length) | 0
    this.board.append(start, this.end, MSS, this.nowUs, null, 0, false)
    for (let done = 0; done < length; done += MSS)
      this.units.push({
        seq: (start + done) | 0,
        length: Math.min(MSS, length - done),
        sacked: false,
        lost: false,
        again: false,
        ever: false,
        xmitUs: this.nowUs,
      })
  }

  acknowledge(units: number, inside: number): void {
    const { board } = this
    // No receiver acknowledges a part of what it has.
    while (units > 0 && this.units[units - 1]!.sacked && this.units[units]?.sacked === true) units++
    let ack = units >= this.units.length ? this.end : this.units[units]!.seq
    this.units.splice(0, units)
    const first = this.units[0]
    if (first !== undefined && inside > 0 && inside < first.length) {
      first.seq = (first.seq + inside) | 0
      first.length -= inside
      ack = first.seq
    }
    while (board.count > 0 && ((board.end(board.slot(0)) - ack) | 0) <= 0) board.shift()
    if (board.count > 0 && ((board.seq(board.slot(0)) - ack) | 0) < 0) board.trimFirst(ack)
  }

  /** Cuts so that units `from` to `to` are whole records, which are then given to `each`. */
  private range(from: number, to: number, each: (slot: number) => void): [number, number] {
    const { board, units } = this
    const left = units[from]!.seq
    const right = to < units.length ? units[to]!.seq : this.end
    for (const edge of [left, right]) {
      const i = board.find(edge)
      if (i < board.count && ((board.seq(board.slot(i)) - edge) | 0) < 0) board.split(i, edge)
    }
    const first = board.find(left)
    let i = first
    for (; i < board.count && ((board.seq(board.slot(i)) - right) | 0) < 0; i++) each(board.slot(i))
    return [first, i]
  }

  sack(from: number, to: number): void {
    const { board, units } = this
    // A cut through what is one SACKed record is never made: its edges are taken for the range's.
    while (from > 0 && units[from - 1]!.sacked) from--
    while (to < units.length && units[to]!.sacked) to++
    const [first, last] = this.range(from, to, slot => {
      if ((board.flags(slot) & SACKED) === 0) board.markSacked(slot)
    })
    board.joinSacked(first, last)
    // Of what is one record now the first one's time is kept; it matters only if the receiver takes the SACK back.
    const run = units.slice(from, to)
    const [xmitUs, ever] = [run[0]!.xmitUs, run.some(unit => unit.ever)]
    for (const unit of run) Object.assign(unit, { sacked: true, lost: false, again: false, xmitUs, ever })
  }

  lose(from: number, to: number): void {
    const { board, units } = this
    if (units.slice(from, to).some(unit => unit.sacked)) return
    this.range(from, to, slot => board.markLost(slot))
    for (const unit of units.slice(from, to)) Object.assign(unit, { lost: true, again: false })
  }

  sendAgain(): void {
    const { board } = this
    const index = board.nextWaiting()
    if (index < 0) return
    const slot = board.slot(index)
    const seq = board.seq(slot)
    expect(seq).toBe(this.units.find(unit => unit.lost && !unit.again)!.seq)
    const end = board.end(slot)
    board.markRetransmitted(slot, this.nowUs)
    for (const unit of this.units)
      if (((unit.seq - seq) | 0) >= 0 && ((unit.seq - end) | 0) < 0)
        Object.assign(unit, { again: true, ever: true, xmitUs: this.nowUs })
  }

  undo(): void {
    this.board.clearMarks(LOST)
    for (const unit of this.units) unit.lost = false
  }

  renege(): void {
    this.board.clearMarks(SACKED)
    for (const unit of this.units) unit.sacked = false
  }

  check(): void {
    const { board, units } = this
    const sum = (pick: (unit: Unit) => boolean): number =>
      units.filter(pick).reduce((bytes, unit) => bytes + unit.length, 0)
    expect({
      sacked: board.sackedBytes,
      lost: board.lostBytes,
      again: board.retransmittedBytes,
      waiting: board.waitingBytes,
    }).toEqual({
      sacked: sum(unit => unit.sacked),
      lost: sum(unit => unit.lost),
      again: sum(unit => unit.again),
      waiting: sum(unit => unit.lost && !unit.again),
    })
    if (this.exact)
      expect([board.segments, board.sackedSegments, board.lostSegments]).toEqual([
        units.length,
        units.filter(unit => unit.sacked).length,
        units.filter(unit => unit.lost).length,
      ])
    this.checkRecords()
    this.checkTimes()
  }

  private checkRecords(): void {
    const { board, units } = this
    let at = units[0]?.seq ?? this.end
    let before = 0
    let next = 0
    for (let i = 0; i < board.count; i++) {
      const slot = board.slot(i)
      if (board.seq(slot) !== at) throw new Error(`record ${i} begins at ${board.seq(slot)}, not ${at}`)
      at = board.end(slot)
      const flags = board.flags(slot)
      // Neighbours that are SACKed are one.
      if ((before & flags & SACKED) !== 0) throw new Error(`records ${i - 1} and ${i} are both SACKed`)
      before = flags
      for (; next < units.length && ((units[next]!.seq - at) | 0) < 0; next++) {
        const unit = units[next]!
        const marks = (unit.sacked ? SACKED : 0) | (unit.lost ? LOST : 0) | (unit.again ? RETRANSMITTED : 0)
        const ever = unit.ever ? EVER_RETRANSMITTED : 0
        if ((flags & (MARKS | EVER_RETRANSMITTED)) !== (marks | ever) || board.xmitUs(slot) !== unit.xmitUs)
          throw new Error(`record ${i}: ${flags} at ${board.xmitUs(slot)}, not ${JSON.stringify(unit)}`)
      }
    }
    expect(at).toBe(this.end)
  }

  /** In flight, and nothing else, in order of the last transmission. */
  private checkTimes(): void {
    const { board, units } = this
    let bytes = 0
    let last = -1
    for (let slot = board.oldest; slot >= 0; slot = board.newer(slot)) {
      if (last >= 0 && ((board.xmitUs(slot) - board.xmitUs(last)) | 0) < 0)
        throw new Error('not in order of time')
      bytes += board.bytes(slot)
      last = slot
    }
    expect(last).toBe(board.newest)
    const timed = units.filter(unit => !unit.sacked && (!unit.lost || unit.again))
    expect(bytes).toBe(timed.reduce((total, unit) => total + unit.length, 0))
  }
}

describe('tcp/scoreboard', () => {
  it.each([...Array(40).keys()])('property: does what a plain list of segments does, seed %i', seed => {
    const random = new Prng(seed)
    // Sequence numbers and times wrap on the way.
    const twin = new Twin(0x7fffffff - random.below(3_000), 0x7fffffff - random.below(300), seed % 2 === 0)
    for (let step = 0; step < 250; step++) {
      twin.nowUs = (twin.nowUs + random.below(4)) | 0
      const count = twin.units.length
      const from = count === 0 ? 0 : random.below(count)
      const to = Math.min(count, from + 1 + random.below(8))
      const what = random.below(16)
      if (what < 4 || count === 0)
        twin.append(1 + random.below(12), random.below(3) === 0 ? 1 + random.below(MSS - 1) : 0)
      else if (what < 7) twin.sack(from, to)
      else if (what < 10) twin.lose(from, to)
      else if (what < 12) twin.sendAgain()
      else if (what < 15) twin.acknowledge(random.below(1 + (count >> 2)), twin.exact ? 0 : random.below(MSS))
      else if (random.below(4) === 0) twin.undo()
      else if (random.below(8) === 0 && twin.units.every(unit => !unit.lost)) twin.renege()
      twin.check()
    }
  })

  it('a FIN is a number behind the data, and stays with the last part when a record is cut', () => {
    const board = new Scoreboard()
    board.append(100, 126, MSS, 1, null, 0, true)
    expect([board.bytes(board.slot(0)), board.payloadBytes(board.slot(0)), board.segments]).toEqual([
      26, 25, 3,
    ])
    board.split(0, 120)
    expect([0, 1].map(i => (board.flags(board.slot(i)) & HAS_FIN) !== 0)).toEqual([false, true])
    expect([0, 1].map(i => board.payloadBytes(board.slot(i)))).toEqual([20, 5])
    board.split(1, 125)
    expect(board.payloadBytes(board.slot(2))).toBe(0)
    expect(board.segments).toBe(4)
  })

  it('checklist 3.5-46 (CVE-2019-11477): a range SACKed segment by segment, backwards, is one record in the end', () => {
    const board = new Scoreboard()
    board.append(0, 2_000 * MSS, MSS, 1, null, 0, false)
    for (let i = 1_999; i > 0; i--) {
      board.split(0, i * MSS)
      board.markSacked(board.slot(1))
      board.joinSacked(1, 2)
      expect(board.count).toBe(2)
    }
    expect([board.sackedBytes, board.sackedSegments]).toEqual([1_999 * MSS, 1_999])
  })

  it('a board that was large is small again after it was cleared', () => {
    const board = new Scoreboard()
    for (let i = 0; i < 5_000; i++) board.append(i * MSS, (i + 1) * MSS, MSS, i, null, 0, false)
    for (let i = 0; i < 4_000; i++) board.shift()
    expect([board.count, board.seq(board.slot(0)), board.find(4_500 * MSS)]).toEqual([
      1_000,
      4_000 * MSS,
      500,
    ])
    board.clear()
    expect([board.count, board.segments, board.oldest]).toEqual([0, 0, -1])
    board.append(7, 17, MSS, 1, null, 0, false)
    expect(board.seq(board.slot(0))).toBe(7)
  })
})
