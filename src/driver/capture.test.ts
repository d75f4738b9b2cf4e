import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { sumBytes } from '../base/checksum.ts'
import { milliseconds } from '../base/time.ts'
import { freemsg, type Mblk, OFFLOAD_CSUM_NEEDED, Stream } from '../streams/index.ts'
import { chainOf, flat, makeTestRuntime, numberedPacket, type TestRuntime } from '../streams/testing/index.ts'
import { makeCaptureModule } from './capture.ts'
import { captureModule } from './capture-file.ts'
import type { CaptureSink } from './capture-recording.ts'
import { FLAG_INBOUND, FLAG_OUTBOUND, LINKTYPE_RAW } from './pcapng.ts'
import { type PcapngFile, readPcapng } from './pcapng-reader.ts'
import { makeWire } from './wire.ts'

const START_US = 1_700_000_000_123_456

interface MemorySink extends CaptureSink {
  readonly writes: number[]
  closed: boolean
  file(): PcapngFile
}

function memorySink(): MemorySink {
  const parts: Uint8Array[] = []
  const sink: MemorySink = {
    startedAtUs: START_US,
    writes: [],
    closed: false,
    write(bytes) {
      sink.writes.push(bytes.length)
      parts.push(bytes.slice())
    },
    close() {
      sink.closed = true
    },
    file: () => readPcapng(Buffer.concat(parts)),
  }
  return sink
}

interface Rig {
  readonly test: TestRuntime
  readonly near: Stream
  readonly far: Stream
}

const open: TestRuntime[] = []
afterEach(() => {
  for (const test of open.splice(0)) test.finish()
})

function rig(options?: unknown, module = makeCaptureModule()): Rig {
  const test = makeTestRuntime()
  open.push(test)
  const [one, two] = makeWire()
  const near = Stream.open(test.runtime, one, { name: 'tun0' })
  const far = Stream.open(test.runtime, two)
  for (const stream of [near, far])
    stream.onReadable = () => {
      for (let mp = stream.getmsg(); mp !== null; mp = stream.getmsg()) freemsg(mp)
    }
  near.push(module, options)
  return { test, near, far }
}

function exchange({ test, near, far }: Rig, count: number, from = 0): void {
  for (let i = from; i < from + count; i++) {
    near.putmsg(numberedPacket(test.arena, i))
    far.putmsg(numberedPacket(test.arena, 1_000_000 + i))
    test.settle()
  }
}

const last = (bytes: Uint8Array): number => Buffer.from(bytes).readUInt32BE(bytes.length - 4)

