/** The shim's memmove and checksum behind the arena's {@link Memory}: worth the call for long runs only. */
import type { ShimMemory } from '../host/shim.ts'
import type { Arena } from '../streams/mblk/arena.ts'
import { type Memory, portableMemory } from '../streams/mblk/copy.ts'

/** Below this, a call into C costs more than it saves. */
const NATIVE_BYTES = 256

/**
 * @param arenaId - the shim's number for `arena`
 * @returns what to assign to `arena.memory`
 */
export function shimMemory(shim: ShimMemory, arena: Arena, arenaId: number): Memory {
  return {
    move(to, toOffset, from, fromOffset, length) {
      if (length < NATIVE_BYTES) portableMemory.move(to, toOffset, from, fromOffset, length)
      else if (to === arena.bytes && from === arena.bytes)
        shim.copyWithin(arenaId, toOffset, fromOffset, length)
      else shim.copyBytes(to, toOffset, from as Uint8Array, fromOffset, length)
    },
    sum(bytes, start, end, sum) {
      if (end - start < NATIVE_BYTES) return portableMemory.sum(bytes, start, end, sum)
      if (bytes === arena.bytes) return shim.checksum(arenaId, start, end - start, sum)
      return shim.checksumBytes(bytes as Uint8Array, start, end - start, sum)
    },
  }
}
