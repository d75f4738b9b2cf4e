import { describe, expect, it } from 'vitest'
import { Pair, Receiver, Sender } from './testing/pair.ts'

describe('tcp/transfer', () => {
  it('moves bytes without loss', () => {
    const pair = new Pair({ link: { delayMs: 10 } })
    const { client, server } = pair.connect()
    const sender = new Sender(pair.a, client, 10_000_000)
    const receiver = new Receiver(pair.b, server)
    pair.onStep = () => {
      sender.step()
      receiver.step()
    }
    const start = pair.nowUs
    pair.run(60_000, () => receiver.got === sender.total)
    console.log(receiver.got, (pair.nowUs - start) / 1e6, client.cwnd, client.ssthresh)
    expect(receiver.got).toBe(sender.total)
    pair.finish()
  })
})
