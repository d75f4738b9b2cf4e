/** The two ends between which a module is tested: each records what reaches it, can be blocked, and can send. */
import { assert } from '../../base/assert.ts'
import { freemsg } from '../mblk/alloc.ts'
import type { Mblk } from '../mblk/mblk.ts'
import { isHighPriority } from '../mblk/types.ts'
import type { AnyModule, DriverInfo, ModuleInfo } from '../module.ts'
import { putnext } from '../putnext.ts'
import { bcanputnext, getq, putq, type Queue } from '../queue.ts'
import { Stream } from '../stream.ts'
import type { TestRuntime } from './runtime.ts'

/** Small, so that a test fills it with a few messages. */
export const PROBE_HIWAT = 4_096
export const PROBE_LOWAT = 1_024

/** One end: the queue where messages arrive, and the one that sends towards the module. */
export class Probe {
  /** Messages that arrived, in order; owned by the probe until {@link take}. */
  readonly got: Mblk[] = []
  /** While true, ordinary messages wait on the arriving queue. */
  blocked = false
  /** How often the sending queue was back-enabled. */
  backEnabled = 0
  /** Called for each message that arrives, instead of keeping it; consumes it. */
  answer: ((mp: Mblk) => void) | null = null
  arriving: Queue<Probe> | null = null
  sending: Queue<Probe> | null = null

  /** Sends towards the module under test. @param mp - consumed */
  send(mp: Mblk): void {
    putnext(this.sending!, mp)
  }

  /** Whether there is room for a message of that band. */
  canSend(band = 0): boolean {
    return bcanputnext(this.sending!, band)
  }

  /** Lets what waited arrive. */
  unblock(): void {
    this.blocked = false
    const q = this.arriving!
    if (q.first !== null) q.scheduler.enable(q)
  }

  /** Hands over what arrived. */
  take(): Mblk[] {
    return this.got.splice(0)
  }

  /** Frees what arrived and tells how many messages those were. */
  discard(): number {
    const count = this.got.length
    for (const mp of this.take()) freemsg(mp)
    return count
  }
}

function arrive(q: Queue<Probe>, mp: Mblk): void {
  const probe = q.state
  if (isHighPriority(mp) || (!probe.blocked && q.first === null)) record(probe, mp)
  else putq(q, mp)
}

function arriveLater(q: Queue<Probe>): void {
  const probe = q.state
  while (!probe.blocked) {
    const mp = getq(q)
    if (mp === null) return
    record(probe, mp)
  }
}

function record(probe: Probe, mp: Mblk): void {
  if (probe.answer === null) probe.got.push(mp)
  else probe.answer(mp)
}

const arriving = { put: arrive, service: arriveLater }
const sending = {
  put: putnext,
  service: (q: Queue<Probe>) => {
    q.state.backEnabled++
  },
}
const limits = { hiwat: PROBE_HIWAT, lowat: PROBE_LOWAT }

function close(q: Queue<Probe>): void {
  q.state.discard()
}

function topModule(probe: Probe): ModuleInfo<Probe> {
  const open = (q: Queue<Probe>): Probe => {
    probe.arriving = q
    probe.sending = q.other
    return probe
  }
  return { name: 'probe', ...limits, open, close, read: arriving, write: sending }
}

function bottomDriver(probe: Probe): DriverInfo<Probe> {
  const open = (q: Queue<Probe>): Probe => {
    probe.arriving = q.other
    probe.sending = q
    return probe
  }
  return { driver: true, name: 'probe-end', ...limits, open, close, read: sending, write: arriving }
}

/** A module between two probes, on a stream of its own. */
export interface Rig {
  readonly test: TestRuntime
  readonly stream: Stream
  readonly top: Probe
  readonly bottom: Probe
}

/** Opens a stream of two probes without anything between them. */
export function makeRig(test: TestRuntime): Rig {
  const top = new Probe()
  const bottom = new Probe()
  const stream = Stream.open(test.runtime, bottomDriver(bottom))
  stream.push(topModule(top))
  return { test, stream, top, bottom }
}

/** Puts a module between the probes, below whatever is there already. */
export function insertBetween(rig: Rig, info: AnyModule, options: unknown): Queue<unknown> {
  const above = rig.stream.instances().at(-1)!.queue
  rig.stream.insert(info, options, above)
  const queue = rig.stream.instances().at(-1)!.queue
  assert(queue.info === info, 'the module is where it was put')
  return queue
}

/** Puts a probe on top of a driver that is to be tested. */
export function pushProbe(stream: Stream): Probe {
  const probe = new Probe()
  stream.push(topModule(probe))
  return probe
}
