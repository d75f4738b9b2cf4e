/** What `bench udp` compares: each an echo service behind a link of its own, in namespaces of its own, started anew every round. */
import type { ChildProcess } from 'node:child_process'
import { StackError } from '../base/errors.ts'
import { endProcess } from './end-process.ts'
import { NodeProcess } from './node-process.ts'
import { type Place, peerPath, spawnIn } from './peers.ts'
import type { BenchSite } from './site.ts'

export type CandidateName = 'ceiling' | 'lingering' | 'node' | 'kernel'

export const CANDIDATE_TITLES: Readonly<Record<CandidateName, string>> = {
  ceiling: 'C on a TUN device (ceiling)',
  lingering: 'C that lingers as the node does',
  node: 'Putnext node',
  kernel: 'kernel sockets over veth',
}

/** Every candidate has the same addresses: each has namespaces of its own. */
export const NEAR = { v4: '10.77.1.1', v6: 'fd77:1::1' } as const
export const FAR = { v4: '10.77.1.2', v6: 'fd77:1::2' } as const
const PREFIX = { v4: 24, v6: 64 } as const
export const TUN_NAME = 'tun0'
const START_TIMEOUT_MS = 15_000

/** With the length of their prefix. */
export const prefixesOf = (side: typeof NEAR | typeof FAR): string[] => [
  `${side.v4}/${PREFIX.v4}`,
  `${side.v6}/${PREFIX.v6}`,
]

export interface Candidate {
  readonly name: CandidateName
  /** UDP port of its echo service. */
  readonly port: number
  /** Where the load runs. */
  readonly place: Place
  /** Ready to answer when it returns. */
  start(): Promise<void>
  /** Its processes have ended and its links are gone when it returns. Harmless if it was not started. */
  stop(): Promise<void>
  /** Of the node: what it counts itself. */
  readonly inside?: NodeProcess
}

/** The first line of a peer, which says that it is ready; an error if it ends before. */
async function awaitReady(child: ChildProcess, name: string): Promise<void> {
  let said = ''
  const line = new Promise<void>((resolve, reject) => {
    child.stdout!.on('data', chunk => {
      said += String(chunk)
      if (said.includes('\n')) resolve()
    })
    child.on('exit', code => reject(new StackError('ERR_HOST', `${name} ended with ${code}: ${said.trim()}`)))
    child.on('error', cause => reject(new StackError('ERR_HOST', `${name} does not start`, { cause })))
    setTimeout(
      () => reject(new StackError('ERR_TIMED_OUT', `${name} does not start`)),
      START_TIMEOUT_MS,
    ).unref()
  })
  await line
  if (!said.includes('"ready":true')) throw new StackError('ERR_HOST', `${name}: ${said.trim()}`)
}

/**
 * `tun-echo`: what the device itself allows. It blocks in read(2), or looks for the next packet a while before it does:
 * where nothing else runs, waking a process takes several times as long as an echo.
 */
export class Ceiling implements Candidate {
  readonly name: 'ceiling' | 'lingering'
  readonly port = 7
  readonly place: Place
  private readonly site: BenchSite
  private readonly args: readonly string[]
  private child: ChildProcess | null = null

  /** @param lingerUs - 0 to block at once */
  constructor(site: BenchSite, lingerUs = 0) {
    this.site = site
    this.name = lingerUs === 0 ? 'ceiling' : 'lingering'
    this.args = [TUN_NAME, `--linger=${lingerUs}`]
    this.place = site.namespace(this.name)
  }

  async start(): Promise<void> {
    this.child = spawnIn(this.place, peerPath('tun-echo'), this.args, {
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    await awaitReady(this.child, 'tun-echo')
    this.site.control(this.place.namespace, control => {
      for (const prefix of prefixesOf(NEAR)) control.addAddress(TUN_NAME, prefix)
      control.setUp(TUN_NAME)
    })
  }

  async stop(): Promise<void> {
    await endProcess(this.child)
    this.child = null
  }
}

/** Sockets of the kernel's own stack on both ends of a veth pair, for orientation. */
export class KernelSockets implements Candidate {
  readonly name = 'kernel'
  readonly port = 7
  readonly place: Place
  private readonly far: Place
  private children: ChildProcess[] = []

  constructor(site: BenchSite) {
    this.place = site.namespace('near')
    this.far = site.namespace('far')
    site.control(this.place.namespace, control => {
      control.createVeth('veth0', { name: 'veth0', namespace: this.far.namespace, up: true }, { up: true })
      for (const prefix of prefixesOf(NEAR)) control.addAddress('veth0', prefix)
    })
    site.control(this.far.namespace, control => {
      for (const prefix of prefixesOf(FAR)) control.addAddress('veth0', prefix)
    })
  }

  async start(): Promise<void> {
    for (const address of [FAR.v4, FAR.v6]) {
      const args = ['echo', address, String(this.port), '--seconds=3600']
      const child = spawnIn(this.far, peerPath('udp-load'), args, { stdio: ['ignore', 'pipe', 'ignore'] })
      this.children.push(child)
      await awaitReady(child, 'udp-load echo')
    }
  }

  async stop(): Promise<void> {
    const children = this.children
    this.children = []
    await Promise.all(children.map(endProcess))
  }
}

/** Our node, as `putnext node run` starts it. */
export class NodeCandidate implements Candidate {
  readonly name = 'node'
  readonly port = 7
  readonly place: Place
  readonly inside: NodeProcess

  /** @param program - the file of the command line, for a node that is not this package's */
  constructor(site: BenchSite, program?: string) {
    this.place = site.namespace('node')
    this.inside = new NodeProcess({
      directory: site.directory,
      ...(program === undefined ? {} : { program }),
      config: {
        version: 1,
        name: 'bench',
        links: [
          {
            name: TUN_NAME,
            driver: 'tun',
            netns: this.place.namespace,
            addresses: prefixesOf(FAR),
            kernel: { addresses: prefixesOf(NEAR) },
          },
        ],
        services: { echo: { port: this.port } },
      },
    })
  }

  start(): Promise<void> {
    return this.inside.start()
  }

  stop(): Promise<void> {
    return this.inside.stop()
  }
}
