/** What the sender makes of a path, in virtual time: goodput against theory, nothing sent again that was not lost, fair shares. */
import { describe, expect, it } from 'vitest'
import { acceptNext } from './listener.ts'
import { connect } from './open.ts'
import { CONNECTION_SETTINGS, type ConnectionSettings } from './settings.ts'
import type { Tcb } from './tcb.ts'
import { type LinkOptions, Pair, type PairOptions, Receiver, Sender } from './testing/pair.ts'
import { HERE, PORT } from './testing/tcp-test.ts'

const RTT = { delayMs: 10, cut: true } as const
/** 250 KB fill the pipe; its queue takes as much again. */
const LINK: LinkOptions = { ...RTT, bitsPerSecond: 100e6, queueBytes: 250_000 }

interface Result {
  readonly megabits: number
  readonly lost: number
  readonly retransmitted: number
  readonly timeouts: number
  readonly pair: Pair
}

function transfer(
  seed: number,
  link: LinkOptions,
  seconds: number,
  options: PairOptions = {},
  settings: Partial<ConnectionSettings> = {},
): Result {
  const pair = new Pair({ seed, link, back: RTT, ...options })
  const { client, server } = pair.connect({ ...CONNECTION_SETTINGS, ...settings })
  const sender = new Sender(pair.a, client, 1e9, 65_536)
  pair.onStep = () => {
    sender.step()
    receiver.step()
  }
  const receiver = new Receiver(pair.b, server)
  const lostBefore = pair.aToB.lost
  const start = pair.nowUs
  pair.run(seconds * 1_000)
  const { counters } = pair.a.tcp
  const result = {
    megabits: (receiver.got * 8) / (pair.nowUs - start),
    lost: pair.aToB.lost - lostBefore,
    retransmitted: counters['retransmitted-segments'],
    timeouts: counters['retransmission-timeouts'],
    pair,
  }
  pair.onStep = null
  pair.finish()
  return result
}

/** Reno's mean window with random loss, in segments (RFC 5681 with RFC 3465; Mathis et al. 1997): sqrt(3/2p). */
const renoMegabits = (p: number): number => (Math.sqrt(1.5 / p) * 1_448 * 8) / 20_000

describe('tcp/transfer: goodput at a round trip of 20 ms', () => {
  it('fills an empty link: without loss slow start alone, with a queue that is short of one window', () => {
    const free = transfer(1, RTT, 0.6)
    expect([free.retransmitted, free.megabits > 100]).toEqual([0, true])
    const full = transfer(1, LINK, 5)
    expect(full.megabits).toBeGreaterThan(90)
    expect([full.retransmitted, full.timeouts]).toEqual([full.lost, 0])
  })

  it.each([
    [0.001, 1],
    [0.001, 2],
    [0.01, 1],
    [0.01, 2],
    [0.03, 1],
    [0.03, 2],
  ])(
    'loses %d of the packets at random (seed %i): Reno’s share, nothing sent again in vain, no timeout',
    (loss, seed) => {
      const { megabits, lost, retransmitted, timeouts } = transfer(seed, { ...LINK, loss }, 30)
      expect(megabits).toBeGreaterThan(renoMegabits(loss) * (loss > 0.02 ? 0.8 : 0.9))
      expect(retransmitted - lost).toBeLessThanOrEqual(2)
      expect(timeouts).toBeLessThanOrEqual(loss > 0.02 ? 2 : 0)
    },
  )

  it.each([0.001, 0.01])('NewReno with %d lost: what theory says', loss => {
    const { megabits } = transfer(3, { ...LINK, loss }, 30, {}, { congestion: 'newreno' })
    expect(megabits / renoMegabits(loss)).toBeGreaterThan(0.8)
    expect(megabits / renoMegabits(loss)).toBeLessThan(1.6)
  })

  it.each([0.001, 0.01, 0.1])(
    'without SACK, %d lost: comes through, at low loss as well as with it',
    loss => {
      const { megabits, timeouts } = transfer(4, { ...LINK, loss }, 30, { settings: { sack: 0 } })
      expect(megabits).toBeGreaterThan(loss > 0.05 ? 0.1 : 0.8 * renoMegabits(loss))
      if (loss < 0.005) expect(timeouts).toBeLessThan(4)
    },
  )

  it.each([
    [0.01, 3],
    [0.1, 2],
    [0.5, 4],
  ])(
    'reorders: %d of the packets come %i ms late, within a quarter of the round trip: hardly a difference',
    (reorder, reorderMs) => {
      const { megabits, timeouts } = transfer(
        5,
        { ...RTT, reorder, reorderMs, bitsPerSecond: 100e6, queueBytes: 2e6 },
        5,
      )
      expect(megabits).toBeGreaterThan(80)
      expect(timeouts).toBe(0)
    },
  )

  it('RFC 8985: repeats packets, and loses ACKs: no difference', () => {
    const repeated = transfer(6, { ...LINK, duplicate: 0.05 }, 5)
    expect(repeated.megabits).toBeGreaterThan(80)
    const thin = transfer(6, LINK, 5, { back: { ...RTT, loss: 0.3 } })
    expect(thin.megabits).toBeGreaterThan(80)
    expect(thin.retransmitted).toBeLessThanOrEqual(thin.lost + 2)
  })

  it('paced, it fills the link with less of a queue', () => {
    const { megabits, lost, retransmitted } = transfer(7, LINK, 5, { settings: { pacing: 1 } })
    expect(megabits).toBeGreaterThan(85)
    expect(retransmitted).toBe(lost)
  })

  it('a burst of loss that takes half of a window is repaired without a timeout', () => {
    let from = 0
    let count = 0
    const { timeouts, retransmitted, lost } = transfer(
      8,
      {
        ...LINK,
        drop: packet => {
          if (packet.bytes.length < 100) return false
          count++
          if (count === 2_000) from = count
          return from > 0 && count < from + 80
        },
      },
      3,
    )
    expect([timeouts, retransmitted]).toEqual([0, lost])
  })
})

