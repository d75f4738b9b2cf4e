/**
 * The native shim: its calls as TypeScript sees them, and where the binary is found. Importing this file loads
 * nothing; everything that needs no device works without the binary.
 *
 * All calls are synchronous and return a value >= 0, or `-errno` (see {@link errnoName}). They throw only for an
 * argument of the wrong type, or when a thread cannot return to its network namespace.
 */

import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import { StackError } from '../base/errors.ts'

/** A port, as {@link ShimPorts.attach} numbers it. A detached port's number stays invalid (`-EBADF`). */
export type PortId = number

/**
 * Called once per readiness, never more often.
 * @param status - 0, or `-errno` when polling has ended by itself (`-EBADF`: the device is gone)
 * @param events - which of {@link POLL_READABLE}, {@link POLL_WRITABLE}, {@link POLL_DISCONNECT} hold
 */
export type ReadyCallback = (status: number, events: number) => void

/** The data path: a descriptor joined to an arena, batched reads and writes, readiness. */
export interface ShimPorts {
  /**
   * Joins a non-blocking descriptor to an arena. On success the port owns `fd`.
   * @param desc - the descriptor array, see the `DESC_` constants; at least {@link DESC_WORDS} words
   * @param clock - `clock[0]` is set by every exchange to {@link Shim.now}
   * @returns port; `-EBADF` no such arena, `-EINVAL`, `-EEXIST` fd is attached already, `-EPERM` fd cannot be polled
   */
  attach(fd: number, arena: number, desc: Int32Array, clock: Float64Array, ready: ReadyCallback): PortId
  /** Stops polling and closes the descriptor before it returns. */
  detach(port: PortId): number
  /** Polls for `events`, level-triggered; the loop stays alive while polling unless `portRef(port, 0)`. */
  pollStart(port: PortId, events: number): number
  pollStop(port: PortId): number
  portRef(port: PortId, on: 0 | 1): number
  /**
   * Makes `bytes` region `slot` (1 to {@link REGION_COUNT} - 1) of the next exchange, and of no other.
   * The caller keeps `bytes` alive until then.
   */
  pin(port: PortId, slot: number, bytes: Uint8Array): number
  /**
   * Writes `txCount` packets, then reads up to `rxMax` until nothing is left; if nothing was read and `timeoutUs` is
   * not 0, waits that long for something to read (also for room to write, if writing stopped with EAGAIN) and
   * reads again. What happened is in the descriptor array.
   * @param timeoutUs - 0 never waits, -1 waits without limit and blocks this thread
   * @returns packets read; `-EINVAL` for a descriptor outside its memory, `-EBADF` no such port
   */
  exchange(port: PortId, txCount: number, rxMax: number, timeoutUs: number): number
  /**
   * One writev(2) of a stream socket: `count` fragments, triples `[region, offset, length]` from word `at` of the descriptor array on,
   * at most {@link STREAM_FRAGMENT_MAX}.
   * @returns bytes written, or -errno
   */
  streamWrite(port: PortId, at: number, count: number): number
  /** One readv(2), into fragments of region 0. @returns bytes read, 0 at the end, or -errno */
  streamRead(port: PortId, at: number, count: number): number
  /** Closes a descriptor that no port owns (`-EBUSY` if one does). */
  fdClose(fd: number): number
}

/** Arenas and bulk work on bytes. */
export interface ShimMemory {
  /** Keeps `bytes` alive and in place until released; its buffer must never be transferred or resized. */
  bindArena(bytes: Uint8Array): number
  /** `-EBUSY` while a port uses the arena. */
  releaseArena(arena: number): number
  /**
   * Internet checksum's sum (RFC 1071) of bytes taken as big-endian 16-bit words, an odd end padded with zero.
   * @param initial - a sum to go on from, 0 to 2^31-1
   * @returns the sum folded to 16 bits, not complemented
   */
  checksum(arena: number, offset: number, length: number, initial: number): number
  checksumBytes(bytes: Uint8Array, offset: number, length: number, initial: number): number
  /** memmove inside an arena; the ranges may overlap. */
  copyWithin(arena: number, to: number, from: number, length: number): number
  copyBytes(to: Uint8Array, toOffset: number, from: Uint8Array, fromOffset: number, length: number): number
}

/** TUN devices; see `tun.ts` for the calls with errors explained. */
export interface ShimTun {
  /**
   * Opens `/dev/net/tun` in a network namespace and names the interface (`TUNSETIFF`).
   * @param namespace - path as `/run/netns/NAME`, or '' for the current one
   * @param flags - `IFF_TUN` and friends; with `IFF_MULTI_QUEUE` a second call opens another queue
   */
  tunOpen(namespace: string, name: string, flags: number): number
  tunOffload(fd: number, bits: number): number
  tunVnetHdrSize(fd: number, bytes: number): number
  tunFeatures(fd: number): number
  tunName(fd: number): string | number
  tunSndbuf(fd: number, bytes: number): number
  tunPersist(fd: number, on: 0 | 1): number
}

/** Network namespaces and what is reached through them. */
export interface ShimNamespaces {
  /** Makes a namespace and binds it to a new file; the thread stays where it is. */
  nsCreate(path: string): number
  nsDelete(path: string): number
  /** Moves this thread for good. */
  nsEnter(path: string): number
  /** Makes a directory a shared mount, as ip-netns(8) does with `/run/netns`. */
  nsShareDirectory(path: string): number
  /** One read (`write` 0) or write (1) of a file opened inside a namespace, as those under `/proc/sys/net`. */
  nsFile(namespace: string, file: string, bytes: Uint8Array, write: 0 | 1): number
  netlinkOpen(namespace: string, protocol: number): number
  /** Sends a request (none if empty) and receives one datagram without waiting (`-EAGAIN`: no more). */
  netlinkTalk(fd: number, request: Uint8Array, reply: Uint8Array): number
}

