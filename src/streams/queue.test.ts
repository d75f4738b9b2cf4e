/** putq(9F), getq(9F), putbq(9F), flushq(9F), flushband(9F), bcanput(9F) and their order. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { allocb, freemsg } from './mblk/alloc.ts'
import type { Mblk } from './mblk/mblk.ts'
import { M_CTL, M_DATA, M_IOCACK, M_IOCTL, M_PCPROTO, M_PROTO } from './mblk/types.ts'
import type { AnyQueue, ModuleInfo } from './module.ts'
import { putnext } from './putnext.ts'
import {
  bcanput,
  enableok,
  FLUSHALL,
  FLUSHDATA,
  flushq,
  getq,
  holdq,
  noenable,
  putbq,
  putq,
  QUEUE_MESSAGES_MAX,
  releaseq,
  rmvq,
} from './queue.ts'
import { insertBetween, makeRig, makeTestRuntime, type Rig } from './testing/index.ts'

let rig: Rig
let q: AnyQueue
let runs: number

beforeEach(() => {
  rig = makeRig(makeTestRuntime())
  runs = 0
  const holding: ModuleInfo<null> = {
    name: 'holding',
    hiwat: 1_000,
    lowat: 400,
    open: () => null,
    close: () => {},
    read: { put: putnext },
    write: { put: putq, service: () => runs++ },
  }
  q = insertBetween(rig, holding, undefined).other
})

afterEach(() => rig.test.finish())

let stamp = 0
function message(type: number, band = 0, size = 100): Mblk {
  const mp = allocb(rig.test.arena, size)!
  mp.type = type
  mp.band = band
  mp.wptr += size
  mp.csumStart = ++stamp
  return mp
}

const order = (): string[] => {
  const found: string[] = []
  for (let mp = q.first; mp !== null; mp = mp.next) found.push(`${mp.type >= 0x80 ? 'high' : mp.band}`)
  return found
}

describe('streams: queue', () => {
  it('putq(9F): high priority first, then bands from the highest down, each in order of arrival', () => {
    const stamps: number[] = []
    for (const [type, band] of [
      [M_DATA, 0],
      [M_DATA, 2],
      [M_PCPROTO, 0],
      [M_DATA, 1],
      [M_DATA, 2],
      [M_PCPROTO, 0],
      [M_DATA, 0],
    ] as const)
      putq(q, message(type, band))
    expect(order()).toEqual(['high', 'high', '2', '2', '1', '0', '0'])
    for (let mp = getq(q); mp !== null; mp = getq(q)) {
      stamps.push(mp.csumStart)
      freemsg(mp)
    }
    const first = Math.min(...stamps)
    expect(stamps.map(each => each - first)).toEqual([2, 5, 1, 4, 3, 0, 6])
  })

  it('putbq(9F) puts a message in front of its rank, and enables nothing', () => {
    putq(q, message(M_DATA, 1))
    putq(q, message(M_DATA))
    putq(q, message(M_DATA))
    rig.test.settle()
    const before = runs
    const urgent = getq(q)!
    const mp = getq(q)!
    putbq(q, mp)
    putbq(q, urgent)
    expect(q.first).toBe(urgent)
    expect(q.first!.next).toBe(mp)
    rig.test.settle()
    expect(runs).toBe(before)
  })

  it('holdq: full whatever is on it; releaseq: as full as what is on it, and back-enables whoever was refused', () => {
    holdq(q)
    expect([bcanput(q, 0), bcanput(q, 1)]).toEqual([false, true])
    rig.test.settle()
    const before = rig.top.backEnabled
    for (let i = 0; i < 10; i++) putq(q, message(M_DATA))
    releaseq(q)
    expect(bcanput(q, 0)).toBe(false)
    rig.test.settle()
    expect(rig.top.backEnabled).toBe(before)
    while (q.first !== null) freemsg(getq(q)!)
    holdq(q)
    expect(bcanput(q, 0)).toBe(false)
    rig.test.settle()
    const after = rig.top.backEnabled
    releaseq(q)
    releaseq(q)
    rig.test.settle()
    expect([bcanput(q, 0), rig.top.backEnabled]).toEqual([true, after + 1])
  })

  it('is full from the high-water mark on, by band, and back-enables below the low-water mark', () => {
    for (let i = 0; i < 9; i++) putq(q, message(M_DATA))
    expect(bcanput(q, 0)).toBe(true)
    putq(q, message(M_DATA))
    expect(bcanput(q, 0)).toBe(false)
    expect(bcanput(q, 1)).toBe(true)
    for (let i = 0; i < 10; i++) putq(q, message(M_DATA, 3))
    expect([0, 2, 3].map(band => bcanput(q, band))).toEqual([false, true, false])
    flushq(q, FLUSHDATA, 3)
    rig.test.settle()
    const before = rig.top.backEnabled
    for (let left = 9; left >= 4; left--) freemsg(getq(q)!)
    rig.test.settle()
    expect(rig.top.backEnabled).toBe(before)
    freemsg(getq(q)!)
    rig.test.settle()
    expect(rig.top.backEnabled).toBe(before + 1)
  })

  it('is full at QUEUE_MESSAGES_MAX messages, however small', () => {
    for (let i = 0; i < QUEUE_MESSAGES_MAX; i++) putq(q, message(M_DATA, 0, 0))
    expect(bcanput(q, 0)).toBe(false)
  })

  it('flushq(9F): FLUSHDATA frees M_DATA, M_PROTO and M_PCPROTO and keeps control messages, answers among them', () => {
    for (const type of [M_DATA, M_PROTO, M_PCPROTO, M_CTL, M_IOCTL, M_IOCACK]) putq(q, message(type))
    flushq(q, FLUSHDATA)
    const left: number[] = []
    for (let mp = q.first; mp !== null; mp = mp.next) left.push(mp.type)
    expect(left).toEqual([M_IOCACK, M_CTL, M_IOCTL])
    flushq(q, FLUSHALL)
    expect([q.first, q.last, q.zero.count, q.zero.messages]).toEqual([null, null, 0, 0])
  })

  it('flushband(9F): frees one band', () => {
    for (const band of [0, 1, 2, 1]) putq(q, message(M_DATA, band))
    flushq(q, FLUSHALL, 1)
    expect(order()).toEqual(['2', '0'])
  })

  it('noenable(9F): only high priority enables, until enableok(9F)', () => {
    rig.test.settle()
    runs = 0
    noenable(q)
    putq(q, message(M_DATA))
    rig.test.settle()
    expect(runs).toBe(0)
    putq(q, message(M_PCPROTO))
    rig.test.settle()
    expect(runs).toBe(1)
    enableok(q)
    putq(q, message(M_DATA))
    rig.test.settle()
    expect(runs).toBe(2)
  })

  it('rmvq(9F) takes one out of the middle, and refuses one that is not there', () => {
    const mp = message(M_DATA)
    putq(q, message(M_DATA))
    putq(q, mp)
    putq(q, message(M_DATA))
    rmvq(q, mp)
    expect(q.zero.messages).toBe(2)
    expect(() => rmvq(q, mp)).toThrow('not on this queue')
    freemsg(mp)
  })
})
