/** Who has its turn, and when. */
import { afterEach, expect, it } from 'vitest'
import { after, milliseconds } from '../base/time.ts'
import { UdpEndpoint } from '../socket/endpoint.ts'
import { createServer } from '../socket/net.ts'
import { freemsg } from '../streams/mblk/alloc.ts'
import { Arena } from '../streams/mblk/arena.ts'
import type { DriverInfo } from '../streams/module.ts'
import { qenable } from '../streams/queue.ts'
import { Stream } from '../streams/stream.ts'
import { Timer } from '../streams/timers.ts'
import { type KernelHost, kernelHost } from './host.ts'
import { KernelLoop } from './loop.ts'
import { Plain } from './testing/plain.ts'
import { until } from './testing/until.ts'

const closers: (() => unknown)[] = []

afterEach(async () => {
  for (const close of closers.splice(0)) await close()
})

function hostOf(): KernelHost {
  const host = kernelHost({ arenaBytes: 1024 * 1024 })
  closers.push(() => host.close())
  return host
}

/** A driver whose work brings about more work, by a tick each time: as writing does whose callback says that there is room. */
function restless(loop: KernelLoop, onRun: () => boolean): DriverInfo<null> {
  return {
    name: 'restless',
    driver: true,
    hiwat: 1,
    lowat: 1,
    open: () => null,
    close: () => {},
    read: { put: (_q, mp) => freemsg(mp) },
    write: {
      put: (_q, mp) => freemsg(mp),
      service: q => {
        if (!onRun()) return
        process.nextTick(() => {
          loop.enter(true)
          qenable(q)
          loop.leave()
        })
      },
    },
  }
}

it('ticks that bring about ticks leave the event loop its turn', async () => {
  const loop = new KernelLoop(new Arena({ sizeBytes: 1024 * 1024 }))
  closers.push(() => loop.close())
  let runs = 0
  let stop = false
  const stream = Stream.open(
    loop.runtime,
    restless(loop, () => ++runs < 100_000 && !stop),
  )
  qenable(stream.bottom.other)
  await new Promise(resolve => setTimeout(resolve, 5))
  stop = true
  expect(runs).toBeGreaterThan(32)
  expect(runs).toBeLessThan(100_000)
  await new Promise(resolve => setImmediate(resolve))
  stream.close()
})

it('while a program waits for the event loop nothing runs, and afterwards all does', async () => {
  const loop = new KernelLoop(new Arena({ sizeBytes: 1024 * 1024 }))
  closers.push(() => loop.close())
  let runs = 0
  const stream = Stream.open(
    loop.runtime,
    restless(loop, () => ++runs < 0),
  )
  loop.runtime.scheduler.programEvents++
  qenable(stream.bottom.other)
  let before = -1
  setImmediate(() => {
    before = runs
    loop.runtime.scheduler.programEvents--
  })
  await until('it ran', () => runs === 1)
  expect(before).toBe(0)
  stream.close()
})

it('open sockets keep the program running, unless the host is told not to; keepalive counts for itself', async () => {
  const count = (kind: string): number =>
    process.getActiveResourcesInfo().filter(name => name === kind).length
  const before = count('UDPWrap')
  const host = hostOf()
  const endpoint = UdpEndpoint.open(host.runtime, { family: 4, bind: { address: '127.0.0.1' } })
  expect(count('UDPWrap')).toBe(before + 1)
  host.unref()
  expect(count('UDPWrap')).toBe(before)
  const other = UdpEndpoint.open(host.runtime, { family: 4, bind: { address: '127.0.0.1' } })
  expect(count('UDPWrap')).toBe(before)
  host.ref()
  expect(count('UDPWrap')).toBe(before + 2)
  endpoint.close()
  other.close()
  const timers = count('Timeout')
  host.keepalive.ref()
  host.keepalive.ref()
  expect(count('Timeout')).toBe(timers + 1)
  host.keepalive.unref()
  expect(count('Timeout')).toBe(timers + 1)
  host.keepalive.unref()
  expect(count('Timeout')).toBe(timers)
})

it('sockets in the shape of node:net stand above it', async () => {
  const host = hostOf()
  const plain = new Plain()
  closers.push(() => plain.close())
  const server = createServer(host, socket => socket.pipe(socket))
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  const socket = await plain.connect('127.0.0.1', port)
  let text = ''
  socket.on('data', data => {
    text += data.toString()
  })
  socket.write('over both')
  await until('the echo', () => text === 'over both')
  socket.end()
  await new Promise(resolve => server.close(resolve))
})

it('a deadline beyond 24 days, which is as long as a timer of Node may be, keeps nobody busy until then', async () => {
  const warnings: string[] = []
  const onWarning = (warning: Error): number => warnings.push(warning.name)
  process.on('warning', onWarning)
  const { runtime } = hostOf()
  const timer = new Timer(() => {})
  runtime.timers.arm(timer, after(runtime.clock.now(), milliseconds(1e10)))
  await new Promise(resolve => setTimeout(resolve, 20))
  expect(warnings).toEqual([])
  runtime.timers.cancel(timer)
  process.off('warning', onWarning)
})
