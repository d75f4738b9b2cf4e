/** What the process holds: for campaigns that must not make it grow. */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

/** @returns bytes in use, once what nobody holds is gone */
export function heapBytes(): number {
  collect()
  collect()
  return process.memoryUsage().heapUsed
}

export const MIB = 1024 * 1024