/** Unix stream sockets, and memory that two processes map. Sockets are non-blocking. */
export interface ShimIpc {
  /** The file gets the mode that the umask leaves. */
  unixListen(path: string, backlog: number): number
  unixConnect(path: string): number
  unixAccept(fd: number): number
  /** @param into - its first two words become the peer's process and its user */
  unixPeer(fd: number, into: Int32Array): number
  /** Sends one byte that carries a descriptor (unix(7), SCM_RIGHTS), or none if `fd` is -1. */
  sendDescriptor(socket: number, fd: number): number
  /** Takes the byte and its descriptor: `-EBADMSG` if it carries none, `-ECONNRESET` at the end. */
  receiveDescriptor(socket: number): number
  /** Memory of no file (memfd_create(2)), whose size is sealed. */
  memoryMake(bytes: number): number
  /** @returns the memory, unmapped when it is garbage; or -errno */
  memoryMap(fd: number, bytes: number): ArrayBuffer | number
}

export interface Shim extends ShimPorts, ShimMemory, ShimTun, ShimNamespaces, ShimIpc {
  /** Microseconds of CLOCK_MONOTONIC. */
  now(): number
  /** Asks the kernel to send `signal` to this process when its parent ends (prctl(2), PR_SET_PDEATHSIG). */
  parentDeathSignal(signal: number): number
}

// Word offsets in the descriptor array; native-shims/exchange.h has the same table.
/** out: packets written */
export const DESC_TX_DONE = 0
/** out: the errno, positive, of the packet at which writing stopped; 0 if none */
export const DESC_TX_ERRNO = 1
/** out: spill blocks that hold the end of a packet */
export const DESC_SPILL_USED = 2
/** out: the errno, positive, that ended reading: 0 (limit reached), EAGAIN (dry), EINTR, or the device's end */
export const DESC_RX_ERRNO = 3
/** in: bytes that a head block takes */
export const DESC_HEAD_CAPACITY = 4
/** in: bytes that a spill block takes */
export const DESC_SPILL_CAPACITY = 5
/** in: spill blocks offered; reading ends when all are used. With 0 a packet above the head's capacity is cut. */
export const DESC_SPILL_COUNT = 6
/** in: word index of the packets to write: per packet `[n, region, offset, length, ...]`, n from 1 to 64 */
export const DESC_TX_BASE = 7
/** in: word index of the head blocks' arena offsets; out: the same words hold the packets' lengths */
export const DESC_RX_BASE = 8
/** in: word index of the spill blocks' arena offsets; a packet longer than its head takes the next one */
export const DESC_SPILL_BASE = 9
/** out: bytes written */
export const DESC_TX_BYTES = 10
/** out: bytes read */
export const DESC_RX_BYTES = 11
/** Words 12 to 15 are reserved; the three areas start at or after this index. */
export const DESC_WORDS = 16

/** Regions that a fragment may name: 0 is the arena, the others are pinned. */
export const REGION_COUNT = 64
/** Fragments that one packet may have. */
export const FRAGMENT_MAX = 64

/** Fragments of one {@link ShimPorts.streamWrite}. */
export const STREAM_FRAGMENT_MAX = 512

export const POLL_READABLE = 1
export const POLL_WRITABLE = 2
export const POLL_DISCONNECT = 4

/** What builds the binary, for messages. */
export const BUILD_COMMAND = 'scripts/build-shim'

const PACKAGE_ROOT = fileURLToPath(new URL('../../', import.meta.url))

/** The C library of the running Node, from its own report. */
export function libcName(): 'glibc' | 'musl' {
  const report = process.report.getReport() as { header?: { glibcVersionRuntime?: string } }
  return report.header?.glibcVersionRuntime === undefined ? 'musl' : 'glibc'
}

/**
 * Where the binary may be, best first.
 * @param root - the package's directory, ending in a slash
 */
export function shimCandidates(root: string = PACKAGE_ROOT): readonly string[] {
  const built = `${root}build/putnext.node`
  if (!existsSync(`${root}prebuilds`)) return [built]
  return [`${root}prebuilds/linux-${process.arch}-${libcName()}/putnext.node`, built]
}

/**
 * Loads the shim.
 * @param root - the package's directory, ending in a slash
 * @throws {@link StackError} `ERR_SHIM_MISSING` when there is no binary, or none that this system can load
 */
export function loadShim(root: string = PACKAGE_ROOT): Shim {
  const hint = `build it with: ${root}${BUILD_COMMAND} (needs a C compiler)`
  if (process.platform !== 'linux') {
    throw new StackError('ERR_SHIM_MISSING', `the native shim is for Linux, this is ${process.platform}`)
  }
  const found = shimCandidates(root).filter(path => existsSync(path))
  let cause: unknown
  for (const path of found) {
    try {
      return createRequire(import.meta.url)(path) as Shim
    } catch (error) {
      cause = error
    }
  }
  if (found.length === 0) throw new StackError('ERR_SHIM_MISSING', `no native shim found; ${hint}`, { hint })
  throw new StackError('ERR_SHIM_MISSING', `the native shim does not load: ${found}; ${hint}`, {
    hint,
    cause,
  })
}

/** Loads the shim, or returns `null` where {@link loadShim} would throw. */
export function tryShim(root: string = PACKAGE_ROOT): Shim | null {
  try {
    return loadShim(root)
  } catch (error) {
    if (error instanceof StackError) return null
    throw error
  }
}
