/** Messages that are no data: they travel on, and M_FLUSH is obeyed on the way. */
import { assert } from '../../base/assert.ts'
import { makeError, makeHangup } from '../condition.ts'
import { makeFlush } from '../flush.ts'
import { makeIoctl, readIoctl } from '../ioctl.ts'
import { makeLinkInfo, makeLinkQuery } from '../link-info.ts'
import { allocb, freemsg } from '../mblk/alloc.ts'
import type { Mblk } from '../mblk/mblk.ts'
import {
  FLUSHR,
  FLUSHRW,
  FLUSHW,
  M_CTL,
  M_FLUSH,
  M_IOCACK,
  M_IOCNAK,
  M_IOCTL,
  M_PROTO,
  M_SETOPTS,
  typeName,
} from '../mblk/types.ts'
import type { Bench, Check } from './compliance.ts'
import { bothWays, flood } from './compliance-flow.ts'
import { flat } from './messages.ts'

/** Types that no module knows, one of either priority. */
const STRANGE_ORDINARY = 0x3e
const STRANGE_URGENT = 0xbe

function strange(bench: Bench, type: number): Mblk {
  const mp = allocb(bench.test.arena, 16)!
  mp.type = type
  for (let i = 0; i < 16; i++) mp.dblk.bytes[mp.wptr++] = 0xf0 + i
  return mp
}

const dataCount = (first: Mblk | null): number => {
  let count = 0
  for (let mp = first; mp !== null; mp = mp.next) count++
  return count
}

export const controlCases: Readonly<Record<string, Check>> = {
  'messages of types it does not know pass on unchanged': bothWays((bench, { from, to }, direction) => {
    for (const type of [STRANGE_ORDINARY, STRANGE_URGENT, M_CTL, M_SETOPTS, M_PROTO]) {
      const mp = strange(bench, type)
      const sent = flat(mp).toString()
      from.send(mp)
      bench.settle()
      const got = to.take()
      assert(got.length === 1, `${direction}: ${typeName(type)} arrived ${got.length} times`)
      assert(got[0]!.type === type && flat(got[0]!).toString() === sent, `${typeName(type)} was changed`)
      freemsg(got[0]!)
    }
  }),

  'an empty message and a one-byte message do no harm': bothWays((bench, { from, to }) => {
    for (const size of [0, 1]) {
      const mp = allocb(bench.test.arena, 1)!
      mp.wptr += size
      from.send(mp)
      bench.settle()
      to.discard()
    }
  }),

  'a request that it does not know passes down, and answers pass up': bench => {
    const { arena } = bench.test
    bench.top.send(makeIoctl(arena, 77, 'no-such-request', { a: 1 }))
    bench.settle()
    const [request] = bench.bottom.take()
    assert(request?.type === M_IOCTL, 'the request did not reach the driver')
    assert(readIoctl(request).id === 77, 'the request was changed')
    for (const type of [M_IOCACK, M_IOCNAK]) {
      const answer = makeIoctl(arena, 78, 'no-such-request', 1)
      answer.type = type
      bench.bottom.send(answer)
      bench.settle()
      const [got] = bench.top.take()
      assert(got?.type === type && readIoctl(got).id === 78, `${typeName(type)} did not reach the head`)
      freemsg(got)
    }
    freemsg(request)
  },

  'M_ERROR and M_HANGUP pass up': bench => {
    const { arena } = bench.test
    for (const mp of [makeError(arena, 'ERR_DEVICE_GONE', 'gone')!, makeHangup(arena)!]) {
      const { type } = mp
      bench.bottom.send(mp)
      bench.settle()
      assert(bench.top.got[0]?.type === type, `${typeName(type)} did not reach the head`)
      bench.top.discard()
    }
  },

  'a link query passes down, link information passes up': bench => {
    const { arena } = bench.test
    bench.top.send(makeLinkQuery(arena)!)
    bench.bottom.send(makeLinkInfo(arena, { mtu: 1_500, capabilities: 0x1f, up: true })!)
    bench.settle()
    assert(bench.bottom.discard() === 1, 'the query did not reach the driver')
    assert(bench.top.discard() === 1, 'the information did not reach the head')
  },

  'M_FLUSH frees what it queued in the direction that is named, and passes on': bothWays(
    (bench, { from, to }, direction) => {
      const q = direction === 'down' ? bench.queue.other : bench.queue
      to.blocked = true
      flood(bench, from)
      const other = direction === 'down' ? FLUSHR : FLUSHW
      const before = dataCount(q.first)
      from.send(makeFlush(bench.test.arena, other)!)
      bench.settle()
      assert(dataCount(q.first) === before, 'a flush of the other direction emptied this one')
      from.send(makeFlush(bench.test.arena, FLUSHRW)!)
      bench.settle()
      assert(dataCount(q.first) === 0, `${direction}: the queue was not flushed`)
      assert(to.got.filter(mp => mp.type === M_FLUSH).length === 2, 'the M_FLUSH did not pass on')
      to.unblock()
      bench.settle()
      to.discard()
      from.send(bench.message(1))
      bench.settle()
      const after = to.discard()
      if (bench.transparent) assert(after === 1, `${direction}: nothing passes after a flush`)
    },
  ),
}
