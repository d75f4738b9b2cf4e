import { readVirtioHeader, VIRTIO_HEADER_SIZE } from '../../src/driver/virtio.ts'
import { allocb, freemsg } from '../../src/streams/mblk/alloc.ts'
import { Arena } from '../../src/streams/mblk/arena.ts'
import { OFFLOAD_GSO } from '../../src/streams/mblk/mblk.ts'
import type { FuzzTarget } from './target.ts'

const arena = new Arena({ sizeBytes: 2 * 1024 * 1024 })
const INPUT_BYTES_MAX = 1_900

function seed(head: readonly number[], version: number): Uint8Array {
  const bytes = new Uint8Array(600)
  bytes.set(head)
  bytes[VIRTIO_HEADER_SIZE] = version << 4
  bytes[VIRTIO_HEADER_SIZE + 32] = 0x50
  return bytes
}

/** The virtio header of a packet from the device: believed only as far as the packet bears it out. */
export const targets: readonly FuzzTarget[] = [
  {
    name: 'virtio',
    seeds: [
      seed([0, 0], 4),
      seed([1, 0, 0, 0, 0, 0, 20, 0, 6, 0], 4),
      seed([1, 1, 40, 0, 100, 0, 20, 0, 16, 0], 4),
      seed([1, 4, 60, 0, 100, 0, 40, 0, 16, 0], 6),
      seed([1, 5, 28, 0, 100, 0, 20, 0, 6, 0], 4),
      seed([2, 0], 6),
    ],
    run(input) {
      const size = Math.min(input.length, INPUT_BYTES_MAX)
      const mp = allocb(arena, INPUT_BYTES_MAX)!
      mp.dblk.bytes.set(input.subarray(0, size), mp.wptr)
      mp.wptr += size
      const drop = readVirtioHeader(mp, size)
      if (drop === null) {
        const packetBytes = mp.wptr - mp.rptr
        if (packetBytes < 1) throw new Error('an empty packet was accepted')
        if (mp.offload !== 0 && mp.csumStart + mp.csumOffset + 2 > packetBytes && mp.csumOffset !== 0)
          throw new Error('the checksum field lies outside the packet')
        if ((mp.offload & OFFLOAD_GSO) !== 0 && (mp.gsoSize < 1 || mp.gsoSize > packetBytes))
          throw new Error('gsoSize')
      }
      const kind = drop ?? `offload ${mp.offload}`
      freemsg(mp)
      return kind
    },
  },
]
