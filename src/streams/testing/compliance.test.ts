/** The suite itself: a module that queues properly passes, and each way to do it wrong fails the rule that it breaks. */
import { describe, expect, it } from 'vitest'
import { StackError } from '../../base/errors.ts'
import { seconds } from '../../base/time.ts'
import { flushAsAsked } from '../flush.ts'
import { nakIoctl } from '../ioctl.ts'
import { freemsg } from '../mblk/alloc.ts'
import type { Mblk } from '../mblk/mblk.ts'
import { isHighPriority, M_DATA, M_FLUSH, M_IOCTL, M_PCPROTO } from '../mblk/types.ts'
import type { ModuleInfo, Side } from '../module.ts'
import { putnext } from '../putnext.ts'
import { bcanputnext, FLUSHALL, flushq, getq, putbq, putq, type Queue } from '../queue.ts'
import { type ComplianceOptions, moduleCompliance } from './compliance.ts'

interface Kept {
  kept: Mblk | null
}

/** A module as the manual wants it: it queues when it must not pass on. */
function hopPut(q: Queue<Kept>, mp: Mblk): void {
  if (isHighPriority(mp)) {
    if (mp.type === M_FLUSH) flushAsAsked(q, mp)
    return putnext(q, mp)
  }
  if (q.first !== null || !bcanputnext(q, mp.band)) return putq(q, mp)
  putnext(q, mp)
}

function hopService(q: Queue<Kept>): void {
  for (let mp = getq(q); mp !== null; mp = getq(q)) {
    if (!bcanputnext(q, mp.band)) return putbq(q, mp)
    putnext(q, mp)
  }
}

const hopSide: Side<Kept> = { put: hopPut, service: hopService }
const hop: ModuleInfo<Kept> = {
  name: 'hop',
  hiwat: 65_536,
  lowat: 16_384,
  open: (_q, options) => {
    if (options !== undefined) throw new StackError('ERR_BAD_CONFIG', 'hop takes no options')
    return { kept: null }
  },
  close: () => {},
  read: hopSide,
  write: hopSide,
}

const withPut = (put: Side<Kept>['put'], rest: Partial<ModuleInfo<Kept>> = {}): ModuleInfo<Kept> => ({
  ...hop,
  ...rest,
  read: { put, service: hopService },
  write: { put, service: hopService },
})

/** Names of the cases that a module fails. */
function failures(info: ModuleInfo<Kept>, options: ComplianceOptions = {}): string[] {
  return moduleCompliance(() => info, options).flatMap(({ name, run }) => {
    try {
      run()
      return []
    } catch {
      return [name]
    }
  })
}

const WRONG: readonly [what: string, info: ModuleInfo<Kept>, rule: RegExp, options?: ComplianceOptions][] = [
  [
    'frees what it does not know',
    withPut((q, mp) => (mp.type === M_DATA ? hopPut(q, mp) : freemsg(mp))),
    /does not know pass/,
  ],
  [
    'overtakes its own queue',
    withPut((q, mp) => (!isHighPriority(mp) && bcanputnext(q, mp.band) ? putnext(q, mp) : hopPut(q, mp))),
    /order while the way/,
  ],
  ['passes on whatever the room', withPut((q, mp) => putnext(q, mp)), /high-water mark/],
  [
    'never lets go of what it queued',
    { ...hop, read: { put: hopPut, service: () => {} }, write: { put: hopPut, service: () => {} } },
    /back-enabled/,
  ],
  ['drops M_PCPROTO', withPut((q, mp) => (mp.type === M_PCPROTO ? freemsg(mp) : hopPut(q, mp))), /overtakes/],
  ['does not flush', withPut((q, mp) => (mp.type === M_FLUSH ? putnext(q, mp) : hopPut(q, mp))), /M_FLUSH/],
  [
    'flushes both sides',
    withPut((q, mp) => {
      if (mp.type === M_FLUSH) for (const each of [q, q.other]) flushq(each, FLUSHALL)
      hopPut(q, mp)
    }),
    /M_FLUSH/,
  ],
  [
    'refuses requests that are not its own',
    withPut((q, mp) =>
      mp.type === M_IOCTL ? nakIoctl(q, mp, new StackError('ERR_IOCTL', '')) : hopPut(q, mp),
    ),
    /request/,
  ],
  [
    'writes into shared bytes',
    withPut((q, mp) => {
      if (mp.type === M_DATA && mp.wptr > mp.rptr) mp.dblk.bytes[mp.rptr] = 0
      hopPut(q, mp)
    }),
    /shared/,
  ],
  [
    'keeps a message beyond its end',
    withPut((q, mp) => {
      if (mp.type !== M_DATA || q.state.kept !== null) return hopPut(q, mp)
      q.state.kept = mp
    }),
    /closed with messages/,
  ],
  [
    'throws on a short message',
    withPut((q, mp) => {
      if (mp.type === M_DATA && mp.wptr - mp.rptr < 2) throw new RangeError('short')
      hopPut(q, mp)
    }),
    /one-byte/,
  ],
  [
    'leaves a timer armed',
    {
      ...hop,
      open: q => {
        const { timers } = q.stream.runtime
        timers.arm(
          q.stream.runtime.timer(q, () => {}),
          seconds(3_600) as never,
        )
        return { kept: null }
      },
    },
    /closed with messages/,
  ],
  ['takes any options', { ...hop, open: () => ({ kept: null }) }, /refused/, { bad: [{ colour: 'red' }] }],
]

describe('streams/testing: module compliance', () => {
  it('passes a module that queues as putq(9F) and srv(9E) say', () => {
    expect(failures(hop, { bad: [{ colour: 'red' }, 7] })).toEqual([])
  })

  for (const [what, info, rule, options] of WRONG) {
    it(`fails a module that ${what}`, () => {
      expect(failures(info, options).join('\n')).toMatch(rule)
    })
  }
})
