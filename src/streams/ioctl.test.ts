/** Requests that cannot be made or answered as they should: nothing is left behind, and whoever asked hears of it. */
import { afterEach, expect, it } from 'vitest'
import { StackError } from '../base/errors.ts'
import { Prng } from '../base/prng.ts'
import { instant } from '../base/time.ts'
import { ackIoctl, IOC_ARGUMENT_BYTES_MAX, nakIoctl } from './ioctl.ts'
import { allocb, freemsg } from './mblk/alloc.ts'
import { Arena } from './mblk/arena.ts'
import type { Mblk } from './mblk/mblk.ts'
import { M_IOCTL } from './mblk/types.ts'
import { putnext } from './putnext.ts'
import type { Queue } from './queue.ts'
import { Runtime } from './runtime.ts'
import { Stream } from './stream.ts'

const arena = new Arena({ sizeBytes: 1024 * 1024 })
const runtime = new Runtime({ arena, clock: { now: () => instant(0) }, random: new Prng(1) })

afterEach(() => {
  for (const stream of [...runtime.streams]) stream.close()
  arena.assertWhole()
})

function open(answer: (q: Queue<null>, mp: Mblk) => void): Stream {
  const write = { put: (q: Queue<null>, mp: Mblk) => (mp.type === M_IOCTL ? answer(q, mp) : freemsg(mp)) }
  const read = { put: putnext }
  return Stream.open(runtime, {
    name: 'answers',
    driver: true,
    hiwat: 1,
    lowat: 1,
    open: () => null,
    close: () => {},
    read,
    write,
  })
}

it('an argument that is too long or no JSON rejects, and its block comes home', async () => {
  const stream = open((q, mp) => ackIoctl(q, mp))
  const circle: { self?: unknown } = {}
  circle.self = circle
  await expect(stream.ioctl('x', 'y'.repeat(IOC_ARGUMENT_BYTES_MAX + 1))).rejects.toThrow('too long')
  await expect(stream.ioctl('x', circle)).rejects.toThrow(TypeError)
})

it('an answer that does not fit is a refusal', async () => {
  const stream = open((q, mp) => ackIoctl(q, mp, 'y'.repeat(IOC_ARGUMENT_BYTES_MAX + 1)))
  await expect(stream.ioctl('x')).rejects.toMatchObject({ code: 'ERR_MSG_TOO_LONG' })
})

it('without a block left a refusal comes all the same', async () => {
  const taken: Mblk[] = []
  const stream = open((q, mp) => {
    for (let bp = allocb(arena, 1); bp !== null; bp = allocb(arena, 1)) taken.push(bp)
    nakIoctl(q, mp, new StackError('ERR_BUSY', 'not now'))
  })
  const asked = stream.ioctl('x')
  for (const bp of taken) freemsg(bp)
  await expect(asked).rejects.toBeInstanceOf(StackError)
})
