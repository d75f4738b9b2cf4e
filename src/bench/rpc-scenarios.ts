/** The scenarios of `bench rpc`, and what each must show. */
import {
  COPIED_EDGE,
  COPIED_STACK,
  hasLibtirpc,
  LibtirpcArm,
  ONE,
  P50,
  PlainTcpArm,
  RATE,
  RpcArm,
  type RpcLoad,
  SEVERAL,
} from './rpc-arms.ts'
import type { BenchSite } from './site.ts'
import type { Arm } from './tcp-arms.ts'
import type { Scenario } from './tcp-scenarios.ts'

/** @param isThere - whether `@grpc/grpc-js` is installed */
export function rpcScenarios(isThere: { readonly grpc: boolean }): readonly Scenario[] {
  const arms = (site: BenchSite, load: RpcLoad, more: readonly Arm[]): readonly Arm[] => [
    new RpcArm(site, 'stack', 'Putnext RPC on its own stack', load),
    new RpcArm(site, 'kernel', "Putnext RPC on the kernel's sockets", load),
    ...(hasLibtirpc() ? [new LibtirpcArm(site, load)] : []),
    ...(isThere.grpc ? [new RpcArm(site, 'grpc', '@grpc/grpc-js', load)] : []),
    ...more,
  ]
  const frames = (site: BenchSite, load: RpcLoad) =>
    new RpcArm(site, 'frames', 'bare frames, echoed over node:net', load)
  return [
    {
      name: 'turns',
      title: 'null calls, one at a time',
      demands: [
        { figure: P50, arm: 'stack', against: 'libtirpc', limit: { atMost: 1.3 } },
        { figure: P50, arm: 'stack', against: 'together', limit: { atMost: 1.3 } },
        { figure: P50, arm: 'stack', against: 'grpc', limit: { atMost: 1 } },
      ],
      arms: site =>
        arms(site, 'turns', [
          ...(hasLibtirpc() ? [new LibtirpcArm(site, 'turns', 'together')] : []),
          frames(site, 'turns'),
          new RpcArm(site, 'local', 'a local function', 'turns'),
        ]),
    },
    {
      name: 'flight',
      title: '32 null calls in flight on one connection; of libtirpc, one on each of 32',
      demands: [
        { figure: RATE, arm: 'stack', limit: { atLeast: 400_000 } },
        { figure: RATE, arm: 'stack', against: 'libtirpc', limit: { atLeast: 1 } },
        { figure: RATE, arm: 'stack', against: 'grpc', limit: { atLeast: 40 } },
      ],
      arms: site => arms(site, 'flight', [frames(site, 'flight')]),
    },
    {
      name: 'blobs',
      title: 'replies of 1 MiB; of libtirpc, 4 in flight are on 4 connections',
      demands: [
        { figure: SEVERAL, arm: 'stack', against: 'tcp', limit: { atLeast: 0.7 } },
        { figure: SEVERAL, arm: 'stack', against: 'libtirpc', limit: { atLeast: 1 } },
        { figure: ONE, arm: 'stack', against: 'libtirpc', limit: { atLeast: 1 } },
        { figure: SEVERAL, arm: 'stack', against: 'grpc', limit: { atLeast: 1 } },
        { figure: COPIED_STACK, arm: 'stack', limit: { atMost: 0 } },
        { figure: COPIED_EDGE, arm: 'stack', limit: { atMost: 0 } },
      ],
      arms: site => arms(site, 'blobs', [new PlainTcpArm(site)]),
    },
  ]
}