describe('driver/capture', () => {
  it('writes packets of both directions with their times, behind section and interface', () => {
    const sink = memorySink()
    const link = rig({ sink, comment: 'a test' })
    exchange(link, 1)
    link.test.advance(milliseconds(5))
    exchange(link, 1, 1)
    link.near.pop()
    const { comment, interfaces, packets, statistics } = sink.file()
    expect(comment).toBe('a test')
    expect(interfaces).toMatchObject([{ linkType: LINKTYPE_RAW, name: 'tun0', snaplen: 262_144 }])
    expect(packets.map(({ bytes, flags, time }) => [last(bytes), flags, Number(time) - START_US])).toEqual([
      [0, FLAG_OUTBOUND, 0],
      [1_000_000, FLAG_INBOUND, 0],
      [1, FLAG_OUTBOUND, 5_000],
      [1_000_001, FLAG_INBOUND, 5_000],
    ])
    expect(statistics).toEqual([{ interfaceId: 0, received: 4, dropped: 0 }])
    expect(sink.closed).toBe(true)
  })

  it('writes outside the data path, in batches, and copies at the edge what it records and no more', () => {
    const sink = memorySink()
    const link = rig({ sink, snaplen: 30 })
    const before = link.test.arena.copies.edge.bytes
    const headers = sink.writes.length
    exchange(link, 50)
    expect(sink.writes.length).toBe(headers)
    expect(link.test.arena.copies.edge.bytes - before).toBe(100 * 30)
    expect(link.test.arena.copies.stack.bytes).toBe(0)
    link.test.advance(milliseconds(20))
    expect(sink.writes.length).toBe(headers + 1)
    const { packets } = sink.file()
    expect(packets.length).toBe(100)
    expect(packets[0]).toMatchObject({ original: 92 })
    expect(packets[0]!.bytes.length).toBe(30)
  })

  it('counts what memory has no room for, and delays nothing', () => {
    const sink = memorySink()
    const link = rig({ sink, bufferBytes: 4_096 })
    for (let i = 0; i < 100; i++) link.near.putmsg(numberedPacket(link.test.arena, i))
    // All have left the module, though nothing could be written meanwhile.
    expect(link.far.bottom.zero.messages).toBe(100)
    link.near.pop()
    const { packets, statistics } = sink.file()
    expect(packets.length).toBeGreaterThan(20)
    expect(statistics[0]).toEqual({ interfaceId: 0, received: 100, dropped: 100 - packets.length })
  })

  it('keeps the last packets of a ring and writes them when it ends', () => {
    for (const bufferBytes of [4_096, 1_000_000]) {
      const sink = memorySink()
      const link = rig({ sink, ring: 10, bufferBytes, direction: 'out' })
      exchange(link, 95)
      link.test.advance(milliseconds(100))
      expect(sink.file().packets).toEqual([])
      link.near.pop()
      expect(sink.file().packets.map(({ bytes }) => last(bytes))).toEqual([
        85, 86, 87, 88, 89, 90, 91, 92, 93, 94,
      ])
    }
  })

  it('ends by itself after so many packets or bytes', () => {
    for (const [limits, count] of [
      [{ packets: 7 }, 7],
      [{ bytes: 250 }, 3],
    ] as const) {
      const sink = memorySink()
      const link = rig({ sink, ...limits })
      exchange(link, 20)
      expect(sink.closed).toBe(true)
      expect(sink.file().packets.length).toBe(count)
    }
  })

  it('is started and stopped by requests, which answer with totals', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'putnext-capture-'))
    try {
      const file = join(directory, 'a.pcapng')
      const link = rig(undefined, captureModule)
      exchange(link, 3)
      const started = link.near.ioctl('capture-start', {
        file,
        filter: 'udp and dst port 7',
        direction: 'in',
      })
      link.test.settle()
      expect(await started).toMatchObject({ recorded: 0 })
      exchange(link, 3)
      const refused = link.near.ioctl('capture-start', { file: join(directory, 'no/such/directory') })
      link.test.settle()
      await expect(refused).rejects.toMatchObject({ code: 'ERR_NOT_FOUND' })
      const stopped = link.near.ioctl('capture-stop')
      link.test.settle()
      expect(await stopped).toEqual({ seen: 3, recorded: 3, bytes: 3 * 92, notRecorded: 0 })
      expect(readPcapng(readFileSync(file)).packets.length).toBe(3)
    } finally {
      rmSync(directory, { recursive: true })
    }
  })

  it('finishes, in the copy only, a checksum that was left to the link', () => {
    const sink = memorySink()
    const link = rig({ sink, comments: true })
    link.far.onReadable = null
    const right = numberedPacket(link.test.arena, 3)
    const bytes = flat(right)
    freemsg(right)
    const partial = bytes.slice()
    const pseudo = sumBytes(bytes, 12, 20, 17 + 72)
    partial.set([pseudo >>> 8, pseudo & 0xff], 26)
    const mp: Mblk = chainOf(link.test.arena, partial, [20, 33, 50])
    mp.offload = OFFLOAD_CSUM_NEEDED
    mp.csumStart = 20
    mp.csumOffset = 6
    link.near.putmsg(mp)
    link.test.settle()
    const got = link.far.getmsg()!
    expect(flat(got)).toEqual(partial)
    freemsg(got)
    link.near.pop()
    const [packet] = sink.file().packets
    expect(packet!.bytes).toEqual(bytes)
    expect(packet!.comment).toContain('checksum')
  })

  it('ends the capture and nothing else when its sink fails', () => {
    const sink = memorySink()
    const link = rig({ sink })
    exchange(link, 1)
    sink.write = () => {
      throw new Error('no space left')
    }
    link.test.advance(milliseconds(30))
    exchange(link, 1)
    expect(link.near.modules).toEqual(['capture'])
    expect(link.test.events.map(({ name }) => name)).toContain('capture.sink-failed')
    expect(link.near.find('capture').info.describe!(link.near.find('capture').state)).toMatchObject({
      recording: false,
    })
  })

  it.each([
    [{ snaplen: 0 }, 'snaplen'],
    [{ file: 7 }, 'file'],
    [{ colour: 1 }, 'colour'],
    [{ filter: 'port seven' }, 'a number'],
    [{ filter: 'udp port' }, 'word 2'],
    [{ direction: 'up' }, 'direction'],
    [{ sink: {} }, 'sink'],
    [7, 'options'],
  ])('refuses %j with ERR_BAD_CONFIG', (options, word) => {
    expect(() => rig(options)).toThrow(
      expect.objectContaining({ code: 'ERR_BAD_CONFIG', message: expect.stringContaining(word) }),
    )
  })
})

const tool = (name: string): boolean => spawnSync(name, ['--version']).status === 0
const withTools = tool('tshark') && tool('capinfos')

describe(`driver/capture against tshark and capinfos${withTools ? '' : ' (skipped: they are not installed)'}`, () => {
  it.skipIf(!withTools)('they read the file as what was sent, without complaint', () => {
    const directory = mkdtempSync(join(tmpdir(), 'putnext-capture-'))
    try {
      const file = join(directory, 'b.pcapng')
      const link = rig({ file, comments: true, comment: 'oracle' }, captureModule)
      exchange(link, 5)
      link.near.close()
      const read = (command: string, ...args: string[]): string => {
        const { stdout, stderr, status } = spawnSync(command, args, { encoding: 'utf8' })
        expect([command, status, status === 0 ? '' : stderr]).toEqual([command, 0, ''])
        return stdout
      }
      const fields = [
        'ip.src',
        'ip.dst',
        'udp.srcport',
        'udp.dstport',
        'udp.checksum.status',
        'ip.checksum.status',
      ]
      const wanted = [...fields, 'frame.time_epoch', 'frame.interface_name'].flatMap(field => ['-e', field])
      const check = ['-o', 'udp.check_checksum:TRUE', '-o', 'ip.check_checksum:TRUE']
      const lines = read('tshark', '-r', file, '-n', ...check, '-T', 'fields', ...wanted)
        .trim()
        .split('\n')
      expect(lines.length).toBe(10)
      for (const line of lines) {
        const values = line.split('\t')
        expect(values.slice(0, 6)).toEqual(['10.77.1.1', '10.77.1.2', '7000', '7', '1', '1'])
        expect(Math.abs(Number(values[6]) - Date.now() / 1_000)).toBeLessThan(60)
        expect(values[7]).toBe('tun0')
      }
      const infos = read('capinfos', file)
      expect(infos).toMatch(/File encapsulation:\s+Raw IP/)
      expect(infos).toMatch(/Number of packets:\s+10\b/)
      expect(infos).toMatch(/Capture comment:\s+oracle/)
    } finally {
      rmSync(directory, { recursive: true })
    }
  })
})
