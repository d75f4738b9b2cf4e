/** The kernel's sockets, driven step by step; see kernel-peer.py for the steps. */
import { fileURLToPath } from 'node:url'
import type { Program } from './program.ts'
import { python, type TcpSite } from './site.ts'

const SCRIPT = fileURLToPath(new URL('./kernel-peer.py', import.meta.url))

export type Step = { readonly do: string } & Readonly<Record<string, string | number | boolean>>

export interface PeerEvent {
  readonly event: string
  readonly do?: string
  readonly errno?: string
  readonly bytes?: number
  readonly sha256?: string
  readonly ended?: boolean
  readonly text?: string | null
  readonly port?: number
  readonly [field: string]: unknown
}

export class KernelPeer {
  readonly program: Program

  constructor(site: TcpSite, steps: readonly Step[], netns = site.netns) {
    this.program = site.run(python, [SCRIPT, JSON.stringify(steps)], netns)
  }

  /** What it has told so far. */
  get events(): PeerEvent[] {
    const lines = this.program.stdout.split('\n').slice(0, -1)
    return lines.map(line => JSON.parse(line) as PeerEvent)
  }

  /** Waits for an event. @throws Error if the script ends before it */
  async event(name: string, limitMs = 20_000): Promise<PeerEvent> {
    await this.program.said(new RegExp(`"event": "${name}"[^\\n]*\\n`), limitMs)
    return this.events.find(({ event }) => event === name)!
  }

  /** Lets a `wait` go on. */
  go(): void {
    this.program.write('\n')
  }

  /** Waits for the end of the steps. @returns all events, the last of which is `done`, or `error` */
  async end(): Promise<PeerEvent[]> {
    await this.program.succeeds()
    return this.events
  }
}
