/**
 * The TUN driver. Its write queue's service procedure is the whole data path to the kernel: one native call
 * writes all packets that wait and reads all that have come. Received packets land in a 2 KiB block; what is longer
 * goes on in a 64 KiB block chained behind it, so that small packets do not pin large memory and a super-segment
 * is never copied.
 */
import { type Counters, makeCounters } from '../base/counters.ts'
import { StackError } from '../base/errors.ts'
import { after, milliseconds } from '../base/time.ts'
import { ERRNO, errnoName } from '../host/host-error.ts'
import { POLL_READABLE, POLL_WRITABLE, type Shim } from '../host/shim.ts'
import { openTun, type TunDevice } from '../host/tun.ts'
import { makeError, makeHangup } from '../streams/condition.ts'
import { driverFlush } from '../streams/flush.ts'
import { ackIoctl, nakIoctl, readIoctl } from '../streams/ioctl.ts'
import { CTL_LINK_QUERY, controlCode, makeLinkInfo } from '../streams/link-info.ts'
import { freemsg } from '../streams/mblk/alloc.ts'
import { type Mblk, OFFLOAD_CSUM_VALID } from '../streams/mblk/mblk.ts'
import { messageBytes } from '../streams/mblk/message.ts'
import { M_CTL, M_DATA, M_FLUSH, M_IOCTL } from '../streams/mblk/types.ts'
import type { DriverInfo } from '../streams/module.ts'
import { putnext, qreply } from '../streams/putnext.ts'
import { canputnext, getq, putbq, putq, type Queue, qenable, WR } from '../streams/queue.ts'
import type { Timer } from '../streams/timers.ts'
import { TunBatch } from './tun-batch.ts'
import { linkCapabilities, parseTunOptions, type TunOpenOptions } from './tun-options.ts'
import { readVirtioHeader, VIRTIO_DROPS } from './virtio.ts'

const { EAGAIN, EINTR, EINVAL, EIO, ENOBUFS, ENOMEM } = ERRNO

/** What the driver needs of the process it runs in. */
export interface TunHost {
  readonly shim: Shim
  /** The shim's number for the runtime's arena. */
  readonly arenaId: number
  /** Called at each readiness, after the queue was enabled: run the stack until it is idle. */
  readonly onReady: () => void
}

export const TUN_COUNTERS = [
  'rx-packets',
  'rx-bytes',
  'tx-packets',
  'tx-bytes',
  'exchanges',
  'rx-super',
  'tx-super',
  'rx-empty',
  'rx-full',
  'rx-no-buffers',
  'rx-errors',
  'tx-errors',
  'tx-empty',
  'tx-refused-offload',
  'tx-no-buffers',
  'tx-waits',
  ...VIRTIO_DROPS,
] as const
export type TunCounters = Counters<(typeof TUN_COUNTERS)[number]>

/** State of one open TUN stream. */
export class Tun {
  readonly host: TunHost
  readonly options: TunOpenOptions
  readonly device: TunDevice
  readonly batch: TunBatch
  readonly counters: TunCounters = makeCounters(TUN_COUNTERS)
  readonly port: number
  readonly retry: Timer
  /** `LINK_*` bits that are on; they shrink if the kernel refuses a super-packet. */
  capabilities: number
  gone = false
  waitingToWrite = false
  /** Packets moved so far, modulo 2^32: whether it was worth a look. */
  moved = 0
  /** Packets read by the last exchange. */
  lastRead = 0

  constructor(q: Queue<Tun>, host: TunHost, options: TunOpenOptions) {
    this.host = host
    this.options = options
    this.device = openTun(host.shim, options)
    this.capabilities = linkCapabilities(this.device)
    const runtime = q.stream.runtime
    this.batch = new TunBatch(runtime.arena, host.shim, this.device.vnetHeaderBytes !== 0)
    const { desc } = this.batch
    // Every exchange leaves the time where the whole stack reads it.
    const { recent } = runtime
    const port = host.shim.attach(this.device.fd, host.arenaId, desc, recent, status => this.ready(q, status))
    if (port < 0) {
      host.shim.fdClose(this.device.fd)
      this.batch.close()
      throw new StackError('ERR_HOST', `cannot attach the TUN device ${options.name}: ${errnoName(-port)}`)
    }
    this.port = port
    this.batch.use(port)
    this.retry = runtime.timer(q, () => {
      this.waitingToWrite = false
      host.shim.pollStart(this.port, POLL_READABLE)
      qenable(WR(q))
    })
    host.shim.pollStart(port, POLL_READABLE)
  }

