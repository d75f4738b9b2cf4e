/**
 * The HTTP client undici, which every Node has inside: `fetch` is made of it, and its dispatcher lies under a registered symbol. So
 * nothing needs to be installed; a Node that hides it takes the package.
 */
import type { Duplex, Readable } from 'node:stream'
import { StackError } from '../base/errors.ts'

/** Where undici wants to connect to. */
export interface ConnectTarget {
  readonly hostname: string
  readonly port: string
  readonly protocol: string
  readonly servername?: string | null
}

export type Connector = (
  target: ConnectTarget,
  done: (error: Error | null, socket: Duplex | null) => void,
) => void

export interface HttpAnswer {
  readonly statusCode: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly body: Readable
}

export interface HttpRequest {
  readonly origin: string
  readonly path: string
  readonly method: string
  readonly headers: readonly string[]
  readonly body: Uint8Array | null
  readonly signal: AbortSignal
}

export interface HttpAgent {
  request(request: HttpRequest): Promise<HttpAnswer>
  destroy(error?: Error): Promise<void>
}

type AgentClass = new (options: {
  connect: Connector
  headersTimeout: number
  bodyTimeout: number
}) => HttpAgent

/** What undici's dispatcher is registered as, in all of its copies. */
const DISPATCHER = Symbol.for('undici.globalDispatcher.1')
/** How long a server may say nothing. */
const SILENCE_MS = 300_000

/** @throws StackError `ERR_NOT_SUPPORTED` */
export async function makeAgent(connect: Connector): Promise<HttpAgent> {
  const Agent = (await builtIn()) ?? (await installed())
  if (Agent === null)
    throw new StackError('ERR_NOT_SUPPORTED', 'this Node shows no undici', { hint: 'npm install undici' })
  return new Agent({ connect, headersTimeout: SILENCE_MS, bodyTimeout: SILENCE_MS })
}

async function builtIn(): Promise<AgentClass | null> {
  // The first use makes the dispatcher; this one asks nobody.
  await (await fetch('data:,')).text()
  const dispatcher = (globalThis as Record<symbol, unknown>)[DISPATCHER]
  const Class = (dispatcher as { constructor?: { name?: string } } | undefined)?.constructor
  return Class?.name === 'Agent' ? (Class as unknown as AgentClass) : null
}

async function installed(): Promise<AgentClass | null> {
  const name = 'undici'
  const found = (await import(name).catch(() => null)) as { Agent?: AgentClass } | null
  return found?.Agent ?? null
}
