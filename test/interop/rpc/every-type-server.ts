// Made from every-type.x by putnext rpcgen. Edits are lost when it runs again.
import { type Awaitable, type RpcContext, type RpcService, rpcHandler } from '../../../src/rpc/stub-types.ts'
import { everyTypeV1Procedures, everyTypeV3Procedures } from './every-type-procedures.ts'
import type { Blob, Color, Everything, Lookup, Matrix, More, Name, Tree } from './every-type-types.ts'

/** What a server of version 1 of EVERY_TYPE implements. */
export interface EveryTypeV1Service {
  echo(argument: Everything, context: RpcContext): Awaitable<Everything>
  add(argument1: bigint, argument2: number, context: RpcContext): Awaitable<bigint>
  invert(argument: number, context: RpcContext): Awaitable<number>
  double(argument: bigint, context: RpcContext): Awaitable<bigint>
  half(argument: number, context: RpcContext): Awaitable<number>
  square(argument: number, context: RpcContext): Awaitable<number>
  not(argument: boolean, context: RpcContext): Awaitable<boolean>
  color(argument: Color, context: RpcContext): Awaitable<Color>
  name(argument: Name, context: RpcContext): Awaitable<Name>
  negate(argument: Matrix, context: RpcContext): Awaitable<Matrix>
  lookup(argument: number, context: RpcContext): Awaitable<Lookup>
  mirror(argument: Tree, context: RpcContext): Awaitable<Tree>
  /** As many bytes as asked for, each the number of its place. */
  blob(argument: number, context: RpcContext): Awaitable<Blob>
  /** The sum of all bytes. */
  sum(argument: Blob, context: RpcContext): Awaitable<number>
  more(argument: More, context: RpcContext): Awaitable<More>
  /** Answered with AUTH_TOOWEAK. */
  weak(context: RpcContext): Awaitable<void>
  /** Answered with SYSTEM_ERR. */
  fail(context: RpcContext): Awaitable<void>
}

/** The dispatch table of version 1 of EVERY_TYPE, to be registered with a server. */
export function everyTypeV1Service(service: EveryTypeV1Service): RpcService {
  return {
    name: 'EVERY_TYPE',
    program: 536874622,
    version: 1,
    handlers: [
      rpcHandler(everyTypeV1Procedures.null, () => {}),
      rpcHandler(everyTypeV1Procedures.echo, (argument, context) => service.echo(argument, context)),
      rpcHandler(everyTypeV1Procedures.add, (argument, context) => service.add(...argument, context)),
      rpcHandler(everyTypeV1Procedures.invert, (argument, context) => service.invert(argument, context)),
      rpcHandler(everyTypeV1Procedures.double, (argument, context) => service.double(argument, context)),
      rpcHandler(everyTypeV1Procedures.half, (argument, context) => service.half(argument, context)),
      rpcHandler(everyTypeV1Procedures.square, (argument, context) => service.square(argument, context)),
      rpcHandler(everyTypeV1Procedures.not, (argument, context) => service.not(argument, context)),
      rpcHandler(everyTypeV1Procedures.color, (argument, context) => service.color(argument, context)),
      rpcHandler(everyTypeV1Procedures.name, (argument, context) => service.name(argument, context)),
      rpcHandler(everyTypeV1Procedures.negate, (argument, context) => service.negate(argument, context)),
      rpcHandler(everyTypeV1Procedures.lookup, (argument, context) => service.lookup(argument, context)),
      rpcHandler(everyTypeV1Procedures.mirror, (argument, context) => service.mirror(argument, context)),
      rpcHandler(everyTypeV1Procedures.blob, (argument, context) => service.blob(argument, context)),
      rpcHandler(everyTypeV1Procedures.sum, (argument, context) => service.sum(argument, context)),
      rpcHandler(everyTypeV1Procedures.more, (argument, context) => service.more(argument, context)),
      rpcHandler(everyTypeV1Procedures.weak, (_argument, context) => service.weak(context)),
      rpcHandler(everyTypeV1Procedures.fail, (_argument, context) => service.fail(context)),
    ],
  }
}

/** What a server of version 3 of EVERY_TYPE implements. */
export interface EveryTypeV3Service {
  etThree(context: RpcContext): Awaitable<number>
}

/** The dispatch table of version 3 of EVERY_TYPE, to be registered with a server. */
export function everyTypeV3Service(service: EveryTypeV3Service): RpcService {
  return {
    name: 'EVERY_TYPE',
    program: 536874622,
    version: 3,
    handlers: [rpcHandler(everyTypeV3Procedures.etThree, (_argument, context) => service.etThree(context))],
  }
}
