/** Wires by name: the two links of one process that name the same wire are its ends. */
import { StackError } from '../base/errors.ts'
import { makeWire, type WireOptions } from '../driver/wire.ts'
import type { DriverInfo } from '../streams/module.ts'

/** Shared by the nodes that are to be joined. */
export class Wires {
  private readonly free = new Map<string, DriverInfo[]>()

  /**
   * An end of a wire, which is made when its first end is asked for; `options` are then its own.
   * @throws StackError `ERR_BUSY` if both ends are taken
   */
  take(name: string, options: WireOptions): DriverInfo {
    const ends = this.free.get(name) ?? [...makeWire(options)]
    const end = ends.shift()
    if (end === undefined) throw new StackError('ERR_BUSY', `both ends of the wire ${name} are taken`)
    this.free.set(name, ends as DriverInfo[])
    return end as DriverInfo
  }

  /** Takes an end back, so that another link may use it. */
  giveBack(name: string, end: DriverInfo): void {
    const ends = this.free.get(name)
    if (ends === undefined) return
    ends.push(end)
    if (ends.length === 2) this.free.delete(name)
  }
}
