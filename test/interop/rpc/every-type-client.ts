// Made from every-type.x by putnext rpcgen. Edits are lost when it runs again.
import type { RpcCaller, RpcCallOptions } from '../../../src/rpc/stub-types.ts'
import { everyTypeV1Procedures, everyTypeV3Procedures } from './every-type-procedures.ts'
import type { Blob, Color, Everything, Lookup, Matrix, More, Name, Tree } from './every-type-types.ts'

/** Calls version 1 of EVERY_TYPE: each method is a procedure on the other side. */
export class EveryTypeV1Client {
  readonly #caller: RpcCaller

  constructor(caller: RpcCaller) {
    this.#caller = caller
  }

  null(options?: RpcCallOptions): Promise<void> {
    return this.#caller.call(everyTypeV1Procedures.null, undefined, options)
  }

  echo(argument: Everything, options?: RpcCallOptions): Promise<Everything> {
    return this.#caller.call(everyTypeV1Procedures.echo, argument, options)
  }

  add(argument1: bigint, argument2: number, options?: RpcCallOptions): Promise<bigint> {
    return this.#caller.call(everyTypeV1Procedures.add, [argument1, argument2], options)
  }

  invert(argument: number, options?: RpcCallOptions): Promise<number> {
    return this.#caller.call(everyTypeV1Procedures.invert, argument, options)
  }

  double(argument: bigint, options?: RpcCallOptions): Promise<bigint> {
    return this.#caller.call(everyTypeV1Procedures.double, argument, options)
  }

  half(argument: number, options?: RpcCallOptions): Promise<number> {
    return this.#caller.call(everyTypeV1Procedures.half, argument, options)
  }

  square(argument: number, options?: RpcCallOptions): Promise<number> {
    return this.#caller.call(everyTypeV1Procedures.square, argument, options)
  }

  not(argument: boolean, options?: RpcCallOptions): Promise<boolean> {
    return this.#caller.call(everyTypeV1Procedures.not, argument, options)
  }

  color(argument: Color, options?: RpcCallOptions): Promise<Color> {
    return this.#caller.call(everyTypeV1Procedures.color, argument, options)
  }

  name(argument: Name, options?: RpcCallOptions): Promise<Name> {
    return this.#caller.call(everyTypeV1Procedures.name, argument, options)
  }

  negate(argument: Matrix, options?: RpcCallOptions): Promise<Matrix> {
    return this.#caller.call(everyTypeV1Procedures.negate, argument, options)
  }

  lookup(argument: number, options?: RpcCallOptions): Promise<Lookup> {
    return this.#caller.call(everyTypeV1Procedures.lookup, argument, options)
  }

  mirror(argument: Tree, options?: RpcCallOptions): Promise<Tree> {
    return this.#caller.call(everyTypeV1Procedures.mirror, argument, options)
  }

  /** As many bytes as asked for, each the number of its place. */
  blob(argument: number, options?: RpcCallOptions): Promise<Blob> {
    return this.#caller.call(everyTypeV1Procedures.blob, argument, options)
  }

  /** The sum of all bytes. */
  sum(argument: Blob, options?: RpcCallOptions): Promise<number> {
    return this.#caller.call(everyTypeV1Procedures.sum, argument, options)
  }

  more(argument: More, options?: RpcCallOptions): Promise<More> {
    return this.#caller.call(everyTypeV1Procedures.more, argument, options)
  }

  /** Answered with AUTH_TOOWEAK. */
  weak(options?: RpcCallOptions): Promise<void> {
    return this.#caller.call(everyTypeV1Procedures.weak, undefined, options)
  }

  /** Answered with SYSTEM_ERR. */
  fail(options?: RpcCallOptions): Promise<void> {
    return this.#caller.call(everyTypeV1Procedures.fail, undefined, options)
  }
}

/** Calls version 3 of EVERY_TYPE: each method is a procedure on the other side. */
export class EveryTypeV3Client {
  readonly #caller: RpcCaller

  constructor(caller: RpcCaller) {
    this.#caller = caller
  }

  etThree(options?: RpcCallOptions): Promise<number> {
    return this.#caller.call(everyTypeV3Procedures.etThree, undefined, options)
  }
}
