import { afterEach, describe, expect, it } from 'vitest'
import { HEAD_BYTES } from '../../src/inet/tcp/connection.ts'
import type { TcpConnection } from '../../src/socket/tcp-endpoint.ts'
import { freemsg } from '../../src/streams/mblk/alloc.ts'
import { putnext } from '../../src/streams/putnext.ts'
import { blockAt, bytesAt, checkMessage } from './bytes.ts'
import { TcpStacks } from './stacks.ts'

let t: TcpStacks
afterEach(() => t.finish())

const MIB = 1024 * 1024
const CHUNK = 64 * 1024

/** Writes the bytes of a stream as fast as they are taken, then shuts down. */
class Sender {
  sent = 0
  refusals = 0
  readonly total: number
  private readonly c: TcpConnection
  private readonly how: 'write' | 'putmsg' | 'sendOwned'

  constructor(c: TcpConnection, total: number, how: 'write' | 'putmsg' | 'sendOwned' = 'write') {
    this.c = c
    this.total = total
    this.how = how
    c.onWritable = () => this.go()
  }

  go(): void {
    while (this.sent < this.total) {
      const size = Math.min(CHUNK, this.total - this.sent)
      const taken = this.send(size)
      this.sent += taken
      if (taken < size) {
        this.refusals++
        return
      }
    }
    this.c.shutdown()
  }

  private send(size: number): number {
    if (this.how === 'write') return this.c.write(bytesAt(this.sent, size))
    if (this.how === 'sendOwned') return this.c.sendOwned(bytesAt(this.sent, size), () => {}) ? size : 0
    const mp = blockAt(t.arena, this.sent, size)
    if (mp === null) throw new Error('the test ran out of blocks')
    if (this.c.putmsg(mp)) return size
    freemsg(mp)
    return 0
  }
}

/** Reads and checks what the other side's {@link Sender} sends. */
class Receiver {
  received = 0
  ended = false
  constructor(c: TcpConnection) {
    c.onReadable = () => {
      for (let mp = c.getmsg(); mp !== null; mp = c.getmsg()) {
        this.received += checkMessage(mp, this.received)
        freemsg(mp)
      }
    }
    c.onEnd = () => {
      this.ended = true
    }
  }
}

