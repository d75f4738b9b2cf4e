import { describe, expect, it } from 'vitest'
import { makeUdpTest } from '../inet/udp/testing/udp-test.ts'
import { DgramSender } from './dgram-sender.ts'

const turn = (): Promise<void> => new Promise(resolve => setImmediate(resolve))

describe('socket/dgram-sender', () => {
  it('while the stack is full datagrams wait in order, up to the limit; beyond it is ENOBUFS', async () => {
    const t = makeUdpTest()
    const stream = t.open({ family: 4, bind: { port: 7 } })
    const sender = new DgramSender(stream, 4)
    sender.limitBytes = 10_000
    t.ip.setOpen(false)
    const sent: (string | number)[] = []
    let count = 0
    const send = (): void => {
      sender.send([new Uint8Array(1_000)], '10.0.0.1', 9, '10.0.0.1', (error, bytes) => {
        sent.push((error as NodeJS.ErrnoException | null)?.code ?? bytes)
      })
      count++
    }
    while (sender.waitingCount === 0) send()
    expect(sender.waitingBytes).toBe(1_000)
    for (let i = 0; i < 12; i++) send()
    expect([sender.waitingBytes, sender.waitingCount]).toEqual([10_000, 10])
    await turn()
    expect(sent.filter(each => each === 'ENOBUFS').length).toBe(3)
    t.ip.setOpen(true)
    t.settle()
    await turn()
    expect([sender.waitingBytes, sender.waitingCount]).toEqual([0, 0])
    expect(sent.filter(each => each === 1_000).length).toBe(count - 3)
    expect(t.ip.sent.length).toBe(count - 3)
    t.finish()
  })

  it('what waits when the socket is closed is cancelled', async () => {
    const t = makeUdpTest()
    const stream = t.open({ family: 4, bind: { port: 7 } })
    const sender = new DgramSender(stream, 4)
    t.ip.setOpen(false)
    const codes: (string | undefined)[] = []
    while (sender.waitingCount < 2)
      sender.send([new Uint8Array(1_000)], '10.0.0.1', 9, '10.0.0.1', error => {
        codes.push((error as NodeJS.ErrnoException | null)?.code)
      })
    sender.close()
    await turn()
    expect(codes.filter(code => code === 'ECANCELED').length).toBe(2)
    t.finish()
  })
})
