/** The measuring peers of `native-shims/bench`, and ping(8): started inside a namespace, their one line of JSON read. */
import { type ChildProcess, execFile, type SpawnOptions, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { StackError } from '../base/errors.ts'
import { insideNamespace } from '../host/namespace.ts'
import { findProgram } from '../host/privilege.ts'
import type { Shim } from '../host/shim.ts'
import { SPIN_US } from '../node/loop.ts'
import { type End, onProcessor } from './placement.ts'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const BUILD_SCRIPT = 'scripts/build-peers'
/** Microseconds that peers in C look for the next packet before they sleep, at least as long as the loop of a node does. */
export const LINGER_US = 1.5 * SPIN_US
/** What a peer may take beyond the time it was asked for. */
const PATIENCE_MS = 15_000

const PEERS = ['udp-load', 'tun-echo', 'tcp-load', 'tun-tcp', 'syn-flood'] as const
/** `rpc-load` needs libtirpc, and whoever uses it looks for it. */
export type PeerName = (typeof PEERS)[number] | 'rpc-load'

export const peerPath = (name: PeerName): string => `${ROOT}build/peers-bin/${name}`

/** Compiles the peers if a source is newer. @throws StackError `ERR_NOT_FOUND` if they are not there and cannot be made */
export async function buildPeers(): Promise<void> {
  try {
    await promisify(execFile)(`${ROOT}${BUILD_SCRIPT}`)
  } catch (cause) {
    const { stderr = '' } = cause as { stderr?: string }
    if (PEERS.every(name => existsSync(peerPath(name)))) return
    throw new StackError('ERR_NOT_FOUND', `the measuring peers cannot be built: ${stderr.trim() || cause}`, {
      cause,
      hint: `${BUILD_SCRIPT} needs a C compiler`,
    })
  }
}

/** Where a peer runs. */
export interface Place {
  readonly shim: Shim
  /** Path of a network namespace. */
  readonly namespace: string
  /** Whose processor it runs on; by default the scheduler decides. */
  readonly end?: End
}

/** The same place on an end's own processor. */
export const at = (place: Place, end: End): Place => ({ ...place, end })

/** A new process is in the namespace of the thread that makes it. @param place - null for where this process is */
export function spawnIn(
  place: Place | null,
  command: string,
  args: readonly string[],
  options: SpawnOptions,
): ChildProcess {
  const begin = (): ChildProcess => spawn(...onProcessor(place?.end, command, args), options)
  return place === null ? begin() : insideNamespace(place.shim, place.namespace, begin)
}

interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs a program to its end; it is killed when `signal` is aborted or the time is over. */
async function runIn(
  place: Place | null,
  command: string,
  args: readonly string[],
  timeoutMs: number,
  signal: AbortSignal | undefined,
): Promise<Ended> {
  signal?.throwIfAborted()
  const child = spawnIn(place, command, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  const kill = (): void => void child.kill('SIGKILL')
  const timer = setTimeout(kill, timeoutMs)
  signal?.addEventListener('abort', kill, { once: true })
  try {
    const [stdout, stderr, [code]] = await Promise.all([
      textOf(child.stdout!),
      textOf(child.stderr!),
      once(child, 'close') as Promise<[number | null]>,
    ])
    signal?.throwIfAborted()
    return { code, stdout, stderr }
  } finally {
    clearTimeout(timer)
    signal?.removeEventListener('abort', kill)
  }
}

async function textOf(stream: NodeJS.ReadableStream): Promise<string> {
  let text = ''
  for await (const chunk of stream) text += String(chunk)
  return text
}

/** Runs a program to its end. @returns what it printed @throws StackError `ERR_HOST` if it failed */
export async function outputIn(
  place: Place,
  command: string,
  args: readonly string[],
  timeoutMs: number,
  signal: AbortSignal | undefined,
): Promise<string> {
  const { code, stdout, stderr } = await runIn(place, command, args, timeoutMs, signal)
  if (code === 0) return stdout
  throw new StackError('ERR_HOST', `${command} ended with ${code}: ${(stderr || stdout).trim().slice(-500)}`)
}

export interface Load {
  readonly mode: 'window' | 'pingpong'
  readonly address: string
  readonly port: number
  readonly seconds: number
  readonly warmupSeconds: number
  readonly bytes: number
  readonly window: number
}

/** What `udp-load` tells. */
export interface LoadResult {
  readonly received: number
  readonly perSecond: number
  /** Given up, those that came late included. */
  readonly lost: number
  readonly late: number
  /** Of another length, or with another slot: not what was sent. */
  readonly wrong: number
  readonly seconds: number
  /** Processor time of the load itself, by second. */
  readonly cpu: number
  readonly p50Us?: number
  readonly p99Us?: number
  readonly p999Us?: number
}

/** @throws StackError `ERR_TIMED_OUT` if nothing came back, `ERR_HOST` if the peer failed */
export async function runLoad(place: Place, load: Load, signal?: AbortSignal): Promise<LoadResult> {
  const { mode, address, port, seconds, warmupSeconds, bytes, window } = load
  const numbers = { seconds, warmup: warmupSeconds, bytes, window }
  const options = Object.entries(numbers).map(([name, value]) => `--${name}=${value}`)
  const timeoutMs = (seconds + warmupSeconds) * 1_000 + PATIENCE_MS
  const args = [mode, address, String(port), ...options]
  const ended = await runIn(place, peerPath('udp-load'), args, timeoutMs, signal)
  return parseLoad(ended, `${address} port ${port}`)
}

/**
 * Runs `tcp-load` for as long as it is told to.
 * @returns its last line of JSON
 * @throws StackError `ERR_HOST` if it failed
 */
export async function runPeer(
  place: Place | null,
  name: PeerName,
  args: readonly string[],
  { seconds, warmupSeconds, signal }: PeerTimes,
): Promise<Record<string, unknown>> {
  const all = [...args, `--seconds=${seconds}`, `--warmup=${warmupSeconds}`]
  const timeoutMs = (seconds + warmupSeconds) * 1_000 + PATIENCE_MS
  const { code, stdout, stderr } = await runIn(place, peerPath(name), all, timeoutMs, signal)
  const last = stdout.trim().split('\n').at(-1) ?? ''
  const told = last.startsWith('{') ? (JSON.parse(last) as Record<string, unknown>) : {}
  if (code === 0 && told['error'] === undefined) return told
  throw new StackError('ERR_HOST', `${name} ${args.join(' ')}: ${String(told['error'] ?? stderr.trim())}`)
}

/** How long a peer runs. */
export interface PeerTimes {
  readonly seconds: number
  readonly warmupSeconds: number
  readonly signal: AbortSignal | undefined
}

function parseLoad({ code, stdout, stderr }: Ended, where: string): LoadResult {
  let result: LoadResult
  try {
    result = JSON.parse(stdout) as LoadResult
  } catch (cause) {
    throw new StackError('ERR_HOST', `udp-load ended with ${code}: ${stderr.trim() || stdout.trim()}`, {
      cause,
    })
  }
  if (typeof result.received !== 'number')
    throw new StackError('ERR_HOST', `udp-load: ${stderr.trim() || stdout.trim()}`)
  if (result.received === 0) throw new StackError('ERR_TIMED_OUT', `nothing came back from ${where}`)
  return result
}

/** What ping(8) tells in its last lines. */
export interface PingResult {
  readonly address: string
  readonly sent: number
  readonly received: number
  readonly lost: number
}

/**
 * `ping -f`: each request as soon as the last one is answered.
 * @returns null if there is no ping(8) that floods
 */
export async function floodPing(
  place: Place,
  address: string,
  count: number,
  signal?: AbortSignal,
): Promise<PingResult | null> {
  const ping = findProgram(['ping'])
  if (ping === null) return null
  const args = ['-f', '-q', '-n', '-c', String(count), address]
  const ended = await runIn(place, ping, args, 60_000 + count * 20, signal)
  const parsed = parsePing(ended.stdout)
  return parsed === null ? null : { address, ...parsed }
}

/** @param text - the output of ping(8) of iputils @returns null if that is not what it is */
export function parsePing(text: string): Omit<PingResult, 'address'> | null {
  const match = /^(\d+) packets transmitted, (\d+) received/m.exec(text)
  if (match === null) return null
  const sent = Number(match[1])
  const received = Number(match[2])
  return { sent, received, lost: sent - received }
}
