/** The scenarios of `bench tcp`, and what each must show. */
import { findProgram } from '../host/privilege.ts'
import type { BenchSite } from './site.ts'
import {
  type Arm,
  CeilingArm,
  CeilingPairArm,
  Iperf3Arm,
  KernelArm,
  NodeArm,
  PairArm,
  StackArm,
} from './tcp-arms.ts'
import { FloodArm } from './tcp-flood.ts'
import { FairnessArm, GoodputArm, type Impairment } from './tcp-impaired.ts'
import { ChurnArm, HoldArm } from './tcp-many.ts'
import type { Demand } from './tcp-report.ts'

export interface Scenario {
  readonly name: string
  readonly title: string
  /** Only when it is asked for: it takes long. */
  readonly asked?: boolean
  /** The kernel sends by CUBIC, which it may not be permitted to. */
  readonly needsCubic?: boolean
  /** Of each load, where the scenario has its own. */
  readonly seconds?: number
  readonly demands: readonly Demand[]
  /** Makes namespaces. */
  arms(site: BenchSite): readonly Arm[]
}

const against = (figure: string, arm: string, other: string, limit: Demand['limit']): Demand => ({
  figure,
  arm,
  against: other,
  limit,
})

/** Below this, a chain is below what one core of this kind can do with one copy. */
const RECEIVE = 'receive Gbit/s'
const SEND = 'send Gbit/s'
const P50 = 'ping-pong p50 µs'
const P99 = 'ping-pong p99 µs'
const PAIR = 'Gbit/s'

/** 20 ms there and back, 500 Mbit/s, and room for one such delay. */
const WIDE: Impairment = { rate: '500mbit', limit: 1_000 }

const goodput = (name: string, title: string, impairment: Impairment): Scenario => ({
  name,
  title: `one stream over 20 ms and 500 Mbit/s ${title}, to the kernel`,
  seconds: 8,
  needsCubic: true,
  demands: [against('Mbit/s', 'stack', 'kernel', { atLeast: 1 })],
  arms: site =>
    (['stack', 'kernel'] as const).map(by => new GoodputArm(site, name, by, { ...WIDE, ...impairment })),
})

export const SCENARIOS: readonly Scenario[] = [
  {
    name: 'bulk',
    title: 'one stream between the kernel and a stack on a TUN device, offload on, MTU 1500',
    demands: [
      against(RECEIVE, 'node', 'ceiling', { atLeast: 0.9 }),
      against(SEND, 'node', 'ceiling', { atLeast: 0.9 }),
      against(P50, 'node', 'ceiling', { atMost: 1.25 }),
      against(P99, 'node', 'ceiling', { atMost: 1.5 }),
      { figure: 'copied bytes', arm: 'stack', limit: { atMost: 0 } },
    ],
    arms: site => [
      new CeilingArm(site, true),
      new NodeArm(site, true),
      new StackArm(site),
      new KernelArm(site, 'bulk'),
    ],
  },
  {
    name: 'plain',
    title: 'the same without offload: every packet of 1500 bytes by itself',
    demands: [
      against(RECEIVE, 'node', 'ceiling', { atLeast: 0.8 }),
      against(SEND, 'node', 'ceiling', { atLeast: 0.8 }),
    ],
    arms: site => [new CeilingArm(site, false), new NodeArm(site, false)],
  },
  {
    name: 'pair',
    title: 'one stream from namespace to namespace, over two TUN devices and a veth pair',
    demands: [
      against(PAIR, 'messages', 'ceiling', { atLeast: 0.8 }),
      against(PAIR, 'messages', 'kernel', { atLeast: 1 }),
      against(PAIR, 'messages', 'iperf3', { atLeast: 1 }),
      against(PAIR, 'duplex', 'messages', { atLeast: 0.5 }),
      against(PAIR, 'duplex', 'nodenet', { atLeast: 1 }),
    ],
    arms: site => [
      new CeilingPairArm(site),
      new PairArm(site, 'messages', 'Putnext to Putnext, messages', { edge: 'messages' }),
      new PairArm(site, 'duplex', 'Putnext to Putnext, net.Socket', { edge: 'duplex' }),
      new PairArm(site, 'nodenet', 'node:net over veth', { kind: 'kernel', edge: 'duplex' }),
      new KernelArm(site, 'kernelpair'),
      ...(findProgram(['iperf3']) === null ? [] : [new Iperf3Arm(site)]),
    ],
  },
  {
    name: 'churn',
    title: 'connections opened and closed, one after the other on each of 64',
    demands: [{ figure: 'connections/s', arm: 'node', limit: { atLeast: 50_000 } }],
    arms: site => [new ChurnArm(site, 'node'), new ChurnArm(site, 'kernel')],
  },
  {
    name: 'flood',
    title:
      'SYNs from invented addresses as fast as the device takes them, and 16 honest clients that open and close',
    demands: [
      { figure: 'honest connections/s', arm: 'node', limit: { atLeast: 1 } },
      { figure: 'failed', arm: 'node', limit: { atMost: 0 } },
      { figure: 'grown MB', arm: 'node', limit: { atMost: 8 } },
    ],
    arms: site => [new FloodArm(site)],
  },
  goodput('lossnone', 'without loss', {}),
  goodput('lossrare', 'with a loss of 0.1 %', { loss: '0.1%' }),
  goodput('losssome', 'with a loss of 1 %', { loss: '1%' }),
  goodput('lossmuch', 'with a loss of 3 %', { loss: '3%' }),
  goodput('reorder', 'with 1 % of the packets late', { reorder: '1%', gap: 5 }),
  {
    name: 'fairness',
    title: '8 streams over 20 ms and 1 Gbit/s',
    // A window of a flow that has its share comes back after a loss in about six seconds: several must count.
    seconds: 30,
    needsCubic: true,
    demands: [
      { figure: 'Jain index', arm: 'alone', limit: { atLeast: 0.95 } },
      { figure: 'Jain index', arm: 'beside', limit: { atLeast: 0.95 } },
    ],
    arms: site =>
      (['alone', 'beside', 'kernel'] as const).map(
        name => new FairnessArm(site, name, { rate: '1gbit', limit: 2_000 }),
      ),
  },
  {
    name: 'hold',
    title: '100,000 connections that each echo one byte a minute',
    asked: true,
    seconds: 60,
    demands: [
      { figure: 'bytes a connection', arm: 'node', limit: { atMost: 2_048 } },
      { figure: 'unanswered', arm: 'node', limit: { atMost: 0 } },
    ],
    arms: site => [new HoldArm(site)],
  },
]
