/**
 * Captures on the kernel's side of a link, by libpcap through the optional package `cap`; written to the same kind of
 * file as the module "capture" writes.
 */
import { StackError } from '../base/errors.ts'
import { loadOptionalPackage, type OptionalPackage } from '../host/optional-package.ts'
import type { CaptureSink, CaptureTotals } from './capture-recording.ts'
import { CaptureRing } from './capture-ring.ts'
import {
  interfaceBlock,
  LINKTYPE_RAW,
  PACKET_HEADER_BYTES,
  packetBlockBytes,
  putPacketBlock,
  sectionBlock,
  statisticsBlock,
} from './pcapng.ts'

export interface KernelCaptureOptions {
  /** Name of the interface, in the namespace in which this is called. */
  readonly interface: string
  readonly sink: CaptureSink
  /** Words of pcap-filter(7), all of them; empty for everything. */
  readonly filter?: string
  /** Most bytes of a packet, up to 65,535, which is also the default. */
  readonly snaplen?: number
  /** The capture ends after so many packets; 0, the default, for no limit. */
  readonly packets?: number
  /** Memory that libpcap may fill while this process does something else; 10 MiB by default. */
  readonly bufferBytes?: number
  /** How the package is loaded; for tests. */
  readonly load?: (name: 'cap') => OptionalPackage
}

/** A capture that runs. */
export interface KernelCapture {
  /** Settled when it has ended, by {@link stop}, by its limit of packets, or with the interface. */
  readonly done: Promise<CaptureTotals>
  readonly stop: () => CaptureTotals
}

/** What we use of the package `cap`. */
interface CapSocket {
  open(device: string, filter: string, bufferBytes: number, packet: Buffer): string
  close(): void
  setMinBytes?(bytes: number): void
  on(event: 'packet', listener: (bytes: number, truncated: boolean) => void): void
  on(event: 'error', listener: (error: Error) => void): void
}

/** Link types by the names that `cap` has for them. */
const LINK_TYPES: Readonly<Record<string, number>> = {
  NULL: 0,
  ETHERNET: 1,
  IEEE802_11_RADIO: 127,
  LINKTYPE_LINUX_SLL: 113,
  RAW: LINKTYPE_RAW,
}
const SNAPLEN_MAX = 65_535
const WRITE_EVERY_MS = 20

/**
 * Starts a capture on an interface of the kernel. Packets wait for 20 ms at most before they are written.
 * @throws StackError `ERR_NOT_SUPPORTED` without the package, `ERR_NOT_FOUND` or `ERR_PERMISSION` for the interface,
 * `ERR_BAD_CONFIG` for the filter
 */
export function startKernelCapture(options: KernelCaptureOptions): KernelCapture {
  const { sink, packets = 0, snaplen = SNAPLEN_MAX } = options
  const packet = Buffer.alloc(SNAPLEN_MAX)
  const socket = openSocket(options, packet)
  const ring = new CaptureRing(4 * 1024 * 1024, 0)
  const totals: CaptureTotals = { seen: 0, recorded: 0, bytes: 0, notRecorded: 0 }
  const write = (): void => ring.drain(bytes => sink.write(bytes))
  let settle: (totals: CaptureTotals) => void
  let fail: (error: unknown) => void
  const done = new Promise<CaptureTotals>((resolve, reject) => {
    settle = resolve
    fail = reject
  })
  // Whoever only calls `stop` hears of a failure there.
  done.catch(() => {})
  let running = true
  const stop = (): CaptureTotals => {
    if (!running) return totals
    running = false
    clearInterval(timer)
    socket.close()
    try {
      write()
      sink.write(statisticsBlock(0, Date.now() * 1_000, totals.seen, totals.notRecorded))
      sink.close?.()
      settle(totals)
    } catch (error) {
      fail(error)
    }
    return totals
  }
  const timer = setInterval(() => {
    try {
      write()
    } catch (error) {
      fail(error)
      stop()
    }
  }, WRITE_EVERY_MS)
  socket.on('error', error => {
    fail(
      new StackError('ERR_DEVICE_GONE', `capture on ${options.interface}: ${error.message}`, {
        cause: error,
      }),
    )
    stop()
  })
  socket.on('packet', size => {
    if (!running) return
    totals.seen++
    const captured = Math.min(size, snaplen)
    const at = ring.reserve(packetBlockBytes(captured))
    if (at < 0) {
      totals.notRecorded++
      return
    }
    const timeUs = Date.now() * 1_000
    const fields = { interfaceId: 0, timeUs, captured, original: size, flags: 0, comment: null }
    putPacketBlock(ring.bytes, at, fields)
    ring.bytes.set(packet.subarray(0, captured), at + PACKET_HEADER_BYTES)
    totals.recorded++
    totals.bytes += captured
    if (packets > 0 && totals.recorded >= packets) stop()
  })
  return { done, stop }
}

function openSocket(options: KernelCaptureOptions, packet: Buffer): CapSocket {
  const { sink, snaplen = SNAPLEN_MAX, filter = '', bufferBytes = 10 * 1024 * 1024 } = options
  const loaded = (options.load ?? loadOptionalPackage)('cap')
  if (loaded.kind === 'missing')
    throw new StackError(
      'ERR_NOT_SUPPORTED',
      `captures of the kernel's side need the package "cap": ${loaded.reason}`,
      {
        hint: loaded.remedy,
      },
    )
  const { Cap } = loaded.exports as { Cap: new () => CapSocket }
  const socket = new Cap()
  let linkName: string
  try {
    linkName = socket.open(options.interface, filter, bufferBytes, packet)
  } catch (cause) {
    throw refusal(options.interface, cause as Error)
  }
  // Each packet at once, instead of when many have come.
  socket.setMinBytes?.(0)
  sink.write(sectionBlock())
  sink.write(
    interfaceBlock(options.interface, snaplen, "the kernel's side", LINK_TYPES[linkName] ?? LINKTYPE_RAW),
  )
  return socket
}

/** libpcap tells what is wrong in words only. */
function refusal(name: string, cause: Error): StackError {
  const text = `capture on ${name}: ${cause.message}`
  if (/permi/i.test(cause.message))
    return new StackError('ERR_PERMISSION', text, { cause, hint: 'it takes CAP_NET_RAW: run it as root' })
  if (/no such device|doesn't exist|not up/i.test(cause.message))
    return new StackError('ERR_NOT_FOUND', text, { cause })
  return new StackError('ERR_BAD_CONFIG', text, { cause })
}
