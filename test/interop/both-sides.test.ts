/** The same link seen by our module "capture" and by libpcap in the kernel: the packets must be the same, byte for byte. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { captureModule } from '../../src/driver/capture-file.ts'
import type { CaptureSink } from '../../src/driver/capture-recording.ts'
import { type KernelCapture, startKernelCapture } from '../../src/driver/kernel-capture.ts'
import { FLAG_INBOUND, FLAG_OUTBOUND } from '../../src/driver/pcapng.ts'
import { type PcapngFile, readPcapng } from '../../src/driver/pcapng-reader.ts'
import { LinkControl } from '../../src/host/links.ts'
import { createNamespace, deleteNamespace, insideNamespace, netnsPath } from '../../src/host/namespace.ts'
import { loadOptionalPackage } from '../../src/host/optional-package.ts'
import type { Shim } from '../../src/host/shim.ts'
import { shim as loaded, missing, titled } from '../../src/host/testing/requirements.ts'
import { NodeLoop } from '../../src/node/loop.ts'
import { freemsg, Stream } from '../../src/streams/index.ts'
import { flat, numberedPacket } from '../../src/streams/testing/index.ts'
import { RawInjector, rawInjectMissing } from './raw-inject.ts'

const cap = loadOptionalPackage('cap')
const capMissing = cap.kind === 'missing' ? `package cap: ${cap.reason}` : ''
const reason = [missing('shim', 'namespaces', 'tun'), capMissing, rawInjectMissing]
  .filter(text => text !== '')
  .join(', ')

const COUNT = 20

function memory(): { sink: CaptureSink; file(): PcapngFile } {
  const parts: Uint8Array[] = []
  const sink = {
    startedAtUs: Date.now() * 1_000,
    write: (bytes: Uint8Array) => void parts.push(bytes.slice()),
  }
  return { sink, file: () => readPcapng(Buffer.concat(parts)) }
}

/** UDP packets between the two addresses, as text that can be compared. */
const ofTest = (file: PcapngFile, flags?: number): string[] =>
  file.packets
    .filter(({ bytes }) => bytes[0] === 0x45 && bytes[9] === 17 && bytes[12] === 10 && bytes[13] === 77)
    .filter(packet => flags === undefined || packet.flags === flags)
    .map(({ bytes }) => Buffer.from(bytes).toString('hex'))

describe.skipIf(reason !== '')(titled('captures of both sides of a TUN link', reason), () => {
  const shim = loaded as Shim
  const name = `pxc-${process.pid}`
  let loop: NodeLoop
  let stream: Stream
  let kernel: KernelCapture

  beforeEach(() => {
    createNamespace(shim, name)
    loop = new NodeLoop({ shim })
    stream = Stream.open(loop.runtime, 'tun', { options: { name: 'tun0', namespace: netnsPath(name) } })
    const links = new LinkControl(shim, netnsPath(name))
    links.addAddress('tun0', '10.77.1.1/24')
    links.setUp('tun0', true)
    links.close()
  })

  afterEach(() => {
    kernel.stop()
    stream.close()
    loop.runtime.arena.assertWhole()
    loop.close()
    deleteNamespace(shim, name)
  })

  it('are the same packets in each direction', async () => {
    const [ours, theirs] = [memory(), memory()]
    stream.push(captureModule, { sink: ours.sink })
    stream.onReadable = () => {
      for (let mp = stream.getmsg(); mp !== null; mp = stream.getmsg()) freemsg(mp)
    }
    const { injector } = insideNamespace(shim, netnsPath(name), () => {
      kernel = startKernelCapture({
        interface: 'tun0',
        sink: theirs.sink,
        filter: 'udp and net 10.77.1.0/24',
      })
      return { injector: new RawInjector('IPv4') }
    })
    for (let i = 0; i < COUNT; i++) {
      const mp = numberedPacket(loop.runtime.arena, 1_000 + i)
      const packet = flat(mp)
      freemsg(mp)
      await injector.send(packet, '10.77.1.2')
      // The way back: we are 10.77.1.2 and the kernel 10.77.1.1. Swapping two addresses leaves the checksums right.
      const back = numberedPacket(loop.runtime.arena, 2_000 + i)
      const [from, to] = [back.rptr + 12, back.rptr + 16]
      const source = back.dblk.bytes.slice(from, to)
      back.dblk.bytes.copyWithin(from, to, to + 4)
      back.dblk.bytes.set(source, to)
      expect(stream.putmsg(back)).toBe(true)
    }
    const both = (): number => ofTest(theirs.file()).length
    for (let i = 0; i < 200 && both() < 2 * COUNT; i++) await new Promise(resolve => setTimeout(resolve, 10))
    injector.close()
    kernel.stop()
    stream.pop()
    const [in_, out] = [ofTest(ours.file(), FLAG_INBOUND), ofTest(ours.file(), FLAG_OUTBOUND)]
    expect([in_.length, out.length]).toEqual([COUNT, COUNT])
    const kernelSaw = ofTest(theirs.file())
    expect(kernelSaw.filter(each => in_.includes(each))).toEqual(in_)
    expect(kernelSaw.filter(each => out.includes(each))).toEqual(out)
    expect(kernelSaw.length).toBe(2 * COUNT)
  })
})
