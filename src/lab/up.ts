/** Brings a lab up in namespaces: all of it or nothing. */
import { randomBytes } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import { StackError } from '../base/errors.ts'
import type { Shim } from '../host/shim.ts'
import { hostOf } from './addressing.ts'
import { startingWaves } from './dependencies.ts'
import { untilHealthy } from './health.ts'
import { Journal, type JournalEntry, type JournalHook, readJournal, summarize } from './journal.ts'
import { LabDirectory } from './lab-directory.ts'
import { isAlive, labMark, recordOf } from './marks.ts'
import { makeNamespaces } from './namespaces.ts'
import { type LabPlace, runCommands, startHolder, startNode } from './node-process.ts'
import { removeLab } from './remove.ts'
import type { LabNode, Topology } from './topology.ts'

export interface UpOptions {
  readonly shim: Shim
  /** The state directory, if not the usual one. */
  readonly state?: string
  /** This process is in a user namespace made for the lab, which must stay when it ends. */
  readonly inUserNamespace?: boolean
  /** Told what is going on, a line each. */
  readonly say?: (text: string) => void
  /** Aborted: what was made is removed, and the call throws the signal's reason. */
  readonly signal?: AbortSignal
  /** For tests: see {@link JournalHook}. */
  readonly onJournal?: JournalHook
  /** How long one node may take until it is healthy. */
  readonly healthTimeoutMs?: number
}

const HEALTH_TIMEOUT_MS = 15_000
const SILENT = (): void => {}

/**
 * @returns `already` if this very lab is up, and nothing was done
 * @throws StackError for what the host refuses or a node that does not come up; nothing is left then
 */
export async function bringUp(topology: Topology, options: UpOptions): Promise<'up' | 'already'> {
  const directory = new LabDirectory(topology.name, options.state)
  const owner = recordOf(process.pid)!
  const id = randomBytes(8).toString('hex')
  const first: JournalEntry = { kind: 'lab', name: topology.name, id, ...owner }
  while (!directory.claim(first, owner)) if (await alreadyUp(directory, topology, options)) return 'already'
  const journal = new Journal(directory.journal, options.onJournal)
  try {
    options.onJournal?.(first)
    await makeLab({ directory, journal, id, topology }, options)
    options.signal?.throwIfAborted()
    journal.write({ kind: 'up' })
    return 'up'
  } catch (error) {
    options.say?.('rolling back')
    await removeLab(directory, options.shim)
    throw error
  } finally {
    journal.close()
  }
}

/** Someone has the name: this lab, another one, a command at work, or what a dead command left, which is removed. */
async function alreadyUp(directory: LabDirectory, topology: Topology, options: UpOptions): Promise<boolean> {
  const summary = summarize(readJournal(directory.journal))
  if (!summary.up) {
    if (summary.owner !== null && isAlive(summary.owner)) {
      throw new StackError(
        'ERR_BUSY',
        `the lab ${topology.name} is being brought up by process ${summary.owner.pid}`,
      )
    }
    options.say?.(`removing what is left of an earlier ${topology.name} that did not come up`)
    await removeLab(directory, options.shim)
    return false
  }
  if (isDeepStrictEqual(directory.readTopology(), topology)) return true
  throw new StackError(
    'ERR_ALREADY',
    `a lab ${topology.name} is up, from another file or another version of it`,
    {
      hint: `take it down first: putnext lab down ${topology.name}`,
    },
  )
}

interface Work {
  readonly directory: LabDirectory
  readonly journal: Journal
  readonly id: string
  readonly topology: Topology
}

async function makeLab({ directory, journal, id, topology }: Work, options: UpOptions): Promise<void> {
  const { signal } = options
  const say = options.say ?? SILENT
  const mark = labMark(topology.name, id)
  directory.writeTopology(topology)
  const inUserNamespace = options.inUserNamespace === true
  if (inUserNamespace) startHolder(journal, mark)
  const site = { shim: options.shim, directory: directory.namespaces(inUserNamespace), mark }
  await makeNamespaces(site, journal, topology, signal)
  say(`${topology.nodes.length} namespaces and ${topology.links.length} links are there`)
  const place: LabPlace = { site, directory, topology }
  await startNodes(place, journal, options)
}

/** Each wave starts when those that it waits for are as they should be; within a wave nodes start at once. */
async function startNodes(place: LabPlace, journal: Journal, options: UpOptions): Promise<void> {
  const { topology } = place
  const say = options.say ?? SILENT
  const healthy = new Map<string, Promise<void>>()
  const bring = async (node: LabNode): Promise<void> => {
    if (node.kind === 'linux') {
      await runCommands(place, node, options.signal)
      say(`${node.name} is ready: the kernel's stack at ${node.addresses.map(hostOf).join(', ')}`)
      return
    }
    const started = startNode(place, journal, node)
    await untilHealthy(place, node, started, options.healthTimeoutMs ?? HEALTH_TIMEOUT_MS, options.signal)
    say(`${node.name} is healthy: process ${started.record.pid} at ${node.addresses.map(hostOf).join(', ')}`)
  }
  try {
    for (const wave of startingWaves(topology.nodes)) {
      const needed = wave.flatMap(node => node.dependsOn.filter(one => one.condition === 'healthy'))
      await Promise.all(needed.map(one => healthy.get(one.node)))
      options.signal?.throwIfAborted()
      for (const node of wave) healthy.set(node.name, bring(node))
      // Who fails while others are waited for must not go unheard, nor end the process.
      for (const promise of healthy.values()) promise.catch(SILENT)
    }
    await Promise.all(healthy.values())
  } catch (error) {
    await Promise.allSettled(healthy.values())
    throw error
  }
}