  private ready(q: Queue<Tun>, status: number): void {
    if (status < 0) this.fail(q, -status)
    if (this.waitingToWrite) {
      this.waitingToWrite = false
      this.host.shim.pollStart(this.port, POLL_READABLE)
    }
    qenable(WR(q))
    this.host.onReady()
  }

  /** The device is gone, or cannot be read any more: the stream hears of it once, and polling ends. */
  fail(q: Queue<Tun>, errno: number): void {
    if (this.gone) return
    this.gone = true
    this.host.shim.pollStop(this.port)
    const arena = q.stream.runtime.arena
    const text = `TUN device ${this.device.name}: ${errnoName(errno)}`
    q.stream.runtime.event('error', 'tun.gone', text)
    const error = makeError(arena, 'ERR_DEVICE_GONE', text)
    if (error !== null) putnext(q.isRead ? q : q.other, error)
    const hangup = makeHangup(arena)
    if (hangup !== null) putnext(q.isRead ? q : q.other, hangup)
  }
}

/** The declaration of the driver for one process and one runtime. */
export function tunDriver(host: TunHost): DriverInfo<Tun> {
  return {
    name: 'tun',
    driver: true,
    // A burst for the device to take in one go; a super-packet of 64 KiB counts whole.
    hiwat: 4 * 1024 * 1024,
    lowat: 1024 * 1024,
    open: (q, options) => new Tun(q, host, parseTunOptions(options)),
    close: q => {
      const tun = q.state
      q.stream.runtime.timers.cancel(tun.retry)
      tun.gone = true
      host.shim.detach(tun.port)
      tun.batch.close()
    },
    read: { put: putnext },
    write: { put: writePut, service },
    counters: tun => tun.counters,
    describe: tun => ({
      device: tun.device.name,
      namespace: tun.options.namespace ?? '',
      mtu: tun.options.mtu,
      capabilities: tun.capabilities,
      gone: tun.gone,
    }),
  }
}

function writePut(q: Queue<Tun>, mp: Mblk): void {
  switch (mp.type) {
    case M_DATA:
      if (q.state.gone) return freemsg(mp)
      return putq(q, mp)
    case M_FLUSH:
      return driverFlush(q, mp)
    case M_IOCTL: {
      const { command } = readIoctl(mp)
      if (command === 'tun.info') return ackIoctl(q, mp, { ...q.state.device, mtu: q.state.options.mtu })
      return nakIoctl(
        q,
        mp,
        new StackError('ERR_IOCTL', `tun knows no request "${command}"`, { hint: 'try tun.info' }),
      )
    }
    case M_CTL:
      if (controlCode(mp) === CTL_LINK_QUERY) tellLinkInfo(q)
      return freemsg(mp)
    default:
      freemsg(mp)
  }
}

function tellLinkInfo(q: Queue<Tun>): void {
  const tun = q.state
  const info = { mtu: tun.options.mtu, capabilities: tun.capabilities, up: !tun.gone }
  const mp = makeLinkInfo(q.stream.runtime.arena, info)
  if (mp !== null) qreply(q, mp)
}

/** One exchange with the kernel; enabled again as long as it moves something. */
function service(q: Queue<Tun>): void {
  const tun = q.state
  if (tun.gone) {
    for (let mp = getq(q); mp !== null; mp = getq(q)) freemsg(mp)
    return
  }
  const { batch, counters } = tun
  gather(q, tun)
  const room = batch.fill()
  if (room === 0) waitForBuffers(q, tun)
  // After a lone packet the next one is likely to be alone too: a look whether there are more can wait for the
  // exchange that sends the answer.
  const rxMax = batch.txCount === 0 && tun.lastRead <= 1 ? Math.min(room, 1) : room
  const got = tun.host.shim.exchange(tun.port, batch.txCount, rxMax, 0)
  counters.exchanges++
  if (got < 0) return tun.fail(q, -got)
  const written = settleWrites(q, tun)
  deliver(q, tun, got)
  tun.lastRead = got
  tun.moved = (tun.moved + written + got) | 0
  const ended = batch.rxErrno
  if (ended !== 0 && ended !== EAGAIN && ended !== EINTR) return readFailed(q, tun, ended)
  if ((got > 0 && got === rxMax) || q.first !== null) if (!tun.waitingToWrite) qenable(q)
}

