/** Memory that other processes can map, once they are given its descriptor. */
import { hostError, orThrow } from './host-error.ts'
import type { Shim } from './shim.ts'

export interface SharedMemory {
  /** To be passed on, and closed with the shim's `fdClose`. */
  readonly fd: number
  readonly bytes: Uint8Array
}

/** Makes memory of `size` bytes, zeroed. @throws StackError */
export function makeSharedMemory(shim: Shim, size: number): SharedMemory {
  const fd = orThrow(shim.memoryMake(size), 'make memory to be shared')
  try {
    return { fd, bytes: mapSharedMemory(shim, fd, size) }
  } catch (error) {
    shim.fdClose(fd)
    throw error
  }
}

/** Maps memory that another process made. @throws StackError, also if it is smaller than `size` */
export function mapSharedMemory(shim: Shim, fd: number, size: number): Uint8Array {
  const mapped = shim.memoryMap(fd, size)
  if (typeof mapped === 'number') throw hostError('map shared memory', -mapped)
  return new Uint8Array(mapped)
}
