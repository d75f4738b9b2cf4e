import { afterEach, describe, expect, it } from 'vitest'
import type { TcpConnection } from '../../src/socket/tcp-endpoint.ts'
import { freemsg } from '../../src/streams/mblk/alloc.ts'
import type { Mblk } from '../../src/streams/mblk/mblk.ts'
import { messageBytes } from '../../src/streams/mblk/message.ts'
import { unshare } from '../../src/streams/mblk/pullup.ts'
import { M_DATA, M_PROTO } from '../../src/streams/mblk/types.ts'
import type { ModuleInfo } from '../../src/streams/module.ts'
import { putnext } from '../../src/streams/putnext.ts'
import { canputnext, getq, putbq, putq, type Queue } from '../../src/streams/queue.ts'
import type { Stream } from '../../src/streams/stream.ts'
import { flat } from '../../src/streams/testing/messages.ts'
import { bytesAt, checkMessage } from './bytes.ts'
import { type Side, TcpStacks } from './stacks.ts'

let t: TcpStacks
afterEach(() => t.finish())

const text = (s: string): Uint8Array => new TextEncoder().encode(s)

function read(c: TcpConnection): string {
  t.settle()
  let all = ''
  for (let mp = c.getmsg(); mp !== null; mp = c.getmsg()) {
    all += new TextDecoder().decode(flat(mp))
    freemsg(mp)
  }
  return all
}

interface Seen {
  bytes: number
  messages: number
}

/** Turns every bit of the data, both ways: two of them undo each other. */
const invert: ModuleInfo<Seen> = {
  name: 'invert',
  hiwat: 65_536,
  lowat: 16_384,
  open: () => ({ bytes: 0, messages: 0 }),
  close: () => {},
  read: { put: invertPut },
  write: { put: invertPut },
  counters: seen => ({ ...seen }),
}

function invertPut(q: Queue<Seen>, mp: Mblk): void {
  if (mp.type !== M_DATA) return putnext(q, mp)
  // The sender may have to send these bytes again: they are not ours to change.
  let head: Mblk | null = null
  let tail: Mblk | null = null
  for (let bp: Mblk | null = mp; bp !== null; ) {
    const rest: Mblk | null = bp.cont
    bp.cont = null
    const own = unshare(bp)
    if (own === null) throw new Error('no block')
    for (let i = own.rptr; i < own.wptr; i++) own.dblk.bytes[i]! ^= 0xff
    if (tail === null) head = own
    else tail.cont = own
    tail = own
    bp = rest
  }
  q.state.messages++
  q.state.bytes += messageBytes(head!)
  putnext(q, head!)
}

/** Queues everything, and lets go one message at a time. */
const holder: ModuleInfo<null> = {
  name: 'holder',
  hiwat: 65_536,
  lowat: 16_384,
  open: () => null,
  close: () => {},
  read: { put: putq, service: letGo },
  write: { put: putq, service: letGo },
}

function letGo(q: Queue<null>): void {
  for (let mp = getq(q); mp !== null; mp = getq(q)) {
    if (!canputnext(q)) return putbq(q, mp)
    putnext(q, mp)
  }
}

/** Loses one message in so many of those that look like data. */
function lossy(every: number, isData: (mp: Mblk) => boolean): { info: ModuleInfo<null>; lost: () => number } {
  let count = 0
  let lost = 0
  const drop = (q: Queue<null>, mp: Mblk): void => {
    if (!isData(mp) || ++count % every !== 0) return putnext(q, mp)
    lost++
    freemsg(mp)
  }
  const info: ModuleInfo<null> = {
    name: 'lossy',
    hiwat: 65_536,
    lowat: 16_384,
    open: () => null,
    close: () => {},
    read: { put: drop },
    write: { put: putnext },
  }
  return { info, lost: () => lost }
}

const streamOf = ({ runtime }: Side, name: string): Stream =>
  [...runtime.streams].find(stream => stream.name === name)!

/** Sends as much as is taken until all of it came and was checked. */
function transfer(from: TcpConnection, to: TcpConnection, total: number): void {
  let sent = 0
  let received = 0
  const go = (): void => {
    while (sent < total) {
      const part = Math.min(32_768, total - sent)
      const taken = from.write(bytesAt(sent, part))
      sent += taken
      if (taken < part) return
    }
  }
  from.onWritable = go
  to.onReadable = () => {
    for (let mp = to.getmsg(); mp !== null; mp = to.getmsg()) {
      received += checkMessage(mp, received)
      freemsg(mp)
    }
  }
  go()
  t.until(() => received === total)
  from.onWritable = null
  to.onReadable = null
}