describe.each(['loopback', 'wire'] as const)('socket/tcp-endpoint: data over %s', how => {
  it('100 MB each way at once, every byte where it belongs', { timeout: 120_000 }, () => {
    t = new TcpStacks(how, { arena: { poison: false } })
    const { client, server } = t.pair()
    const total = 100 * MIB
    const senders = [new Sender(client, total), new Sender(server, total)]
    const receivers = [new Receiver(server), new Receiver(client)]
    for (const sender of senders) sender.go()
    t.until(() => receivers.every(receiver => receiver.ended))
    expect(receivers.map(({ received }) => received)).toEqual([total, total])
    expect(senders.every(({ refusals }) => refusals > 0)).toBe(true)
    expect(client.bytesWritten).toBe(total)
    expect([client.closeReason, server.closeReason]).toEqual(['done', 'done'])
  })

  it('putmsg to getmsg copies nothing, and neither does sendOwned', () => {
    t = new TcpStacks(how, { arena: { poison: false } })
    const { client, server } = t.pair()
    const total = 8 * MIB
    const before = JSON.stringify(t.arena.copies)
    const senders = [new Sender(client, total, 'putmsg'), new Sender(server, total, 'sendOwned')]
    const receivers = [new Receiver(server), new Receiver(client)]
    for (const sender of senders) sender.go()
    t.until(() => receivers.every(receiver => receiver.ended))
    expect(receivers.map(({ received }) => received)).toEqual([total, total])
    expect(JSON.stringify(t.arena.copies)).toBe(before)
  })

  it('a program that does not read stops the one that writes, and nothing is lost; no queue is above its mark', () => {
    t = new TcpStacks(how, { arena: { poison: false }, tcp: { sendBytesMax: MIB, receiveBytesMax: MIB } })
    const { client, server } = t.pair()
    const total = 20 * MIB
    for (const [from, to] of [
      [client, server],
      [server, client],
    ] as const) {
      const sender = new Sender(from, total)
      const step = (): void => {
        sender.go()
        t.advance(500)
      }
      while (sender.refusals === 0) step()
      for (let i = 0, before = -1; i < 10 && before !== sender.sent; i++) {
        before = sender.sent
        t.advance(1_000)
      }
      expect(sender.sent).toBeLessThanOrEqual(2 * MIB + 2 * HEAD_BYTES)
      const { top } = to.stream
      expect(top.count).toBeGreaterThan(0)
      expect(top.count).toBeLessThan(HEAD_BYTES + CHUNK + 1)
      // What the core has no room for does not come down.
      expect(from.stream.bottom.other.messages).toBe(0)
      const receiver = new Receiver(to)
      t.until(() => receiver.ended)
      expect(receiver.received).toBe(total)
    }
  })

  it.each([
    ['write', 100_000],
    ['putmsg', 5_000],
    ['putmsg', 64 * 1024],
    ['sendOwned', 1_000_000],
  ] as const)(
    'SO_SNDBUF: by %s of %i bytes, no more than the limit and one message is held',
    (call, size) => {
      t = new TcpStacks(how, { arena: { poison: false } })
      const { client, server } = t.pair()
      const limit = 200_000
      client.set({ sendBytes: limit })
      const give = (): number => {
        if (call === 'write') return client.write(bytesAt(client.bytesWritten, size))
        if (call === 'sendOwned')
          return client.sendOwned(bytesAt(client.bytesWritten, size), () => {}) ? size : 0
        const mp = blockAt(t.arena, client.bytesWritten, size)!
        if (client.putmsg(mp)) return size
        freemsg(mp)
        return 0
      }
      const message = call === 'write' ? CHUNK : size
      let woken = 0
      client.onWritable = () => woken++
      for (let i = 0; i < 200; i++) {
        while (give() > 0) {}
        const { unackedBytes, notSentBytes } = client.info()!
        expect(unackedBytes + notSentBytes).toBeLessThan(limit + message)
        expect(client.stream.bottom.other.messages).toBe(0)
        t.advance(100)
      }
      const before = woken
      // Room by a larger limit wakes whoever waits, without an acknowledgment.
      client.set({ sendBytes: 4_000_000 })
      t.settle()
      expect(woken).toBe(before + 1)
      const receiver = new Receiver(server)
      client.shutdown()
      t.until(() => receiver.ended)
      expect(receiver.received).toBe(client.bytesWritten)
    },
  )

  it('a window that closed opens as soon as the program has read, without a probe', () => {
    t = new TcpStacks(how, { arena: { poison: false }, tcp: { receiveBytes: 32_768, autoTuning: 0 } })
    const { client, server } = t.pair()
    const total = MIB
    const sender = new Sender(client, total)
    sender.go()
    t.settle()
    expect(server.stream.top.count).toBeGreaterThan(16_384)
    const receiver = new Receiver(server)
    t.settle()
    expect(receiver.received).toBe(total)
  })

  it('it opens for a program that reads a little at a time, too', () => {
    t = new TcpStacks(how, { arena: { poison: false }, tcp: { receiveBytes: 32_768, autoTuning: 0 } })
    const { client, server } = t.pair()
    const total = 200_000
    new Sender(client, total).go()
    t.settle()
    const into = new Uint8Array(500)
    let received = 0
    for (let got = 1; got > 0; received += got) {
      got = server.fill(into, 0, into.length)
      expect(Buffer.compare(into.subarray(0, got), bytesAt(received, got))).toBe(0)
      t.settle()
    }
    expect(received).toBe(total)
    expect(server.ended).toBe(true)
  })

  it('what was written and had no room is sent although the program closed', () => {
    t = new TcpStacks(how, { arena: { poison: false } })
    const { client, server } = t.pair()
    const sender = new Sender(client, 50 * MIB)
    while (sender.refusals === 0) {
      sender.go()
      t.settle()
    }
    // A module that does not ask for room.
    let sent = client.bytesWritten
    const { top, bottom } = client.stream
    for (; bottom.other.messages === 0; sent += CHUNK) putnext(top.other, blockAt(t.arena, sent, CHUNK)!)
    client.close()
    const receiver = new Receiver(server)
    t.until(() => receiver.ended)
    expect(receiver.received).toBe(sent)
  })

  it('a reset wakes the program that waits for room: it hears why', () => {
    t = new TcpStacks(how, { arena: { poison: false } })
    const { client, server } = t.pair()
    const sender = new Sender(client, 20 * MIB)
    while (sender.refusals === 0) {
      sender.go()
      t.settle()
    }
    const heard: string[] = []
    client.onWritable = () => {
      expect(() => client.write(bytesAt(0, 1))).toThrow(expect.objectContaining({ code: 'ERR_CONN_RESET' }))
      heard.push('writable')
    }
    client.onClosed = reason => heard.push(reason)
    server.abort()
    t.settle()
    expect(heard.sort()).toEqual(['reset', 'writable'])
  })

  it('one write of many blocks is taken piece by piece', () => {
    t = new TcpStacks(how)
    const { client, server } = t.pair()
    const receiver = new Receiver(server)
    const whole = new Uint8Array(200_000)
    for (let at = 0; at < whole.length; at += 50_000) whole.set(bytesAt(at, 50_000), at)
    expect(client.write(whole)).toBe(whole.length)
    t.settle()
    expect(receiver.received).toBe(whole.length)
  })

  it('many small writes are one stream', () => {
    t = new TcpStacks(how)
    const { client, server } = t.pair()
    const receiver = new Receiver(server)
    let sent = 0
    for (let i = 0; i < 3_000; i++) {
      sent += client.write(bytesAt(sent, 1 + (i % 7)))
      if (i % 100 === 0) t.settle()
    }
    t.advance(1_000)
    expect(receiver.received).toBe(sent)
    expect(sent).toBe(client.bytesWritten)
  })
})

describe('socket/tcp-endpoint: links without offload', () => {
  it('the same bytes in packets of 1,500, summed here', () => {
    t = new TcpStacks('wire', { arena: { poison: false }, wire: { capabilities: 0 } })
    const { client, server } = t.pair()
    const total = 4 * MIB
    const sender = new Sender(client, total)
    const receiver = new Receiver(server)
    sender.go()
    t.until(() => receiver.ended)
    expect(receiver.received).toBe(total)
    const { ip } = t.client.stack.counters()
    expect(ip!['checksums-in-software']).toBeGreaterThan(total / 1_460)
  })
})
