import { describe, expect, it } from 'vitest'
import { milliseconds } from '../../base/time.ts'
import { freemsg } from '../../streams/mblk/alloc.ts'
import type { Mblk } from '../../streams/mblk/mblk.ts'
import { makeTestRuntime } from '../../streams/testing/runtime.ts'
import { takeEnvelope } from '../channel.ts'
import { encodeMessage, XdrDecoder, XdrEncoder, xdrInt } from '../xdr/index.ts'
import { type TestChannel, TestNet } from './channel-pair.ts'

function rig(conditions = {}) {
  const test = makeTestRuntime()
  const net = new TestNet(test.runtime, conditions)
  const xdr = new XdrEncoder(test.arena)
  const send = (channel: TestChannel, value: number) => channel.send(encodeMessage(xdr, xdrInt, value))
  const decoder = new XdrDecoder()
  const take = (mp: Mblk): number => {
    decoder.start(mp)
    const value = decoder.int('')
    freemsg(mp)
    return value
  }
  const collect = (channel: TestChannel) => {
    const got: (number | string)[] = []
    channel.onReadable = () => {
      for (let mp = channel.receive(); mp !== null; mp = channel.receive()) {
        if (channel.isStream) got.push(take(mp))
        else {
          got.push(take(takeEnvelope(mp)!))
          freemsg(mp)
        }
      }
    }
    channel.onClosed = error => got.push(error === null ? 'ended' : error.code)
    channel.onTrouble = error => got.push(`trouble ${error.code}`)
    return got
  }
  return { ...test, net, send, collect, take }
}

describe('rpc/testing: channels without a network', () => {
  it('a stream keeps its order whatever the jitter, and ends behind what was sent', () => {
    const { net, send, collect, advance, finish } = rig({ delayMs: 1, jitterMs: 5, loss: 1 })
    const { client, server } = net.pair()
    const got = collect(server)
    for (let i = 0; i < 10; i++) send(client, i)
    client.close()
    advance(milliseconds(20))
    expect(got).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 'ended'])
    finish()
  })

  it('a connection opens a round trip later, or is refused', () => {
    const { net, advance, collect, finish } = rig({ delayMs: 5 })
    const refused = collect(net.connect())
    advance(milliseconds(10))
    expect(refused).toEqual(['ERR_CONN_REFUSED'])
    net.onChannel = () => {}
    const client = net.connect()
    advance(milliseconds(9))
    expect(client.isOpen).toBe(false)
    advance(milliseconds(1))
    expect(client.isOpen).toBe(true)
    finish()
  })

  it('datagrams are lost, doubled and overtaken, and answered to who sent them', () => {
    const { net, send, advance, collect, finish } = rig({
      delayMs: 1,
      jitterMs: 5,
      loss: 0.2,
      duplication: 0.2,
    })
    const server = net.datagramServer()
    const [one, two] = [net.datagramClient(), net.datagramClient()]
    const [gotOne, gotTwo] = [collect(one), collect(two)]
    server.onReadable = () => {
      for (let mp = server.receive(); mp !== null; mp = server.receive()) server.reply(mp, takeEnvelope(mp)!)
    }
    for (let i = 0; i < 100; i++) {
      send(one, i)
      send(two, 1_000 + i)
    }
    advance(milliseconds(50))
    expect(net.counters).toMatchObject({ sent: expect.any(Number), lost: expect.any(Number) })
    expect(net.counters.lost).toBeGreaterThan(20)
    expect(net.counters.doubled).toBeGreaterThan(20)
    for (const [got, base] of [
      [gotOne, 0],
      [gotTwo, 1_000],
    ] as const) {
      expect(got.every(value => typeof value === 'number' && value >= base && value < base + 100)).toBe(true)
      expect(got.length).toBeGreaterThan(new Set(got).size)
      expect(got).not.toEqual([...got].sort((a, b) => Number(a) - Number(b)))
    }
    finish()
  })

  it('who sends to nobody is told', () => {
    const { net, send, settle, collect, finish } = rig()
    const client = net.datagramClient()
    const got = collect(client)
    send(client, 1)
    settle()
    expect(got).toEqual(['trouble ERR_CONN_REFUSED'])
    finish()
  })
})