/** So many flows at once over one link, all with as much to send as they may. @returns megabits of each in the second half */
function share(flows: readonly Partial<ConnectionSettings>[], seconds: number, seed: number): number[] {
  const pair = new Pair({ seed, link: { ...LINK, bitsPerSecond: 40e6, queueBytes: 100_000 }, back: RTT })
  const listener = pair.b.listen()
  const senders: Sender[] = []
  const receivers: Receiver[] = []
  for (const settings of flows) {
    const user: { tcb: Tcb | null } = { tcb: null }
    const merged = { ...CONNECTION_SETTINGS, ...settings }
    const client = pair.a.hold(
      connect(pair.a.tcp, { remote: HERE, remotePort: PORT, settings: merged, user }),
    )
    user.tcb = client
    for (let i = 0; i < 200 && listener.waiting === 0; i++) pair.run(10)
    const server = pair.b.hold(acceptNext(pair.b.tcp, listener)!)
    server.user = { tcb: server }
    senders.push(new Sender(pair.a, client, 1e9, 65_536))
    receivers.push(new Receiver(pair.b, server))
  }
  pair.onStep = () => {
    for (const each of senders) each.step()
    for (const each of receivers) each.step()
  }
  pair.run((seconds * 1_000) / 2)
  const before = receivers.map(each => each.got)
  pair.run((seconds * 1_000) / 2)
  const rates = receivers.map((each, i) => ((each.got - before[i]!) * 8) / (seconds * 500_000))
  pair.onStep = null
  pair.finish()
  return rates
}

const jain = (rates: readonly number[]): number =>
  rates.reduce((a, b) => a + b) ** 2 / (rates.length * rates.reduce((a, b) => a + b * b, 0))

describe('tcp/transfer: fair shares of 40 Mbit/s', () => {
  it('eight flows of CUBIC: Jain’s index above 0.95, the link full', () => {
    const rates = share(Array(8).fill({}), 30, 1)
    expect(jain(rates)).toBeGreaterThan(0.95)
    expect(rates.reduce((a, b) => a + b)).toBeGreaterThan(35)
  })

  it('RFC 9438 §4.3: four of CUBIC and four of NewReno live beside each other', () => {
    const reno = { congestion: 'newreno' } as const
    const rates = share([{}, reno, {}, reno, {}, reno, {}, reno], 30, 2)
    expect(jain(rates)).toBeGreaterThan(0.85)
  })
})