describe('inet/tcp: modules on one connection', () => {
  it('one that is pushed while data flows sees what comes after; another connection sees nothing of it', () => {
    t = new TcpStacks('wire')
    const one = t.pair()
    const two = t.pair()
    one.client.write(text('plain '))
    expect(read(one.server)).toBe('plain ')
    one.client.stream.push(invert)
    one.client.write(text('AB'))
    expect([...read(one.server)]).toHaveLength(2)
    one.server.stream.push(invert)
    one.client.write(text('clear again'))
    expect(read(one.server)).toBe('clear again')
    one.server.write(text('both ways'))
    expect(read(one.client)).toBe('both ways')
    two.client.write(text('untouched'))
    expect(read(two.server)).toBe('untouched')
    expect((one.server.stream.find('invert').state as Seen).bytes).toBe(20)
    one.client.stream.pop()
    one.server.stream.pop()
    one.client.write(text('plain'))
    expect(read(one.server)).toBe('plain')
  })

  it('ends pass it in their place: half-close, end and reset', () => {
    t = new TcpStacks('wire')
    const { client, server } = t.pair()
    for (const c of [client, server]) {
      c.stream.push(invert)
      c.stream.push(holder)
    }
    const heard: string[] = []
    server.onEnd = () => heard.push('end')
    client.onClosed = reason => heard.push(reason)
    client.write(text('in front of the end'))
    client.shutdown()
    expect(read(server)).toBe('in front of the end')
    t.settle()
    expect(heard).toEqual(['end'])
    server.write(text('still'))
    expect(read(client)).toBe('still')
    server.abort()
    t.settle()
    expect(heard).toEqual(['end', 'reset'])
  })

  it('backpressure reaches through one that queues, and megabytes come out whole', () => {
    t = new TcpStacks('wire', { arena: { poison: false } })
    const { client, server } = t.pair()
    client.stream.push(holder)
    server.stream.push(holder)
    server.stream.push(invert)
    client.stream.push(invert)
    transfer(client, server, 10 * 1024 * 1024)
    transfer(server, client, 10 * 1024 * 1024)
  })

  it('what waits in a module when the program closes is still sent', () => {
    t = new TcpStacks('wire')
    const { client, server } = t.pair()
    client.stream.push(holder)
    client.write(text('not lost'))
    client.close()
    expect(read(server)).toBe('not lost')
    t.settle()
    expect(server.ended).toBe(true)
  })

  it("one that fails ends its connection, with a reset, and nobody else's", () => {
    t = new TcpStacks('wire')
    const one = t.pair()
    const two = t.pair()
    const heard: unknown[] = []
    one.client.onClosed = (reason, error) => heard.push(reason, error?.code)
    one.client.stream.push({ ...invert, write: { put: () => fail() } })
    one.client.write(text('x'))
    t.settle()
    expect(heard).toEqual(['aborted', 'ERR_MODULE_FAULT'])
    expect(one.server.closeReason).toBe('reset')
    two.client.write(text('unharmed'))
    expect(read(two.server)).toBe('unharmed')
  })

  it('autopush puts it on every connection, those that are accepted too, before their first byte', () => {
    t = new TcpStacks('wire')
    for (const { runtime } of [t.client, t.server]) {
      runtime.registry.register(invert)
      runtime.registry.setAutopush('tcp', [{ module: 'invert' }])
    }
    const { client, server } = t.pair()
    client.write(text('pushed from the start'))
    expect(read(server)).toBe('pushed from the start')
    expect([client.stream.modules, server.stream.modules]).toEqual([['invert'], ['invert']])
  })
})

function fail(): never {
  throw new Error('this module is broken')
}

describe('inet/tcp: modules below', () => {
  it('between TCP and IP: one sees every segment, and what it loses is sent again', () => {
    t = new TcpStacks('wire', { arena: { poison: false } })
    const { client, server } = t.pair()
    const { info, lost } = lossy(
      37,
      mp => mp.type === M_PROTO && mp.cont !== null && messageBytes(mp.cont) > 100,
    )
    streamOf(t.server, 'ip-tcp').push(info)
    transfer(client, server, 4 * 1024 * 1024)
    expect(lost()).toBeGreaterThan(0)
    streamOf(t.server, 'ip-tcp').pop()
    transfer(client, server, 1024 * 1024)
  })

  it('between IP and the link: packets that are lost there are sent again', () => {
    t = new TcpStacks('wire', { arena: { poison: false } })
    const { client, server } = t.pair()
    const { info, lost } = lossy(29, mp => mp.type === M_DATA && messageBytes(mp) > 100)
    t.client.link!.push(info)
    transfer(server, client, 4 * 1024 * 1024)
    expect(lost()).toBeGreaterThan(0)
  })
})