/** Moves waiting packets into the batch, each behind its virtio header. */
function gather(q: Queue<Tun>, tun: Tun): void {
  const { batch, counters } = tun
  batch.begin()
  while (q.first !== null && batch.fits(q.first)) {
    const mp = getq(q)!
    if (mp.rptr === mp.wptr && messageBytes(mp) === 0) {
      // The exchange takes a packet without a byte for a mistake in its descriptors.
      counters['tx-empty']++
      freemsg(mp)
    } else if (!batch.vnet && !plain(mp)) {
      counters['tx-refused-offload']++
      freemsg(mp)
    } else if (!batch.add(mp)) {
      counters['tx-no-buffers']++
    }
  }
  // What the packets read in this exchange cause to be sent enables this procedure again.
  q.wantsReader = true
}

/** Whether a packet needs nothing that only a virtio header can ask for. */
const plain = (mp: Mblk): boolean => (mp.offload & ~OFFLOAD_CSUM_VALID) === 0

function settleWrites(q: Queue<Tun>, tun: Tun): number {
  const { batch, counters } = tun
  if (batch.txCount === 0) return 0
  const done = batch.written
  const errno = batch.txErrno
  counters['tx-packets'] += done
  counters['tx-bytes'] += batch.txBytes
  q.stream.runtime.arena.copies.kernel.bytes += batch.txBytes
  q.stream.runtime.arena.copies.kernel.calls += done
  counters['tx-super'] += batch.release(done)
  if (done === batch.txCount) return done
  if (errno === EAGAIN) {
    counters['tx-waits']++
    tun.waitingToWrite = true
    tun.host.shim.pollStart(tun.port, POLL_READABLE | POLL_WRITABLE)
  } else if (errno !== EINTR) {
    dropRefused(q, tun, errno)
  }
  // The rest goes back in front, last first, so that the order stays.
  for (let mp = batch.takeLast(); mp !== null; mp = batch.takeLast()) putbq(q, mp)
  return done
}

/** The packet at which writing stopped cannot be sent. */
function dropRefused(q: Queue<Tun>, tun: Tun, errno: number): void {
  const mp = tun.batch.takeFirst()
  if (mp === null) return
  tun.counters['tx-errors']++
  if (errno === EINVAL && mp.gsoSize !== 0 && tun.capabilities !== 0) {
    // Kernels from 6.10.3 on refuse some super-packets; go on without, and say so once.
    tun.capabilities = 0
    q.stream.runtime.event(
      'warn',
      'tun.offload-refused',
      `${tun.device.name}: the kernel refuses super-packets (EINVAL); going on without offload`,
    )
    tellLinkInfo(q)
  }
  freemsg(mp)
}

function deliver(q: Queue<Tun>, tun: Tun, got: number): void {
  const { batch, counters } = tun
  const up = q.other
  counters['rx-packets'] += got
  const copies = q.stream.runtime.arena.copies.kernel
  copies.bytes += batch.rxBytes
  copies.calls += got
  counters['rx-bytes'] += batch.rxBytes
  for (let i = 0; i < got; i++) {
    const size = batch.sizeOf(i)
    const mp = batch.take(i, size)
    if (mp.cont !== null) counters['rx-super']++
    const drop = batch.vnet ? readVirtioHeader(mp, size) : size === 0 ? 'rx-empty' : null
    if (drop !== null) counters[drop]++
    else if (!canputnext(up)) counters['rx-full']++
    else {
      putnext(up, mp)
      continue
    }
    freemsg(mp)
  }
}

function readFailed(q: Queue<Tun>, tun: Tun, errno: number): void {
  tun.counters['rx-errors']++
  // EIO: the interface is down for now; the kernel may be short of memory, too. Everything else (EBADFD) is the end.
  if (errno !== EIO && errno !== ENOBUFS && errno !== ENOMEM) return tun.fail(q, errno)
  tun.host.shim.pollStop(tun.port)
  q.stream.runtime.timers.arm(tun.retry, after(q.stream.runtime.clock.now(), milliseconds(50)))
}

/** No block is left to read into: look again in a millisecond instead of spinning. */
function waitForBuffers(q: Queue<Tun>, tun: Tun): void {
  tun.counters['rx-no-buffers']++
  tun.host.shim.pollStop(tun.port)
  q.stream.runtime.timers.arm(tun.retry, after(q.stream.runtime.clock.now(), milliseconds(1)))
}
