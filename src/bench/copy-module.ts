/**
 * Module "copy": what stands at every layer boundary in the arms of `bench copies`. It passes data on as it is, copies it, or makes
 * it contiguous; so all arms have the same modules, and differ in what these do. On a link it can also hide what the device takes over.
 */
import { type Counters, makeCounters } from '../base/counters.ts'
import {
  allocb,
  CTL_LINK_INFO,
  controlCode,
  copyHead,
  freemsg,
  HEADROOM_BYTES,
  M_DATA,
  M_PROTO,
  type Mblk,
  type ModuleInfo,
  maskLinkCapabilities,
  messageBytes,
  putnext,
  type Queue,
  readMessage,
  SUPER_BLOCK_BYTES,
} from '../streams/index.ts'

/**
 * `pass` touches nothing; `copy` gives the data blocks of its own, as a layer that keeps its own buffers; `linearise` does so only
 * where they are several (pullupmsg(9F) of the whole message).
 */
export type CopyHow = 'pass' | 'copy' | 'linearise'

export interface CopyOptions {
  /** `pass` by default. */
  readonly how?: CopyHow
  /** `LINK_*` bits that are not told to who is above; none by default. */
  readonly hide?: number
}

const COUNTERS = ['copies', 'copied-bytes', 'no-buffers'] as const

interface CopyState {
  readonly how: CopyHow
  readonly hide: number
  /** `no-buffers`: went on as they were, since no block was left. */
  readonly counters: Counters<(typeof COUNTERS)[number]>
}

export const copyModule: ModuleInfo<CopyState> = {
  name: 'copy',
  hiwat: 65_536,
  lowat: 16_384,
  open: (_q, options) => {
    const { how = 'pass', hide = 0 } = (options ?? {}) as CopyOptions
    return { how, hide, counters: makeCounters(COUNTERS) }
  },
  close: () => {},
  read: { put },
  write: { put },
  counters: ({ counters }) => counters,
  describe: ({ how, hide }) => ({ how, hide }),
}

function put(q: Queue<CopyState>, mp: Mblk): void {
  const { state } = q
  if (mp.type === M_DATA) {
    if (state.how !== 'pass') mp = copied(state, mp)
  } else if (mp.type === M_PROTO) {
    // Between IP and a transport the data follows its control block, which every layer makes anew anyway.
    const data = mp.cont
    if (state.how !== 'pass' && data !== null) mp.cont = copied(state, data)
  } else if (state.hide !== 0 && controlCode(mp) === CTL_LINK_INFO) maskLinkCapabilities(mp, state.hide)
  putnext(q, mp)
}

/** @param mp - consumed @returns the same bytes in blocks that are nobody else's; `mp` itself if there is no block */
function copied(state: CopyState, mp: Mblk): Mblk {
  const size = messageBytes(mp)
  if (size === 0 || (state.how === 'linearise' && mp.cont === null)) return mp
  const copy = copyOf(mp, size)
  if (copy === null) {
    state.counters['no-buffers']++
    return mp
  }
  state.counters.copies++
  state.counters['copied-bytes'] += size
  freemsg(mp)
  return copy
}

/** One block, or as few as hold it. @param mp - borrowed */
function copyOf(mp: Mblk, size: number): Mblk | null {
  const { arena } = mp.dblk
  let first: Mblk | null = null
  let last: Mblk | null = null
  for (let done = 0; done < size; ) {
    const part = Math.min(size - done, SUPER_BLOCK_BYTES - HEADROOM_BYTES)
    const bp = allocb(arena, part, HEADROOM_BYTES)
    if (bp === null) {
      if (first !== null) freemsg(first)
      return null
    }
    readMessage(mp, done, bp.dblk.bytes, bp.wptr, part, 'stack')
    bp.wptr += part
    done += part
    if (last === null) {
      copyHead(bp, mp)
      bp.at = mp.at
      first = bp
    } else last.cont = bp
    last = bp
  }
  return first
}
